//! Changes passwords.

use super::attempts::PasswordError;
use super::store::LockedAccount;
use super::{Accounts, notices};
use crate::audit::{Actor, Event, Record};
use crate::db::{Conn, DbResult};
use crate::passwords::Password;
use crate::revocations::Reason;
use crate::sessions::{RevokedSessions, SessionSelector};
use crate::types::UserId;

impl Accounts {
    /// Changes the password of the caller's account and revokes all its sessions except the caller's, in one
    /// transaction. Returns how many were revoked.
    ///
    /// # Errors
    /// The current password is wrong, or there were too many attempts.
    pub(crate) async fn change_password(
        &self,
        user: UserId,
        current: Option<Password>,
        new: Password,
        by: &Actor,
    ) -> Result<usize, PasswordError> {
        let admitted = self.attempts.admit_owner(user, &by.requester).await?;
        let (account, attempt) = admitted.ok_or(PasswordError::Wrong)?;
        let failure = Record::new(Event::ReauthenticationFailed, by).with("reason", "invalid_credentials");
        let verified = self.attempts.verify(Some(account), &attempt, current, failure).await?;
        self.attempts.record_success(&attempt).await?;
        let hash = self.hasher.hash(new).await?;
        let verified_hash = verified.account.password_hash;
        let accounts = self.clone();
        let by = by.clone();
        let revoked = self.db.transact(move |conn| {
            // The password may have been changed while the hash was computed.
            let locked = LockedAccount::lock_verified(conn, user, &verified_hash, None)?;
            let mut account = locked.ok_or(PasswordError::Wrong)?;
            Ok::<_, PasswordError>(accounts.replace_password(conn, &mut account, &hash, &by)?)
        });
        let revoked = revoked.await?;
        self.sessions.publish(&revoked).await;
        self.mail.wake();
        Ok(revoked.count())
    }

    /// Sets a password and revokes all sessions of the account, in one transaction. Returns how many were revoked;
    /// `None` if the account does not exist.
    ///
    /// # Errors
    /// The password could not be hashed, or the database fails.
    pub(crate) async fn set_password(
        &self,
        user: UserId,
        new: Password,
        by: &Actor,
    ) -> Result<Option<usize>, PasswordError> {
        let hash = self.hasher.hash(new).await?;
        let accounts = self.clone();
        let by = by.clone();
        let revoked = self.db.transact(move |conn| {
            let Some(mut account) = LockedAccount::lock(conn, user)? else { return Ok(None) };
            Ok::<_, PasswordError>(Some(accounts.replace_password(conn, &mut account, &hash, &by)?))
        });
        let Some(revoked) = revoked.await? else { return Ok(None) };
        self.sessions.publish(&revoked).await;
        self.mail.wake();
        Ok(Some(revoked.count()))
    }

    fn replace_password(
        &self,
        conn: &mut Conn,
        account: &mut LockedAccount,
        hash: &str,
        by: &Actor,
    ) -> DbResult<RevokedSessions> {
        let now = self.clock.now();
        let user = account.id;
        account.set_password(conn, hash, now)?;
        notices::password_changed(conn, account, by, &self.mail, &self.devices, now)?;
        self.audit.append(conn, &Record::new(Event::PasswordChanged, by).on(user))?;
        let selector = match by.session {
            Some(current) => SessionSelector::AllOfExcept(user, current),
            None => SessionSelector::AllOf(user),
        };
        self.sessions.revoke_in(conn, selector, Reason::PasswordChanged, by)
    }
}
