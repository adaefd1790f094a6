//! Reauthentication of the owner of a session, for operations that require a recent login.

use std::time::Duration;

use zeroize::Zeroizing;

use super::attempts::{PasswordError, VerifiedPassword};
use super::login::Logins;
use super::store::LockedAccount;
use crate::audit::{Actor, Event, Record};
use crate::db::{Committed, Conn, DbError};
use crate::mail::MfaChange;
use crate::mfa::{Method, Owner};
use crate::passwords::{HasherError, Password};
use crate::sessions::{BrowserCookie, IssueError, IssuedTokens, Reauthenticated, SessionSnapshot, Sessions};
use crate::throttle::{AttemptError, CodeAttempt};
use crate::tokens::access::Claims;
use crate::tokens::opaque::OpaqueToken;
use crate::types::{Amr, SessionId, UserId};

/// The longest time since a person authenticated, for what needs a recent login (RFC 9470).
pub(crate) const RECENT_LOGIN: Duration = Duration::from_secs(600);

/// Why a reauthentication is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReauthenticateError {
    /// The password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// Two-step login is enabled, and no code was given. This error is returned only after a correct password.
    #[error("two-step login is enabled, and no code was given")]
    MfaRequired,
    /// The code is wrong or was used before.
    #[error("the code is wrong or was used before")]
    InvalidCode,
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
    /// The attempt was refused before the password or the code was compared.
    #[error(transparent)]
    Attempt(#[from] AttemptError),
    /// The password could not be hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The token was not issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for ReauthenticateError {
    fn from(error: DbError) -> Self {
        Self::Issue(error.into())
    }
}

impl From<PasswordError> for ReauthenticateError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Wrong => Self::WrongPassword,
            PasswordError::Attempt(error) => error.into(),
            PasswordError::Hasher(error) => error.into(),
            PasswordError::Database(error) => error.into(),
        }
    }
}

impl Logins {
    /// Reauthenticates the owner of the session of `presented`, a valid access token, and issues an access token with
    /// the new time of authentication. The session, its refresh token and the id of the access token stay the same.
    ///
    /// # Errors
    /// The password or the code is wrong, a code is missing, or the session has ended.
    pub(crate) async fn reauthenticate(
        &self,
        presented: &Claims,
        password: Option<Password>,
        code: Option<Zeroizing<String>>,
        by: &Actor,
    ) -> Result<IssuedTokens, ReauthenticateError> {
        let session = Renewal { user: presented.sub, session: presented.sid, cookie: None };
        let renewed = self.renew(session, password, code, by).await?;
        let issued = self.sessions.issue_reauthenticated(renewed.reauthenticated, presented).await;
        Ok(issued.map_err(IssueError::from)?)
    }

    /// Reauthenticates the owner of a browser session, and replaces the secret that was presented in the same
    /// transaction. Of several requests with the same secret only one gets a new cookie.
    ///
    /// # Errors
    /// The password or the code is wrong, a code is missing, or the session has ended.
    pub(crate) async fn reauthenticate_browser(
        &self,
        own: &SessionSnapshot,
        presented: OpaqueToken,
        password: Option<Password>,
        code: Option<Zeroizing<String>>,
        by: &Actor,
    ) -> Result<(SessionSnapshot, Option<BrowserCookie>), ReauthenticateError> {
        let session = Renewal { user: own.subject.id, session: own.session, cookie: Some(presented) };
        let Renewed { reauthenticated, secret } = *self.renew(session, password, code, by).await?;
        Ok(Sessions::renewed_browser(reauthenticated, secret))
    }

