//! Reads the rows of sessions for lists, counts, limits and comparisons.

use std::collections::BTreeMap;
use std::net::IpAddr;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::db::schema::{sessions, users};
use crate::db::types::{IpColumn, Json, SqlTime};
use crate::db::{Conn, DbResult};
use crate::revocations::Reason;
use crate::sessions::SessionSnapshot;
use crate::types::{Amr, KeyThumbprint, SessionId, Timestamp, UserId};

/// A row of a list of sessions.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub(crate) struct SessionRow {
    pub id: SessionId,
    pub created_at: Timestamp,
    pub last_active_at: Timestamp,
    pub expires_at: Timestamp,
    pub ends_at: Timestamp,
    pub token_digest: Vec<u8>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_reason: Option<String>,
    pub ip: Option<IpColumn>,
    pub device: Json,
    pub name: Option<String>,
    pub amr: Amr,
    pub actor_id: Option<UserId>,
    pub dpop_jkt: Option<KeyThumbprint>,
    pub kind: String,
    pub parent_id: Option<SessionId>,
}

/// Lists the sessions of an account, newest first. Ended sessions are included if `include_ended` is set.
pub(crate) fn list(conn: &mut Conn, user: UserId, include_ended: bool, now: Timestamp) -> DbResult<Vec<SessionRow>> {
    let all =
        sessions::table.filter(sessions::user_id.eq(user)).order((sessions::created_at.desc(), sessions::id.desc()));
    let columns = SessionRow::as_select();
    if include_ended {
        return Ok(all.select(columns).load(conn)?);
    }
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    Ok(all.filter(live).select(columns).load(conn)?)
}

/// Finds a session of an account.
pub(crate) fn find(conn: &mut Conn, session: SessionId, user: UserId) -> DbResult<Option<SessionRow>> {
    let found = sessions::table.filter(sessions::id.eq(session)).filter(sessions::user_id.eq(user));
    Ok(found.select(SessionRow::as_select()).first(conn).optional()?)
}

/// Returns whether the session exists, live or ended.
pub(crate) fn exists(conn: &mut Conn, session: SessionId) -> DbResult<bool> {
    let found: Option<SessionId> =
        sessions::table.filter(sessions::id.eq(session)).select(sessions::id).first(conn).optional()?;
    Ok(found.is_some())
}

/// Counts the live sessions.
pub(crate) fn count_live(conn: &mut Conn, now: Timestamp) -> DbResult<i64> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    Ok(sessions::table.filter(live).count().get_result(conn)?)
}

/// A live session that an account has beyond its limit.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub(crate) struct ExcessSession {
    pub id: SessionId,
    pub name: Option<String>,
    pub device: Json,
    pub last_active_at: Timestamp,
}

/// Finds the live sessions of an account except `newest` and the `kept` most recently used others, most recently used
/// first. Impersonation sessions do not count.
pub(crate) fn excess_sessions(conn: &mut Conn, newest: &SessionSnapshot, kept: i64) -> DbResult<Vec<ExcessSession>> {
    let now = newest.issued_at;
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    let others = sessions::table
        .filter(sessions::user_id.eq(newest.subject.id))
        .filter(sessions::id.ne(newest.session))
        .filter(sessions::actor_id.is_null())
        .filter(live);
    let last_used_first = (sessions::last_active_at.desc(), sessions::created_at.desc(), sessions::id.desc());
    // SQLite has no OFFSET without a LIMIT.
    Ok(others.order(last_used_first).limit(i64::MAX).offset(kept).select(ExcessSession::as_select()).load(conn)?)
}

/// The reasons for which a session was revoked that somebody else may have opened: its device and network are not
/// familiar because of it.
const FOREIGN: [Reason; 3] = [Reason::ReportedByOwner, Reason::EndedByOwner, Reason::EmailProved];

/// The login that opened the first session of an account.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub(crate) struct FirstLogin {
    pub created_at: Timestamp,
    pub device: Json,
    pub location: Option<Json>,
}

/// Finds the first session of an account that is still kept.
pub(crate) fn first_login(conn: &mut Conn, user: UserId) -> DbResult<Option<FirstLogin>> {
    let own = sessions::table.filter(sessions::user_id.eq(user)).filter(sessions::actor_id.is_null());
    let oldest_first = (sessions::created_at, sessions::id);
    Ok(own.order(oldest_first).select(FirstLogin::as_select()).first(conn).optional()?)
}

/// A past session that a new login is compared with.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub(crate) struct PastSession {
    pub device: Json,
    /// The place of the login.
    pub location: Option<Json>,
    pub created_at: Timestamp,
    pub revoked_reason: Option<String>,
}

