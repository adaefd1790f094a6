//! The audit log: an append-only log of a closed set of events. An entry is written in the transaction that it
//! describes, so an event is logged if and only if it took place.

mod read;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Clock;
use crate::db::{Conn, Db, DbResult};
use crate::devices::Devices;
use crate::random::Random;
use crate::types::{Requester, SessionId, Timestamp, UserId};

pub use read::{Entry, Filter, Page};

/// Declares the closed set of events: each with its name and outcome.
macro_rules! events {
    ($($(#[$meta:meta])+ $event:ident = $name:literal, $outcome:ident;)+) => {
        /// An event of the audit log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event { $($(#[$meta])+ $event),+ }

        impl Event {
            /// Every event.
            pub const ALL: &[Self] = &[$(Self::$event),+];

            /// Returns the name in the log and the API: a noun and a past participle.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$event => $name),+ }
            }

            /// Returns the outcome.
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$event => Outcome::$outcome),+ }
            }
        }
    };
}

events! {
    /// A user registered, or an operator created the account. Details: `roles`, if an operator gave it any.
    AccountRegistered = "account.registered", Success;
    /// An operator had an email sent with a link to set the first password.
    AccountInvited = "account.invited", Success;
    /// The owner set the first password with the link of an invitation.
    InvitationAccepted = "account.invitation_accepted", Success;
    /// The owner of an email address reported that somebody else has created the account.
    AccountDisowned = "account.disowned", Success;
    /// An account was disabled.
    AccountDisabled = "account.disabled", Success;
    /// An account was enabled.
    AccountEnabled = "account.enabled", Success;
    /// The owner or an operator asked for the deletion of an account. Details: `deletes_at`.
    AccountDeletionRequested = "account.deletion_requested", Success;
    /// The deletion of an account was cancelled.
    AccountDeletionCancelled = "account.deletion_cancelled", Success;
    /// An account was deleted. Its earlier entries have lost their personal data.
    AccountDeleted = "account.deleted", Success;
    /// The owner exported the data of the account.
    AccountExported = "account.exported", Success;
    /// The roles of an account changed. Details: `from` and `to`.
    RolesChanged = "account.roles_changed", Success;
    /// The profile of an account changed.
    ProfileChanged = "account.profile_changed", Success;
    /// The command line imported accounts. Details: their number, `accounts`.
    AccountsImported = "accounts.imported", Success;
    /// The command line exported all accounts.
    AccountsExported = "accounts.exported", Success;
    /// An administrator exported the audit log. Details: `format`.
    AuditExported = "audit_log.exported", Success;
    /// A login succeeded.
    LoginSucceeded = "login.succeeded", Success;
    /// A login failed. Details: `reason`.
    LoginFailed = "login.failed", Failure;
    /// A login was unusual for its account. Details: `reasons`.
    LoginUnusual = "login.unusual", Success;
    /// The user reported a login as somebody else's.
    LoginReported = "login.reported", Success;
    /// The user entered the password again.
    Reauthenticated = "reauthentication.succeeded", Success;
    /// A reauthentication failed. Details: `reason`.
    ReauthenticationFailed = "reauthentication.failed", Failure;
    /// The user logged out.
    SessionLoggedOut = "session.logged_out", Success;
    /// The user, an administrator, the command line or a rule revoked a session. Details: `reason`.
    SessionRevoked = "session.revoked", Success;
    /// Somebody who held an access token revoked it. Its session goes on.
    AccessTokenRevoked = "access_token.revoked", Success;
    /// The user renamed a session.
    SessionRenamed = "session.renamed", Success;
    /// A refresh token was rotated. Logged only with `AUDIT_REFRESH`.
    RefreshRotated = "refresh_token.rotated", Success;
    /// A refresh was replayed within the replay window.
    RefreshReplayed = "refresh_token.replayed", Success;
    /// A refresh was replayed after the replay window, and the session had a recovery left.
    RefreshRecovered = "refresh_token.recovered", Success;
    /// A superseded refresh token was reused, and the session was revoked.
    RefreshTokenReused = "refresh_token.reused", Failure;
    /// A superseded refresh token was presented for the first time, soon after it was replaced: a copy of an earlier
    /// request, or a thief. The next time is reuse.
    RefreshDoubted = "refresh_token.doubted", Failure;
    /// A refresh token was newer than the database, which has lost commits.
    RefreshCaughtUp = "refresh_token.caught_up", Success;
    /// The user changed the password.
    PasswordChanged = "password.changed", Success;
    /// Somebody requested a password reset. Without an account if the email address has none.
    PasswordResetRequested = "password.reset_requested", Success;
    /// The password was reset.
    PasswordReset = "password.reset", Success;
    /// An email address was verified, by its owner or an operator.
    EmailVerified = "email.verified", Success;
    /// An operator marked an email address as not verified.
    EmailUnverified = "email.unverified", Success;
    /// The user requested a change of the email address.
    EmailChangeRequested = "email.change_requested", Success;
    /// A change of the email address was cancelled.
    EmailChangeCancelled = "email.change_cancelled", Success;
    /// The email address changed. Details: `from` and `to`.
    EmailChanged = "email.changed", Success;
    /// The second factor was enabled.
    MfaEnabled = "mfa.enabled", Success;
    /// The second factor was disabled.
    MfaDisabled = "mfa.disabled", Success;
    /// A second factor was accepted.
    MfaSucceeded = "mfa.succeeded", Success;
    /// A second factor was refused.
    MfaFailed = "mfa.failed", Failure;
    /// The recovery codes were replaced.
    RecoveryCodesReplaced = "recovery_codes.replaced", Success;
    /// A recovery code was used.
    RecoveryCodeUsed = "recovery_code.used", Success;
    /// A device was trusted.
    DeviceTrusted = "trusted_device.added", Success;
    /// A trusted device was deleted.
    TrustedDeviceDeleted = "trusted_device.deleted", Success;
    /// An administrator started to act for the account, in a separate session. Details: `reason`.
    ImpersonationStarted = "impersonation.started", Success;
    /// An operator registered a client. Details: `client`, `name`.
    ClientCreated = "client.created", Success;
    /// An operator changed a client. Details: `client`, `name`.
    ClientChanged = "client.changed", Success;
    /// An operator deleted a client. Details: `client`, `name`.
    ClientDeleted = "client.deleted", Success;
    /// An operator issued another secret of a client. Details: `client`, `name`, `secret`.
    ClientSecretAdded = "client_secret.added", Success;
    /// An operator deleted a secret of a client. Details: `client`, `name`, `secret`.
    ClientSecretDeleted = "client_secret.deleted", Success;
    /// A signing key was created. Details: `kid` and `algorithm`.
    KeyCreated = "key.created", Success;
    /// A signing key is to be replaced. Details: `kid`, `successor` and `algorithm`.
    KeyRotated = "key.rotated", Success;
    /// A signing key was retired, because no server signs with its algorithm any more. Details: `kid` and `algorithm`.
    KeyRetired = "key.retired", Success;
    /// A signing key was revoked, and with it its access tokens. Details: `kid` and `algorithm`.
    KeyRevoked = "key.revoked", Success;
    /// An operator had emails tried again at once. Details: their number, `emails`; the id of a single one, `email`.
    EmailsRetried = "emails.retried", Success;
    /// A rate limit was exceeded. Details: `limit`. Logged at most once a minute for each limit and subject on each
    /// server.
    LimitExceeded = "rate_limit.exceeded", Failure;
}

