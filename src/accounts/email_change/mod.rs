//! Email addresses of accounts: verification, and changes that both addresses have to confirm, or that operators make.

mod operators;
mod store;

use super::links::{LinkError, Links, ValidLink, redeem};
use super::notices;
use super::store::LockedAccount;
use crate::audit::{Actor, Audit, Event, Record};
use crate::clock::Clock;
use crate::db::{Conn, Db, DbError, DbResult};
use crate::mail::{Email, Mail};
use crate::mfa::Mfa;
use crate::sessions::{RevokedSessions, Sessions};
use crate::tokens::opaque::{self, OpaqueToken, Purpose, TokenRecord};
use crate::types::{EmailAddress, Language, Requester, Timestamp, UserId};

use store::EmailChangeRow;

/// The purposes of the two links that confirm a change.
const CONFIRMATIONS: [Purpose; 2] = [Purpose::ChangeEmailOld, Purpose::ChangeEmailNew];

/// The purposes of the links that a change of address invalidates. Links that report a login stay valid: they give no
/// access, and a thief may have changed the address.
const INVALID_AFTER_CHANGE: [Purpose; 5] = [
    Purpose::VerifyEmail,
    Purpose::ResetPassword,
    Purpose::Invitation,
    Purpose::ChangeEmailOld,
    Purpose::ChangeEmailNew,
];

/// The verification and change of email addresses. Clones share everything.
#[derive(Clone)]
pub(crate) struct EmailChanges {
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
    /// The links in emails.
    pub links: Links,
    /// The clock.
    pub clock: Clock,
}

/// Why a change of email address was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeEmailError {
    /// The account already has the address.
    #[error("is already the account's email address")]
    Unchanged,
    /// The account does not exist or is disabled.
    #[error("the account does not exist or is disabled")]
    NoAccount,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Why a change of email address was not confirmed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfirmError {
    /// The link is not valid, or the database failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Another account has the new address. This error is returned only after both confirmations, so only to somebody
    /// who reads the emails of that address.
    #[error("another account has the email address")]
    EmailTaken,
}

impl From<DbError> for ConfirmError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Taken { .. } => Self::EmailTaken,
            DbError::Unavailable(_) | DbError::ClockSkew(_) | DbError::Unexpected(_) => Self::Link(error.into()),
        }
    }
}

/// The state of a change after a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EmailChangeStep {
    /// The other address has not confirmed yet.
    HalfConfirmed,
    /// The account has its new address.
    Changed,
}

/// Returns the new address of a pending change.
pub(super) fn pending(conn: &mut Conn, user: UserId) -> DbResult<Option<String>> {
    Ok(store::find(conn, user)?.map(|pending| pending.email))
}

/// Cancels a pending change in the caller's transaction, which has locked the account. Returns whether there was one.
pub(super) fn cancel(conn: &mut Conn, user: UserId) -> DbResult<bool> {
    opaque::revoke(conn, user, &CONFIRMATIONS)?;
    store::delete(conn, user)
}

/// Deletes up to `limit` pending changes that expired at `before` or earlier. Returns how many.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire(conn, before, limit)
}

impl EmailChanges {
    /// Returns the new address of an account's pending change.
    pub(crate) async fn pending(&self, user: UserId) -> DbResult<Option<String>> {
        let now = self.clock.now();
        let found = self.db.read(move |conn| store::find(conn, user)).await?;
        Ok(found.filter(|pending| pending.expires_at > now).map(|pending| pending.email))
    }

    /// Queues another email that verifies the account's address, if it is not verified yet: in the account's language,
    /// or else in `asked`.
    pub(crate) async fn resend_verification(&self, user: UserId, asked: Option<Language>) -> DbResult<()> {
        let changes = self.clone();
        let queued = self.db.write(move |conn| match LockedAccount::lock_enabled(conn, user)? {
            Some(account) if account.email_verified_at.is_none() => {
                // Owners are not told if the email is dropped.
                let _ = notices::verify_email(conn, &account, asked, &changes.mail, changes.clock.now())?;
                Ok(())
            }
            Some(_) | None => Ok(()),
        });
        queued.await?;
        self.mail.wake();
        Ok(())
    }

    /// Starts a change of address, which replaces a pending one: queues an email with a link to each of the two
    /// addresses. Does not check whether another account has the new address, because the result would reveal it.
    ///
    /// # Errors
    /// The account already has the address, or is disabled.
    pub(crate) async fn begin(&self, user: UserId, new: EmailAddress, by: &Actor) -> Result<(), ChangeEmailError> {
        let changes = self.clone();
        let by = by.clone();
        let started = self.db.transact(move |conn| {
            let account = LockedAccount::lock_enabled(conn, user)?.ok_or(ChangeEmailError::NoAccount)?;
            if account.email_normalized == new.normalized() {
                return Err(ChangeEmailError::Unchanged);
            }
            Ok(changes.begin_in(conn, &account, &new, &by)?)
        });
        started.await?;
        self.mail.wake();
        Ok(())
    }

