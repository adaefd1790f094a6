//! Logins: with a password and, if two-step login is enabled, with a second factor.

use super::attempts::{PasswordAttempts, PasswordError, VerifiedPassword};
use super::notices;
use super::store::{AccountRow, LockedAccount};
use crate::audit::{Actor, Audit, Event, Record};
use crate::clock::Clock;
use crate::db::{Conn, Db, DbError, DbResult};
use crate::mail::Mail;
use crate::metrics::{LoginOutcome, Metrics};
use crate::mfa::{Challenge, Mfa, Owner};
use crate::passwords::{HasherError, Password};
use crate::sessions::{IssueError, LoggedIn, OpenedSession, SessionOptions, Sessions};
use crate::throttle::{AttemptError, ClaimedCode, PasswordAttempt};
use crate::tokens::opaque::OpaqueToken;
use crate::types::{Amr, EmailAddress, KeyThumbprint, Label, Requester, SessionId, Timestamp, Transport, UserId};

/// The number of attempts at a login while the account changes during the hashing: a concurrent login may have stored a
/// new hash of the same password.
const ATTEMPTS: usize = 3;

/// The logins of a server. Clones share everything.
#[derive(Clone)]
pub(crate) struct Logins {
    /// The database.
    pub db: Db,
    /// The audit log.
    pub audit: Audit,
    /// The outbox for emails to owners.
    pub mail: Mail,
    /// The sessions.
    pub sessions: Sessions,
    /// The second factors.
    pub mfa: Mfa,
    /// The verification of passwords.
    pub attempts: PasswordAttempts,
    /// The metrics.
    pub metrics: Metrics,
    /// The clock.
    pub clock: Clock,
    /// Whether only an account with a verified email address may log in.
    pub require_verified_email: bool,
}

/// The options of a login.
#[derive(Clone)]
pub(crate) struct LoginOptions {
    /// The name of the device, chosen by its owner.
    pub device_name: Option<Label>,
    /// How the client receives its tokens.
    pub transport: Transport,
    /// The token of a trusted device, which needs no second factor.
    pub trusted_device: Option<OpaqueToken>,
    /// The key whose possession the client has proven, to which the session is bound (RFC 9449).
    pub proven: Option<KeyThumbprint>,
    /// The browser session with which the session ends.
    pub parent: Option<SessionId>,
}

/// The result of a correct password.
pub(crate) enum LoginStep {
    /// The login is complete.
    Complete(LoggedIn),
    /// The login needs a second factor. This is the token of the challenge.
    SecondFactorRequired(OpaqueToken),
}

/// A login step that is not committed yet.
enum PendingStep {
    /// The session was opened.
    Opened(Box<OpenedSession>),
    /// A challenge was created.
    Challenged(OpaqueToken),
    /// The email address is not verified, and an email with a new link was queued.
    Unverified,
    /// The parent is no live browser session of the account.
    NoParent,
}

/// Why a login is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The account does not exist or has another password. Neither the error nor the time reveals which.
    #[error("wrong email or password")]
    InvalidCredentials,
    /// The account is disabled. This error is returned only after a correct password.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The account is to be deleted at this time. This error is returned only after a correct password.
    #[error("the account is to be deleted")]
    DeletionPending(Timestamp),
    /// The email address is not verified, which a login requires. This error is returned only after a correct password;
    /// an email with a new link was queued.
    #[error("the email address is not verified")]
    EmailNotVerified,
    /// The parent is no live browser session of the account. This error is returned only after a correct password.
    #[error("the parent is no live browser session of the account")]
    NoParent,
    /// The attempt was refused before the password was verified.
    #[error(transparent)]
    Attempt(#[from] AttemptError),
    /// The password could not be hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The tokens were not issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for LoginError {
    fn from(error: DbError) -> Self {
        Self::Issue(error.into())
    }
}

