//! The rows of set-up codes.

use diesel::prelude::*;

use crate::db::schema::setup_codes;
use crate::db::{Conn, DbResult};
use crate::types::Timestamp;

/// Inserts a code.
pub(super) fn insert(conn: &mut Conn, digest: &[u8], expires_at: Timestamp) -> DbResult<()> {
    let code = (setup_codes::digest.eq(digest), setup_codes::expires_at.eq(expires_at));
    diesel::insert_into(setup_codes::table).values(code).execute(conn)?;
    Ok(())
}

/// Returns whether a code is valid.
pub(super) fn is_valid(conn: &mut Conn, digest: &[u8], now: Timestamp) -> DbResult<bool> {
    let code = setup_codes::table.filter(setup_codes::digest.eq(digest)).filter(setup_codes::expires_at.gt(now));
    Ok(code.count().get_result::<i64>(conn)? == 1)
}

/// Locks all codes until the transaction ends: whoever comes second waits, and finds none.
pub(super) fn lock(conn: &mut Conn) -> DbResult<()> {
    // In one order, so that nobody waits in a circle.
    let codes = setup_codes::table.order(setup_codes::digest).select(setup_codes::digest);
    match conn {
        Conn::Postgres(conn) => codes.for_update().load::<Vec<u8>>(conn)?,
        // A transaction of SQLite that writes is alone.
        Conn::Sqlite(conn) => codes.load::<Vec<u8>>(conn)?,
    };
    Ok(())
}

/// Deletes all codes.
pub(super) fn delete_all(conn: &mut Conn) -> DbResult<()> {
    diesel::delete(setup_codes::table).execute(conn)?;
    Ok(())
}

/// Deletes up to `limit` codes that expired at `before` or earlier. Returns how many.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let expired = setup_codes::table.filter(setup_codes::expires_at.le(before));
    let digests: Vec<Vec<u8>> = expired.select(setup_codes::digest).limit(limit).load(conn)?;
    Ok(diesel::delete(setup_codes::table.filter(setup_codes::digest.eq_any(digests))).execute(conn)?)
}
