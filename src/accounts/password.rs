//! Changes passwords.

use super::attempts::PasswordError;
use super::store::{AccountRow, LockedAccount};
use super::{Accounts, notices};
use crate::audit::{Actor, Event, Record};
use crate::db::{Conn, DbError, DbResult};
use crate::passwords::{NewPassword, NewPasswordError, Password, WeakPassword};
use crate::revocations::Reason;
use crate::sessions::{RevokedSessions, SessionSelector};
use crate::types::UserId;

/// Why a password was not set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetPasswordError {
    /// The new password is easy to guess.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// The current password was refused, or the new one was not hashed or stored.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

impl From<NewPasswordError> for SetPasswordError {
    fn from(error: NewPasswordError) -> Self {
        match error {
            NewPasswordError::Weak(weak) => weak.into(),
            NewPasswordError::Hasher(error) => Self::Password(error.into()),
        }
    }
}

impl From<DbError> for SetPasswordError {
    fn from(error: DbError) -> Self {
        Self::Password(error.into())
    }
}

impl Accounts {
    /// Changes the password of the caller's account and revokes all its sessions except the caller's, in one
    /// transaction. Returns how many were revoked.
    ///
    /// # Errors
    /// The current password is wrong, there were too many attempts, or the new password is easy to guess.
    pub(crate) async fn change_password(
        &self,
        user: UserId,
        current: Option<Password>,
        new: NewPassword,
        by: &Actor,
    ) -> Result<usize, SetPasswordError> {
        let admitted = self.attempts.admit_owner(user, &by.requester).await.map_err(PasswordError::from)?;
        let (account, attempt) = admitted.ok_or(PasswordError::Wrong)?;
        let failure = Record::new(Event::ReauthenticationFailed, by).with("reason", "invalid_credentials");
        let verified = self.attempts.verify(Some(account), &attempt, current, failure).await?;
        self.attempts.record_success(&attempt).await?;
        let AccountRow { email, name, password_hash: verified_hash, .. } = verified.account;
        let hash = self.hasher.hash_new(new, [email].into_iter().chain(name).collect()).await?;
        let accounts = self.clone();
        let by = by.clone();
        let revoked = self.db.transact(move |conn| {
            // The password may have been changed while the hash was computed.
            let locked = LockedAccount::lock_verified(conn, user, &verified_hash, None)?;
            let mut account = locked.ok_or(PasswordError::Wrong)?;
            Ok::<_, SetPasswordError>(accounts.replace_password(conn, &mut account, &hash, &by)?)
        });
        let revoked = revoked.await?;
        self.sessions.publish(&revoked).await;
        self.mail.wake();
        Ok(revoked.count())
    }

    /// Judges a new password while its owner chooses it; the guesser knows the texts in `personal`.
    ///
    /// # Errors
    /// The password is easy to guess, or too many people are logging in.
    pub(crate) async fn judge_password(&self, new: NewPassword, personal: Vec<String>) -> Result<(), NewPasswordError> {
        self.hasher.judge(new, personal).await
    }

    /// Sets a password and revokes all sessions of the account, in one transaction. Returns how many were revoked;
    /// `None` if the account does not exist.
    ///
    /// # Errors
    /// The password is easy to guess or could not be hashed, or the database fails.
    pub(crate) async fn set_password(
        &self,
        user: UserId,
        new: NewPassword,
        by: &Actor,
    ) -> Result<Option<usize>, SetPasswordError> {
        let Some(account) = self.find(user).await? else { return Ok(None) };
        let hash = self.hasher.hash_new(new, [account.email].into_iter().chain(account.name).collect()).await?;
        let accounts = self.clone();
        let by = by.clone();
        let revoked = self.db.transact(move |conn| {
            let Some(mut account) = LockedAccount::lock(conn, user)? else { return Ok(None) };
            Ok::<_, SetPasswordError>(Some(accounts.replace_password(conn, &mut account, &hash, &by)?))
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
