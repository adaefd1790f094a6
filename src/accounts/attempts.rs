//! Attempts at passwords and codes: admits them, and verifies passwords.

use std::sync::Arc;

use uuid::Uuid;

use super::store::{self, AccountRow};
use crate::audit::{Actor, Record};
use crate::db::{Conn, Db, DbError, DbResult};
use crate::mfa::Mfa;
use crate::passwords::{Hasher, HasherError, Password, Verification};
use crate::sessions::Sessions;
use crate::throttle::{AttemptError, AttemptSource, CodeAttempt, PasswordAttempt, Throttle};
use crate::tokens::opaque::OpaqueToken;
use crate::types::{EmailAddress, Requester, UserId};

/// The verification of passwords, with delays against guessing. Clones share everything.
#[derive(Clone)]
pub(crate) struct PasswordAttempts {
    db: Db,
    sessions: Sessions,
    mfa: Mfa,
    throttle: Throttle,
    hasher: Arc<Hasher>,
}

/// Why a password was not verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// The password is wrong, or the account does not exist.
    #[error("the password is wrong")]
    Wrong,
    /// The attempt was refused before the password was verified.
    #[error(transparent)]
    Attempt(#[from] AttemptError),
    /// The password could not be hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// An account whose password was verified. The next transaction has to lock the account by the same hash.
pub(super) struct VerifiedPassword {
    pub account: AccountRow,
    /// A new hash of the same password, if the stored one is outdated.
    pub rehashed: Option<String>,
}

impl PasswordAttempts {
    /// Creates the verification from its parts.
    pub(crate) fn new(db: Db, sessions: Sessions, mfa: Mfa, throttle: Throttle, hasher: Arc<Hasher>) -> Self {
        Self { db, sessions, mfa, throttle, hasher }
    }

    /// Reads the account of `email` and admits a password attempt, before the password is hashed.
    pub(super) async fn admit(
        &self,
        email: &EmailAddress,
        device: Option<&OpaqueToken>,
        requester: &Requester,
    ) -> Result<(Option<AccountRow>, PasswordAttempt), AttemptError> {
        // Before the password is hashed for nothing.
        self.sessions.clock.check().map_err(DbError::from)?;
        let (account, source) = self.read(email, device, requester).await?;
        let user = account.as_ref().map(|account| account.id);
        let attempt = self.throttle.admit(email, user, &source, requester).await?;
        Ok((account, attempt))
    }

    /// Admits a password attempt of the owner of a session, which counts like one at a login. Returns `None` if the
    /// account does not exist.
    pub(super) async fn admit_owner(
        &self,
        user: UserId,
        requester: &Requester,
    ) -> Result<Option<(AccountRow, PasswordAttempt)>, AttemptError> {
        let sessions = self.sessions.clone();
        let by = requester.clone();
        let found = self.db.read(move |conn| {
            let Some(account) = store::find(conn, user)? else { return Ok(None) };
            Ok(Some((account, network(conn, &sessions, user, &by)?)))
        });
        let Some((account, source)) = found.await? else { return Ok(None) };
        let email = EmailAddress::parse(&account.email)
            .map_err(|_| DbError::Unexpected("an account has an invalid email address".to_owned()))?;
        let attempt = self.throttle.admit(&email, Some(user), &source, requester).await?;
        Ok(Some((account, attempt)))
    }

    /// Admits an attempt at a code of the account's second factor. The transaction that compares the code has to claim
    /// it.
    pub(super) async fn admit_code(&self, user: UserId, by: &Actor) -> Result<CodeAttempt, AttemptError> {
        let sessions = self.sessions.clone();
        let requester = by.requester.clone();
        let source = self.db.read(move |conn| network(conn, &sessions, user, &requester)).await?;
        self.throttle.admit_code(user, &source, by).await
    }

    /// Audits that an attempt at a code had to wait, after its transaction.
    pub(super) async fn record_code_refused(&self, attempt: &CodeAttempt) {
        self.throttle.record_code_refused(attempt).await;
    }

    /// Reads an account and determines the source of the attempt. Does the same work if the account does not exist, so
    /// that the response time does not reveal it.
    async fn read(
        &self,
        email: &EmailAddress,
        device: Option<&OpaqueToken>,
        requester: &Requester,
    ) -> DbResult<(Option<AccountRow>, AttemptSource)> {
        let normalized = email.normalized().to_owned();
        let device = device.cloned();
        let requester = requester.clone();
        let sessions = self.sessions.clone();
        let mfa = self.mfa.clone();
        let read = self.db.read(move |conn| {
            let account = store::find_by_email(conn, &normalized)?;
            let user = account.as_ref().map_or(UserId(Uuid::nil()), |account| account.id);
            if let Some(device) = device
                && mfa.is_trusted(conn, user, &device)?
            {
                return Ok((account, AttemptSource::TrustedDevice(device.digest())));
            }
            let source = network(conn, &sessions, user, &requester)?;
            Ok((account, source))
        });
        read.await
    }

    /// Reads an account again that has changed since the attempt was admitted.
    pub(super) async fn read_again(&self, user: UserId) -> DbResult<Option<AccountRow>> {
        self.db.read(move |conn| store::find(conn, user)).await
    }

    /// Returns the second factors of accounts.
    pub(super) fn mfa(&self) -> &Mfa {
        &self.mfa
    }

    /// Verifies the password of `account`. Without an account this takes as long. `None` stands for a text that cannot
    /// be a password. A failure stays counted, and is audited with `failure`. An attempt whose password was not judged
    /// is taken back.
    pub(super) async fn verify(
        &self,
        account: Option<AccountRow>,
        attempt: &PasswordAttempt,
        password: Option<Password>,
        failure: Record,
    ) -> Result<VerifiedPassword, PasswordError> {
        let Some(password) = password else {
            self.throttle.record_failure(attempt, failure).await?;
            return Err(PasswordError::Wrong);
        };
        match self.compare(account, password).await {
            Ok(Some(verified)) => Ok(verified),
            Ok(None) => {
                self.throttle.record_failure(attempt, failure).await?;
                Err(PasswordError::Wrong)
            }
            Err(error) => {
                self.throttle.take_back(attempt).await;
                Err(error.into())
            }
        }
    }

    /// Compares a password with that of `account`. Returns `None` if it is wrong.
    async fn compare(
        &self,
        account: Option<AccountRow>,
        password: Password,
    ) -> Result<Option<VerifiedPassword>, HasherError> {
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let verification = self.hasher.verify(password.clone(), stored).await?;
        Ok(match (account, verification) {
            (Some(account), Verification::MatchOutdated)
                if account.disabled_at.is_none() && account.deletes_at.is_none() =>
            {
                let rehashed = Some(self.hasher.rehash(password).await?);
                Some(VerifiedPassword { account, rehashed })
            }
            (Some(account), Verification::Match | Verification::MatchOutdated) => {
                Some(VerifiedPassword { account, rehashed: None })
            }
            (_, Verification::Mismatch) | (None, _) => None,
        })
    }

    /// Takes back an attempt that was no failure, but resets nothing either.
    pub(super) async fn take_back(&self, attempt: &PasswordAttempt) {
        self.throttle.take_back(attempt).await;
    }

    /// Resets the counts of failures after a success, in a separate transaction.
    pub(super) async fn record_success(&self, attempt: &PasswordAttempt) -> DbResult<()> {
        self.throttle.record_success(attempt).await
    }
}

/// Determines whether a requester comes from a network that the account knows.
fn network(conn: &mut Conn, sessions: &Sessions, user: UserId, requester: &Requester) -> DbResult<AttemptSource> {
    let is_known = sessions.knows_network(conn, user, requester)?;
    Ok(if is_known { AttemptSource::KnownNetwork } else { AttemptSource::UnknownNetwork })
}
