//! The second factor as rows.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::{mfa_challenges, recovery_codes, totp_secrets, trusted_devices, users};
use crate::db::types::{Address, Json, TrustedDeviceId, UserId};
use crate::db::{Conn, DbResult};

/// Holds the account as it is for the rest of the transaction, which is to begin with this: whatever concerns its second
/// factor takes turns. Answers its address; `None` when it is gone or disabled.
pub fn lock(conn: &mut Conn, user: UserId) -> DbResult<Option<String>> {
    let account = users::table.filter(users::id.eq(user)).filter(users::disabled_at.is_null());
    let locked = diesel::update(account).set(users::alerts.eq(users::alerts)).returning(users::email);
    Ok(locked.get_results(conn)?.into_iter().next())
}

pub fn address(conn: &mut Conn, user: UserId) -> DbResult<Option<String>> {
    Ok(users::table.filter(users::id.eq(user)).select(users::email).first(conn).optional()?)
}

/// Whether the account has a second factor that counts.
pub fn is_active(conn: &mut Conn, user: UserId) -> DbResult<bool> {
    let confirmed: Option<Option<Timestamp>> = totp_secrets::table
        .filter(totp_secrets::user_id.eq(user))
        .select(totp_secrets::confirmed_at)
        .first(conn)
        .optional()?;
    Ok(confirmed.flatten().is_some())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = totp_secrets)]
pub struct SecretRow {
    pub sealed_secret: Vec<u8>,
    pub confirmed_at: Option<Timestamp>,
}

pub fn secret(conn: &mut Conn, user: UserId) -> DbResult<Option<SecretRow>> {
    let own = totp_secrets::table.filter(totp_secrets::user_id.eq(user));
    Ok(own.select(SecretRow::as_select()).first(conn).optional()?)
}

/// Puts a secret in the place of one that was not confirmed. The account is locked.
pub fn replace_secret(conn: &mut Conn, user: UserId, sealed: &[u8], now: Timestamp) -> DbResult<()> {
    let pending =
        totp_secrets::table.filter(totp_secrets::user_id.eq(user)).filter(totp_secrets::confirmed_at.is_null());
    diesel::delete(pending).execute(conn)?;
    let secret =
        (totp_secrets::user_id.eq(user), totp_secrets::sealed_secret.eq(sealed), totp_secrets::created_at.eq(now));
    diesel::insert_into(totp_secrets::table).values(secret).execute(conn)?;
    Ok(())
}

/// Lets a secret count from now on, after the code of `step`.
pub fn confirm(conn: &mut Conn, user: UserId, step: i64, now: Timestamp) -> DbResult<()> {
    let pending =
        totp_secrets::table.filter(totp_secrets::user_id.eq(user)).filter(totp_secrets::confirmed_at.is_null());
    let change = (totp_secrets::confirmed_at.eq(now), totp_secrets::last_step.eq(step));
    diesel::update(pending).set(change).execute(conn)?;
    Ok(())
}

/// Notes the use of a code of `step`. Answers whether it, and every later one, was unused.
pub fn accept_step(conn: &mut Conn, user: UserId, sealed: &[u8], step: i64) -> DbResult<bool> {
    let unused = totp_secrets::table
        .filter(totp_secrets::user_id.eq(user))
        .filter(totp_secrets::sealed_secret.eq(sealed))
        .filter(totp_secrets::last_step.lt(step));
    Ok(diesel::update(unused).set(totp_secrets::last_step.eq(step)).execute(conn)? == 1)
}

/// Removes all of an account's second factor. Answers whether it counted; `None` when there was none.
pub fn remove(conn: &mut Conn, user: UserId) -> DbResult<Option<bool>> {
    // Whether or not the account is disabled; and a write, so that nothing comes between.
    diesel::update(users::table.filter(users::id.eq(user))).set(users::alerts.eq(users::alerts)).execute(conn)?;
    let own = totp_secrets::table.filter(totp_secrets::user_id.eq(user));
    let removed: Vec<Option<Timestamp>> =
        diesel::delete(own).returning(totp_secrets::confirmed_at).get_results(conn)?;
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(user))).execute(conn)?;
    diesel::delete(trusted_devices::table.filter(trusted_devices::user_id.eq(user))).execute(conn)?;
    diesel::delete(mfa_challenges::table.filter(mfa_challenges::user_id.eq(user))).execute(conn)?;
    Ok(removed.into_iter().next().map(|confirmed| confirmed.is_some()))
}

pub fn replace_codes(conn: &mut Conn, user: UserId, digests: &[[u8; 16]], now: Timestamp) -> DbResult<()> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(user))).execute(conn)?;
    for digest in digests {
        let code = (
            recovery_codes::user_id.eq(user),
            recovery_codes::digest.eq(digest.as_slice()),
            recovery_codes::created_at.eq(now),
        );
        diesel::insert_into(recovery_codes::table).values(code).execute(conn)?;
    }
    Ok(())
}

