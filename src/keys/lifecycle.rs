//! The lives of signing keys: creates, rotates, retires and follows them.
//!
//! A transaction that changes keys locks a row of the database first, so that of servers that do the same at once one
//! does it, and the others find it done.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::key_ring::{KeyRing, KeyRingError, OpenedKeys, unseal};
use super::schedule::{Action, KeyPolicy};
use super::signing_key::{self, SigningKey};
use super::state::{KeyState, KeyTimes};
use super::store::{self, KeyRow};
use crate::audit::{Actor, Audit, Event, Record};
use crate::clock::Clock;
use crate::db::{Conn, Db, DbError, DbResult, time};
use crate::random::Random;
use crate::retention::{self, Lease};
use crate::secret::SealKey;
use crate::types::{Algorithm, KeyId, Timestamp};

/// The use of keys that sign access tokens.
pub const ACCESS: &str = "access";

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
    /// The keys of this server.
    pub key_ring: KeyRing,
    /// The rows that the keys of this server were read from. Locked from a read on until its keys are in use, so that an
    /// earlier read does not replace a later one.
    pub known: Mutex<Vec<KeyRow>>,
}

/// Changes keys in the caller's transaction.
#[derive(Clone)]
pub struct KeyKeeper {
    /// What the configuration says.
    pub policy: KeyPolicy,
    /// The key that encrypts private keys.
    pub seal: Arc<SealKey>,
    /// The audit log.
    pub audit: Audit,
    /// The source of random bytes.
    pub random: Random,
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

impl KeyKeeper {
    /// Waits until no other transaction changes keys, and excludes others until the caller's transaction ends.
    pub fn lock(&self, conn: &mut Conn) -> DbResult<()> {
        retention::lock(conn, Lease::Keys)
    }

    /// Does what is due, in the caller's transaction, which holds the [lock](Self::lock): creates the first keys, replaces those that have signed for long
    /// enough, retires those that no server wants. Does nothing if the secret cannot decrypt the keys that verify,
    /// because a new key would lock out servers with the right secret.
    pub fn maintain(&self, conn: &mut Conn, now: Timestamp) -> DbResult<()> {
        // What is due can follow from what was done: a key that was replaced late is retired next.
        for _ in 0..3 {
            let rows = store::all(conn)?;
            let mut verifying = rows.iter().filter(|row| row.times().state(now).verifies());
            let due = self.policy.due(&rows, now);
            if due.is_empty() || verifying.any(|row| unseal(row, &self.seal).is_none()) {
                return Ok(());
            }
            for action in due {
                self.carry_out(conn, &rows, action, now)?;
            }
        }
        Ok(())
    }

    fn carry_out(&self, conn: &mut Conn, rows: &[KeyRow], action: Action, now: Timestamp) -> DbResult<()> {
        let find = |key: KeyId| rows.iter().find(|row| row.id == key);
        match action {
            Action::Create { algorithm, active_from } => {
                let row = self.create(conn, algorithm, KeyTimes::new(now, active_from))?;
                self.record(conn, Event::KeyCreated, &row, &Actor::default())
            }
            Action::Announce { key, token_ttl, wanted_until } => store::set_wanted(conn, key, token_ttl, wanted_until),
            Action::Replace(key) => match find(key) {
                Some(row) => self.replace(conn, row, &Actor::default(), now).map(drop),
                None => Ok(()),
            },
            Action::Retire(key) => match find(key) {
                Some(row) => {
                    let times = row.times().retire(now, row.token_lifetime(), now).map_err(unexpected)?;
                    store::set_times(conn, key, &times)?;
                    self.record(conn, Event::KeyRetired, row, &Actor::default())
                }
                None => Ok(()),
            },
            Action::Erase(key) => store::erase(conn, key),
        }
    }

    /// Replaces the keys that sign, in the caller's transaction, which holds the [lock](Self::lock): publishes new ones,
    /// which sign in their place as soon as all verifiers can know them. A new key that does not sign yet is not replaced.
    /// Returns the new keys, one for each algorithm.
    pub fn rotate(&self, conn: &mut Conn, by: &Actor, now: Timestamp) -> DbResult<Vec<KeyId>> {
        let rows = store::all(conn)?;
        let mut next = Vec::new();
        for algorithm in &self.policy.algorithms {
            let open = rows.iter().find(|row| row.algorithm == algorithm.name() && row.times().is_open());
            match open {
                Some(row) if row.times().state(now) == KeyState::Active => {
                    next.push(self.replace(conn, row, by, now)?);
                }
                Some(row) => next.push(row.id),
                None => {}
            }
        }
        Ok(next)
    }

    /// Plans the end of an open key, and publishes its successor. Returns the successor.
    fn replace(&self, conn: &mut Conn, row: &KeyRow, by: &Actor, now: Timestamp) -> DbResult<KeyId> {
        let algorithm = Algorithm::parse(&row.algorithm).ok_or_else(|| unexpected(KeyRingError::Unusable(row.id)))?;
        let active_from = now.plus(self.policy.lead);
        let times = row.times().retire(active_from, row.token_lifetime(), now).map_err(unexpected)?;
        store::set_times(conn, row.id, &times)?;
        let successor = self.create(conn, algorithm, KeyTimes::new(now, active_from))?;
        let record = Record::new(Event::KeyRotated, by).with("kid", row.id.to_string());
        let record = record.with("successor", successor.id.to_string()).with("algorithm", algorithm.name());
        self.audit.append(conn, &record)?;
        Ok(successor.id)
    }

    fn create(&self, conn: &mut Conn, algorithm: Algorithm, times: KeyTimes) -> DbResult<KeyRow> {
        let id = KeyId(self.random.id(times.created_at));
        let private = signing_key::generate(algorithm, &self.random).map_err(unexpected)?;
        let row = KeyRow {
            id,
            key_use: ACCESS.to_owned(),
            algorithm: algorithm.name().to_owned(),
            public_key: SigningKey::parse(id, algorithm, &private).map_err(unexpected)?.public_bytes(),
            sealed_private_key: self.seal.seal(&private, id.0.as_bytes(), &self.random),
            created_at: times.created_at,
            active_from: times.active_from,
            retired_at: times.retired_at,
            remove_after: times.remove_after,
            revoked_at: times.revoked_at,
            token_ttl: self.policy.token_ttl_secs(),
            wanted_until: KeyPolicy::wanted_until(times.created_at),
        };
        store::insert(conn, &row)?;
        Ok(row)
    }

    fn record(&self, conn: &mut Conn, event: Event, row: &KeyRow, by: &Actor) -> DbResult<()> {
        let record = Record::new(event, by).with("kid", row.id.to_string()).with("algorithm", row.algorithm.as_str());
        self.audit.append(conn, &record)
    }
}

fn unexpected(error: impl std::error::Error) -> DbError {
    DbError::Unexpected(error.to_string())
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

    /// Follows the keys in the database, and does what is due, until the future is dropped.
    pub async fn run(self) {
        let mut failing = false;
        loop {
            tokio::time::sleep(FOLLOW_INTERVAL).await;
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
