//! Logins that wait for their second factor.

use std::time::Duration;

use zeroize::Zeroizing;

use super::Method;
use super::store::{self, NewChallenge};
use super::token::{Kind, Token};
use crate::accounts::Accounts;
use crate::accounts::login::Wishes;
use crate::audit::{Actor, Event, Record};
use crate::client::Client;
use crate::db::types::UserId;
use crate::db::{Conn, DbError, DbResult};
use crate::label::Label;
use crate::mail::MfaChange;
use crate::metrics::LoginOutcome;
use crate::sessions::open::Opened;
use crate::sessions::{Grant, IssueError};

/// How long a login waits.
pub const LIFETIME: Duration = Duration::from_secs(300);

/// Codes that may be tried before the login has to begin anew.
pub const TRIES: i32 = 5;

/// What is shown for a login that waits.
pub struct Answer {
    pub challenge: Token,
    pub method: Method,
    pub code: Zeroizing<String>,
    /// Whether the next logins from this device need no second factor.
    pub remember: bool,
}

/// A login that has its second factor.
pub struct Completed {
    pub grant: Grant,
    /// As the login asked for it.
    pub transport: String,
    pub trusted_device: Option<Token>,
}

#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// No login waits with this token, or no longer.
    #[error("no login waits for this")]
    NoChallenge,
    #[error("the code is not right, or was used before")]
    InvalidCode,
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for CompleteError {
    fn from(error: DbError) -> Self {
        Self::Issue(error.into())
    }
}

/// What became of a login's second step, within its transaction.
enum Step {
    NoChallenge,
    InvalidCode,
    Opened { opened: Box<Opened>, transport: String, trusted_device: Option<Token> },
}

impl Accounts {
    /// Has a login wait for its second factor, if the account has one and the device is not trusted to need none. Part
    /// of the transaction that found the password right.
    pub(in crate::accounts) fn challenge_in(
        &self,
        conn: &mut Conn,
        user: UserId,
        wishes: &Wishes,
    ) -> DbResult<Option<Token>> {
        let (parts, now) = (&*self.0, self.0.clock.now());
        if !store::is_active(conn, user)? {
            return Ok(None);
        }
        if let Some(device) = &wishes.trusted_device
            && store::is_trusted(conn, user, &device.digest(), now)?
        {
            return Ok(None);
        }
        let token = Token::mint(Kind::Challenge, &parts.random);
        let challenge = NewChallenge {
            digest: token.digest(),
            user_id: user,
            transport: wishes.transport,
            device_name: wishes.device_name.as_ref().map(Label::as_str),
            created_at: now,
            expires_at: now.plus(LIFETIME),
        };
        store::insert_challenge(conn, &challenge)?;
        Ok(Some(token))
    }

    /// Whose login waits with this token.
    pub async fn challenged(&self, token: &Token) -> DbResult<Option<UserId>> {
        let (digest, now) = (token.digest(), self.0.clock.now());
        self.0.db.read(move |conn| store::challenged(conn, &digest, now)).await
    }

    /// Completes a login of `user` with its second factor.
    pub async fn complete_login(
        &self,
        user: UserId,
        answer: Answer,
        client: &Client,
    ) -> Result<Completed, CompleteError> {
        let outcome = self.try_complete(user, answer, client).await;
        self.0.metrics.logged_in(match &outcome {
            Ok(_) => LoginOutcome::Succeeded,
            Err(CompleteError::NoChallenge | CompleteError::InvalidCode) => LoginOutcome::Refused,
            Err(CompleteError::Issue(_)) => LoginOutcome::Unavailable,
        });
        outcome
    }

    async fn try_complete(&self, user: UserId, answer: Answer, client: &Client) -> Result<Completed, CompleteError> {
        let (accounts, client) = (self.clone(), client.clone());
        let step = self.0.db.write(move |conn| accounts.complete_in(conn, user, &answer, &client)).await?;
        match step {
            Step::NoChallenge => Err(CompleteError::NoChallenge),
            Step::InvalidCode => Err(CompleteError::InvalidCode),
            Step::Opened { opened, transport, trusted_device } => {
                self.0.mail.wake();
                let grant = self.0.sessions.opened(*opened).await?;
                Ok(Completed { grant, transport, trusted_device })
            }
        }
    }

    fn complete_in(&self, conn: &mut Conn, user: UserId, answer: &Answer, client: &Client) -> DbResult<Step> {
        let (parts, now) = (&*self.0, self.0.clock.now());
        let (stranger, method) = (Actor::stranger(client), answer.method);
        // The account's row goes before the challenge's, as in all that voids challenges.
        if store::lock(conn, user)?.is_none() {
            return Ok(Step::NoChallenge);
        }
        let digest = answer.challenge.digest();
        let Some(challenge) = store::take_try(conn, user, &digest, TRIES, now)? else {
            return Ok(Step::NoChallenge);
        };
        if !self.accept_code_in(conn, user, method, &answer.code)? {
            let failed = Record::new(Event::MfaFailed, &stranger).on(user).with("method", method.name());
            parts.audit.append(conn, &failed)?;
            return Ok(Step::InvalidCode);
        }
        store::delete_challenge(conn, &digest)?;
        let Some(opened) = self.log_in_in(conn, user, method.amr(), challenge.device_name, client)? else {
            return Ok(Step::NoChallenge);
        };
        let owner = Actor { user: Some(user), session: Some(opened.session()), client: client.clone() };
        parts.audit.append(conn, &Record::new(Event::MfaSucceeded, &owner).with("method", method.name()))?;
        if method == Method::RecoveryCode {
            self.tell_of_mfa_in(conn, user, MfaChange::RecoveryCodeUsed, &owner)?;
        }
        let trusted_device = if answer.remember { Some(self.trust_in(conn, user, &owner)?) } else { None };
        Ok(Step::Opened { opened: Box::new(opened), transport: challenge.transport, trusted_device })
    }
}