impl Event {
    /// Finds the event with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }
}

/// The events whose details can contain an email address or a free text.
const PERSONAL: [Event; 2] = [Event::EmailChanged, Event::ImpersonationStarted];

/// Removes the personal data from up to `limit` entries about the account `user` or by it: IP address, user agent,
/// request id, and details with an email address or a free text. Returns the number of entries that had any.
pub fn anonymize(conn: &mut Conn, user: UserId, limit: i64) -> DbResult<usize> {
    store::anonymize(conn, user, limit)
}

/// The outcome of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The actor succeeded.
    Success,
    /// The actor was refused.
    Failure,
}

impl Outcome {
    /// Returns the name in the log and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    /// Finds the outcome with this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Success, Self::Failure].into_iter().find(|outcome| outcome.name() == name)
    }
}

/// The actor of an event. It has no account on the command line and before a login.
#[derive(Clone, Debug, Default)]
pub struct Actor {
    /// The account of the actor.
    pub user: Option<UserId>,
    /// The session in which the actor acts.
    pub session: Option<SessionId>,
    /// The client of the actor.
    pub requester: Requester,
}

impl Actor {
    /// Creates an actor who is not logged in.
    pub fn anonymous(requester: &Requester) -> Self {
        Self { user: None, session: None, requester: requester.clone() }
    }

