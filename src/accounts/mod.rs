//! Accounts: registration, logins, profiles, passwords, email addresses, recovery, import and export. Only this module
//! writes the table `users`.

mod attempts;
pub(crate) mod deletion;
pub(crate) mod email_change;
mod first_proof;
pub(crate) mod links;
pub(crate) mod login;
pub(crate) mod login_completion;
mod notices;
mod operators;
pub(crate) mod password;
pub(crate) mod profile;
pub(crate) mod reauthentication;
pub(crate) mod recovery;
pub(crate) mod registration;
mod search;
pub(crate) mod setup;
mod store;
pub(crate) mod transfer;
pub(crate) mod two_step;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::audit::Audit;
use crate::clock::Clock;
use crate::db::{Conn, Db, DbResult};
use crate::devices::Devices;
use crate::mail::Mail;
use crate::passwords::Hasher;
use crate::random::Random;
use crate::sessions::Sessions;
use crate::types::{EmailAddress, Timestamp, UserId};

pub(crate) use attempts::{PasswordAttempts, PasswordError};
pub(crate) use deletion::{DeletionTime, Deletions};
pub(crate) use email_change::EmailChanges;
pub(crate) use login::Logins;
pub(crate) use operators::Account;
pub(crate) use reauthentication::RECENT_LOGIN;
pub(crate) use recovery::Recovery;
pub(crate) use search::{AccountPage, AccountQuery, AccountState, Position};
pub(crate) use store::LockedAccount;
pub(crate) use transfer::Transfer;
pub(crate) use two_step::TwoStep;

/// Accounts: registration, profiles and passwords. Clones share everything.
#[derive(Clone)]
pub(crate) struct Accounts {
    inner: Arc<Inner>,
}

impl Deref for Accounts {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

/// The parts of [`Accounts`].
pub(crate) struct Inner {
    /// The database.
    pub db: Db,
    /// The audit log.
    pub audit: Audit,
    /// The sessions.
    pub sessions: Sessions,
    /// The hasher of passwords.
    pub hasher: Arc<Hasher>,
    /// The verification of passwords.
    pub attempts: PasswordAttempts,
    /// The databases of user agents and places.
    pub devices: Devices,
    /// The outbox for emails to owners.
    pub mail: Mail,
    /// Whether only an account with a verified email address may log in.
    pub require_verified_email: bool,
    /// Whether registration is open.
    pub registration: bool,
    /// Whether an administrator was found, after which the first one is not asked for any more.
    pub is_set_up: AtomicBool,
    /// The clock.
    pub clock: Clock,
    /// The source of random bytes.
    pub random: Random,
}

/// Deletes up to `limit` changes of email address that expired at `before` or earlier. Returns how many.
pub(crate) fn expire_email_changes(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    email_change::expire(conn, before, limit)
}

impl Accounts {
    /// Creates the accounts from their parts.
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Finds the account with this email address.
    pub(crate) async fn find_by_email(&self, email: &EmailAddress) -> DbResult<Option<UserId>> {
        let normalized = email.normalized().to_owned();
        Ok(self.db.read(move |conn| store::find_by_email(conn, &normalized)).await?.map(|row| row.id))
    }
}
