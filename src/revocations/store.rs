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
}

/// The oldest running transaction of Postgres.
#[derive(QueryableByName)]
struct Horizon {
    #[diesel(sql_type = BigInt)]
    xmin: i64,
}

type Row = (SessionId, Option<i64>, Timestamp);

fn revocation((session, before, expires_at): Row) -> Revocation {
    Revocation { session, before, expires_at }
}

/// Inserts entries.
pub(super) fn append(
    conn: &mut Conn,
    entries: &[Revocation],
    user: UserId,
    reason: Reason,
    now: Timestamp,
) -> DbResult<()> {
    for entry in entries {
        diesel::insert_into(revocations::table)
            .values((
                revocations::session_id.eq(entry.session),
                revocations::user_id.eq(user),
                revocations::reason.eq(reason.name()),
                revocations::revoked_at.eq(now),
                revocations::expires_at.eq(entry.expires_at),
                revocations::before_revision.eq(entry.before),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Finds the unexpired entries that may not have been visible at `cursor`, and the next cursor.
pub(super) fn since(conn: &mut Conn, cursor: Cursor, now: Timestamp) -> DbResult<(Vec<Revocation>, Cursor)> {
    let unexpired = revocations::table.filter(revocations::expires_at.gt(now));
    let columns = (revocations::session_id, revocations::before_revision, revocations::expires_at);
    if let Conn::Postgres(_) = conn {
        // Read before the rows, so that an entry that is committed in between is read at the next call again.
        let horizon: Horizon =
            diesel::sql_query("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin")
                .get_result(conn)?;
        // A database that was restored from a backup has lower transaction ids. Everything is then read again.
        let from = if horizon.xmin < cursor.position { 0 } else { cursor.position };
        let rows: Vec<Row> = unexpired.filter(revocations::txid.ge(from)).select(columns).load(conn)?;
        return Ok((rows.into_iter().map(revocation).collect(), Cursor { position: horizon.xmin }));
    }
    let rows: Vec<(i64, Row)> =
        unexpired.filter(revocations::seq.gt(cursor.position)).select((revocations::seq, columns)).load(conn)?;
    let last = rows.iter().map(|(seq, _)| *seq).max().unwrap_or(cursor.position);
    Ok((rows.into_iter().map(|(_, row)| revocation(row)).collect(), Cursor { position: last }))
}

/// Deletes up to `limit` entries that expired at `before` or earlier. Returns their number.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let expired = revocations::table.filter(revocations::expires_at.le(before));
    let entries: Vec<i64> = expired.select(revocations::seq).limit(limit).load(conn)?;
    Ok(diesel::delete(revocations::table.filter(revocations::seq.eq_any(entries))).execute(conn)?)
}