impl From<PasswordError> for LoginError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Wrong => Self::InvalidCredentials,
            PasswordError::Attempt(error) => error.into(),
            PasswordError::Hasher(error) => error.into(),
            PasswordError::Database(error) => error.into(),
        }
    }
}

impl Logins {
    /// Logs the owner of `email` in: opens a new session, or creates a challenge if a second factor is needed. `None`
    /// as password stands for a text that cannot be a password.
    ///
    /// # Errors
    /// The credentials are wrong, the account is disabled or is to be deleted, or there were too many attempts.
    pub(crate) async fn login(
        &self,
        email: &EmailAddress,
        password: Option<Password>,
        options: &LoginOptions,
        requester: &Requester,
    ) -> Result<LoginStep, LoginError> {
        let result = self.try_login(email, password, options, requester).await;
        match &result {
            Ok(LoginStep::Complete(_)) => self.metrics.logged_in(LoginOutcome::Succeeded),
            // Counted when the login is completed.
            Ok(LoginStep::SecondFactorRequired(_)) => {}
            Err(
                LoginError::InvalidCredentials
                | LoginError::AccountDisabled
                | LoginError::DeletionPending(_)
                | LoginError::EmailNotVerified
                | LoginError::NoParent,
            ) => {
                self.metrics.logged_in(LoginOutcome::Refused);
            }
            // Counted as an exceeded limit.
            Err(LoginError::Attempt(AttemptError::TooManyFailures { .. } | AttemptError::RateLimited(_))) => {}
            Err(LoginError::Attempt(AttemptError::Database(_)) | LoginError::Hasher(_) | LoginError::Issue(_)) => {
                self.metrics.logged_in(LoginOutcome::Unavailable);
            }
        }
        result
    }

    async fn try_login(
        &self,
        email: &EmailAddress,
        password: Option<Password>,
        options: &LoginOptions,
        requester: &Requester,
    ) -> Result<LoginStep, LoginError> {
        let device = options.trusted_device.as_ref();
        let (mut account, attempt) = self.attempts.admit(email, device, requester).await?;
        let Some(password) = password else {
            self.attempts.take_back(&attempt).await;
            return Err(LoginError::InvalidCredentials);
        };
        for _ in 0..ATTEMPTS {
            let user = account.as_ref().map(|account| account.id);
            let failure = login_failed(user, "invalid_credentials", requester);
            let verified = self.attempts.verify(account, &attempt, Some(password.clone()), failure).await?;
            if let Some((reason, refusal)) = closed(&verified.account) {
                self.attempts.take_back(&attempt).await;
                self.audit.append_alone(login_failed(user, reason, requester)).await?;
                return Err(refusal);
            }
            let id = verified.account.id;
            let opened = self.open(verified, options, &attempt).await;
            if opened.is_err() {
                self.attempts.take_back(&attempt).await;
            }
            match opened? {
                Some(PendingStep::Opened(opened)) => {
                    return Ok(LoginStep::Complete(self.sessions.finish_login(*opened).await?));
                }
                Some(PendingStep::Challenged(token)) => return Ok(LoginStep::SecondFactorRequired(token)),
                Some(PendingStep::Unverified) => {
                    self.mail.wake();
                    return Err(LoginError::EmailNotVerified);
                }
                Some(PendingStep::NoParent) => return Err(LoginError::NoParent),
                // The account has changed in the meantime.
                None => account = self.attempts.read_again(id).await?,
            }
        }
        self.attempts.take_back(&attempt).await;
        Err(LoginError::InvalidCredentials)
    }

