//! Lists and changes accounts for operators.

use std::collections::HashMap;

use super::{Admin, AdminError, Operator, lock};
use crate::accounts::deletion::lock_unless_last;
use crate::accounts::password::SetPasswordError;
use crate::accounts::{Account, AccountPage, AccountQuery, LockedAccount, Position};
use crate::audit::{Actor, Event, Record};
use crate::db::{Conn, DbResult};
use crate::mfa::TrustedDevice;
use crate::passwords::NewPassword;
use crate::revocations::Reason;
use crate::sessions::{RevokedSessions, SessionSelector};
use crate::tokens::opaque::{self, Purpose};
use crate::types::{ADMIN, EmailAddress, Label, Patch, Role, Roles, USER, UserId};

/// A change of an account.
#[derive(Clone, Default)]
pub(crate) struct UserChange {
    /// Whether the account is to be disabled; `None` keeps the state.
    pub disabled: Option<bool>,
    /// The new roles, which replace all current ones; `None` keeps them.
    pub roles: Option<Roles>,
    /// A role that is given or taken, whatever the others are.
    pub role: Option<RoleChange>,
    /// The new name.
    pub name: Patch<Label>,
    /// The new email address, which is not verified unless `verified` says so; `None` keeps it.
    pub email: Option<EmailAddress>,
    /// Whether the email address counts as verified; `None` keeps the state.
    pub verified: Option<bool>,
}

/// A change of one role of an account.
#[derive(Clone)]
pub(crate) enum RoleChange {
    /// The account gets the role.
    Give(Role),
    /// The account loses the role.
    Take(Role),
}

impl UserChange {
    /// Returns whether an administrator is none any more after the change.
    fn takes_administration(&self) -> bool {
        let is_taken = matches!(&self.role, Some(RoleChange::Take(role)) if role.as_str() == ADMIN);
        self.disabled == Some(true) || is_taken || self.roles.as_ref().is_some_and(|roles| !roles.contains(ADMIN))
    }
}

/// An account that was changed.
pub(crate) struct UpdatedUser {
    /// The account after the change.
    pub account: Account,
    /// The number of sessions that the change revoked.
    pub sessions_revoked: usize,
}

impl Admin {
    /// Finds the account with this email address.
    pub(crate) async fn find_user(&self, email: &EmailAddress) -> DbResult<Option<UserId>> {
        self.accounts.find_by_email(email).await
    }

    /// Lists up to `limit` accounts after `after`, newest first; with a text first those that begin with it.
    pub(crate) async fn list_users(
        &self,
        query: AccountQuery,
        after: Option<Position>,
        limit: usize,
    ) -> DbResult<AccountPage> {
        self.accounts.search(query, after, limit).await
    }

    /// Finds an account.
    pub(crate) async fn user(&self, user: UserId) -> DbResult<Option<Account>> {
        self.accounts.find(user).await
    }

    /// Finds the email addresses of accounts. Those that do not exist are left out.
    pub(crate) async fn emails(&self, users: Vec<UserId>) -> DbResult<HashMap<UserId, String>> {
        self.accounts.emails(users).await
    }

    /// Lists the devices from which an account logs in without a second factor, newest first.
    pub(crate) async fn trusted_devices(&self, user: UserId) -> DbResult<Vec<TrustedDevice>> {
        self.two_step.mfa.trusted_devices(user).await
    }

    /// Returns whether logins of an account need a second factor.
    pub(crate) async fn has_mfa(&self, user: UserId) -> DbResult<bool> {
        self.two_step.is_enabled(user).await
    }

    /// Changes an account in one transaction. Disabling revokes the account's sessions, including those in which it
    /// impersonates others, and deletes its challenges. New roles and another email address revoke its access tokens;
    /// the former address is told, and an email verifies the new one unless it counts as verified. The change takes
    /// effect at the next request.
    ///
    /// # Errors
    /// The account does not exist, the caller is not an administrator, administrators would lock themselves out, the
    /// email address has an account, or the account is to be deleted and was to have another address.
    pub(crate) async fn update_user(
        &self,
        user: UserId,
        change: UserChange,
        by: &Operator,
    ) -> Result<UpdatedUser, AdminError> {
        let admin = self.clone();
        let by = by.clone();
        let updated = self.db.transact(move |conn| {
            let mut account = match by {
                // The caller is an administrator who stays.
                Operator::CommandLine if change.takes_administration() => lock_unless_last(conn, user)?,
                Operator::CommandLine | Operator::Administrator(_) => lock(conn, user, &by)?,
            };
            refuse_own_account(user, &change, &by)?;
            let actor = by.actor();
            let mut revoked = admin.update_email(conn, &mut account, &change, &actor)?;
            if let Some(name) = change.name.changed() {
                admin.update_name(conn, &mut account, name.map(Label::into_string), &actor)?;
            }
            if let Some(roles) = change.roles {
                revoked.extend(admin.update_roles(conn, &mut account, &roles, &actor)?);
            }
            if let Some(role) = change.role {
                let roles = match &role {
                    RoleChange::Give(role) => account.roles.with(role)?,
                    // The role that every account has stays.
                    RoleChange::Take(role) if role.as_str() == USER => account.roles.clone(),
                    RoleChange::Take(role) => account.roles.clone().without(role.as_str()),
                };
                revoked.extend(admin.update_roles(conn, &mut account, &roles, &actor)?);
            }
            if let Some(disabled) = change.disabled {
                revoked.extend(admin.update_disabled(conn, &mut account, disabled, &actor)?);
            }
            Ok::<_, AdminError>((account.account(), revoked))
        });
        let (account, revoked) = updated.await?;
        self.accounts.mail.wake();
        let mut sessions_revoked = 0_usize;
        for revoked in &revoked {
            self.sessions.publish(revoked).await;
            sessions_revoked = sessions_revoked.saturating_add(revoked.count());
        }
        Ok(UpdatedUser { account, sessions_revoked })
    }

