//! Two-step login: enables and disables it, and replaces recovery codes.

use zeroize::Zeroizing;

use super::store::LockedAccount;
use crate::audit::Actor;
use crate::db::{Conn, Db};
use crate::mail::Mail;
use crate::mfa::{Mfa, MfaError, Owner, RecoveryCodes, TotpEnrolment};
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
    /// The code is wrong, there is no unconfirmed secret, two-step login is already enabled, or the account is
    /// disabled.
    pub(crate) async fn confirm_totp(
        &self,
        user: UserId,
        code: Zeroizing<String>,
        by: &Actor,
    ) -> Result<RecoveryCodes, MfaError> {
        let by = by.clone();
        self.change(user, move |mfa, conn, owner| mfa.confirm_totp(conn, owner, &code, &by)).await
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
