//! Two-step login: enables and disables it, and replaces recovery codes.

use zeroize::Zeroizing;

use super::attempts::PasswordAttempts;
use super::store::LockedAccount;
use crate::audit::Actor;
use crate::db::{Committed, Conn, Db, DbError, DbResult};
use crate::mail::Mail;
use crate::mfa::{Method, Mfa, MfaError, Owner, RecoveryCodes, TotpEnrolment};
use crate::revocations::Reason;
use crate::sessions::{Reauthenticated, RevokedSessions, SessionSelector, Sessions};
use crate::throttle::{AttemptError, CodeAttempt};
use crate::types::{Amr, TrustedDeviceId, UserId};

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
    /// The sessions.
    pub sessions: Sessions,
}

/// A confirmation of a secret.
pub(crate) struct Confirmation {
    /// The code.
    pub code: Zeroizing<String>,
    /// Whether all sessions but the caller's are revoked: they were opened without the second factor.
    pub revoke_other_sessions: bool,
}

/// Two-step login that was enabled.
pub(crate) struct EnabledTwoStep {
    /// The recovery codes.
    pub recovery_codes: RecoveryCodes,
    /// The number of sessions that were revoked.
    pub sessions_revoked: usize,
}

/// Two-step login that is enabled once the transaction is committed.
struct PendingTwoStep {
    recovery_codes: RecoveryCodes,
    /// The caller's session, which has shown the second factor.
    shown: Reauthenticated,
    revoked: Option<RevokedSessions>,
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
        let new = self.change(user, move |mfa, conn, owner| mfa.enrol_totp(conn, owner)).await?;
        Ok(self.mfa.show_totp(&new)?)
    }

    /// Returns the unconfirmed secret of an account once more, for a page that asks for its first code again.
    ///
    /// # Errors
    /// There is no unconfirmed secret, or the account is disabled.
    pub(crate) async fn pending_totp(&self, user: UserId) -> Result<TotpEnrolment, MfaError> {
        let pending =
            self.change(user, move |mfa, conn, owner| mfa.pending_totp(conn, owner)?.ok_or(MfaError::NotStarted));
        Ok(self.mfa.show_totp(&pending.await?)?)
    }

    /// Counts the unused recovery codes of an account.
    pub(crate) async fn count_recovery_codes(&self, user: UserId) -> DbResult<i64> {
        let mfa = self.mfa.clone();
        self.db.read(move |conn| mfa.count_recovery_codes(conn, user)).await
    }

    /// Enables two-step login with a code of the unconfirmed secret. The session that calls has shown the second factor
    /// by this.
    ///
    /// # Errors
    /// The code is wrong, there is no unconfirmed secret, two-step login is already enabled, the account is disabled,
    /// or there were too many attempts.
    pub(crate) async fn confirm_totp(
        &self,
        user: UserId,
        confirmation: Confirmation,
        by: &Actor,
    ) -> Result<EnabledTwoStep, ConfirmTotpError> {
        let attempt = self.attempts.admit_code(user, by).await?;
        let claimed = attempt.clone();
        let two_step = self.clone();
        let by = by.clone();
        let confirmed =
            self.db.transact(move |conn| two_step.confirm_in(conn, user, &confirmation, &claimed, &by)).await;
        if let Err(ConfirmTotpError::Attempt(AttemptError::TooManyFailures { .. })) = confirmed {
            self.attempts.record_code_refused(&attempt).await;
        }
        let PendingTwoStep { recovery_codes, shown, revoked } = confirmed?.into_result()?;
        if let Some(revoked) = &revoked {
            self.sessions.publish(revoked).await;
        }
        self.sessions.publish_factor(shown).await;
        self.mail.wake();
        let sessions_revoked = revoked.map_or(0, |revoked| revoked.count());
        Ok(EnabledTwoStep { recovery_codes, sessions_revoked })
    }

    fn confirm_in(
        &self,
        conn: &mut Conn,
        user: UserId,
        confirmation: &Confirmation,
        attempt: &CodeAttempt,
        by: &Actor,
    ) -> Result<Committed<PendingTwoStep, ConfirmTotpError>, ConfirmTotpError> {
        let account = LockedAccount::lock_enabled(conn, user)?.ok_or(MfaError::NoAccount)?;
        let claim = attempt.claim_in(conn)?;
        match self.mfa.confirm_totp(conn, Owner { id: user, email: &account.email }, &confirmation.code, by) {
            Ok(recovery_codes) => {
                claim.record_success_in(conn)?;
                let shown = self.add_factor(conn, by)?.ok_or(MfaError::NoAccount)?;
                let revoked = self.revoke_others(conn, user, confirmation, by)?;
                Ok(Committed::Accepted(PendingTwoStep { recovery_codes, shown, revoked }))
            }
            // The transaction is committed, so that the attempt is counted.
            Err(MfaError::InvalidCode) => Ok(Committed::Refused(MfaError::InvalidCode.into())),
            Err(error) => Err(error.into()),
        }
    }

    /// Records that the caller's session has shown the factor. Returns `None` if the session has ended while the
    /// request waited: a reset by the owner of the address must not be followed by a second factor of somebody else.
    fn add_factor(&self, conn: &mut Conn, by: &Actor) -> DbResult<Option<Reauthenticated>> {
        let Some(session) = by.session else { return Ok(None) };
        self.sessions.add_factor(conn, session, &Method::Totp.amr())
    }

    fn revoke_others(
        &self,
        conn: &mut Conn,
        user: UserId,
        confirmation: &Confirmation,
        by: &Actor,
    ) -> DbResult<Option<RevokedSessions>> {
        let Some(session) = by.session.filter(|_| confirmation.revoke_other_sessions) else { return Ok(None) };
        let others = SessionSelector::AllOfExcept(user, session);
        self.sessions.revoke_in(conn, others, Reason::EndedByOwner, by).map(Some)
    }

    /// Replaces the recovery codes, if the caller has authenticated with the second factor, as `amr` says. Returns the
    /// new ones.
    ///
    /// # Errors
    /// Two-step login is not enabled, its second factor was not shown, or the account is disabled.
    pub(crate) async fn replace_recovery_codes(
        &self,
        user: UserId,
        amr: Amr,
        by: &Actor,
    ) -> Result<RecoveryCodes, MfaError> {
        let by = by.clone();
        let replaced = self.change(user, move |mfa, conn, owner| {
            mfa.require_factor(conn, owner.id, &amr)?;
            mfa.replace_recovery_codes(conn, owner, &by)
        });
        replaced.await
    }

    /// Deletes one of the account's trusted devices, or all of them, if the caller has authenticated with the second
    /// factor, as `amr` says. Returns how many were deleted.
    ///
    /// # Errors
    /// The second factor was not shown, or the account is disabled.
    pub(crate) async fn delete_trusted_devices(
        &self,
        user: UserId,
        device: Option<TrustedDeviceId>,
        amr: Amr,
        by: &Actor,
    ) -> Result<usize, MfaError> {
        let by = by.clone();
        let deleted = self.change(user, move |mfa, conn, owner| {
            mfa.require_factor(conn, owner.id, &amr)?;
            Ok(mfa.delete_trusted_devices(conn, owner.id, device, &by)?)
        });
        deleted.await
    }

    /// Disables two-step login of the caller's account, and deletes its secret, recovery codes, challenges and trusted
    /// devices, if the caller has authenticated with the second factor, as `amr` says.
    ///
    /// # Errors
    /// Two-step login is not enabled, its second factor was not shown, or the account is disabled.
    pub(crate) async fn disable_own(&self, user: UserId, amr: Amr, by: &Actor) -> Result<(), MfaError> {
        let by = by.clone();
        let disabled = self.change(user, move |mfa, conn, owner| {
            mfa.require_factor(conn, owner.id, &amr)?;
            mfa.disable(conn, owner, &by)
        });
        disabled.await
    }

    /// Returns whether logins of the account need a second factor.
    pub(crate) async fn is_enabled(&self, user: UserId) -> DbResult<bool> {
        let mfa = self.mfa.clone();
        self.db.read(move |conn| mfa.is_enabled(conn, user)).await
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
