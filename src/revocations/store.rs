//! The log of revocations as rows.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{Reason, Revocation};
use crate::clock::Timestamp;
use crate::db::schema::revocations;
use crate::db::types::{SessionId, TokenId, UserId};
use crate::db::{Conn, DbResult};

/// How far a reader has come: on Postgres the oldest transaction that was running when it read, because sequence
/// numbers are given out before the commit and a later one may become visible first; on SQLite the last `seq`.
#[derive(Clone, Copy, Default)]
pub struct Cursor(i64);

#[derive(QueryableByName)]
struct Horizon {
    #[diesel(sql_type = BigInt)]
    xmin: i64,
}

type Row = (SessionId, Option<TokenId>, Timestamp);

fn entry((session, token, expires_at): Row) -> Revocation {
    Revocation { session, token, expires_at }
}

pub fn append(conn: &mut Conn, entries: &[Revocation], user: UserId, reason: Reason, now: Timestamp) -> DbResult<()> {
    for entry in entries {
        diesel::insert_into(revocations::table)
            .values((
                revocations::session_id.eq(entry.session),
                revocations::user_id.eq(user),
                revocations::reason.eq(reason.name()),
                revocations::revoked_at.eq(now),
                revocations::expires_at.eq(entry.expires_at),
                revocations::access_jti.eq(entry.token),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The live entries that may not have been there at `cursor`, and the cursor for the next time.
pub fn since(conn: &mut Conn, cursor: Cursor, now: Timestamp) -> DbResult<(Vec<Revocation>, Cursor)> {
    let live = revocations::table.filter(revocations::expires_at.gt(now));
    let columns = (revocations::session_id, revocations::access_jti, revocations::expires_at);
    if let Conn::Postgres(_) = conn {
        // Asked before the rows: what commits in between is read now and once more the next time.
        let horizon: Horizon =
            diesel::sql_query("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin")
                .get_result(conn)?;
        // A database restored from a backup counts from further back: then everything is read again.
        let from = if horizon.xmin < cursor.0 { 0 } else { cursor.0 };
        let rows: Vec<Row> = live.filter(revocations::txid.ge(from)).select(columns).load(conn)?;
        return Ok((rows.into_iter().map(entry).collect(), Cursor(horizon.xmin)));
    }
    let rows: Vec<(i64, Row)> =
        live.filter(revocations::seq.gt(cursor.0)).select((revocations::seq, columns)).load(conn)?;
    let last = rows.iter().map(|(seq, _)| *seq).max().unwrap_or(cursor.0);
    Ok((rows.into_iter().map(|(_, row)| entry(row)).collect(), Cursor(last)))
}

/// Removes the entries that concern no token any more.
pub fn purge(conn: &mut Conn, now: Timestamp) -> DbResult<()> {
    diesel::delete(revocations::table.filter(revocations::expires_at.le(now))).execute(conn)?;
    Ok(())
}