    fn begin_in(&self, conn: &mut Conn, account: &LockedAccount, new: &EmailAddress, by: &Actor) -> DbResult<()> {
        let now = self.clock.now();
        let user = account.id;
        let pending = EmailChangeRow {
            user_id: user,
            email: new.as_str().to_owned(),
            email_normalized: new.normalized().to_owned(),
            confirmed_by_old_at: None,
            confirmed_by_new_at: None,
            created_at: now,
            expires_at: now.plus(Purpose::ChangeEmailOld.lifetime()),
        };
        store::replace(conn, &pending)?;
        let record = TokenRecord { purpose: Purpose::ChangeEmailOld, user, session: None };
        let link = self.mail.issue_link(conn, record, now)?;
        let new_email = new.as_str().to_owned();
        self.mail.queue(
            conn,
            &account.email,
            by.requester.language,
            &Email::ChangeEmailOld { link, new_email },
            now,
        )?;
        let record = TokenRecord { purpose: Purpose::ChangeEmailNew, user, session: None };
        let link = self.mail.issue_link(conn, record, now)?;
        let asked = account.language().or(by.requester.language);
        self.mail.queue(conn, new.as_str(), asked, &Email::ChangeEmailNew { link }, now)?;
        self.audit.append(conn, &Record::new(Event::EmailChangeRequested, by).on(user))
    }

    /// Confirms a change for one of the two addresses. The second confirmation changes the address and revokes the
    /// access tokens, so that clients get new ones by a refresh.
    ///
    /// # Errors
    /// The link is not valid, or another account has the address.
    pub(crate) async fn confirm(
        &self,
        token: Option<OpaqueToken>,
        requester: &Requester,
    ) -> Result<EmailChangeStep, ConfirmError> {
        let link = self.links.find(token, &CONFIRMATIONS).await?;
        let changes = self.clone();
        let by = link.actor(requester);
        let revoked = self.db.transact(move |conn| changes.confirm_in(conn, &link, &by)).await?;
        let Some(revoked) = revoked else { return Ok(EmailChangeStep::HalfConfirmed) };
        self.sessions.publish(&revoked).await;
        self.mail.wake();
        Ok(EmailChangeStep::Changed)
    }

    /// Records the confirmation. Returns the revoked access tokens if the address was changed.
    fn confirm_in(
        &self,
        conn: &mut Conn,
        link: &ValidLink,
        by: &Actor,
    ) -> Result<Option<RevokedSessions>, ConfirmError> {
        let now = self.clock.now();
        let mut account = redeem(conn, link, &self.clock)?;
        store::confirm(conn, account.id, link.record.purpose == Purpose::ChangeEmailNew, now)?;
        let pending = store::find(conn, account.id)?.ok_or(LinkError::Invalid)?;
        if pending.confirmed_by_old_at.is_none() || pending.confirmed_by_new_at.is_none() {
            return Ok(None);
        }
        Ok(Some(self.change_in(conn, &mut account, &pending, by)?))
    }

    fn change_in(
        &self,
        conn: &mut Conn,
        account: &mut LockedAccount,
        pending: &EmailChangeRow,
        by: &Actor,
    ) -> DbResult<RevokedSessions> {
        let now = self.clock.now();
        let user = account.id;
        opaque::revoke(conn, user, &INVALID_AFTER_CHANGE)?;
        store::delete(conn, user)?;
        let record = Record::new(Event::EmailChanged, by).with("from", account.email.as_str());
        self.audit.append(conn, &record.with("to", pending.email.as_str()))?;
        let email = Email::EmailChanged { new_email: pending.email.clone(), by_operator: false };
        self.mail.queue(conn, &account.email, by.requester.language, &email, now)?;
        account.set_email(conn, &pending.email, &pending.email_normalized, Some(now))?;
        self.sessions.revoke_access_tokens(conn, account)
    }

    /// Cancels a pending change, if there is one.
    pub(crate) async fn cancel(&self, user: UserId, by: &Actor) -> DbResult<()> {
        let record = Record::new(Event::EmailChangeCancelled, by).on(user);
        let audit = self.audit.clone();
        let cancelled = self.db.write(move |conn| {
            LockedAccount::lock(conn, user)?;
            if cancel(conn, user)? { audit.append(conn, &record) } else { Ok(()) }
        });
        cancelled.await
    }
}
