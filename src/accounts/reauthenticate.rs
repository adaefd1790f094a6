//! Showing again, within a session, that it is its owner who calls.

use super::Accounts;
use super::hasher::{HasherError, Verdict};
use super::password::Password;
use super::store;
use crate::audit::{Actor, Event, Record};
use crate::db::DbError;
use crate::db::types::Names;
use crate::sessions::{Grant, IssueError};
use crate::tokens::access::Claims;

#[derive(Debug, thiserror::Error)]
pub enum ReauthenticateError {
    #[error("the password is not right")]
    WrongPassword,
    #[error("the session has ended meanwhile")]
    Ended,
    #[error(transparent)]
    Hasher(#[from] HasherError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for ReauthenticateError {
    fn from(error: DbError) -> Self {
        Self::Issue(error.into())
    }
}

impl Accounts {
    /// Renews when the owner of the session of `presented`, an access token that is good, last authenticated. The
    /// session, its refresh token and the token's id stay as they are.
    pub async fn reauthenticate(
        &self,
        presented: &Claims,
        password: Option<Password>,
        by: &Actor,
    ) -> Result<Grant, ReauthenticateError> {
        let parts = &*self.0;
        let (user, session) = (presented.sub, presented.sid);
        let stored = parts.db.read(move |conn| store::by_id(conn, user)).await?.map(|user| user.password_hash);
        let verdict = match password {
            Some(password) => parts.hasher.verify(password, stored.clone()).await?,
            None => Verdict::Wrong,
        };
        let (Some(hash), Verdict::Right | Verdict::RightButOutdated) = (stored, verdict) else {
            let failed = Record::new(Event::ReauthenticationFailed, by).with("reason", "invalid_credentials");
            parts.audit.append_alone(failed).await?;
            return Err(ReauthenticateError::WrongPassword);
        };
        let (sessions, audit) = (parts.sessions.clone(), parts.audit.clone());
        let record = Record::new(Event::Reauthenticated, by);
        let done = parts
            .db
            .write(move |conn| {
                // The password may have been changed, or the account disabled, while the hash was worked out.
                if !store::confirm_password(conn, user, &hash)? {
                    return Ok(None);
                }
                let done = sessions.reauthenticate_in(conn, session, &Names::of(&["pwd"]))?;
                if done.is_some() {
                    audit.append(conn, &record)?;
                }
                Ok(done)
            })
            .await?
            .ok_or(ReauthenticateError::Ended)?;
        Ok(parts.sessions.reauthenticated(done, presented).await.map_err(IssueError::from)?)
    }
}