/// Uses a recovery code up. Answers whether the account had it.
pub fn use_code(conn: &mut Conn, user: UserId, digest: &[u8]) -> DbResult<bool> {
    let own = recovery_codes::table.filter(recovery_codes::user_id.eq(user)).filter(recovery_codes::digest.eq(digest));
    Ok(diesel::delete(own).execute(conn)? == 1)
}

pub fn count_codes(conn: &mut Conn, user: UserId) -> DbResult<i64> {
    Ok(recovery_codes::table.filter(recovery_codes::user_id.eq(user)).count().get_result(conn)?)
}

#[derive(Insertable)]
#[diesel(table_name = mfa_challenges)]
pub struct NewChallenge<'a> {
    pub digest: Vec<u8>,
    pub user_id: UserId,
    pub transport: &'a str,
    pub device_name: Option<&'a str>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

pub fn insert_challenge(conn: &mut Conn, challenge: &NewChallenge<'_>) -> DbResult<()> {
    diesel::insert_into(mfa_challenges::table).values(challenge).execute(conn)?;
    Ok(())
}

/// Whose login waits, as far as it does at `now`.
pub fn challenged(conn: &mut Conn, digest: &[u8], now: Timestamp) -> DbResult<Option<UserId>> {
    let waiting =
        mfa_challenges::table.filter(mfa_challenges::digest.eq(digest)).filter(mfa_challenges::expires_at.gt(now));
    Ok(waiting.select(mfa_challenges::user_id).first(conn).optional()?)
}

#[derive(Queryable)]
pub struct ChallengeRow {
    pub transport: String,
    pub device_name: Option<String>,
}

/// Counts a try at a login that waits. `None` when it waits no longer, or was tried `limit` times.
pub fn take_try(
    conn: &mut Conn,
    user: UserId,
    digest: &[u8],
    limit: i32,
    now: Timestamp,
) -> DbResult<Option<ChallengeRow>> {
    let waiting = mfa_challenges::table
        .filter(mfa_challenges::digest.eq(digest))
        .filter(mfa_challenges::user_id.eq(user))
        .filter(mfa_challenges::expires_at.gt(now))
        .filter(mfa_challenges::tries.lt(limit));
    let tried = diesel::update(waiting)
        .set(mfa_challenges::tries.eq(mfa_challenges::tries + 1))
        .returning((mfa_challenges::transport, mfa_challenges::device_name));
    Ok(tried.get_results(conn)?.into_iter().next())
}

pub fn delete_challenge(conn: &mut Conn, digest: &[u8]) -> DbResult<()> {
    diesel::delete(mfa_challenges::table.filter(mfa_challenges::digest.eq(digest))).execute(conn)?;
    Ok(())
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = trusted_devices)]
pub struct TrustedDeviceRow {
    pub id: TrustedDeviceId,
    pub device: Json,
    pub location: Option<Json>,
    pub ip: Option<Address>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
}

pub fn insert_device(conn: &mut Conn, user: UserId, digest: &[u8], row: &TrustedDeviceRow) -> DbResult<()> {
    let values = (row, trusted_devices::user_id.eq(user), trusted_devices::digest.eq(digest));
    diesel::insert_into(trusted_devices::table).values(values).execute(conn)?;
    Ok(())
}

/// Whether the account trusts a device.
pub fn trusts(conn: &mut Conn, user: UserId, digest: &[u8], now: Timestamp) -> DbResult<bool> {
    let trusted = trusted_devices::table
        .filter(trusted_devices::digest.eq(digest))
        .filter(trusted_devices::user_id.eq(user))
        .filter(trusted_devices::expires_at.gt(now));
    Ok(trusted.count().get_result::<i64>(conn)? > 0)
}

/// Notes the use of a trusted device. Answers whether it is one.
pub fn is_trusted(conn: &mut Conn, user: UserId, digest: &[u8], now: Timestamp) -> DbResult<bool> {
    let trusted = trusted_devices::table
        .filter(trusted_devices::digest.eq(digest))
        .filter(trusted_devices::user_id.eq(user))
        .filter(trusted_devices::expires_at.gt(now));
    Ok(diesel::update(trusted).set(trusted_devices::last_used_at.eq(now)).execute(conn)? == 1)
}

pub fn devices(conn: &mut Conn, user: UserId, now: Timestamp) -> DbResult<Vec<TrustedDeviceRow>> {
    let own =
        trusted_devices::table.filter(trusted_devices::user_id.eq(user)).filter(trusted_devices::expires_at.gt(now));
    Ok(own.order(trusted_devices::id.desc()).select(TrustedDeviceRow::as_select()).load(conn)?)
}

/// Forgets one trusted device of the account, or all, and answers which.
pub fn delete_devices(conn: &mut Conn, user: UserId, which: Option<TrustedDeviceId>) -> DbResult<Vec<TrustedDeviceId>> {
    let own = trusted_devices::table.filter(trusted_devices::user_id.eq(user));
    Ok(match which {
        Some(id) => {
            diesel::delete(own.filter(trusted_devices::id.eq(id))).returning(trusted_devices::id).get_results(conn)?
        }
        None => diesel::delete(own).returning(trusted_devices::id).get_results(conn)?,
    })
}
