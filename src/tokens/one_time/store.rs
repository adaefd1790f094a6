//! One-time tokens as rows.

use diesel::prelude::*;

use super::{Bearer, Purpose};
use crate::clock::Timestamp;
use crate::db::schema::one_time_tokens;
use crate::db::types::{SessionId, UserId};
use crate::db::{Conn, DbError, DbResult};

pub fn insert(
    conn: &mut Conn,
    digest: &[u8],
    bearer: Bearer,
    created_at: Timestamp,
    expires_at: Timestamp,
) -> DbResult<()> {
    diesel::insert_into(one_time_tokens::table)
        .values((
            one_time_tokens::digest.eq(digest),
            one_time_tokens::user_id.eq(bearer.user),
            one_time_tokens::purpose.eq(bearer.purpose.name()),
            one_time_tokens::session_id.eq(bearer.session),
            one_time_tokens::created_at.eq(created_at),
            one_time_tokens::expires_at.eq(expires_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// Whose the token is, if there is one that has not expired.
pub fn find(conn: &mut Conn, digest: &[u8], now: Timestamp) -> DbResult<Option<Bearer>> {
    let columns = (one_time_tokens::user_id, one_time_tokens::purpose, one_time_tokens::session_id);
    let good = one_time_tokens::table.find(digest).filter(one_time_tokens::expires_at.gt(now));
    let row: Option<(UserId, String, Option<SessionId>)> = good.select(columns).first(conn).optional()?;
    let Some((user, purpose, session)) = row else { return Ok(None) };
    let purpose = Purpose::parse(&purpose)
        .ok_or_else(|| DbError::Unexpected(format!("a one-time token is for {purpose:?}, which is not known")))?;
    Ok(Some(Bearer { user, purpose, session }))
}

/// Deletes the token; answers whether it was there and good.
pub fn redeem(conn: &mut Conn, digest: &[u8], bearer: Bearer, now: Timestamp) -> DbResult<bool> {
    let good = one_time_tokens::table
        .find(digest)
        .filter(one_time_tokens::user_id.eq(bearer.user))
        .filter(one_time_tokens::purpose.eq(bearer.purpose.name()))
        .filter(one_time_tokens::expires_at.gt(now));
    Ok(diesel::delete(good).execute(conn)? == 1)
}

/// Deletes the tokens that an account has for these purposes.
pub fn delete(conn: &mut Conn, user: UserId, purposes: &[&str]) -> DbResult<()> {
    let own = one_time_tokens::table.filter(one_time_tokens::user_id.eq(user));
    diesel::delete(own.filter(one_time_tokens::purpose.eq_any(purposes))).execute(conn)?;
    Ok(())
}

/// Deletes up to `limit` tokens that have expired.
pub fn purge(conn: &mut Conn, now: Timestamp, limit: i64) -> DbResult<usize> {
    let expired = one_time_tokens::table.filter(one_time_tokens::expires_at.le(now));
    let digests = expired.select(one_time_tokens::digest).order(one_time_tokens::expires_at).limit(limit);
    let digests: Vec<Vec<u8>> = digests.load(conn)?;
    Ok(diesel::delete(one_time_tokens::table.filter(one_time_tokens::digest.eq_any(digests))).execute(conn)?)
}
