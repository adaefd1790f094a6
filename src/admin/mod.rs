//! The operations of operators, for the API and the command line: accounts, their sessions, impersonation, signing
//! keys, statistics and cleanup.

mod clients;
mod deletion;
mod health;
mod impersonation;
mod invitations;
mod keys;
mod outbox;
pub(crate) mod secrets;
mod sessions;
pub(crate) mod stats;
mod store;
mod users;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::accounts::{Accounts, Deletions, EmailChanges, LockedAccount, TwoStep};
use crate::audit::{Actor, Audit};
use crate::clients::Clients;
use crate::clock::Clock;
use crate::db::{Conn, Db, DbError, DbResult};
use crate::keys::Keys;
use crate::passwords::{HasherError, NewPasswordError, WeakPassword};
use crate::random::Random;
use crate::retention::Retention;
use crate::sessions::{IssueError, Sessions};
use crate::types::{ADMIN, RolesError, Timestamp, UserId};

pub(crate) use clients::{IssuedSecret, Replaced};
pub(crate) use health::Health;
pub(crate) use impersonation::{ImpersonationReason, ImpersonationReasonError};
pub(crate) use invitations::NewUser;
pub(crate) use sessions::Cleanup;
pub(crate) use users::{RoleChange, UpdatedUser, UserChange};

/// The operations of operators. Clones share everything.
#[derive(Clone)]
pub(crate) struct Admin {
    inner: Arc<Inner>,
}

impl Deref for Admin {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

/// The parts of [`Admin`].
pub(crate) struct Inner {
    /// The database.
    pub db: Db,
    /// The audit log.
    pub audit: Audit,
    /// The accounts.
    pub accounts: Accounts,
    /// The email addresses of accounts.
    pub email_changes: EmailChanges,
    /// The deletion of accounts.
    pub deletions: Deletions,
    /// The two-step login of accounts.
    pub two_step: TwoStep,
    /// The sessions.
    pub sessions: Sessions,
    /// The registered clients.
    pub clients: Clients,
    /// The signing keys.
    pub keys: Keys,
    /// The deletion of old rows.
    pub retention: Retention,
    /// The clock.
    pub clock: Clock,
    /// The source of random bytes.
    pub random: Random,
    /// The cache of statistics.
    pub stats: stats::StatsCache,
}

/// An operator: whoever runs the server.
#[derive(Clone)]
pub(crate) enum Operator {
    /// A user of the command line, who may do everything.
    CommandLine,
    /// An administrator who calls the API.
    Administrator(Actor),
}

impl Operator {
    /// Returns the actor for the audit log.
    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::CommandLine => Actor::default(),
            Self::Administrator(actor) => actor.clone(),
        }
    }

    /// Returns the account of an administrator.
    fn user(&self) -> Option<UserId> {
        match self {
            Self::CommandLine => None,
            Self::Administrator(actor) => actor.user,
        }
    }
}

