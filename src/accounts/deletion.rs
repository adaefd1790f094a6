//! Deletion of accounts: after a grace period, in which it can be cancelled, or at once.
//!
//! A request revokes all sessions and sets the time of the deletion. From then on nobody can log in. When the time has
//! come, the account's rows are deleted in batches, each a transaction of its own: whatever interrupts them, the next
//! run goes on. The account itself goes last, and its email address is free again.

use std::time::Duration;

use super::email_change;
use super::links::{LinkError, Links};
use super::store::{self, LockedAccount};
use crate::audit::{self, Actor, Audit, Event, Record};
use crate::clock::Clock;
use crate::db::{Conn, Db, DbError, DbResult};
use crate::devices::Devices;
use crate::mail::{self, Activity, Email, Mail};
use crate::mfa::Mfa;
use crate::revocations::Reason;
use crate::sessions::{self, RevokedSessions, SessionSelector, Sessions};
use crate::tokens::opaque::{self, OpaqueToken, Purpose, TokenRecord};
use crate::types::{ADMIN, Amr, Requester, Timestamp, UserId};

/// The purposes of the links and tokens that a request invalidates, so that none is valid again if it is cancelled.
const INVALID_AFTER_REQUEST: [Purpose; 3] = [Purpose::ResetPassword, Purpose::Invitation, Purpose::MfaChallenge];

/// The most rows that one transaction of a deletion at once changes.
const BATCH_SIZE: i64 = 1000;

/// The deletion of accounts. Clones share everything.
#[derive(Clone)]
pub(crate) struct Deletions {
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
    /// The databases of user agents and places.
    pub devices: Devices,
    /// The links in emails.
    pub links: Links,
    /// The time from a request to the deletion. Zero deletes at once.
    pub grace: Duration,
    /// The clock.
    pub clock: Clock,
}

/// The time at which an account is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeletionTime {
    /// After the grace period.
    AfterGrace,
    /// At once.
    AtOnce,
}

/// Why an account is not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    /// The account does not exist.
    #[error("the account does not exist")]
    NoAccount,
    /// Two-step login is enabled, and the caller has not shown the second factor.
    #[error("the second factor was not shown")]
    FactorRequired,
    /// Nobody else is an administrator.
    #[error("the account is the last administrator's")]
    LastAdministrator,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// A request that was recorded, to be completed after the commit.
#[must_use = "the revocations have to be published"]
pub(crate) struct RequestedDeletion {
    /// The time at which the account is deleted.
    pub deletes_at: Timestamp,
    revoked: RevokedSessions,
}

impl Deletions {
    /// Deletes the caller's own account after the grace period. `shown` are the methods by which the caller has
    /// recently authenticated. Returns when it is deleted.
    ///
    /// # Errors
    /// The account does not exist, the second factor was not shown, or nobody else is an administrator.
    pub(crate) async fn delete_own(&self, user: UserId, shown: Amr, by: &Actor) -> Result<Timestamp, DeleteError> {
        let deletions = self.clone();
        let by = by.clone();
        let requested = self.db.transact(move |conn| {
            let account = lock_unless_last(conn, user)?;
            // It may have been enabled since the caller was admitted.
            if !shown.has_second_factor() && deletions.mfa.is_enabled(conn, user)? {
                return Err(DeleteError::FactorRequired);
            }
            Ok(deletions.request_in(conn, account, DeletionTime::AfterGrace, &by)?)
        });
        Ok(self.complete(requested.await?).await?)
    }

    /// Records a request in the caller's transaction, which has locked the account: revokes all sessions, including
    /// those in which the account impersonates others, and queues an email. Of several requests the earliest time
    /// counts. Call [`Self::complete`] after the commit.
    pub(crate) fn request_in(
        &self,
        conn: &mut Conn,
        mut account: LockedAccount,
        time: DeletionTime,
        by: &Actor,
    ) -> DbResult<RequestedDeletion> {
        let now = self.clock.database_now();
        let grace = if time == DeletionTime::AtOnce { Duration::ZERO } else { self.grace };
        let requested = now.plus(grace);
        let deletes_at = account.deletes_at.map_or(requested, |earlier| earlier.min(requested));
        if account.deletes_at != Some(deletes_at) {
            account.set_deletes_at(conn, Some(deletes_at))?;
            opaque::revoke(conn, account.id, &INVALID_AFTER_REQUEST)?;
            let record = Record::new(Event::AccountDeletionRequested, by).on(account.id);
            self.audit.append(conn, &record.with("deletes_at", deletes_at.to_string()))?;
            if deletes_at > now {
                self.announce(conn, &account, deletes_at, by)?;
            }
        }
        let all = SessionSelector::AllOf(account.id);
        let revoked = self.sessions.revoke_in(conn, all, Reason::AccountDeleted, by)?;
        Ok(RequestedDeletion { deletes_at, revoked })
    }

    /// Queues the email that tells the owner of the deletion, with the link that cancels it. A disabled account has no
    /// valid links.
    fn announce(&self, conn: &mut Conn, account: &LockedAccount, deletes_at: Timestamp, by: &Actor) -> DbResult<()> {
        let now = self.clock.now();
        let record = TokenRecord { purpose: Purpose::CancelDeletion, user: account.id, session: None };
        let link = match account.disabled_at {
            None => Some(self.mail.issue_link_until(conn, record, now, deletes_at)?),
            Some(_) => None,
        };
        let activity = Activity::new(&self.devices, by, account.id, now);
        let email = Email::AccountDeletion { deletes_at, activity, link };
        self.mail.queue(conn, &account.email, by.requester.language, &email, now)
    }

