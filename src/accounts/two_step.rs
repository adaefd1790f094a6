//! Two-step login: enables and disables it, and replaces recovery codes.

use zeroize::Zeroizing;

use super::attempts::PasswordAttempts;
use super::store::LockedAccount;
use crate::audit::Actor;
use crate::db::{Committed, Conn, Db, DbError};
use crate::mail::Mail;
use crate::mfa::{Mfa, MfaError, Owner, RecoveryCodes, TotpEnrolment};
use crate::throttle::{AttemptError, CodeAttempt};
use crate::types::UserId;

/// The operations on the second factor of accounts. Clones share everything.
#[derive(Clone)]
pub(crate) struct TwoStep {
    /// The database.
    pub db: Db,
    /// The outbox for emails to owners.
    pub mail: Mail,
    /// The second factors.
    pub mfa: Mfa,
    /// The attempts at codes.
    pub attempts: PasswordAttempts,
}

/// Why two-step login was not enabled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfirmTotpError {
    /// The second factor refused.
    #[error(transparent)]
    Mfa(#[from] MfaError),
    /// The attempt was refused before the code was compared.
    #[error(transparent)]
    Attempt(#[from] AttemptError),
}

impl From<DbError> for ConfirmTotpError {
    fn from(error: DbError) -> Self {
        Self::Mfa(error.into())
    }
}

impl TwoStep {
    /// Creates a secret for the account's app, which replaces an unconfirmed one. Two-step login is enabled when a code
    /// of it is confirmed.
    ///
    /// # Errors
    /// Two-step login is already enabled, or the account is disabled.
    pub(crate) async fn enrol_totp(&self, user: UserId) -> Result<TotpEnrolment, MfaError> {
        self.change(user, move |mfa, conn, owner| mfa.enrol_totp(conn, owner)).await
    }

    /// Enables two-step login with a code of the unconfirmed secret. Returns the recovery codes.
    ///
    /// # Errors
    /// The code is wrong, there is no unconfirmed secret, two-step login is already enabled, the account is disabled,
    /// or there were too many attempts.
    pub(crate) async fn confirm_totp(
        &self,
        user: UserId,
        code: Zeroizing<String>,
        by: &Actor,
    ) -> Result<RecoveryCodes, ConfirmTotpError> {
        let attempt = self.attempts.admit_code(user, by).await?;
        let claimed = attempt.clone();
        let two_step = self.clone();
        let by = by.clone();
        let confirmed = self.db.transact(move |conn| two_step.confirm_in(conn, user, &code, &claimed, &by)).await;
        if let Err(ConfirmTotpError::Attempt(AttemptError::TooManyFailures { .. })) = confirmed {
            self.attempts.record_code_refused(&attempt).await;
        }
        let codes = confirmed?.into_result()?;
        self.mail.wake();
        Ok(codes)
    }

    fn confirm_in(
        &self,
        conn: &mut Conn,
        user: UserId,
        code: &str,
        attempt: &CodeAttempt,
        by: &Actor,
    ) -> Result<Committed<RecoveryCodes, ConfirmTotpError>, ConfirmTotpError> {
        let account = LockedAccount::lock_enabled(conn, user)?.ok_or(MfaError::NoAccount)?;
        let claim = attempt.claim_in(conn)?;
        match self.mfa.confirm_totp(conn, Owner { id: user, email: &account.email }, code, by) {
            Ok(codes) => {
                claim.record_success_in(conn)?;
                Ok(Committed::Accepted(codes))
            }
            // The transaction is committed, so that the attempt is counted.
            Err(MfaError::InvalidCode) => Ok(Committed::Refused(MfaError::InvalidCode.into())),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the recovery codes. Returns the new ones.
    ///
    /// # Errors
    /// Two-step login is not enabled, or the account is disabled.
    pub(crate) async fn replace_recovery_codes(&self, user: UserId, by: &Actor) -> Result<RecoveryCodes, MfaError> {
        let by = by.clone();
        self.change(user, move |mfa, conn, owner| mfa.replace_recovery_codes(conn, owner, &by)).await
    }

    /// Disables two-step login and deletes its secret, recovery codes, challenges and trusted devices. The account may
    /// be disabled.
    ///
    /// # Errors
    /// Two-step login is not enabled, or the account does not exist.
    pub(crate) async fn disable(&self, user: UserId, by: &Actor) -> Result<(), MfaError> {
        let mfa = self.mfa.clone();
        let by = by.clone();
        let disabled = self.db.transact(move |conn| {
            let account = LockedAccount::lock(conn, user)?.ok_or(MfaError::NoAccount)?;
            mfa.disable(conn, Owner { id: user, email: &account.email }, &by)
        });
        disabled.await?;
        self.mail.wake();
        Ok(())
    }

    /// Runs `work` in a transaction that has locked an enabled account.
    async fn change<T: Send + 'static>(
        &self,
        user: UserId,
        work: impl FnOnce(&Mfa, &mut Conn, Owner<'_>) -> Result<T, MfaError> + Send + 'static,
    ) -> Result<T, MfaError> {
        let mfa = self.mfa.clone();
        let changed = self.db.transact(move |conn| {
            let account = LockedAccount::lock_enabled(conn, user)?.ok_or(MfaError::NoAccount)?;
            work(&mfa, conn, Owner { id: user, email: &account.email })
        });
        let changed = changed.await?;
        self.mail.wake();
        Ok(changed)
    }
}
