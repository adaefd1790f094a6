//! The rows of second factors.

use diesel::prelude::*;

use crate::db::schema::{mfa_challenges, opaque_tokens, recovery_codes, totp_secrets, trusted_devices};
use crate::db::types::{IpColumn, Json};
use crate::db::{Conn, DbResult};
use crate::types::{KeyThumbprint, SessionId, Timestamp, TrustedDeviceId, UserId};

/// Returns whether the account has a confirmed secret.
pub(super) fn is_enabled(conn: &mut Conn, user: UserId) -> DbResult<bool> {
    Ok(totp_secret(conn, user)?.is_some_and(|row| row.confirmed_at.is_some()))
}

/// The row of a TOTP secret.
#[derive(Queryable, Selectable)]
#[diesel(table_name = totp_secrets)]
pub(super) struct TotpSecretRow {
    pub sealed_secret: Vec<u8>,
    pub confirmed_at: Option<Timestamp>,
}

/// Finds the secret of an account, confirmed or not.
pub(super) fn totp_secret(conn: &mut Conn, user: UserId) -> DbResult<Option<TotpSecretRow>> {
    let found = totp_secrets::table.filter(totp_secrets::user_id.eq(user));
    Ok(found.select(TotpSecretRow::as_select()).first(conn).optional()?)
}

/// Inserts a secret, which replaces an unconfirmed one.
pub(super) fn replace_totp_secret(conn: &mut Conn, user: UserId, sealed: &[u8], now: Timestamp) -> DbResult<()> {
    let pending =
        totp_secrets::table.filter(totp_secrets::user_id.eq(user)).filter(totp_secrets::confirmed_at.is_null());
    diesel::delete(pending).execute(conn)?;
    let secret =
        (totp_secrets::user_id.eq(user), totp_secrets::sealed_secret.eq(sealed), totp_secrets::created_at.eq(now));
    diesel::insert_into(totp_secrets::table).values(secret).execute(conn)?;
    Ok(())
}

/// Confirms a secret and marks time step `step` as used.
pub(super) fn confirm_totp_secret(conn: &mut Conn, user: UserId, step: i64, now: Timestamp) -> DbResult<()> {
    let pending =
        totp_secrets::table.filter(totp_secrets::user_id.eq(user)).filter(totp_secrets::confirmed_at.is_null());
    let change = (totp_secrets::confirmed_at.eq(now), totp_secrets::last_step.eq(step));
    diesel::update(pending).set(change).execute(conn)?;
    Ok(())
}

/// Finds the confirmed secrets of the accounts from `first` to `last`.
pub(super) fn confirmed_secrets(conn: &mut Conn, first: UserId, last: UserId) -> DbResult<Vec<(UserId, Vec<u8>)>> {
    let secrets = totp_secrets::table
        .filter(totp_secrets::user_id.ge(first))
        .filter(totp_secrets::user_id.le(last))
        .filter(totp_secrets::confirmed_at.is_not_null());
    Ok(secrets.select((totp_secrets::user_id, totp_secrets::sealed_secret)).load(conn)?)
}

/// Finds the secrets of up to `limit` accounts after `after`, by their ids.
pub(super) fn secrets_after(conn: &mut Conn, after: UserId, limit: i64) -> DbResult<Vec<(UserId, Vec<u8>)>> {
    let secrets = totp_secrets::table.filter(totp_secrets::user_id.gt(after)).order(totp_secrets::user_id).limit(limit);
    Ok(secrets.select((totp_secrets::user_id, totp_secrets::sealed_secret)).load(conn)?)
}

/// Replaces an encrypted secret, unless it was replaced meanwhile.
pub(super) fn reseal_secret(conn: &mut Conn, user: UserId, sealed: &[u8], resealed: &[u8]) -> DbResult<()> {
    let secret =
        totp_secrets::table.filter(totp_secrets::user_id.eq(user)).filter(totp_secrets::sealed_secret.eq(sealed));
    diesel::update(secret).set(totp_secrets::sealed_secret.eq(resealed)).execute(conn)?;
    Ok(())
}

/// Marks time step `step` as used. Returns whether it is later than every used time step.
pub(super) fn use_totp_step(conn: &mut Conn, user: UserId, sealed: &[u8], step: i64) -> DbResult<bool> {
    let unused = totp_secrets::table
        .filter(totp_secrets::user_id.eq(user))
        .filter(totp_secrets::sealed_secret.eq(sealed))
        .filter(totp_secrets::last_step.lt(step));
    Ok(diesel::update(unused).set(totp_secrets::last_step.eq(step)).execute(conn)? == 1)
}

