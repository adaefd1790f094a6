//! Lists, finds and renames sessions.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::Sessions;
use super::store::{self, SessionRow};
use crate::audit::{Actor, Event, Record};
use crate::db::{Conn, DbError, DbResult};
use crate::devices::{Device, Devices, Place};
use crate::types::{Amr, Label, SessionId, SessionKind, Timestamp, UserId};

/// How long the count of all live sessions is kept.
const COUNT_KEPT: Duration = Duration::from_secs(5);

/// Bytes of the refresh token's digest that identify it to its owner.
const HINT_BYTES: usize = 4;

/// A session as shown to its owner.
pub(crate) struct Session {
    /// The id of the session.
    pub id: SessionId,
    /// The name that the owner gave the session.
    pub name: Option<String>,
    /// The device that logged in.
    pub device: Device,
    /// The IP address of the last refresh, or of the login.
    pub ip: Option<IpAddr>,
    /// The place of `ip`, where it is known.
    pub place: Option<Place>,
    /// The time of the login.
    pub created_at: Timestamp,
    /// The time of the last recorded activity.
    pub last_active_at: Timestamp,
    /// The time at which the session ends unless it is refreshed.
    pub expires_at: Timestamp,
    /// Whether the session has expired or was revoked.
    pub has_ended: bool,
    /// The time at which the session was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The name of the reason for the revocation.
    pub revoked_reason: Option<String>,
    /// The methods by which the owner authenticated.
    pub amr: Amr,
    /// The administrator who acts for the owner in this session.
    pub impersonator: Option<UserId>,
    /// The kind of the session.
    pub kind: SessionKind,
    /// The session with which this one ends.
    pub parent: Option<SessionId>,
    /// Whether the session's tokens are bound to a key (RFC 9449).
    pub is_bound: bool,
    /// The first bytes of the SHA-256 digest of the refresh token, in hexadecimal.
    pub token_hint: String,
}

impl Session {
    pub(super) fn new(row: SessionRow, devices: &Devices, now: Timestamp) -> Self {
        let expires_at = row.expires_at.min(row.ends_at);
        Self {
            id: row.id,
            name: row.name,
            device: Device::from_column(&row.device),
            ip: row.ip.map(|ip| ip.0),
            // A refresh may have changed the address, and the row keeps the place of the login only.
            place: row.ip.and_then(|ip| devices.place(ip.0)),
            created_at: row.created_at,
            last_active_at: row.last_active_at,
            expires_at,
            has_ended: row.revoked_at.is_some() || now >= expires_at,
            revoked_at: row.revoked_at,
            revoked_reason: row.revoked_reason,
            amr: row.amr,
            impersonator: row.actor_id,
            kind: SessionKind::parse(&row.kind),
            parent: row.parent_id,
            is_bound: row.dpop_jkt.is_some(),
            token_hint: row.token_digest.iter().take(HINT_BYTES).map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// The device and place of a login, as labels.
pub(crate) struct FirstLogin {
    /// The time.
    pub at: Timestamp,
    /// The device, such as "Firefox on Windows".
    pub device: String,
    /// The place, if it is known.
    pub place: Option<String>,
}

impl Sessions {
    /// Finds the login that opened the first session of an account.
    pub(crate) fn first_login(&self, conn: &mut Conn, user: UserId) -> DbResult<Option<FirstLogin>> {
        let first = store::first_login(conn, user)?;
        Ok(first.map(|row| FirstLogin {
            at: row.created_at,
            device: Device::from_column(&row.device).label,
            place: row.location.as_ref().and_then(Place::from_column).map(|place| place.label()),
        }))
    }

    /// Deletes the names that were given to an account's sessions, in the caller's transaction.
    pub(crate) fn clear_names(&self, conn: &mut Conn, user: UserId) -> DbResult<()> {
        store::clear_names(conn, user)
    }

    /// Lists the sessions of `user`, newest first. Ended sessions are included if `include_ended` is set.
    pub(crate) async fn list(&self, user: UserId, include_ended: bool) -> DbResult<Vec<Session>> {
        let now = self.clock.now();
        let rows = self.db.read(move |conn| store::list(conn, user, include_ended, now)).await?;
        Ok(rows.into_iter().map(|row| Session::new(row, &self.devices, now)).collect())
    }

    /// Finds a session of `user`.
    pub(crate) async fn find(&self, session: SessionId, user: UserId) -> DbResult<Option<Session>> {
        let now = self.clock.now();
        let row = self.db.read(move |conn| store::find(conn, session, user)).await?;
        Ok(row.map(|row| Session::new(row, &self.devices, now)))
    }

    /// Renames a session of `user`, or removes its name. Returns `None` if the account has no such session.
    pub(crate) async fn rename(
        &self,
        session: SessionId,
        name: Option<Label>,
        user: UserId,
        by: &Actor,
    ) -> DbResult<Option<Session>> {
        let audit = self.audit.clone();
        let record = Record::new(Event::SessionRenamed, by).on(user).session(session);
        let renamed = self.db.write(move |conn| {
            let Some(was_changed) = store::rename(conn, session, user, name.as_ref().map(Label::as_str))? else {
                return Ok(false);
            };
            if was_changed {
                audit.append(conn, &record)?;
            }
            Ok(true)
        });
        if renamed.await? { self.find(session, user).await } else { Ok(None) }
    }

    /// Returns whether the session exists, live or ended, whatever account it belongs to.
    pub(crate) async fn exists(&self, session: SessionId) -> DbResult<bool> {
        self.db.read(move |conn| store::exists(conn, session)).await
    }

    /// Counts the live sessions of all accounts, as of [`COUNT_KEPT`] ago at most. Reads every row then.
    pub(crate) async fn count_live(&self) -> DbResult<i64> {
        let now = self.clock.now();
        let db = self.db.clone();
        let count = self
            .live_count
            .get(COUNT_KEPT, now, async move { db.read(move |conn| store::count_live(conn, now)).await });
        count.await?.ok_or_else(|| DbError::Unavailable("the sessions could not be counted a moment ago".to_owned()))
    }

    /// Counts the ended sessions that are still stored.
    pub(crate) async fn count_ended(&self) -> DbResult<i64> {
        let now = self.clock.now();
        self.db.read(move |conn| store::count_ended(conn, now)).await
    }

    /// Counts the live sessions of all accounts by the type of their device. Reads every row.
    pub(crate) async fn count_by_device(&self) -> DbResult<BTreeMap<String, i64>> {
        let now = self.clock.now();
        self.db.read(move |conn| store::count_by_device(conn, now)).await
    }
}