    /// Completes a request after its commit: publishes the revocations, and deletes the account if its time has come.
    /// If this fails, the account is deleted in the background. Returns when the account is deleted.
    pub(crate) async fn complete(&self, requested: RequestedDeletion) -> DbResult<Timestamp> {
        self.sessions.publish(&requested.revoked).await;
        let deletes_at = requested.deletes_at;
        while deletes_at <= self.clock.database_now() {
            let deletions = self.clone();
            let changed = self.db.write(move |conn| deletions.expire(conn, deletes_at, BATCH_SIZE)).await?;
            if i64::try_from(changed).is_ok_and(|changed| changed < BATCH_SIZE) {
                break;
            }
        }
        self.mail.wake();
        Ok(deletes_at)
    }

    /// Cancels a deletion with the token of a link.
    ///
    /// # Errors
    /// The link is not valid.
    pub(crate) async fn cancel_by_link(
        &self,
        token: Option<OpaqueToken>,
        requester: &Requester,
    ) -> Result<(), LinkError> {
        let link = self.links.find(token, &[Purpose::CancelDeletion]).await?;
        let deletions = self.clone();
        let by = link.actor(requester);
        let cancelled = self.db.transact(move |conn| {
            let account = LockedAccount::lock(conn, link.record.user)?.ok_or(LinkError::Invalid)?;
            // The account may have been disabled since the link was found.
            let is_valid =
                account.disabled_at.is_none() && opaque::redeem(conn, &link.token, link.record, deletions.clock.now())?;
            if is_valid && deletions.cancel_in(conn, account, &by)? { Ok(()) } else { Err(LinkError::Invalid) }
        });
        cancelled.await?;
        self.mail.wake();
        Ok(())
    }

    /// Cancels a deletion in the caller's transaction, which has locked the account, and queues an email. Returns
    /// `false` if there is none, or its time has come.
    pub(crate) fn cancel_in(&self, conn: &mut Conn, mut account: LockedAccount, by: &Actor) -> DbResult<bool> {
        if account.deletes_at.is_none_or(|at| at <= self.clock.database_now()) {
            return Ok(false);
        }
        account.set_deletes_at(conn, None)?;
        opaque::revoke(conn, account.id, &[Purpose::CancelDeletion])?;
        self.audit.append(conn, &Record::new(Event::AccountDeletionCancelled, by).on(account.id))?;
        let now = self.clock.now();
        let activity = Activity::new(&self.devices, by, account.id, now);
        let email = Email::DeletionCancelled { activity };
        self.mail.queue(conn, &account.email, by.requester.language, &email, now)?;
        Ok(true)
    }

    /// Deletes, in the caller's transaction, up to `limit` rows of accounts that are to be deleted at `before` or
    /// earlier. Returns how many.
    pub(crate) fn expire(&self, conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
        let mut budget = Budget { limit: usize::try_from(limit).unwrap_or(0), used: 0 };
        while !budget.is_used_up() {
            let Some(account) = LockedAccount::lock_due(conn, before)? else { break };
            self.erase(conn, account, &mut budget)?;
        }
        Ok(budget.used)
    }

    /// Deletes what belongs to an account, as far as `budget` goes, and the account last. What has no foreign key to it
    /// is deleted here.
    fn erase(&self, conn: &mut Conn, account: LockedAccount, budget: &mut Budget) -> DbResult<()> {
        let user = account.id;
        budget.used += audit::anonymize(conn, user, budget.rest())?;
        if !budget.is_used_up() {
            budget.used += sessions::erase(conn, user, budget.rest())?;
        }
        if budget.is_used_up() {
            return Ok(());
        }
        let addresses: Vec<String> =
            [account.email.clone()].into_iter().chain(email_change::pending(conn, user)?).collect();
        mail::forget(conn, &addresses)?;
        // Nobody has shown that an unverified address is the owner's: it may be a stranger's.
        if account.email_verified_at.is_some() {
            self.mail.queue(conn, &account.email, None, &Email::AccountDeleted, self.clock.now())?;
        }
        account.delete(conn)?;
        budget.used += 1;
        self.audit.append(conn, &Record::new(Event::AccountDeleted, &Actor::default()).on(user))
    }
}

/// The rows that a transaction may still change.
struct Budget {
    limit: usize,
    used: usize,
}

impl Budget {
    fn rest(&self) -> i64 {
        i64::try_from(self.limit.saturating_sub(self.used)).unwrap_or(i64::MAX)
    }

    const fn is_used_up(&self) -> bool {
        self.used >= self.limit
    }
}

/// Locks an account to delete it.
///
/// # Errors
/// It does not exist, or nobody else is an administrator.
pub(crate) fn lock_unless_last(conn: &mut Conn, user: UserId) -> Result<LockedAccount, DeleteError> {
    // Administrators first and in the order of ids, so that two who delete themselves cannot deadlock.
    let is_administrator = store::find(conn, user)?.is_some_and(|account| account.roles.contains(ADMIN));
    let administrators = if is_administrator { store::lock_administrators(conn)? } else { Vec::new() };
    let account = LockedAccount::lock(conn, user)?.ok_or(DeleteError::NoAccount)?;
    if account.roles.contains(ADMIN) && administrators == [user] {
        return Err(DeleteError::LastAdministrator);
    }
    Ok(account)
}