    async fn renew(
        &self,
        renewal: Renewal,
        password: Option<Password>,
        code: Option<Zeroizing<String>>,
        by: &Actor,
    ) -> Result<Box<Renewed>, ReauthenticateError> {
        let code = match code {
            Some(code) => Some((code, self.attempts.admit_code(renewal.user, by).await?)),
            None => None,
        };
        let code_attempt = code.as_ref().map(|(_, attempt)| attempt.clone());
        let admitted = self.attempts.admit_owner(renewal.user, &by.requester).await?;
        let (account, attempt) = admitted.ok_or(ReauthenticateError::Ended)?;
        let failure = failed(by, "invalid_credentials");
        let verified = self.attempts.verify(Some(account), &attempt, password, failure).await?;
        let logins = self.clone();
        let by = by.clone();
        let password_attempt = attempt.clone();
        let committed = self.db.transact(move |conn| {
            let VerifiedPassword { account, rehashed } = &verified;
            // The password may have been changed, or the account disabled, while the hash was computed.
            let locked = LockedAccount::lock_verified(conn, account.id, &account.password_hash, rehashed.as_deref())?;
            let account = locked.ok_or(ReauthenticateError::Ended)?;
            attempt.record_success_in(conn)?;
            let code = code.as_ref().map(|(code, attempt)| (code.as_str(), attempt));
            logins.renew_in(conn, &account, &renewal, code, &by)
        });
        let committed = committed.await;
        if committed.is_err() {
            self.attempts.take_back(&password_attempt).await;
        }
        let result = committed?.into_result();
        if let (Err(ReauthenticateError::Attempt(AttemptError::TooManyFailures { .. })), Some(attempt)) =
            (&result, &code_attempt)
        {
            self.attempts.record_code_refused(attempt).await;
        }
        // A wrong code may have queued an email, too.
        self.mail.wake();
        result
    }

    fn renew_in(
        &self,
        conn: &mut Conn,
        account: &LockedAccount,
        renewal: &Renewal,
        code: Option<(&str, &CodeAttempt)>,
        by: &Actor,
    ) -> Result<Committed<Box<Renewed>, ReauthenticateError>, ReauthenticateError> {
        let user = account.id;
        let mut amr = Amr::password();
        if self.mfa.is_enabled(conn, user)? {
            let Some((code, attempt)) = code else {
                self.audit.append(conn, &failed(by, "mfa_required"))?;
                return Ok(Committed::Refused(ReauthenticateError::MfaRequired));
            };
            // The password was right, so the transaction is committed in any case.
            let claim = match attempt.claim_in(conn) {
                Ok(claim) => claim,
                Err(AttemptError::Database(error)) => return Err(error.into()),
                Err(refused) => return Ok(Committed::Refused(refused.into())),
            };
            let method = Method::from_code(code);
            if !self.mfa.redeem_code(conn, user, method, code)? {
                self.audit.append(conn, &failed(by, "invalid_code").with("method", method.name()))?;
                self.record_wrong_code(conn, account, claim, by)?;
                return Ok(Committed::Refused(ReauthenticateError::InvalidCode));
            }
            claim.record_success_in(conn)?;
            if method == Method::RecoveryCode {
                let owner = Owner { id: user, email: &account.email };
                self.mfa.notify(conn, owner, MfaChange::RecoveryCodeUsed, by)?;
            }
            amr = method.amr();
        }
        let reauthenticated = self.sessions.reauthenticate(conn, renewal.session, &amr)?;
        let reauthenticated = reauthenticated.ok_or(ReauthenticateError::Ended)?;
        let secret = match &renewal.cookie {
            Some(presented) => self.sessions.renew_browser(conn, renewal.session, presented)?,
            None => None,
        };
        self.audit.append(conn, &Record::new(Event::Reauthenticated, by))?;
        Ok(Committed::Accepted(Box::new(Renewed { reauthenticated, secret })))
    }
}

/// A session whose owner authenticates again.
struct Renewal {
    user: UserId,
    session: SessionId,
    /// The secret that a browser has presented, which is replaced.
    cookie: Option<OpaqueToken>,
}

/// A session whose owner has authenticated again.
struct Renewed {
    reauthenticated: Reauthenticated,
    /// The new secret of a browser session, unless another request has replaced the former one.
    secret: Option<OpaqueToken>,
}

fn failed(by: &Actor, reason: &str) -> Record {
    Record::new(Event::ReauthenticationFailed, by).with("reason", reason)
}
