//! Logging in with a password.

use super::Accounts;
use super::email::Email;
use super::hasher::{HasherError, Verdict};
use super::password::Password;
use super::register::subject;
use super::store;
use crate::audit::{self, Event};
use crate::db::DbError;
use crate::db::types::Names;
use crate::label::Label;
use crate::metrics::LoginOutcome;
use crate::sessions::open::Opening;
use crate::sessions::{Client, Grant, IssueError};

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
                audit::record(Event::LoginFailed, user.map(|user| user.id), None);
                return Err(LoginError::InvalidCredentials);
            }
        };
        if user.disabled_at.is_some() {
            audit::record(Event::LoginFailed, Some(user.id), None);
            return Err(LoginError::AccountDisabled);
        }
        let rehashed = match verdict {
            Verdict::RightButOutdated => Some(parts.hasher.hash(password.clone()).await?),
            Verdict::Right | Verdict::Wrong => None,
        };
        let opening = parts.sessions.opening(subject(&user), Names::of(&["pwd"]), client, device_name);
        let (now, id) = (parts.clock.now(), user.id);
        let opened = parts
            .db
            .write(move |conn| {
                // The account may have been disabled, or its password changed, while the hash was worked out.
                if !store::note_login(conn, user.id, &user.password_hash, rehashed.as_deref(), now)? {
                    return Ok(None);
                }
                opening.insert(conn)?;
                Ok(Some(opening))
            })
            .await?;
        if opened.is_some() {
            audit::record(Event::LoggedIn, Some(id), None);
        }
        Ok(opened)
    }
}
