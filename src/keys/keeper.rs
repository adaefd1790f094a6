//! Changes signing keys in transactions: creates, replaces, retires and revokes them.
//!
//! Such a transaction takes a lock first, so that of servers that do the same at once one does it, and the others find
//! it done.

use std::sync::Arc;

use super::key_ring::{KeyRingError, unseal};
use super::schedule::{Action, KeyPolicy};
use super::signing_key::{self, SigningKey};
use super::state::{KeyState, KeyTimes, TransitionError};
use super::store::{self, KeyRow};
use crate::audit::{Actor, Audit, Event, Record};
use crate::db::{Conn, DbError, DbResult};
use crate::random::Random;
use crate::retention::{self, Lease};
use crate::revocations::{self, Reason, Revocation, Revoked};
use crate::secret::{SealKey, SealedRows};
use crate::types::{Algorithm, KeyId, Timestamp};

/// The use of keys that sign access tokens.
pub const ACCESS: &str = "access";

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

impl KeyKeeper {
    /// Waits until no other transaction changes keys, and excludes others until the caller's transaction ends.
    pub fn lock(&self, conn: &mut Conn) -> DbResult<()> {
        retention::lock(conn, Lease::Keys)
    }

    /// Does what is due, in the caller's transaction, which holds the [lock](Self::lock): creates the first keys,
    /// replaces those that have signed for long enough, retires those that no server wants. Does nothing if the secret
    /// cannot decrypt the keys that verify, because a new key would lock out servers with the right secret.
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

    /// Replaces the keys that sign, in the caller's transaction, which holds the [lock](Self::lock): publishes new
    /// ones, which sign in their place as soon as all verifiers can know them. A new key that does not sign yet is not
    /// replaced. Returns the new keys, one for each algorithm.
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

    /// Revokes a key, in the caller's transaction, which holds the [lock](Self::lock). If it signed, another one signs
    /// at once: that which was to replace it, or a new one. Returns the entry for the log of revocations, to be
    /// published by [`super::Keys::publish_revoked`] after the commit.
    ///
    /// # Errors
    /// The key does not exist or has ended, or the database fails.
    pub(crate) fn revoke(
        &self,
        conn: &mut Conn,
        key: KeyId,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Revocation, RevokeError> {
        let rows = store::all(conn)?;
        let row = rows.iter().find(|row| row.id == key).ok_or(RevokeError::NotFound)?;
        let state = row.times().state(now);
        store::set_times(conn, key, &row.times().revoke(now).map_err(RevokeError::Ended)?)?;
        store::erase(conn, key)?;
        let expires_at = now.plus(row.token_lifetime());
        let entry = Revocation { revoked: Revoked::Key(key), reason: Reason::KeyRevoked, revoked_at: now, expires_at };
        revocations::append(conn, &[entry], None)?;
        self.record(conn, Event::KeyRevoked, row, by)?;
        self.succeed(conn, &rows, row, state, now)?;
        Ok(entry)
    }

    /// Encrypts private keys under the new secret of the server that are encrypted under the previous one, in the
    /// caller's transaction; or counts them only.
    pub(crate) fn reseal(&self, conn: &mut Conn, is_counting: bool) -> DbResult<SealedRows> {
        let mut found = SealedRows::default();
        for row in store::all(conn)? {
            let context = row.id.0.as_bytes();
            if row.sealed_private_key.is_empty() || self.seal.is_current(&row.sealed_private_key, context) {
                continue;
            }
            found.outdated = found.outdated.saturating_add(1);
            match self.seal.reseal(&row.sealed_private_key, context, &self.random) {
                Some(resealed) if !is_counting => store::reseal(conn, row.id, &row.sealed_private_key, &resealed)?,
                Some(_) | None => {}
            }
        }
        Ok(found)
    }

    /// Sees to it that another key signs in the place of one that was revoked in `state`.
    fn succeed(
        &self,
        conn: &mut Conn,
        rows: &[KeyRow],
        revoked: &KeyRow,
        state: KeyState,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut others = rows.iter().filter(|row| row.algorithm == revoked.algorithm && row.id != revoked.id);
        match (state, revoked.times().is_open()) {
            (KeyState::Active, true) => {
                let algorithm = Algorithm::parse(&revoked.algorithm);
                let algorithm = algorithm.ok_or_else(|| unexpected(KeyRingError::Unusable(revoked.id)))?;
                let row = self.create(conn, algorithm, KeyTimes::new(now, now))?;
                self.record(conn, Event::KeyCreated, &row, &Actor::default())
            }
            (KeyState::Active, false) => match others.find(|row| row.times().state(now) == KeyState::Next) {
                Some(next) => {
                    let times = next.times().activate(now).map_err(unexpected)?;
                    store::set_times(conn, next.id, &times)
                }
                None => Ok(()),
            },
            // The key that it was to replace goes on.
            (KeyState::Next, true) => match others.find(|row| row.times().state(now) == KeyState::Active) {
                Some(former) => {
                    let times = former.times().keep(now).map_err(unexpected)?;
                    store::set_times(conn, former.id, &times)
                }
                None => Ok(()),
            },
            (KeyState::Next | KeyState::Retired | KeyState::Removed | KeyState::Revoked, _) => Ok(()),
        }
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

/// Why a key cannot be revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeError {
    /// There is no such key.
    #[error("there is no such key")]
    NotFound,
    /// The key has ended already, so no token of it is valid.
    #[error(transparent)]
    Ended(TransitionError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

fn unexpected(error: impl std::error::Error) -> DbError {
    DbError::Unexpected(error.to_string())
}