/// Why an operation of an operator is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// The caller no longer has the role of an administrator.
    #[error("the caller is no administrator")]
    NotAdministrator,
    /// The account does not exist.
    #[error("the account does not exist")]
    NotFound,
    /// The account is the caller's own.
    #[error("the account is the caller's own")]
    OwnAccount,
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// The account is to be deleted.
    #[error("the account is to be deleted")]
    DeletionPending,
    /// The account is not to be deleted, or it is too late to keep it.
    #[error("no deletion of the account can be cancelled")]
    NoDeletion,
    /// The account is the last administrator's.
    #[error("the account is the last administrator's: give somebody else with a password the role `admin` first")]
    LastAdministrator,
    /// The email address has an account.
    #[error("the email address has an account")]
    EmailTaken,
    /// The account has a password, so nobody needs to be invited to it.
    #[error("the account has a password already")]
    HasPassword,
    /// Two-step login of the account is not enabled.
    #[error("two-step login is not enabled")]
    MfaNotEnabled,
    /// The recipient was sent too many emails.
    #[error("the email address was sent too many emails: try again in {} minutes", .retry_after.as_secs() / 60 + 1)]
    TooManyEmails {
        /// The time after which one is sent again.
        retry_after: Duration,
    },
    /// The account would have roles that it cannot have.
    #[error(transparent)]
    Roles(#[from] RolesError),
    /// The password is easy to guess.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// The password could not be hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The client, or the secret of that number, does not exist.
    #[error("the client or the secret does not exist")]
    NoClient,
    /// The client has two secrets.
    #[error("the client has two secrets: delete one first")]
    TooManySecrets,
    /// The lifetime of a client's access tokens is longer than the server's.
    #[error("must be from 1 to {} seconds: access tokens live no longer (ACCESS_TOKEN_TTL)", .longest.as_secs())]
    Lifetime {
        /// The lifetime of the server's access tokens.
        longest: Duration,
    },
    /// This server signs no tokens with the algorithm.
    #[error("must be an algorithm that this server signs with: {offered}")]
    Algorithm {
        /// The algorithms of `JWT_ALGORITHM` and `JWT_ADDITIONAL_ALGORITHMS`.
        offered: String,
    },
    /// The session of the caller has ended meanwhile.
    #[error("the session of the caller has ended")]
    CallerEnded,
    /// The tokens were not issued, or the database failed.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for AdminError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Taken { .. } => Self::EmailTaken,
            DbError::Unavailable(_) | DbError::ClockSkew(_) | DbError::Unexpected(_) => Self::Issue(error.into()),
        }
    }
}

impl From<NewPasswordError> for AdminError {
    fn from(error: NewPasswordError) -> Self {
        match error {
            NewPasswordError::Weak(weak) => weak.into(),
            NewPasswordError::Hasher(error) => error.into(),
        }
    }
}

impl Admin {
    /// Creates the operations from their parts.
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Returns whether the account is enabled and has the role of an administrator, according to the database.
    pub(crate) async fn is_administrator(&self, user: UserId) -> DbResult<bool> {
        let account = self.accounts.find(user).await?;
        Ok(account.is_some_and(|account| account.is_active() && account.roles.contains(ADMIN)))
    }
}

/// Deletes up to `limit` rows of statistics of the hour `before` or earlier. Returns how many.
pub(crate) fn expire_stats(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire(conn, before, limit)
}

/// Locks the account of the administrator `by`, and checks that they still have the role.
fn lock_caller(conn: &mut Conn, by: &Operator) -> Result<(), AdminError> {
    let Operator::Administrator(actor) = by else { return Ok(()) };
    let administrator = actor.user.ok_or(AdminError::NotAdministrator)?;
    lock(conn, administrator, by).map(drop)
}

/// Locks the account of `user`, together with that of the administrator `by`, and checks that the administrator still
/// has the role. A concurrent removal of the role comes entirely before or after this transaction.
fn lock(conn: &mut Conn, user: UserId, by: &Operator) -> Result<LockedAccount, AdminError> {
    let Operator::Administrator(actor) = by else {
        return LockedAccount::lock(conn, user)?.ok_or(AdminError::NotFound);
    };
    let administrator = actor.user.ok_or(AdminError::NotAdministrator)?;
    // In the order of the ids, so that two administrators who change each other cannot deadlock.
    let mut locked = Vec::with_capacity(2);
    locked.extend(LockedAccount::lock(conn, administrator.min(user))?);
    if administrator != user {
        locked.extend(LockedAccount::lock(conn, administrator.max(user))?);
    }
    let is_administrator = |account: &LockedAccount| {
        account.id == administrator && account.account().is_active() && account.roles.contains(ADMIN)
    };
    if !locked.iter().any(is_administrator) {
        return Err(AdminError::NotAdministrator);
    }
    locked.into_iter().find(|account| account.id == user).ok_or(AdminError::NotFound)
}
