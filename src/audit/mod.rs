//! What happened, for people: an append-only log of one closed set of events. Each is written in the transaction that it
//! describes, so that it can be neither lost nor invented.

mod store;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::client::Client;
use crate::clock::{Clock, Timestamp};
use crate::db::types::{SessionId, UserId};
use crate::db::{Conn, Db, DbResult};
use crate::random::Random;

/// Something that an operator or the account's owner may want to know of later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Registered,
    LoginSucceeded,
    LoginFailed,
    Logout,
    PasswordChanged,
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
}

impl Event {
    /// Every event.
    pub const ALL: &[Self] = &[
        Self::Registered,
        Self::LoginSucceeded,
        Self::LoginFailed,
        Self::Logout,
        Self::PasswordChanged,
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
    ];

    /// The name in the log and its interface.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::LoginSucceeded => "login_succeeded",
            Self::LoginFailed => "login_failed",
            Self::Logout => "logout",
            Self::PasswordChanged => "password_changed",
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
        }
    }

    /// Whether somebody was refused.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::LoginFailed | Self::RefreshReused | Self::ReauthenticationFailed => Outcome::Failure,
            Self::Registered
            | Self::LoginSucceeded
            | Self::Logout
            | Self::PasswordChanged
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
            | Self::ReportedByOwner => Outcome::Success,
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
}

impl Audit {
    pub fn new(db: Db, clock: Clock, random: Random) -> Self {
        Self { db, clock, random }
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

    fn stamp(&self) -> (Uuid, Timestamp) {
        let now = self.clock.now();
        (self.random.id(now), now)
    }
}
