//! Creates accounts for operators, invites their owners, and lets owners in again who are locked out.

use super::{Admin, AdminError, Operator, lock, lock_caller};
use crate::accounts::registration::NewAccount;
use crate::accounts::{Account, LockedAccount};
use crate::audit::{Actor, Event, Record};
use crate::db::Conn;
use crate::mail::Queued;
use crate::mfa::{MfaError, Owner};
use crate::passwords::NewPassword;
use crate::types::UserId;

/// An account that an operator creates.
pub(crate) struct NewUser {
    /// The account.
    pub account: NewAccount,
    /// The password; without one, an email invites the owner to choose it.
    pub password: Option<NewPassword>,
    /// Whether the email address counts as verified.
    pub verified: bool,
}

impl Admin {
    /// Creates an account without a session. Without a password, an email invites the owner.
    ///
    /// # Errors
    /// The password is easy to guess, the email address has an account or was sent too many emails, or the caller is no
    /// administrator.
    pub(crate) async fn create_user(&self, new: NewUser, by: &Operator) -> Result<Account, AdminError> {
        let is_invited = new.password.is_none();
        let row = self.accounts.new_row(new.account, new.password).await?;
        let admin = self.clone();
        let by = by.clone();
        let created = self.db.transact(move |conn| {
            lock_caller(conn, &by)?;
            let account = admin.accounts.create_in(conn, row, new.verified, &by.actor())?;
            if is_invited {
                admin.send_password_link(conn, &account, &by.actor())?;
            }
            Ok::<_, AdminError>(account.account())
        });
        let account = created.await?;
        self.accounts.mail.wake();
        Ok(account)
    }

    /// Sends the owner of an account without a password an email with a link to choose one. Earlier links end.
    ///
    /// # Errors
    /// The account does not exist, has a password, is disabled or to be deleted, its address was sent too many emails,
    /// or the caller is no administrator.
    pub(crate) async fn invite(&self, user: UserId, by: &Operator) -> Result<Account, AdminError> {
        self.send_link(user, by, |account| if account.has_password() { Err(AdminError::HasPassword) } else { Ok(()) })
            .await
    }

    /// Sends the owner of an account an email with a link to set a new password, or the first one: then it is an
    /// invitation. Earlier links end; the present password stays valid.
    ///
    /// # Errors
    /// The account does not exist, is disabled or to be deleted, its address was sent too many emails, or the caller is
    /// no administrator.
    pub(crate) async fn send_password_reset(&self, user: UserId, by: &Operator) -> Result<Account, AdminError> {
        self.send_link(user, by, |_| Ok(())).await
    }

    async fn send_link(
        &self,
        user: UserId,
        by: &Operator,
        check: impl FnOnce(&LockedAccount) -> Result<(), AdminError> + Send + 'static,
    ) -> Result<Account, AdminError> {
        let admin = self.clone();
        let by = by.clone();
        let sent = self.db.transact(move |conn| {
            let account = lock(conn, user, &by)?;
            // The links of such an account do not work.
            if account.disabled_at.is_some() {
                return Err(AdminError::Disabled);
            }
            if account.deletes_at.is_some() {
                return Err(AdminError::DeletionPending);
            }
            check(&account)?;
            admin.send_password_link(conn, &account, &by.actor())?;
            Ok(account.account())
        });
        let account = sent.await?;
        self.accounts.mail.wake();
        Ok(account)
    }

    /// Queues the email, in the caller's transaction, and audits it.
    fn send_password_link(&self, conn: &mut Conn, account: &LockedAccount, by: &Actor) -> Result<(), AdminError> {
        let event = if account.has_password() { Event::PasswordResetRequested } else { Event::AccountInvited };
        self.audit.append(conn, &Record::new(event, by).on(account.id))?;
        match self.email_changes.queue_password_link(conn, account, by)? {
            Queued::Waiting => Ok(()),
            Queued::Dropped { retry_after } => Err(AdminError::TooManyEmails { retry_after }),
        }
    }

    /// Deletes the trusted devices of an account: each of them needs the second factor again. Returns how many were
    /// deleted.
    ///
    /// # Errors
    /// The account does not exist, or the caller is no administrator.
    pub(crate) async fn delete_trusted_devices(&self, user: UserId, by: &Operator) -> Result<usize, AdminError> {
        let mfa = self.two_step.mfa.clone();
        let by = by.clone();
        let deleted = self.db.transact(move |conn| {
            lock(conn, user, &by)?;
            Ok(mfa.delete_trusted_devices(conn, user, None, &by.actor())?)
        });
        deleted.await
    }

    /// Disables two-step login of an account whose owner has lost the second factor, with its recovery codes, trusted
    /// devices and waiting logins. Sessions go on. The owner is told.
    ///
    /// # Errors
    /// The account does not exist, is the caller's own, or has no two-step login, or the caller is no administrator.
    pub(crate) async fn reset_mfa(&self, user: UserId, by: &Operator) -> Result<(), AdminError> {
        let mfa = self.two_step.mfa.clone();
        let by = by.clone();
        let reset = self.db.transact(move |conn| {
            let account = lock(conn, user, &by)?;
            if by.user() == Some(user) {
                return Err(AdminError::OwnAccount);
            }
            match mfa.disable(conn, Owner { id: user, email: &account.email }, &by.actor()) {
                Ok(()) => Ok(()),
                Err(MfaError::Database(error)) => Err(error.into()),
                Err(_) => Err(AdminError::MfaNotEnabled),
            }
        });
        reset.await?;
        self.accounts.mail.wake();
        Ok(())
    }
}
