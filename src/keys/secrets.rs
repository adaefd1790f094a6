//! The values of `JWT_SECRET` that servers were started with, and since when each is in force.

use std::time::Duration;

use super::store::{self, SecretRow};
use crate::db::{Conn, DbResult};
use crate::retention::{self, Lease};
use crate::secret::MasterSecret;
use crate::types::Timestamp;

/// The time from the first server that knows a new secret until it is in force: ten minutes, in which the others have
/// to be restarted with it.
pub(crate) const CHANGEOVER: Duration = Duration::from_secs(600);

/// A secret that servers were started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownSecret {
    /// The time from which on it is in force.
    pub in_force_from: Timestamp,
    /// Whether it came with `JWT_SECRET_PREVIOUS`, which it replaces.
    pub replaces: bool,
    /// The time at which nothing was encrypted under the one that it replaces any more.
    pub resealed_at: Option<Timestamp>,
}

impl From<SecretRow> for KnownSecret {
    fn from(row: SecretRow) -> Self {
        Self { in_force_from: row.in_force_from, replaces: row.replaces, resealed_at: row.resealed_at }
    }
}

/// Finds what is known about the secret of this server.
pub(crate) fn find(conn: &mut Conn, secret: &MasterSecret) -> DbResult<Option<KnownSecret>> {
    Ok(store::find_secret(conn, &secret.fingerprint())?.map(KnownSecret::from))
}

/// Finds what is known about the secret of this server, in the caller's transaction. The first server with a new secret
/// notes that it is in force after [`CHANGEOVER`], or at once if there is no previous one.
pub(crate) fn register(conn: &mut Conn, secret: &MasterSecret, now: Timestamp) -> DbResult<KnownSecret> {
    retention::lock(conn, Lease::Secrets)?;
    if let Some(known) = find(conn, secret)? {
        return Ok(known);
    }
    let replaces = secret.has_previous();
    let row = SecretRow {
        fingerprint: secret.fingerprint().to_vec(),
        in_force_from: if replaces { now.plus(CHANGEOVER) } else { now },
        replaces,
        resealed_at: None,
    };
    store::insert_secret(conn, &row)?;
    Ok(row.into())
}

/// Notes that nothing is encrypted under the secret that this one replaces.
pub(crate) fn note_resealed(conn: &mut Conn, secret: &MasterSecret, now: Timestamp) -> DbResult<()> {
    store::set_resealed(conn, &secret.fingerprint(), now)
}
