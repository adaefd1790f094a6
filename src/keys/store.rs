//! Signing keys and secrets as rows.

use std::time::Duration;

use diesel::prelude::*;

use super::state::KeyTimes;
use crate::db::schema::{secrets, signing_keys};
use crate::db::{Conn, DbResult};
use crate::types::{KeyId, Timestamp};

/// A signing key in the database. The private key is encrypted, and empty once the key has ended.
#[derive(Clone, PartialEq, Eq, Queryable, Insertable, Selectable)]
#[diesel(table_name = signing_keys)]
pub struct KeyRow {
    pub id: KeyId,
    pub key_use: String,
    pub algorithm: String,
    pub public_key: Vec<u8>,
    pub sealed_private_key: Vec<u8>,
    pub created_at: Timestamp,
    pub active_from: Timestamp,
    pub retired_at: Option<Timestamp>,
    pub remove_after: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// The longest lifetime in seconds of the tokens that servers sign with the key.
    pub token_ttl: i64,
    /// The time until which some server is configured to sign with the key's algorithm.
    pub wanted_until: Timestamp,
}

impl KeyRow {
    /// Returns the times of the key.
    pub fn times(&self) -> KeyTimes {
        KeyTimes {
            created_at: self.created_at,
            active_from: self.active_from,
            retired_at: self.retired_at,
            remove_after: self.remove_after,
            revoked_at: self.revoked_at,
        }
    }

    /// Returns the longest lifetime of the tokens that servers sign with the key.
    pub fn token_ttl(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.token_ttl).unwrap_or(0))
    }
}

/// Finds all keys, oldest first.
pub(super) fn all(conn: &mut Conn) -> DbResult<Vec<KeyRow>> {
    let keys = signing_keys::table.order((signing_keys::created_at, signing_keys::id));
    Ok(keys.select(KeyRow::as_select()).load(conn)?)
}

/// Inserts a key.
pub(super) fn insert(conn: &mut Conn, row: &KeyRow) -> DbResult<()> {
    diesel::insert_into(signing_keys::table).values(row).execute(conn)?;
    Ok(())
}

/// Sets the times of a key.
pub(super) fn set_times(conn: &mut Conn, id: KeyId, times: &KeyTimes) -> DbResult<()> {
    let change = (
        signing_keys::active_from.eq(times.active_from),
        signing_keys::retired_at.eq(times.retired_at),
        signing_keys::remove_after.eq(times.remove_after),
        signing_keys::revoked_at.eq(times.revoked_at),
    );
    diesel::update(signing_keys::table.find(id)).set(change).execute(conn)?;
    Ok(())
}

/// Sets which tokens servers sign with a key, and until when they are known to do so.
pub(super) fn set_wanted(conn: &mut Conn, id: KeyId, token_ttl: i64, wanted_until: Timestamp) -> DbResult<()> {
    let change = (signing_keys::token_ttl.eq(token_ttl), signing_keys::wanted_until.eq(wanted_until));
    diesel::update(signing_keys::table.find(id)).set(change).execute(conn)?;
    Ok(())
}

/// Erases the private half of a key.
pub(super) fn erase(conn: &mut Conn, id: KeyId) -> DbResult<()> {
    let change = signing_keys::sealed_private_key.eq(Vec::new());
    diesel::update(signing_keys::table.find(id)).set(change).execute(conn)?;
    Ok(())
}

/// Marks a key as revoked, unless it is.
pub(super) fn rewrite_revoked(conn: &mut Conn, id: KeyId, revoked_at: Timestamp) -> DbResult<()> {
    let key = signing_keys::table.filter(signing_keys::id.eq(id)).filter(signing_keys::revoked_at.is_null());
    diesel::update(key).set(signing_keys::revoked_at.eq(revoked_at)).execute(conn)?;
    Ok(())
}

/// Replaces an encrypted private key, unless it was erased meanwhile.
pub(super) fn reseal(conn: &mut Conn, id: KeyId, sealed: &[u8], resealed: &[u8]) -> DbResult<()> {
    let key = signing_keys::table.filter(signing_keys::id.eq(id)).filter(signing_keys::sealed_private_key.eq(sealed));
    diesel::update(key).set(signing_keys::sealed_private_key.eq(resealed)).execute(conn)?;
    Ok(())
}

/// The row of a secret that servers were started with.
#[derive(Clone, Queryable, Insertable, Selectable)]
#[diesel(table_name = secrets)]
pub struct SecretRow {
    pub fingerprint: Vec<u8>,
    pub in_force_from: Timestamp,
    pub replaces: bool,
    pub resealed_at: Option<Timestamp>,
}

/// Finds a secret by its fingerprint.
pub(super) fn find_secret(conn: &mut Conn, fingerprint: &[u8]) -> DbResult<Option<SecretRow>> {
    let secret = secrets::table.filter(secrets::fingerprint.eq(fingerprint));
    Ok(secret.select(SecretRow::as_select()).first(conn).optional()?)
}

/// Inserts a secret.
pub(super) fn insert_secret(conn: &mut Conn, row: &SecretRow) -> DbResult<()> {
    diesel::insert_into(secrets::table).values(row).execute(conn)?;
    Ok(())
}

/// Notes that nothing is encrypted under the secret that this one replaces.
pub(super) fn set_resealed(conn: &mut Conn, fingerprint: &[u8], now: Timestamp) -> DbResult<()> {
    let secret = secrets::table.filter(secrets::fingerprint.eq(fingerprint));
    diesel::update(secret).set(secrets::resealed_at.eq(now)).execute(conn)?;
    Ok(())
}
