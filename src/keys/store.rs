//! Signing keys as rows.

use diesel::prelude::*;

use crate::db::schema::signing_keys;
use crate::db::{Conn, DbResult};
use crate::types::{KeyId, Timestamp};

/// A signing key in the database. The private key is encrypted.
#[derive(Queryable, Insertable)]
#[diesel(table_name = signing_keys)]
pub struct KeyRow {
    pub id: KeyId,
    pub algorithm: String,
    pub public_key: Vec<u8>,
    pub sealed_private_key: Vec<u8>,
    pub created_at: Timestamp,
}

/// Finds all keys, oldest first.
pub(super) fn all(conn: &mut Conn) -> DbResult<Vec<KeyRow>> {
    Ok(signing_keys::table.order((signing_keys::created_at, signing_keys::id)).load(conn)?)
}

/// Inserts a key.
pub(super) fn insert(conn: &mut Conn, row: &KeyRow) -> DbResult<()> {
    diesel::insert_into(signing_keys::table).values(row).execute(conn)?;
    Ok(())
}
