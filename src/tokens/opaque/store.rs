//! Opaque tokens as rows.

use diesel::prelude::*;
use diesel::sql_types::{Binary, Nullable, Text};

use super::{Purpose, TokenRecord};
use crate::db::schema::opaque_tokens;
use crate::db::types::{SqlTime, SqlUuid};
use crate::db::{Conn, DbError, DbResult};
use crate::types::{SessionId, Timestamp, UserId};

/// Inserts a token.
pub(super) fn insert(
    conn: &mut Conn,
    digest: &[u8],
    record: TokenRecord,
    created_at: Timestamp,
    expires_at: Timestamp,
) -> DbResult<()> {
    diesel::insert_into(opaque_tokens::table)
        .values((
            opaque_tokens::digest.eq(digest),
            opaque_tokens::purpose.eq(record.purpose.name()),
            opaque_tokens::user_id.eq(record.user),
            opaque_tokens::session_id.eq(record.session),
            opaque_tokens::created_at.eq(created_at),
            opaque_tokens::expires_at.eq(expires_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// Inserts a token unless there is one with this digest. Returns whether there was none.
pub(super) fn claim(
    conn: &mut Conn,
    digest: &[u8],
    record: TokenRecord,
    created_at: Timestamp,
    expires_at: Timestamp,
) -> DbResult<bool> {
    // Diesel has no ON CONFLICT that is valid for both engines.
    let query = "INSERT INTO opaque_tokens (digest, purpose, user_id, session_id, created_at, expires_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let insertion = diesel::sql_query(query)
        .bind::<Binary, _>(digest)
        .bind::<Text, _>(record.purpose.name())
        .bind::<SqlUuid, _>(record.user)
        .bind::<Nullable<SqlUuid>, _>(record.session)
        .bind::<SqlTime, _>(created_at)
        .bind::<SqlTime, _>(expires_at);
    Ok(insertion.execute(conn)? == 1)
}

/// Finds a token that has not expired.
pub(super) fn find(conn: &mut Conn, digest: &[u8], now: Timestamp) -> DbResult<Option<TokenRecord>> {
    let columns = (opaque_tokens::user_id, opaque_tokens::purpose, opaque_tokens::session_id);
    let valid = opaque_tokens::table.find(digest).filter(opaque_tokens::expires_at.gt(now));
    let row: Option<(UserId, String, Option<SessionId>)> = valid.select(columns).first(conn).optional()?;
    let Some((user, purpose, session)) = row else { return Ok(None) };
    let purpose = Purpose::parse(&purpose)
        .ok_or_else(|| DbError::Unexpected(format!("an opaque token has the unknown purpose {purpose:?}")))?;
    Ok(Some(TokenRecord { purpose, user, session }))
}

/// Deletes a valid token. Returns whether there was one.
pub(super) fn redeem(conn: &mut Conn, digest: &[u8], record: TokenRecord, now: Timestamp) -> DbResult<bool> {
    let valid = opaque_tokens::table
        .find(digest)
        .filter(opaque_tokens::user_id.eq(record.user))
        .filter(opaque_tokens::purpose.eq(record.purpose.name()))
        .filter(opaque_tokens::expires_at.gt(now));
    Ok(diesel::delete(valid).execute(conn)? == 1)
}

/// Deletes the tokens of an account for these purposes.
pub(super) fn delete(conn: &mut Conn, user: UserId, purposes: &[Purpose]) -> DbResult<()> {
    let names = purposes.iter().map(|purpose| purpose.name());
    let tokens = opaque_tokens::table.filter(opaque_tokens::user_id.eq(user));
    diesel::delete(tokens.filter(opaque_tokens::purpose.eq_any(names))).execute(conn)?;
    Ok(())
}

/// Deletes a token of an account. Returns whether there was one.
pub(super) fn delete_one(conn: &mut Conn, user: UserId, purpose: Purpose, digest: &[u8]) -> DbResult<bool> {
    let tokens = opaque_tokens::table
        .find(digest)
        .filter(opaque_tokens::user_id.eq(user))
        .filter(opaque_tokens::purpose.eq(purpose.name()));
    Ok(diesel::delete(tokens).execute(conn)? == 1)
}

/// Deletes up to `limit` tokens that expired at `before` or earlier. Returns their number.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let expired = opaque_tokens::table.filter(opaque_tokens::expires_at.le(before));
    let digests = expired.select(opaque_tokens::digest).order(opaque_tokens::expires_at).limit(limit);
    let digests: Vec<Vec<u8>> = digests.load(conn)?;
    Ok(diesel::delete(opaque_tokens::table.filter(opaque_tokens::digest.eq_any(digests))).execute(conn)?)
}