impl PastSession {
    /// Returns whether nothing says that somebody else has opened the session.
    pub(crate) fn is_owners(&self) -> bool {
        self.revoked_reason.as_deref().is_none_or(|reason| !FOREIGN.map(Reason::name).contains(&reason))
    }
}

/// Finds up to `limit` sessions that the owner of an account has opened, except `session`, live or ended, newest first.
/// Those that the first proof of the address ended are not included.
pub(crate) fn past_sessions(
    conn: &mut Conn,
    user: UserId,
    session: SessionId,
    limit: i64,
) -> DbResult<Vec<PastSession>> {
    let others = sessions::table
        .filter(sessions::user_id.eq(user))
        .filter(sessions::id.ne(session))
        .filter(sessions::actor_id.is_null())
        .filter(sessions::revoked_reason.is_null().or(sessions::revoked_reason.ne(Reason::EmailProved.name())));
    let newest_first = (sessions::created_at.desc(), sessions::id.desc());
    Ok(others.order(newest_first).limit(limit).select(PastSession::as_select()).load(conn)?)
}

/// Returns the last IP addresses of the newest `limit` sessions of an account. Sessions that were stolen or opened by
/// somebody else do not count.
pub(crate) fn ips(conn: &mut Conn, user: UserId, limit: i64) -> DbResult<Vec<IpAddr>> {
    let compromised = FOREIGN.into_iter().chain([Reason::RefreshTokenReused]).map(Reason::name);
    let trusted = sessions::table
        .filter(sessions::user_id.eq(user))
        .filter(sessions::actor_id.is_null())
        .filter(sessions::revoked_reason.is_null().or(sessions::revoked_reason.ne_all(compromised)));
    let newest_first = (sessions::created_at.desc(), sessions::id.desc());
    let rows: Vec<Option<IpColumn>> = trusted.order(newest_first).limit(limit).select(sessions::ip).load(conn)?;
    Ok(rows.into_iter().flatten().map(|ip| ip.0).collect())
}

/// The details of a session for an email about it.
pub(crate) struct SessionSummary {
    pub email: String,
    pub name: Option<String>,
    pub device: Json,
    pub location: Option<Json>,
    pub ip: Option<IpAddr>,
}

/// Finds the details of a session for an email.
pub(crate) fn summary(conn: &mut Conn, session: SessionId) -> DbResult<Option<SessionSummary>> {
    type Row = (String, Option<String>, Json, Option<Json>, Option<IpColumn>);
    let columns = (users::email, sessions::name, sessions::device, sessions::location, sessions::ip);
    let found = sessions::table.inner_join(users::table).filter(sessions::id.eq(session));
    let row: Option<Row> = found.select(columns).first(conn).optional()?;
    let summary = |(email, name, device, location, ip): Row| {
        let ip = ip.map(|ip| ip.0);
        SessionSummary { email, name, device, location, ip }
    };
    Ok(row.map(summary))
}

/// Counts the sessions that have ended.
pub(crate) fn count_ended(conn: &mut Conn, now: Timestamp) -> DbResult<i64> {
    let expired = sessions::expires_at.le(now).or(sessions::ends_at.le(now));
    Ok(sessions::table.filter(sessions::revoked_at.is_not_null().or(expired)).count().get_result(conn)?)
}

/// Counts the live sessions by the type of their device.
pub(crate) fn count_by_device(conn: &mut Conn, now: Timestamp) -> DbResult<BTreeMap<String, i64>> {
    #[derive(QueryableByName)]
    struct DeviceCount {
        #[diesel(sql_type = Text)]
        kind: String,
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let query = "SELECT coalesce(device ->> 'type', 'unknown') AS kind, count(*) AS count FROM sessions \
                 WHERE revoked_at IS NULL AND expires_at > $1 AND ends_at > $1 GROUP BY 1";
    let rows: Vec<DeviceCount> = diesel::sql_query(query).bind::<SqlTime, _>(now).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.kind, row.count)).collect())
}

/// Counts the live sessions whose refresh token was issued before a time, or was handed out again since. Returns the
/// time at which the last of them expires, too.
pub(crate) fn issued_before(conn: &mut Conn, before: Timestamp, now: Timestamp) -> DbResult<(i64, Option<Timestamp>)> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    let old = live.and(sessions::issued_at.lt(before).or(sessions::recovered.eq(true)));
    let count = sessions::table.filter(old).count().get_result(conn)?;
    let last = sessions::table.filter(old).order(sessions::expires_at.desc()).select(sessions::expires_at);
    Ok((count, last.first(conn).optional()?))
}