/// Deletes an account's secret and recovery codes. Returns whether the secret was confirmed; `None` if there was none.
pub(super) fn delete(conn: &mut Conn, user: UserId) -> DbResult<Option<bool>> {
    let secret = totp_secrets::table.filter(totp_secrets::user_id.eq(user));
    let deleted: Vec<Option<Timestamp>> =
        diesel::delete(secret).returning(totp_secrets::confirmed_at).get_results(conn)?;
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(user))).execute(conn)?;
    Ok(deleted.into_iter().next().map(|confirmed_at| confirmed_at.is_some()))
}

/// Replaces the recovery codes of an account.
pub(super) fn replace_recovery_codes(
    conn: &mut Conn,
    user: UserId,
    digests: &[[u8; 16]],
    now: Timestamp,
) -> DbResult<()> {
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

/// Deletes a recovery code. Returns whether the account had it.
pub(super) fn redeem_recovery_code(conn: &mut Conn, user: UserId, digest: &[u8]) -> DbResult<bool> {
    let code = recovery_codes::table.filter(recovery_codes::user_id.eq(user)).filter(recovery_codes::digest.eq(digest));
    Ok(diesel::delete(code).execute(conn)? == 1)
}

/// Counts the unused recovery codes of an account.
pub(super) fn count_recovery_codes(conn: &mut Conn, user: UserId) -> DbResult<i64> {
    Ok(recovery_codes::table.filter(recovery_codes::user_id.eq(user)).count().get_result(conn)?)
}

/// The row of a challenge.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = mfa_challenges)]
pub struct ChallengeRow {
    pub transport: String,
    pub device_name: Option<String>,
    pub dpop_jkt: Option<KeyThumbprint>,
    pub parent_id: Option<SessionId>,
}

/// Inserts a challenge under the digest of its token.
pub(super) fn insert_challenge(conn: &mut Conn, digest: &[u8], challenge: ChallengeRow) -> DbResult<()> {
    let values = (mfa_challenges::digest.eq(digest), challenge);
    diesel::insert_into(mfa_challenges::table).values(values).execute(conn)?;
    Ok(())
}

/// Finds a challenge.
pub(super) fn find_challenge(conn: &mut Conn, digest: &[u8]) -> DbResult<Option<ChallengeRow>> {
    Ok(mfa_challenges::table.find(digest).select(ChallengeRow::as_select()).first(conn).optional()?)
}

/// Counts an attempt at a challenge. Returns `None` after `max` attempts.
pub(super) fn attempt_challenge(conn: &mut Conn, digest: &[u8], max: i32) -> DbResult<Option<ChallengeRow>> {
    let waiting = mfa_challenges::table.find(digest).filter(mfa_challenges::attempts.lt(max));
    let attempted = diesel::update(waiting).set(mfa_challenges::attempts.eq(mfa_challenges::attempts + 1)).returning((
        mfa_challenges::transport,
        mfa_challenges::device_name,
        mfa_challenges::dpop_jkt,
        mfa_challenges::parent_id,
    ));
    Ok(attempted.get_results(conn)?.into_iter().next())
}

/// The row of a new trusted device.
#[derive(Insertable)]
#[diesel(table_name = trusted_devices)]
pub struct NewTrustedDevice {
    pub id: TrustedDeviceId,
    pub digest: Vec<u8>,
    pub device: Json,
    pub ip: Option<IpColumn>,
    pub last_used_at: Timestamp,
}

/// Inserts a trusted device.
pub(super) fn insert_trusted_device(conn: &mut Conn, row: NewTrustedDevice) -> DbResult<()> {
    diesel::insert_into(trusted_devices::table).values(row).execute(conn)?;
    Ok(())
}

/// Records the use of a trusted device.
pub(super) fn touch_trusted_device(conn: &mut Conn, digest: &[u8], now: Timestamp) -> DbResult<()> {
    let device = trusted_devices::table.filter(trusted_devices::digest.eq(digest));
    diesel::update(device).set(trusted_devices::last_used_at.eq(now)).execute(conn)?;
    Ok(())
}

/// The row of a trusted device, with the times of its token.
#[derive(Queryable)]
pub(crate) struct TrustedDeviceRow {
    pub id: TrustedDeviceId,
    pub digest: Vec<u8>,
    pub device: Json,
    pub ip: Option<IpColumn>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Finds the trusted devices of an account that have not expired at `now`, newest first.
pub(super) fn trusted_devices(conn: &mut Conn, user: UserId, now: Timestamp) -> DbResult<Vec<TrustedDeviceRow>> {
    let devices = trusted_devices::table
        .inner_join(opaque_tokens::table)
        .filter(opaque_tokens::user_id.eq(user))
        .filter(opaque_tokens::expires_at.gt(now));
    let columns = (
        trusted_devices::id,
        trusted_devices::digest,
        trusted_devices::device,
        trusted_devices::ip,
        opaque_tokens::created_at,
        trusted_devices::last_used_at,
        opaque_tokens::expires_at,
    );
    Ok(devices.order(trusted_devices::id.desc()).select(columns).load(conn)?)
}
