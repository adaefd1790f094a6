//! The log of revocations as rows.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{Reason, Revocation, Revoked};
use crate::db::schema::revocations;
use crate::db::{Conn, DbResult};
use crate::types::{Jti, KeyId, SessionId, Timestamp, UserId};

/// The position of an entry in the log: on Postgres the id of its transaction, on SQLite its `seq`.
pub(super) type Position = i64;

/// The position of a reader. On Postgres it is the oldest transaction that was running at the last read, because a
/// sequence number is assigned before the commit and a later one can become visible first. On SQLite it is the last
/// `seq`.
#[derive(Clone, Copy, Default)]
pub(super) struct Cursor {
    pub position: Position,
    /// The identity of the database that was read, which changes when its server starts anew; on SQLite that of this
    /// process's reader.
    pub database: i64,
}

/// The oldest running transaction, and the identity of a start of Postgres and of the database in it: a database that
/// was restored has another.
const HORIZON: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin, \
    hashtextextended(concat_ws('/', extract(epoch FROM pg_postmaster_start_time()), \
    (SELECT oid FROM pg_database WHERE datname = current_database())), 0) AS database";

/// The columns of a [`Row`], with the one that is its position.
macro_rules! columns {
    ($position:expr) => {
        (
            $position,
            revocations::session_id,
            revocations::jti,
            revocations::before_revision,
            revocations::key_id,
            revocations::reason,
            revocations::revoked_at,
            revocations::expires_at,
        )
    };
}

/// The result of one read of the log.
pub(super) struct Read {
    /// The unexpired entries that may not have been visible at the cursor.
    pub revocations: Vec<(Revocation, Position)>,
    /// The cursor of the next read.
    pub cursor: Cursor,
    /// Whether these are all unexpired entries, because the cursor was of another server or of a later time. Never with
    /// SQLite, which no standby takes over from.
    pub is_complete: bool,
}

/// The answer to [`HORIZON`].
#[derive(QueryableByName)]
struct Horizon {
    #[diesel(sql_type = BigInt)]
    xmin: i64,
    #[diesel(sql_type = BigInt)]
    database: i64,
}

/// A row of the log.
#[derive(Queryable)]
struct Row {
    position: Position,
    session: Option<SessionId>,
    jti: Option<Jti>,
    before: Option<i64>,
    key: Option<KeyId>,
    reason: String,
    revoked_at: Timestamp,
    expires_at: Timestamp,
}

impl Row {
    /// Returns the entry, unless the row is none of this version.
    fn entry(self) -> Option<(Revocation, Position)> {
        let revoked = match (self.key, self.session, self.jti, self.before) {
            (Some(key), None, None, None) => Revoked::Key(key),
            (None, Some(session), None, None) => Revoked::Session(session),
            (None, Some(session), Some(jti), None) => Revoked::Token { session, jti },
            (None, Some(session), latest, Some(revision)) => Revoked::TokensBefore { session, revision, latest },
            _ => return None,
        };
        let reason = Reason::parse(&self.reason);
        let entry = Revocation { revoked, reason, revoked_at: self.revoked_at, expires_at: self.expires_at };
        Some((entry, self.position))
    }
}

/// Inserts entries.
pub(super) fn append(conn: &mut Conn, entries: &[Revocation], user: Option<UserId>) -> DbResult<()> {
    for entry in entries {
        let (session, jti, before, key) = match entry.revoked {
            Revoked::Session(session) => (Some(session), None, None, None),
            Revoked::TokensBefore { session, revision, latest } => (Some(session), latest, Some(revision), None),
            Revoked::Token { session, jti } => (Some(session), Some(jti), None, None),
            Revoked::Key(key) => (None, None, None, Some(key)),
        };
        diesel::insert_into(revocations::table)
            .values((
                revocations::session_id.eq(session),
                revocations::user_id.eq(user),
                revocations::reason.eq(entry.reason.name()),
                revocations::revoked_at.eq(entry.revoked_at),
                revocations::expires_at.eq(entry.expires_at),
                revocations::before_revision.eq(before),
                revocations::jti.eq(jti),
                revocations::key_id.eq(key),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Reads the unexpired entries that may not have been visible at `cursor`.
pub(super) fn since(conn: &mut Conn, cursor: Cursor, now: Timestamp) -> DbResult<Read> {
    let unexpired = revocations::table.filter(revocations::expires_at.gt(now));
    if let Conn::Postgres(_) = conn {
        // Read before the rows, so that an entry that is committed in between is read at the next call again.
        let horizon: Horizon = diesel::sql_query(HORIZON).get_result(conn)?;
        // A database that was restored from a backup has lower transaction ids, and one that was a standby uses those
        // again that it has not received.
        let is_complete = horizon.database != cursor.database || horizon.xmin < cursor.position;
        let from = if is_complete { 0 } else { cursor.position };
        let rows: Vec<Row> =
            unexpired.filter(revocations::txid.ge(from)).select(columns!(revocations::txid)).load(conn)?;
        let cursor = Cursor { position: horizon.xmin, database: horizon.database };
        return Ok(Read { revocations: rows.into_iter().filter_map(Row::entry).collect(), cursor, is_complete });
    }
    let rows: Vec<Row> =
        unexpired.filter(revocations::seq.gt(cursor.position)).select(columns!(revocations::seq)).load(conn)?;
    let last = rows.iter().map(|row| row.position).max().unwrap_or(cursor.position);
    let cursor = Cursor { position: last, database: cursor.database };
    Ok(Read { revocations: rows.into_iter().filter_map(Row::entry).collect(), cursor, is_complete: false })
}

/// Deletes up to `limit` entries that expired at `before` or earlier. Returns their number.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let expired = revocations::table.filter(revocations::expires_at.le(before));
    let entries: Vec<i64> = expired.select(revocations::seq).limit(limit).load(conn)?;
    Ok(diesel::delete(revocations::table.filter(revocations::seq.eq_any(entries))).execute(conn)?)
}
