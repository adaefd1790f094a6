//! Logging in with a password.

use super::Accounts;
use super::email::Email;
use super::hasher::{HasherError, Verdict};
use super::lockout::{Guess, GuessError};
use super::mfa::token::Token;
use super::password::Password;
use super::register::subject;
use super::store::{self, UserRow};
use crate::audit::{Actor, Event, Record};
use crate::client::Client;
use crate::db::types::{Names, UserId};
use crate::db::{Conn, DbError, DbResult};
use crate::label::Label;
use crate::metrics::LoginOutcome;
use crate::sessions::open::Opened;
use crate::sessions::{Grant, IssueError};

/// What a login asks for besides.
#[derive(Clone)]
pub struct Wishes {
    pub device_name: Option<Label>,
    /// How the client carries its tokens: kept while the login waits for its second factor.
    pub transport: &'static str,
    /// What an earlier login from this device was given, to be let in without a second factor.
    pub trusted_device: Option<Token>,
}

/// What follows from the right password.
pub enum LoggedIn {
    Session(Box<Grant>),
    /// The login waits for its second factor, with this token.
    SecondFactor(Token),
}

/// The same before it was committed.
enum Step {
    Opened(Box<Opened>),
    Challenged(Token),
}

/// How often a login is judged anew because the account changed while its password was hashed: another login at the same
/// time may have stored a newer hash of the same password.
const ATTEMPTS: usize = 3;

#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No such account, or not its password: which of the two is not told, nor can the time tell it.
    #[error("the address or the password is not right")]
    InvalidCredentials,
    /// Told only to those who know the password.
    #[error("the account is disabled")]
    AccountDisabled,
    #[error(transparent)]
    Guess(#[from] GuessError),
    #[error(transparent)]
    Hasher(#[from] HasherError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for LoginError {
    fn from(error: DbError) -> Self {
        Self::Issue(error.into())
    }
}

impl Accounts {
    /// Logs the owner of `email` in, in a session of its own, or has the login wait for its second factor. `None` as
    /// password stands for a text that no account can have.
    pub async fn login(
        &self,
        email: &Email,
        password: Option<Password>,
        wishes: &Wishes,
        client: &Client,
    ) -> Result<LoggedIn, LoginError> {
        let outcome = self.try_login(email, password, wishes, client).await;
        self.0.metrics.logged_in(match &outcome {
            // Counted once it is completed.
            Ok(LoggedIn::SecondFactor(_)) => return outcome,
            Ok(LoggedIn::Session(_)) => LoginOutcome::Succeeded,
            Err(LoginError::InvalidCredentials | LoginError::AccountDisabled) => LoginOutcome::Refused,
            // Counted among the limits, as is what the address of a client has used up.
            Err(LoginError::Guess(GuessError::TooManyFailures { .. } | GuessError::Limited(_))) => return outcome,
            Err(LoginError::Guess(GuessError::Database(_)) | LoginError::Hasher(_) | LoginError::Issue(_)) => {
                LoginOutcome::Unavailable
            }
        });
        outcome
    }

    async fn try_login(
        &self,
        email: &Email,
        password: Option<Password>,
        wishes: &Wishes,
        client: &Client,
    ) -> Result<LoggedIn, LoginError> {
        let guess = self.admit(email, wishes.trusted_device.as_ref(), client).await?;
        let password = password.ok_or(LoginError::InvalidCredentials)?;
        for _ in 0..ATTEMPTS {
            match self.open(email, &password, wishes, &guess).await? {
                Some(Step::Opened(opened)) => {
                    let grant = self.0.sessions.opened(*opened).await?;
                    return Ok(LoggedIn::Session(Box::new(grant)));
                }
                Some(Step::Challenged(token)) => return Ok(LoggedIn::SecondFactor(token)),
                None => {}
            }
        }
        Err(LoginError::InvalidCredentials)
    }

    /// Opens a session for the owner of `email`, or a challenge. `None` when the account changed meanwhile: to be tried
    /// from the start.
    async fn open(
        &self,
        email: &Email,
        password: &Password,
        wishes: &Wishes,
        guess: &Guess,
    ) -> Result<Option<Step>, LoginError> {
        let (parts, client) = (&*self.0, &guess.client);
        let normalized = email.normalized().to_owned();
        let user = parts.db.read(move |conn| store::by_email(conn, &normalized)).await?;
        let stored = user.as_ref().map(|user| user.password_hash.clone());
        let verdict = parts.hasher.verify(password.clone(), stored).await?;
        let user = match (user, verdict) {
            (Some(user), Verdict::Right | Verdict::RightButOutdated) => user,
            (user, _) => {
                let record = failure(user.map(|user| user.id), "invalid_credentials", client);
                self.failed(guess, record).await?;
                return Err(LoginError::InvalidCredentials);
            }
        };
        if user.disabled_at.is_some() {
            parts.audit.append_alone(failure(Some(user.id), "account_disabled", client)).await?;
            return Err(LoginError::AccountDisabled);
        }
        let rehashed = match verdict {
            Verdict::RightButOutdated => Some(parts.hasher.hash(password.clone()).await?),
            Verdict::Right | Verdict::Wrong => None,
        };
        let (accounts, wishes, guess) = (self.clone(), wishes.clone(), guess.clone());
        let opened = parts
            .db
            .write(move |conn| {
                // The account may have been disabled, or its password changed, while the hash was worked out.
                if !store::confirm_password(conn, user.id, &user.password_hash, rehashed.as_deref())? {
                    return Ok(None);
                }
                guess.succeeded_in(conn)?;
                if let Some(token) = accounts.challenge_in(conn, user.id, &wishes)? {
                    return Ok(Some(Step::Challenged(token)));
                }
                let device_name = wishes.device_name.map(Label::into_string);
                let opened = accounts.open_in(conn, &user, Names::of(&["pwd"]), device_name, &guess.client)?;
                Ok(Some(Step::Opened(Box::new(opened))))
            })
            .await?;
        Ok(opened)
    }

    /// Opens a session for somebody who has shown `amr`. Part of the transaction that found it right.
    fn open_in(
        &self,
        conn: &mut Conn,
        user: &UserRow,
        amr: Names,
        device_name: Option<String>,
        client: &Client,
    ) -> DbResult<Opened> {
        let parts = &*self.0;
        store::note_login(conn, user.id, parts.clock.now())?;
        let opening = parts.sessions.opening(subject(user), amr, client, device_name);
        let record = Record::new(Event::LoginSucceeded, &Actor::stranger(client)).on(user.id);
        parts.audit.append(conn, &record.session(opening.session()))?;
        opening.insert(conn)
    }

    /// [`Self::open_in`] for an account that the transaction has locked; `None` when it is gone or disabled.
    pub(super) fn log_in_in(
        &self,
        conn: &mut Conn,
        user: UserId,
        amr: Names,
        device_name: Option<String>,
        client: &Client,
    ) -> DbResult<Option<Opened>> {
        let found = store::by_id(conn, user)?.filter(|user| user.disabled_at.is_none());
        found.map(|user| self.open_in(conn, &user, amr, device_name, client)).transpose()
    }
}

fn failure(user: Option<UserId>, reason: &str, client: &Client) -> Record {
    Record::new(Event::LoginFailed, &Actor::stranger(client)).on(user).with("reason", reason)
}
