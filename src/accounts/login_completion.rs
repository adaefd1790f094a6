//! The completion of a login with its second factor.

use zeroize::Zeroizing;

use super::login::Logins;
use super::store::LockedAccount;
use crate::audit::{Actor, Event, Record};
use crate::db::{Committed, Conn, DbError, DbResult};
use crate::mail::MfaChange;
use crate::metrics::LoginOutcome;
use crate::mfa::{Challenge, Method, Owner};
use crate::sessions::{IssueError, LoggedIn, OpenedSession, SessionOptions};
use crate::throttle::{AttemptError, CodeAttempt};
use crate::tokens::opaque::OpaqueToken;
use crate::types::{KeyThumbprint, Requester, Transport, UserId};

/// The second factor of a login.
pub(crate) struct SecondFactor {
    /// The token of the challenge.
    pub challenge: OpaqueToken,
    /// The method of the code.
    pub method: Method,
    /// The code.
    pub code: Zeroizing<String>,
    /// Whether later logins from this device need no second factor.
    pub remember_device: bool,
    /// The key whose possession the client has proven, to which the session is bound (RFC 9449).
    pub proven: Option<KeyThumbprint>,
}

/// A login that was completed with its second factor.
pub(crate) struct CompletedLogin {
    /// What the login has opened.
    pub logged_in: LoggedIn,
    /// How the client receives its tokens.
    pub transport: Transport,
    /// The token of the new trusted device, if it was requested.
    pub trusted_device: Option<OpaqueToken>,
}

/// Why a login was not completed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompleteError {
    /// The challenge does not exist or has expired.
    #[error("no login is waiting for a second factor with this token")]
    NoChallenge,
    /// The code is wrong or was used before.
    #[error("the code is wrong or was used before")]
    InvalidCode,
    /// The attempt was refused before the code was compared.
    #[error(transparent)]
    Attempt(#[from] AttemptError),
    /// The tokens were not issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for CompleteError {
    fn from(error: DbError) -> Self {
        Self::Issue(error.into())
    }
}

/// A completed login that is not committed yet.
struct PendingCompletion {
    opened: Box<OpenedSession>,
    transport: Transport,
    trusted_device: Option<OpaqueToken>,
}

impl Logins {
    /// Finds the challenge with this token.
    pub(crate) async fn find_challenge(&self, token: &OpaqueToken) -> DbResult<Option<Challenge>> {
        self.mfa.find_challenge(token).await
    }

    /// Completes a login of `user` with its second factor.
    ///
    /// # Errors
    /// The code is wrong, which is counted, or there is no such challenge.
    pub(crate) async fn complete(
        &self,
        user: UserId,
        factor: SecondFactor,
        requester: &Requester,
    ) -> Result<CompletedLogin, CompleteError> {
        let result = self.try_complete(user, factor, requester).await;
        match &result {
            Ok(_) => self.metrics.logged_in(LoginOutcome::Succeeded),
            Err(CompleteError::NoChallenge | CompleteError::InvalidCode) => {
                self.metrics.logged_in(LoginOutcome::Refused);
            }
            // Counted as an exceeded limit.
            Err(CompleteError::Attempt(AttemptError::TooManyFailures { .. } | AttemptError::RateLimited(_))) => {}
            Err(CompleteError::Attempt(AttemptError::Database(_)) | CompleteError::Issue(_)) => {
                self.metrics.logged_in(LoginOutcome::Unavailable);
            }
        }
        result
    }

    async fn try_complete(
        &self,
        user: UserId,
        factor: SecondFactor,
        requester: &Requester,
    ) -> Result<CompletedLogin, CompleteError> {
        let by = Actor { user: Some(user), ..Actor::anonymous(requester) };
        let attempt = self.attempts.admit_code(user, &by).await?;
        let logins = self.clone();
        let requester = requester.clone();
        let claimed = attempt.clone();
        let committed =
            self.db.transact(move |conn| logins.complete_in(conn, user, &factor, &claimed, &requester)).await;
        if let Err(CompleteError::Attempt(AttemptError::TooManyFailures { .. })) = committed {
            self.attempts.record_code_refused(&attempt).await;
        }
        // A wrong code may have queued an email, too.
        self.mail.wake();
        let PendingCompletion { opened, transport, trusted_device } = committed?.into_result()?;
        let logged_in = self.sessions.finish_login(*opened).await?;
        Ok(CompletedLogin { logged_in, transport, trusted_device })
    }

    fn complete_in(
        &self,
        conn: &mut Conn,
        user: UserId,
        factor: &SecondFactor,
        attempt: &CodeAttempt,
        requester: &Requester,
    ) -> Result<Committed<PendingCompletion, CompleteError>, CompleteError> {
        // The account's row is locked before the challenge's, as by every operation that deletes challenges.
        let locked = LockedAccount::lock_enabled(conn, user)?;
        let mut account = locked.ok_or(CompleteError::NoChallenge)?;
        let pending = self.mfa.attempt_challenge(conn, user, &factor.challenge)?;
        let pending = pending.ok_or(CompleteError::NoChallenge)?;
        let claim = attempt.claim_in(conn)?;
        let method = factor.method;
        if !self.mfa.redeem_code(conn, user, method, &factor.code)? {
            let by = Actor::anonymous(requester);
            self.audit.append(conn, &Record::new(Event::MfaFailed, &by).on(user).with("method", method.name()))?;
            self.record_wrong_code(conn, &account, claim, &by)?;
            // The transaction is committed, so that the attempt is counted.
            return Ok(Committed::Refused(CompleteError::InvalidCode));
        }
        if !self.mfa.redeem_challenge(conn, user, &factor.challenge)? {
            return Err(CompleteError::NoChallenge);
        }
        claim.record_success_in(conn)?;
        // It may have ended since the password was right.
        if let Some(parent) = pending.parent
            && !self.sessions.lock_parent(conn, parent, user)?
        {
            return Err(CompleteError::NoChallenge);
        }
        let options = SessionOptions {
            kind: pending.transport.session_kind(),
            device_name: pending.device_name,
            bound_to: factor.proven,
            parent: pending.parent,
        };
        let opened = self.open_in(conn, &mut account, method.amr(), options, requester)?;
        let actor = Actor { user: Some(user), session: Some(opened.session()), requester: requester.clone() };
        self.audit.append(conn, &Record::new(Event::MfaSucceeded, &actor).with("method", method.name()))?;
        if method == Method::RecoveryCode {
            let owner = Owner { id: user, email: &account.email };
            self.mfa.notify(conn, owner, MfaChange::RecoveryCodeUsed, &actor)?;
        }
        let trusted_device =
            if factor.remember_device { Some(self.mfa.trust_device(conn, user, &actor)?) } else { None };
        let opened = Box::new(opened);
        Ok(Committed::Accepted(PendingCompletion { opened, transport: pending.transport, trusted_device }))
    }
}
