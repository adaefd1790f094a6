//! The proofs that were used while servers shared no cache.

use diesel::prelude::*;
use diesel::sql_types::Binary;

use crate::db::schema::dpop_proofs;
use crate::db::types::SqlTime;
use crate::db::{Conn, DbResult};
use crate::types::Timestamp;

/// Records that a proof was used. Returns whether it was not used before.
pub(super) fn insert(conn: &mut Conn, digest: &[u8], expires_at: Timestamp) -> DbResult<bool> {
    // Diesel has no ON CONFLICT that is valid for both engines.
    let query = "INSERT INTO dpop_proofs (digest, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let insertion = diesel::sql_query(query).bind::<Binary, _>(digest).bind::<SqlTime, _>(expires_at);
    Ok(insertion.execute(conn)? == 1)
}

/// Deletes up to `limit` proofs that expired at `before` or earlier. Returns their number.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let expired = dpop_proofs::table.filter(dpop_proofs::expires_at.le(before));
    let digests = expired.select(dpop_proofs::digest).order(dpop_proofs::expires_at).limit(limit);
    let digests: Vec<Vec<u8>> = digests.load(conn)?;
    Ok(diesel::delete(dpop_proofs::table.filter(dpop_proofs::digest.eq_any(digests))).execute(conn)?)
}
