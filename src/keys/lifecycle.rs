//! The signing keys of a server while it runs: follows the database, and has done what is due.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::keeper::KeyKeeper;
use super::key_ring::{KeyRing, KeyRingError, OpenedKeys};
use super::state::{KeyState, KeyTimes};
use super::store::{self, KeyRow};
use crate::clock::Clock;
use crate::db::{Conn, Db, DbError, DbResult, time};
use crate::revocations::{Revocation, RevocationLog};
use crate::types::{KeyId, Timestamp};

/// The time between two looks at the keys in the database.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// The signing keys of all servers. Clones share everything.
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

/// The parts of [`Keys`].
pub struct Inner {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// The parts that change keys in a transaction.
    pub keeper: KeyKeeper,
    /// The log of revocations.
    pub(crate) log: RevocationLog,
    /// The keys of this server.
    pub key_ring: KeyRing,
    /// The rows that the keys of this server were read from. Locked from a read on until its keys are in use, so that
    /// an earlier read does not replace a later one.
    pub known: Mutex<Vec<KeyRow>>,
}

/// A signing key as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// The id.
    pub id: KeyId,
    /// What its signatures are for.
    pub key_use: String,
    /// The name of its algorithm.
    pub algorithm: String,
    /// The state.
    pub state: KeyState,
    /// The times of its life.
    pub times: KeyTimes,
}

impl KeyStatus {
    fn new(row: &KeyRow, now: Timestamp) -> Self {
        let times = row.times();
        let state = times.state(now);
        Self { id: row.id, key_use: row.key_use.clone(), algorithm: row.algorithm.clone(), state, times }
    }
}

/// Loads the rows for [`KeyRing::open`].
pub fn load(conn: &mut Conn) -> DbResult<Vec<KeyRow>> {
    store::all(conn)
}

/// Marks the key of a revocation that the database has lost as revoked again, in the caller's transaction.
pub(crate) fn rewrite_revoked(conn: &mut Conn, key: KeyId, revoked_at: Timestamp) -> DbResult<()> {
    store::rewrite_revoked(conn, key, revoked_at)
}

impl Keys {
    /// Creates the keys of a server.
    pub fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Returns what changes keys in a transaction.
    pub fn keeper(&self) -> &KeyKeeper {
        &self.inner.keeper
    }

    /// Returns the keys of this server.
    pub fn key_ring(&self) -> &KeyRing {
        &self.inner.key_ring
    }

    /// Lists all keys, oldest first, also those that have ended.
    pub async fn list(&self) -> DbResult<Vec<KeyStatus>> {
        let rows = self.inner.db.read(store::all).await?;
        let now = self.inner.clock.database_now();
        Ok(rows.iter().map(|row| KeyStatus::new(row, now)).collect())
    }

    /// Reads the keys from the database, and replaces those of this server if they have changed since the last call.
    ///
    /// # Errors
    /// The database fails, or a key cannot be opened. The keys of this server stay then.
    pub async fn reload(&self) -> Result<(), FollowError> {
        self.read().await.map(drop)
    }

    /// Reads the keys as [`Self::reload`] does. Returns whether anything is due.
    async fn read(&self) -> Result<bool, FollowError> {
        let inner = &*self.inner;
        let mut known = inner.known.lock().await;
        let rows = inner.db.read(store::all).await?;
        let now = inner.clock.database_now();
        if *known != rows {
            inner.key_ring.replace(OpenedKeys::open(&rows, &inner.keeper.seal, now)?);
            *known = rows;
        }
        Ok(!inner.keeper.policy.due(&known, now).is_empty())
    }

    /// Reads the keys, and does what is due.
    async fn follow(&self) -> Result<(), FollowError> {
        if self.read().await? && self.inner.clock.is_right() {
            self.maintain().await?;
            self.reload().await?;
        }
        Ok(())
    }

    /// Revokes a key on this server at once, after the commit. Other servers learn of it from the log.
    ///
    /// # Errors
    /// The database fails, or a key cannot be opened. The revocation holds nevertheless.
    pub(crate) async fn publish_revoked(&self, entry: Revocation) -> Result<(), FollowError> {
        self.inner.log.add(&[entry]);
        self.reload().await
    }

    /// Reads the keys if one was revoked since they were read: the key in its place was not published before. If that
    /// fails, the keys of this server stay.
    pub(crate) async fn catch_up(&self) {
        if self.inner.key_ring.has_revoked() {
            let _ = self.reload().await;
        }
    }

    async fn maintain(&self) -> DbResult<()> {
        let keeper = self.inner.keeper.clone();
        let clock = self.inner.clock.clone();
        let maintained = self.inner.db.write(move |conn| {
            keeper.lock(conn)?;
            let now = time::read(conn, &clock)?;
            keeper.maintain(conn, now)
        });
        match maintained.await {
            // Another server has created the key first.
            Err(DbError::Taken { .. }) => Ok(()),
            maintained => maintained,
        }
    }

    /// Waits until the keys are to be read again: for the usual time, or until one of them is revoked.
    async fn wait(&self, changes: &mut watch::Receiver<u64>) {
        let mut pause = pin!(tokio::time::sleep(FOLLOW_INTERVAL));
        loop {
            tokio::select! {
                () = &mut pause => return,
                Ok(()) = changes.changed() => {
                    if self.inner.key_ring.has_revoked() {
                        return;
                    }
                }
            }
        }
    }

    /// Follows the keys in the database, and does what is due, until the future is dropped.
    pub async fn run(self) {
        let mut failing = false;
        let mut changes = self.inner.log.changes();
        loop {
            self.wait(&mut changes).await;
            let outcome = self.follow().await;
            match &outcome {
                Err(error) if !failing => tracing::warn!(%error, "the signing keys cannot be read"),
                Ok(()) if failing => tracing::info!("the signing keys can be read again"),
                Ok(()) | Err(_) => {}
            }
            failing = outcome.is_err();
        }
    }
}

/// Why the keys of a server could not follow the database.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// A key cannot be opened.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
}