    /// Changes the email address, and whether it counts as verified.
    fn update_email(
        &self,
        conn: &mut Conn,
        account: &mut LockedAccount,
        change: &UserChange,
        actor: &Actor,
    ) -> Result<Vec<RevokedSessions>, AdminError> {
        let former = account.email_normalized.clone();
        let mut revoked = Vec::new();
        if let Some(email) = &change.email {
            // The link that keeps the account went to the present address, which is told of the deletion, too.
            if account.deletes_at.is_some() {
                return Err(AdminError::DeletionPending);
            }
            revoked.extend(self.email_changes.replace_in(conn, account, email, actor)?);
        }
        if let Some(verified) = change.verified {
            revoked.extend(self.email_changes.set_verified_in(conn, account, verified, actor)?);
        }
        let is_moved = account.email_normalized != former;
        // Whoever is invited proves the address by that, and the links of a disabled account do not work.
        if is_moved && account.email_verified_at.is_none() && account.has_password() && account.disabled_at.is_none() {
            let _ = self.email_changes.queue_verification(conn, account, actor)?;
        }
        Ok(revoked)
    }

    /// Sets or deletes the name and audits the change.
    fn update_name(
        &self,
        conn: &mut Conn,
        account: &mut LockedAccount,
        name: Option<String>,
        actor: &Actor,
    ) -> DbResult<()> {
        if name == account.name {
            return Ok(());
        }
        account.set_name(conn, name.as_deref())?;
        self.sessions.take_over(conn, account)?;
        self.audit.append(conn, &Record::new(Event::ProfileChanged, actor).on(account.id))
    }

    /// Replaces the roles, audits the change, and revokes the account's access tokens. If the account loses the role
    /// `admin`, the sessions in which it impersonates others are revoked too.
    fn update_roles(
        &self,
        conn: &mut Conn,
        account: &mut LockedAccount,
        roles: &Roles,
        actor: &Actor,
    ) -> DbResult<Vec<RevokedSessions>> {
        let user = account.id;
        if *roles == account.roles {
            // The caller may repeat a change whose answer was lost, and relies on this server from now on.
            return Ok(vec![self.sessions.recorded_revocations(conn, SessionSelector::AllOf(user))?]);
        }
        let record = Record::new(Event::RolesChanged, actor).on(user).with("from", account.roles.names().to_vec());
        self.audit.append(conn, &record.with("to", roles.names().to_vec()))?;
        let was_administrator = account.roles.contains(ADMIN);
        account.set_roles(conn, roles)?;
        let mut revoked = vec![self.sessions.revoke_access_tokens(conn, account)?];
        if was_administrator && !roles.contains(ADMIN) {
            let impersonated = SessionSelector::ImpersonatedBy(user);
            revoked.push(self.sessions.revoke_in(conn, impersonated, Reason::EndedByOperator, actor)?);
        }
        Ok(revoked)
    }

    /// Disables or enables the account and audits the change. Disabling deletes challenges and revokes all sessions.
    fn update_disabled(
        &self,
        conn: &mut Conn,
        account: &mut LockedAccount,
        disabled: bool,
        actor: &Actor,
    ) -> DbResult<Option<RevokedSessions>> {
        let user = account.id;
        if disabled == account.disabled_at.is_some() {
            return self.sessions.recorded_revocations(conn, SessionSelector::AllOf(user)).map(Some);
        }
        if !disabled {
            account.set_disabled(conn, None)?;
            self.audit.append(conn, &Record::new(Event::AccountEnabled, actor).on(user))?;
            return Ok(None);
        }
        account.set_disabled(conn, Some(self.clock.now()))?;
        opaque::revoke(conn, user, &[Purpose::MfaChallenge])?;
        self.audit.append(conn, &Record::new(Event::AccountDisabled, actor).on(user))?;
        let all = SessionSelector::AllOf(user);
        self.sessions.revoke_in(conn, all, Reason::AccountDisabled, actor).map(Some)
    }

    /// Sets a password and revokes all sessions of the account. Returns how many were revoked; `None` if the account
    /// does not exist.
    ///
    /// # Errors
    /// The password could not be hashed, or the database fails.
    pub(crate) async fn set_password(
        &self,
        user: UserId,
        new: NewPassword,
        by: &Operator,
    ) -> Result<Option<usize>, SetPasswordError> {
        self.accounts.set_password(user, new, &by.actor()).await
    }
}

/// Refuses to let administrators disable their own account or give up their role, so that one administrator always
/// remains; and to let them decide about their own email address, which both addresses have to confirm.
fn refuse_own_account(user: UserId, change: &UserChange, by: &Operator) -> Result<(), AdminError> {
    let changes_email = change.email.is_some() || change.verified.is_some();
    if by.user() == Some(user) && (change.takes_administration() || changes_email) {
        return Err(AdminError::OwnAccount);
    }
    Ok(())
}
