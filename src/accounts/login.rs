//! Logging in with a password.

use super::Accounts;
use super::email::Email;
use super::hasher::{HasherError, Verdict};
use super::password::Password;
use super::register::subject;
use super::store;
use crate::audit::{Actor, Event, Record};
use crate::client::Client;
use crate::db::DbError;
use crate::db::types::{Names, UserId};
use crate::label::Label;
use crate::metrics::LoginOutcome;
use crate::sessions::open::Opening;
use crate::sessions::{Grant, IssueError};

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
    /// Logs the owner of `email` in, in a session of its own. `None` as password stands for a text that no account
    /// can have.
    pub async fn login(
        &self,
        email: &Email,
        password: Option<Password>,
        device_name: Option<Label>,
        client: &Client,
    ) -> Result<Grant, LoginError> {
        let outcome = self.try_login(email, password, device_name, client).await;
        self.0.metrics.logged_in(match &outcome {
            Ok(_) => LoginOutcome::Succeeded,
            Err(LoginError::InvalidCredentials | LoginError::AccountDisabled) => LoginOutcome::Refused,
            Err(LoginError::Hasher(_) | LoginError::Issue(_)) => LoginOutcome::Unavailable,
        });
        outcome
    }

    async fn try_login(
        &self,
        email: &Email,
        password: Option<Password>,
        device_name: Option<Label>,
        client: &Client,
    ) -> Result<Grant, LoginError> {
        let password = password.ok_or(LoginError::InvalidCredentials)?;
        let device_name = device_name.map(Label::into_string);
        for _ in 0..ATTEMPTS {
            if let Some(opening) = self.open(email, &password, device_name.clone(), client).await? {
                return Ok(self.0.sessions.opened(opening).await?);
            }
        }
        Err(LoginError::InvalidCredentials)
    }

    /// Opens a session for the owner of `email`. `None` when the account changed meanwhile: to be tried from the start.
    async fn open(
        &self,
        email: &Email,
        password: &Password,
        device_name: Option<String>,
        client: &Client,
    ) -> Result<Option<Opening>, LoginError> {
        let parts = &*self.0;
        let normalized = email.normalized().to_owned();
        let user = parts.db.read(move |conn| store::by_email(conn, &normalized)).await?;
        let stored = user.as_ref().map(|user| user.password_hash.clone());
        let verdict = parts.hasher.verify(password.clone(), stored).await?;
        let user = match (user, verdict) {
            (Some(user), Verdict::Right | Verdict::RightButOutdated) => user,
            (user, _) => {
                self.note_failure(user.map(|user| user.id), "invalid_credentials", client).await?;
                return Err(LoginError::InvalidCredentials);
            }
        };
        if user.disabled_at.is_some() {
            self.note_failure(Some(user.id), "account_disabled", client).await?;
            return Err(LoginError::AccountDisabled);
        }
        let rehashed = match verdict {
            Verdict::RightButOutdated => Some(parts.hasher.hash(password.clone()).await?),
            Verdict::Right | Verdict::Wrong => None,
        };
        let opening = parts.sessions.opening(subject(&user), Names::of(&["pwd"]), client, device_name);
        let now = parts.clock.now();
        let record =
            Record::new(Event::LoginSucceeded, &Actor::stranger(client)).on(user.id).session(opening.session());
        let audit = parts.audit.clone();
        let opened = parts
            .db
            .write(move |conn| {
                // The account may have been disabled, or its password changed, while the hash was worked out.
                if !store::note_login(conn, user.id, &user.password_hash, rehashed.as_deref(), now)? {
                    return Ok(None);
                }
                opening.insert(conn)?;
                audit.append(conn, &record)?;
                Ok(Some(opening))
            })
            .await?;
        Ok(opened)
    }

    async fn note_failure(&self, user: Option<UserId>, reason: &str, client: &Client) -> Result<(), DbError> {
        let record = Record::new(Event::LoginFailed, &Actor::stranger(client)).on(user).with("reason", reason);
        self.0.audit.append_alone(record).await
    }
}
