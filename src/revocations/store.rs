//! The log of revocations as rows.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{Reason, Revocation};
use crate::db::schema::revocations;
use crate::db::{Conn, DbResult};
use crate::types::{SessionId, Timestamp, UserId};

/// The position of a reader. On Postgres it is the oldest transaction that was running at the last read, because a
/// sequence number is assigned before the commit and a later one can become visible first. On SQLite it is the last
/// `seq`.
#[derive(Clone, Copy, Default)]
pub(super) struct Cursor {
    position: i64,
    /// The time at which the server of the last read started, in microseconds since 1970; 0 on SQLite.
    server: i64,
}

/// The result of one read of the log.
pub(super) struct Read {
    /// The unexpired entries that may not have been visible at the cursor.
    pub revocations: Vec<Revocation>,
    /// The cursor of the next read.
    pub cursor: Cursor,
    /// Whether these are all unexpired entries, because the cursor was of another server or of a later time. Never with
    /// SQLite, which no standby takes over from.
    pub is_complete: bool,
}

/// The oldest running transaction of Postgres, and the time at which the server started.
#[derive(QueryableByName)]
struct Horizon {
    #[diesel(sql_type = BigInt)]
    xmin: i64,
    #[diesel(sql_type = BigInt)]
    server: i64,
}

type Row = (SessionId, Option<i64>, Timestamp, String);

fn revocation((session, before, expires_at, reason): Row) -> Revocation {
    Revocation { session, before, expires_at, reason: Reason::parse(&reason) }
}

/// Inserts entries.
pub(super) fn append(conn: &mut Conn, entries: &[Revocation], user: UserId, now: Timestamp) -> DbResult<()> {
    for entry in entries {
        diesel::insert_into(revocations::table)
            .values((
                revocations::session_id.eq(entry.session),
                revocations::user_id.eq(user),
                revocations::reason.eq(entry.reason.name()),
                revocations::revoked_at.eq(now),
                revocations::expires_at.eq(entry.expires_at),
                revocations::before_revision.eq(entry.before),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Reads the unexpired entries that may not have been visible at `cursor`.
pub(super) fn since(conn: &mut Conn, cursor: Cursor, now: Timestamp) -> DbResult<Read> {
    let unexpired = revocations::table.filter(revocations::expires_at.gt(now));
    let columns = (revocations::session_id, revocations::before_revision, revocations::expires_at, revocations::reason);
    if let Conn::Postgres(_) = conn {
        // Read before the rows, so that an entry that is committed in between is read at the next call again.
        let horizon: Horizon = diesel::sql_query(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin, \
             (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS server",
        )
        .get_result(conn)?;
        // A database that was restored from a backup has lower transaction ids, and one that was a standby uses those
        // again that it has not received.
        let is_complete = horizon.server != cursor.server || horizon.xmin < cursor.position;
        let from = if is_complete { 0 } else { cursor.position };
        let rows: Vec<Row> = unexpired.filter(revocations::txid.ge(from)).select(columns).load(conn)?;
        let cursor = Cursor { position: horizon.xmin, server: horizon.server };
        return Ok(Read { revocations: rows.into_iter().map(revocation).collect(), cursor, is_complete });
    }
    let rows: Vec<(i64, Row)> =
        unexpired.filter(revocations::seq.gt(cursor.position)).select((revocations::seq, columns)).load(conn)?;
    let last = rows.iter().map(|(seq, _)| *seq).max().unwrap_or(cursor.position);
    let cursor = Cursor { position: last, server: 0 };
    Ok(Read { revocations: rows.into_iter().map(|(_, row)| revocation(row)).collect(), cursor, is_complete: false })
}

/// Deletes up to `limit` entries that expired at `before` or earlier. Returns their number.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let expired = revocations::table.filter(revocations::expires_at.le(before));
    let entries: Vec<i64> = expired.select(revocations::seq).limit(limit).load(conn)?;
    Ok(diesel::delete(revocations::table.filter(revocations::seq.eq_any(entries))).execute(conn)?)
}