    /// Opens a session or creates a challenge after the password was verified. Returns `None` if the account has
    /// changed since then.
    async fn open(
        &self,
        verified: VerifiedPassword,
        options: &LoginOptions,
        attempt: &PasswordAttempt,
    ) -> DbResult<Option<PendingStep>> {
        let logins = self.clone();
        let options = options.clone();
        let attempt = attempt.clone();
        let opened = self.db.write(move |conn| {
            let VerifiedPassword { account, rehashed } = verified;
            let locked = LockedAccount::lock_verified(conn, account.id, &account.password_hash, rehashed.as_deref())?;
            let Some(mut account) = locked else { return Ok(None) };
            attempt.record_success_in(conn)?;
            if logins.require_verified_email && account.email_verified_at.is_none() {
                let asked = attempt.requester.language;
                notices::verify_email(conn, &account, asked, &logins.mail, logins.clock.now())?;
                logins.audit.append(conn, &login_failed(Some(account.id), "email_not_verified", &attempt.requester))?;
                return Ok(Some(PendingStep::Unverified));
            }
            if let Some(parent) = options.parent
                && !logins.sessions.lock_parent(conn, parent, account.id)?
            {
                return Ok(Some(PendingStep::NoParent));
            }
            if let Some(token) = logins.challenge(conn, account.id, &options)? {
                return Ok(Some(PendingStep::Challenged(token)));
            }
            let LoginOptions { device_name, transport, proven, parent, .. } = options;
            let options = SessionOptions {
                kind: transport.session_kind(),
                device_name: device_name.map(Label::into_string),
                bound_to: proven,
                parent,
            };
            let opened = logins.open_in(conn, &mut account, Amr::password(), options, &attempt.requester)?;
            Ok(Some(PendingStep::Opened(Box::new(opened))))
        });
        opened.await
    }

    /// Creates a challenge if two-step login is enabled and the device is not trusted.
    fn challenge(&self, conn: &mut Conn, user: UserId, options: &LoginOptions) -> DbResult<Option<OpaqueToken>> {
        if !self.mfa.is_enabled(conn, user)? {
            return Ok(None);
        }
        if let Some(device) = &options.trusted_device
            && self.mfa.use_trusted_device(conn, user, device)?
        {
            return Ok(None);
        }
        let challenge =
            Challenge { user, transport: options.transport, proven: options.proven, parent: options.parent };
        self.mfa.challenge(conn, challenge, options.device_name.as_ref()).map(Some)
    }

    /// Opens a session of a locked account whose owner has authenticated with the methods of `amr`.
    pub(super) fn open_in(
        &self,
        conn: &mut Conn,
        account: &mut LockedAccount,
        amr: Amr,
        options: SessionOptions,
        requester: &Requester,
    ) -> DbResult<OpenedSession> {
        account.record_login(conn, self.clock.now())?;
        let is_bound = options.bound_to.is_some();
        let prepared = self.sessions.prepare(amr, requester, options);
        let mut record = Record::new(Event::LoginSucceeded, &Actor::anonymous(requester)).on(account.id);
        if is_bound {
            record = record.with("dpop", true);
        }
        self.audit.append(conn, &record.session(prepared.session()))?;
        prepared.insert(conn, account)
    }
}

impl Logins {
    /// Keeps a wrong code that followed a right password counted, and tells the owner of the tenth.
    pub(super) fn record_wrong_code(
        &self,
        conn: &mut Conn,
        account: &LockedAccount,
        claim: ClaimedCode<'_>,
        by: &Actor,
    ) -> DbResult<()> {
        if claim.record_failure_in(conn)? {
            self.mfa.warn_of_wrong_codes(conn, Owner { id: account.id, email: &account.email }, by)?;
        }
        Ok(())
    }
}

/// Returns why nobody can log in to an account: the reason in the audit log, and the refusal.
fn closed(account: &AccountRow) -> Option<(&'static str, LoginError)> {
    if account.disabled_at.is_some() {
        return Some(("account_disabled", LoginError::AccountDisabled));
    }
    account.deletes_at.map(|at| ("account_deletion_pending", LoginError::DeletionPending(at)))
}

fn login_failed(user: Option<UserId>, reason: &str, requester: &Requester) -> Record {
    Record::new(Event::LoginFailed, &Actor::anonymous(requester)).on(user).with("reason", reason)
}
