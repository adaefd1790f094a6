//! What happened, for people: an append-only log of one closed set of events. Each is written in the transaction that it
//! describes, so that it can be neither lost nor invented.

pub mod export;
pub mod http;
pub mod read;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::client::Client;
use crate::clock::{Clock, Timestamp};
use crate::db::types::{SessionId, UserId};
use crate::db::{Conn, Db, DbResult};
use crate::devices::Devices;
use crate::random::Random;

/// Something that an operator or the account's owner may want to know of later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Registered,
    LoginSucceeded,
    LoginFailed,
    Logout,
    PasswordChanged,
    AccountEnabled,
    RolesChanged,
    /// An operator began to act for the account, in a session of its own: `reason` says why.
    ImpersonationStarted,
    /// A session was ended, by its owner, an operator or a rule: `reason` says which.
    SessionRevoked,
    /// Only with `AUDIT_REFRESH`.
    RefreshSucceeded,
    RefreshReplayed,
    RefreshRecovered,
    RefreshReused,
    /// A refresh token of a later generation than the database knew was presented: the database has lost commits.
    RefreshFollowed,
    ProfileChanged,
    SessionRenamed,
    AccountDisabled,
    /// By the command line, several at once: `accounts` says how many.
    AccountsImported,
    /// All of them, by the command line.
    AccountsExported,
    Reauthenticated,
    ReauthenticationFailed,
    /// Of nobody where there is no such account.
    PasswordResetRequested,
    PasswordReset,
    EmailVerified,
    EmailChangeRequested,
    EmailChangeCancelled,
    EmailChanged,
    /// "This wasn't me".
    ReportedByOwner,
    MfaEnabled,
    MfaDisabled,
    MfaSucceeded,
    MfaFailed,
    RecoveryCodesReplaced,
    RecoveryCodeUsed,
    DeviceTrusted,
    TrustedDeviceRemoved,
    /// A login that is unusual for its account: `reasons` says why.
    SuspiciousLogin,
    /// Somebody tried too often: `limit` says what. At most once a minute for each limit and subject, on each server.
    LimitHit,
}

impl Event {
    /// Every event.
    pub const ALL: &[Self] = &[
        Self::Registered,
        Self::LoginSucceeded,
        Self::LoginFailed,
        Self::Logout,
        Self::PasswordChanged,
        Self::AccountEnabled,
        Self::RolesChanged,
        Self::ImpersonationStarted,
        Self::SessionRevoked,
        Self::RefreshSucceeded,
        Self::RefreshReplayed,
        Self::RefreshRecovered,
        Self::RefreshReused,
        Self::RefreshFollowed,
        Self::ProfileChanged,
        Self::SessionRenamed,
        Self::AccountDisabled,
        Self::AccountsImported,
        Self::AccountsExported,
        Self::Reauthenticated,
        Self::ReauthenticationFailed,
        Self::PasswordResetRequested,
        Self::PasswordReset,
        Self::EmailVerified,
        Self::EmailChangeRequested,
        Self::EmailChangeCancelled,
        Self::EmailChanged,
        Self::ReportedByOwner,
        Self::MfaEnabled,
        Self::MfaDisabled,
        Self::MfaSucceeded,
        Self::MfaFailed,
        Self::RecoveryCodesReplaced,
        Self::RecoveryCodeUsed,
        Self::DeviceTrusted,
        Self::TrustedDeviceRemoved,
        Self::SuspiciousLogin,
        Self::LimitHit,
    ];

    /// The event of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }

    /// The name in the log and its interface.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::LoginSucceeded => "login_succeeded",
            Self::LoginFailed => "login_failed",
            Self::Logout => "logout",
            Self::PasswordChanged => "password_changed",
            Self::AccountEnabled => "account_enabled",
            Self::RolesChanged => "roles_changed",
            Self::ImpersonationStarted => "impersonation_started",
            Self::SessionRevoked => "session_revoked",
            Self::RefreshSucceeded => "refresh_succeeded",
            Self::RefreshReplayed => "refresh_replayed",
            Self::RefreshRecovered => "refresh_recovered",
            Self::RefreshReused => "refresh_reused",
            Self::RefreshFollowed => "refresh_followed",
            Self::ProfileChanged => "profile_changed",
            Self::SessionRenamed => "session_renamed",
            Self::AccountDisabled => "account_disabled",
            Self::AccountsImported => "accounts_imported",
            Self::AccountsExported => "accounts_exported",
            Self::Reauthenticated => "reauthenticated",
            Self::ReauthenticationFailed => "reauthentication_failed",
            Self::PasswordResetRequested => "password_reset_requested",
            Self::PasswordReset => "password_reset",
            Self::EmailVerified => "email_verified",
            Self::EmailChangeRequested => "email_change_requested",
            Self::EmailChangeCancelled => "email_change_cancelled",
            Self::EmailChanged => "email_changed",
            Self::ReportedByOwner => "reported_by_owner",
            Self::MfaEnabled => "mfa_enabled",
            Self::MfaDisabled => "mfa_disabled",
            Self::MfaSucceeded => "mfa_succeeded",
            Self::MfaFailed => "mfa_failed",
            Self::RecoveryCodesReplaced => "recovery_codes_replaced",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::DeviceTrusted => "device_trusted",
            Self::TrustedDeviceRemoved => "trusted_device_removed",
            Self::SuspiciousLogin => "suspicious_login",
            Self::LimitHit => "limit_hit",
        }
    }

    /// Whether somebody was refused.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::LoginFailed
            | Self::RefreshReused
            | Self::ReauthenticationFailed
            | Self::MfaFailed
            | Self::LimitHit => Outcome::Failure,
            Self::Registered
            | Self::LoginSucceeded
            | Self::Logout
            | Self::PasswordChanged
            | Self::AccountEnabled
            | Self::RolesChanged
            | Self::ImpersonationStarted
            | Self::SessionRevoked
            | Self::RefreshSucceeded
            | Self::RefreshReplayed
            | Self::RefreshRecovered
            | Self::RefreshFollowed
            | Self::ProfileChanged
            | Self::SessionRenamed
            | Self::AccountDisabled
            | Self::AccountsImported
            | Self::AccountsExported
            | Self::Reauthenticated
            | Self::PasswordResetRequested
            | Self::PasswordReset
            | Self::EmailVerified
            | Self::EmailChangeRequested
            | Self::EmailChangeCancelled
            | Self::EmailChanged
            | Self::ReportedByOwner
            | Self::MfaEnabled
            | Self::MfaDisabled
            | Self::MfaSucceeded
            | Self::RecoveryCodesReplaced
            | Self::RecoveryCodeUsed
            | Self::DeviceTrusted
            | Self::TrustedDeviceRemoved
            | Self::SuspiciousLogin => Outcome::Success,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Success, Self::Failure].into_iter().find(|outcome| outcome.name() == name)
    }
}

/// Who does something, and from where. Nobody in particular on the command line, or before a login.
#[derive(Clone, Debug, Default)]
pub struct Actor {
    pub user: Option<UserId>,
    /// The session that is acted from.
    pub session: Option<SessionId>,
    pub client: Client,
}

impl Actor {
    /// Somebody who is not logged in.
    pub fn stranger(client: &Client) -> Self {
        Self { user: None, session: None, client: client.clone() }
    }
}

/// An entry of the log, to be appended in the transaction that it describes.
pub struct Record {
    event: Event,
    user: Option<UserId>,
    actor: Option<UserId>,
    session: Option<SessionId>,
    client: Client,
    metadata: Map<String, Value>,
}

impl Record {
    /// An event that `actor` brought about: on themselves and in their own session, unless it is said otherwise.
    pub fn new(event: Event, actor: &Actor) -> Self {
        Self {
            event,
            user: actor.user,
            actor: actor.user,
            session: actor.session,
            client: actor.client.clone(),
            metadata: Map::new(),
        }
    }

    /// Whom it concerns; nobody where there is no such account.
    pub fn on(mut self, user: impl Into<Option<UserId>>) -> Self {
        self.user = user.into();
        self
    }

    /// The session that it concerns.
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// What else there is to say. Never a secret, a token or a password.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.to_owned(), value.into());
        self
    }
}

/// The log. Clones share it.
#[derive(Clone)]
pub struct Audit {
    db: Db,
    clock: Clock,
    random: Random,
    devices: Devices,
    /// The last stamp: milliseconds, and after them 12 bits that count within one.
    stamped: Arc<AtomicU64>,
}

impl Audit {
    pub fn new(db: Db, clock: Clock, random: Random, devices: Devices) -> Self {
        Self { db, clock, random, devices, stamped: Arc::default() }
    }

    /// Appends in the caller's transaction.
    pub fn append(&self, conn: &mut Conn, record: &Record) -> DbResult<()> {
        let (id, at) = self.stamp();
        store::append(conn, record, id, at)
    }

    /// Appends what no other transaction is about: a refusal.
    pub async fn append_alone(&self, record: Record) -> DbResult<()> {
        let audit = self.clone();
        self.db.write(move |conn| audit.append(conn, &record)).await
    }

    /// An id and its time. Ids of one server follow in the order in which they were asked for, also within a millisecond.
    fn stamp(&self) -> (Uuid, Timestamp) {
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(0) << COUNT_BITS;
        let next = |last: u64| now.max(last.saturating_add(1));
        let last = self.stamped.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        let stamp = next(last.unwrap_or_else(|last| last));
        let at = Timestamp::from_millis(i64::try_from(stamp >> COUNT_BITS).unwrap_or(i64::MAX));
        let count = u16::try_from(stamp & ((1 << COUNT_BITS) - 1)).unwrap_or(u16::MAX);
        (self.random.id_in_place(at, count), at)
    }
}

/// Bits of an id of version 7 between its time and its random part (RFC 9562 §5.7).
const COUNT_BITS: u32 = 12;

/// Removes up to `batch` entries from before `before`, the oldest first, in the caller's transaction. Answers how many;
/// fewer than `batch` when nothing older is left.
pub fn sweep(conn: &mut Conn, before: Timestamp, batch: usize) -> DbResult<usize> {
    store::sweep(conn, before, batch)
}