    /// Returns whether an operator acts on the account of `owner`: an administrator, or whoever uses the command line,
    /// where there is no request.
    pub fn is_operator_for(&self, owner: UserId) -> bool {
        match self.user {
            Some(user) => user != owner,
            None => self.requester.request_id.is_none(),
        }
    }
}

/// An entry to be appended in the transaction that it describes.
pub struct Record {
    event: Event,
    user: Option<UserId>,
    actor: Option<UserId>,
    session: Option<SessionId>,
    requester: Requester,
    metadata: Map<String, Value>,
}

impl Record {
    /// Creates the record of an event that `actor` caused. It is about the account and session of the actor unless
    /// [`Self::on`] and [`Self::session`] set others.
    pub fn new(event: Event, actor: &Actor) -> Self {
        Self {
            event,
            user: actor.user,
            actor: actor.user,
            session: actor.session,
            requester: actor.requester.clone(),
            metadata: Map::new(),
        }
    }

    /// Sets the account that the event is about, or `None` if there is no such account.
    pub fn on(mut self, user: impl Into<Option<UserId>>) -> Self {
        self.user = user.into();
        self
    }

    /// Sets the session that the event is about.
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Adds a detail, which must not be a secret, a token or a password.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.to_owned(), value.into());
        self
    }
}

/// The audit log. Clones share everything.
#[derive(Clone)]
pub struct Audit {
    db: Db,
    clock: Clock,
    random: Random,
    devices: Devices,
    /// The last stamp: the milliseconds, followed by a counter of 12 bits within the millisecond.
    last_stamp: Arc<AtomicU64>,
}

impl Audit {
    /// Creates the audit log of a server.
    pub fn new(db: Db, clock: Clock, random: Random, devices: Devices) -> Self {
        Self { db, clock, random, devices, last_stamp: Arc::default() }
    }

    /// Appends an entry in the caller's transaction.
    pub fn append(&self, conn: &mut Conn, record: &Record) -> DbResult<()> {
        let (id, at) = self.stamp();
        store::append(conn, record, id, at)
    }

    /// Appends an entry in a transaction of its own, for a refusal that has no other transaction.
    pub async fn append_alone(&self, record: Record) -> DbResult<()> {
        let audit = self.clone();
        self.db.write(move |conn| audit.append(conn, &record)).await
    }

    /// Returns a new id and its time. The ids of one server are in the order of the calls, also within a millisecond.
    fn stamp(&self) -> (Uuid, Timestamp) {
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(0) << COUNT_BITS;
        let next = |last: u64| now.max(last.saturating_add(1));
        let last = self.last_stamp.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        let stamp = next(last.unwrap_or_else(|last| last));
        let at = Timestamp::from_millis(i64::try_from(stamp >> COUNT_BITS).unwrap_or(i64::MAX));
        let count = u16::try_from(stamp & ((1 << COUNT_BITS) - 1)).unwrap_or(u16::MAX);
        (self.random.sequential_id(at, count), at)
    }
}

/// The number of bits between the time and the random part of an id of version 7 (RFC 9562 §5.7).
const COUNT_BITS: u32 = 12;

/// Deletes up to `limit` entries that are older than `before`, oldest first. Returns their number.
pub fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire(conn, before, limit)
}
