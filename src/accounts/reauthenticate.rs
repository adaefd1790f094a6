//! Showing again, within a session, that it is its owner who calls.

use zeroize::Zeroizing;

use super::Accounts;
use super::hasher::{HasherError, Verdict};
use super::lockout::GuessError;
use super::mfa::Method;
use super::password::Password;
use super::store::{self, UserRow};
use crate::audit::{Actor, Event, Record};
use crate::db::types::Names;
use crate::db::{Conn, DbError, DbResult};
use crate::mail::MfaChange;
use crate::sessions::reauthenticate::Reauthenticated;
use crate::sessions::{Grant, IssueError};
use crate::tokens::access::Claims;

#[derive(Debug, thiserror::Error)]
pub enum ReauthenticateError {
    #[error("the password is not right")]
    WrongPassword,
    /// Told only to those who know the password.
    #[error("the account has a second factor, and no code of it was shown")]
    MfaRequired,
    #[error("the code is not right, or was used before")]
    InvalidCode,
    #[error("the session has ended meanwhile")]
    Ended,
    #[error(transparent)]
    Guess(#[from] GuessError),
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

/// What became of it, within its transaction.
enum Step {
    Renewed(Box<Reauthenticated>),
    MfaRequired,
    InvalidCode,
    Ended,
}

impl Accounts {
    /// Renews when the owner of the session of `presented`, an access token that is good, last authenticated. The
    /// session, its refresh token and the token's id stay as they are.
    pub async fn reauthenticate(
        &self,
        presented: &Claims,
        password: Option<Password>,
        code: Option<Zeroizing<String>>,
        by: &Actor,
    ) -> Result<Grant, ReauthenticateError> {
        let parts = &*self.0;
        let user = presented.sub;
        let admitted = self.admit_owner(user, &by.client).await?;
        let (UserRow { password_hash: hash, .. }, guess) = admitted.ok_or(ReauthenticateError::Ended)?;
        let verdict = match password {
            Some(password) => parts.hasher.verify(password, Some(hash.clone())).await?,
            None => Verdict::Wrong,
        };
        if verdict == Verdict::Wrong {
            self.failed(&guess, failure(by, "invalid_credentials")).await?;
            return Err(ReauthenticateError::WrongPassword);
        }
        let (accounts, by, claims) = (self.clone(), by.clone(), presented.clone());
        let step = parts.db.write(move |conn| {
            // The password may have been changed, or the account disabled, while the hash was worked out.
            if !store::confirm_password(conn, user, &hash, None)? {
                return Ok(Step::Ended);
            }
            guess.succeeded_in(conn)?;
            accounts.reauthenticate_in(conn, &claims, code.as_deref().map(String::as_str), &by)
        });
        match step.await? {
            Step::Renewed(done) => {
                parts.mail.wake();
                Ok(parts.sessions.reauthenticated(*done, presented).await.map_err(IssueError::from)?)
            }
            Step::MfaRequired => Err(ReauthenticateError::MfaRequired),
            Step::InvalidCode => Err(ReauthenticateError::InvalidCode),
            Step::Ended => Err(ReauthenticateError::Ended),
        }
    }

    fn reauthenticate_in(&self, conn: &mut Conn, presented: &Claims, code: Option<&str>, by: &Actor) -> DbResult<Step> {
        let (parts, user) = (&*self.0, presented.sub);
        let mut amr = Names::of(&["pwd"]);
        if Self::has_mfa_in(conn, user)? {
            let Some(code) = code else {
                parts.audit.append(conn, &failure(by, "mfa_required"))?;
                return Ok(Step::MfaRequired);
            };
            let method = Method::of(code);
            if !self.accept_code_in(conn, user, method, code)? {
                parts.audit.append(conn, &failure(by, "invalid_code").with("method", method.name()))?;
                return Ok(Step::InvalidCode);
            }
            if method == Method::RecoveryCode {
                self.tell_of_mfa_in(conn, user, MfaChange::RecoveryCodeUsed, by)?;
            }
            amr = method.amr();
        }
        let Some(done) = parts.sessions.reauthenticate_in(conn, presented.sid, &amr)? else { return Ok(Step::Ended) };
        parts.audit.append(conn, &Record::new(Event::Reauthenticated, by))?;
        Ok(Step::Renewed(Box::new(done)))
    }
}

fn failure(by: &Actor, reason: &str) -> Record {
    Record::new(Event::ReauthenticationFailed, by).with("reason", reason)
}
