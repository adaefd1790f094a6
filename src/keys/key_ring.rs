//! The keys of a server, decrypted: those that sign and those that verify. The ring follows the database while the
//! server runs.

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use keyturn_verify::VerifyingKey as VerifyingSignatures;
use zeroize::Zeroizing;

use super::signing_key::{SigningKey, VerifyingKey};
use super::state::{KeyState, KeyTimes};
use super::store::KeyRow;
use crate::clock::Clock;
use crate::revocations::RevocationLog;
use crate::secret::SealKey;
use crate::types::{Algorithm, KeyId, Timestamp};

/// The keys of a server. Clones share them.
#[derive(Clone)]
pub struct KeyRing {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    /// The log of revocations, which knows of a revoked key before this ring follows the database.
    log: RevocationLog,
    /// The algorithms that this server signs with. The first is for all tokens that no other was chosen for.
    algorithms: Vec<Algorithm>,
    /// Locked for no longer than it takes to replace or copy a pointer.
    keys: RwLock<Arc<OpenedKeys>>,
}

/// A decrypted key.
pub struct Key {
    signing: SigningKey,
    /// The key that verifies.
    pub verifying: VerifyingKey,
    /// The times of the key.
    pub times: KeyTimes,
}

impl VerifyingSignatures for Key {
    fn alg(&self) -> &'static str {
        self.verifying.alg()
    }

    fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verifying.is_valid(message, signature)
    }
}

impl Deref for Key {
    type Target = SigningKey;

    fn deref(&self) -> &SigningKey {
        &self.signing
    }
}

/// The keys that are published at some time, oldest first. There is at least one.
pub(super) struct OpenedKeys {
    newest: Arc<Key>,
    all: Vec<Arc<Key>>,
}

/// The reason why the keys of a server cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The key in the database was encrypted under another `JWT_SECRET`.
    #[error("signing key {0} was encrypted under another JWT_SECRET: start with the original secret")]
    Sealed(KeyId),
    /// The key in the database is damaged, or its algorithm is unknown.
    #[error("signing key {0} is damaged, or this version does not know its algorithm")]
    Unusable(KeyId),
    /// The database has no key.
    #[error("there is no signing key")]
    Missing,
}

/// Decrypts the private half of a key.
pub(super) fn unseal(row: &KeyRow, seal: &SealKey) -> Option<Zeroizing<Vec<u8>>> {
    seal.open(&row.sealed_private_key, row.id.0.as_bytes())
}

impl OpenedKeys {
    /// Decrypts the keys that are published at `now`.
    ///
    /// # Errors
    /// A key cannot be decrypted or used, or there is none.
    pub(super) fn open(rows: &[KeyRow], seal: &SealKey, now: Timestamp) -> Result<Self, KeyRingError> {
        let published = rows.iter().filter(|row| row.times().state(now).verifies());
        let all = published.map(|row| open(row, seal).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let newest = all.last().cloned().ok_or(KeyRingError::Missing)?;
        Ok(Self { newest, all })
    }
}

fn open(row: &KeyRow, seal: &SealKey) -> Result<Key, KeyRingError> {
    let unusable = || KeyRingError::Unusable(row.id);
    let private = unseal(row, seal).ok_or(KeyRingError::Sealed(row.id))?;
    let algorithm = Algorithm::parse(&row.algorithm).ok_or_else(unusable)?;
    let signing = SigningKey::parse(row.id, algorithm, &private).map_err(|_| unusable())?;
    let verifying = signing.verifying_key().map_err(|_| unusable())?;
    Ok(Key { signing, verifying, times: row.times() })
}

impl KeyRing {
    /// Decrypts every key that is published. This server signs with `algorithms`.
    ///
    /// # Errors
    /// A key cannot be decrypted or used, or there is none.
    pub fn open(
        rows: &[KeyRow],
        algorithms: &[Algorithm],
        seal: &SealKey,
        clock: &Clock,
    ) -> Result<Self, KeyRingError> {
        Self::open_with(rows, algorithms, seal, clock, &RevocationLog::default())
    }

    /// Decrypts every key that is published, as [`Self::open`] does. A key that `log` revokes is in use no more.
    ///
    /// # Errors
    /// A key cannot be decrypted or used, or there is none.
    pub(crate) fn open_with(
        rows: &[KeyRow],
        algorithms: &[Algorithm],
        seal: &SealKey,
        clock: &Clock,
        log: &RevocationLog,
    ) -> Result<Self, KeyRingError> {
        let keys = RwLock::new(Arc::new(OpenedKeys::open(rows, seal, clock.database_now())?));
        let inner = Inner { clock: clock.clone(), log: log.clone(), algorithms: algorithms.to_vec(), keys };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Replaces all keys.
    pub(super) fn replace(&self, keys: OpenedKeys) {
        let keys = Arc::new(keys);
        *self.inner.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Returns whether a key was revoked since the keys were read.
    pub(super) fn has_revoked(&self) -> bool {
        self.keys().all.iter().any(|key| self.inner.log.is_key_revoked(key.id))
    }

    fn keys(&self) -> Arc<OpenedKeys> {
        Arc::clone(&self.inner.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the state of a key at this moment.
    fn state(&self, key: &Key) -> KeyState {
        if self.inner.log.is_key_revoked(key.id) {
            return KeyState::Revoked;
        }
        key.times.state(self.inner.clock.database_now())
    }

    /// Returns the keys that sign, that which began to do so last in the end.
    fn active(&self) -> Vec<Arc<Key>> {
        let keys = self.keys();
        let mut active: Vec<Arc<Key>> =
            keys.all.iter().filter(|key| self.state(key) == KeyState::Active).cloned().collect();
        active.sort_by_key(|key| key.times.active_from);
        active
    }

    /// Returns the key that signs: of the configured algorithm, or of another one until that has an active key.
    pub fn signing(&self) -> Arc<Key> {
        let algorithms = &self.inner.algorithms;
        let active = self.active();
        let own = || active.iter().rfind(|key| algorithms.first() == Some(&key.algorithm()));
        // While the algorithm is changed, the key that signed before is preferred to one for some clients only.
        let former = || active.iter().rfind(|key| !algorithms.contains(&key.algorithm()));
        let key = own().or_else(former).or(active.last()).cloned();
        key.unwrap_or_else(|| Arc::clone(&self.keys().newest))
    }

    /// Returns the algorithms that this server is configured to sign with.
    pub fn configured(&self) -> &[Algorithm] {
        &self.inner.algorithms
    }

    /// Returns the key that signs with `algorithm`, or `None` if there is none, or it is not published for long enough.
    pub fn signing_for(&self, algorithm: Algorithm) -> Option<Arc<Key>> {
        self.active().into_iter().rfind(|key| key.algorithm() == algorithm)
    }

    /// Finds the key that the `kid` of a token names, if tokens of it can be valid.
    pub fn verifying(&self, id: KeyId) -> Option<Arc<Key>> {
        self.keys().all.iter().find(|key| key.id == id && self.state(key).verifies()).cloned()
    }

    /// Returns the keys that are published, oldest first.
    pub fn published(&self) -> Vec<Arc<Key>> {
        self.keys().all.iter().filter(|key| self.state(key).verifies()).cloned().collect()
    }

    /// Returns the algorithms of the keys that are published.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms: Vec<Algorithm> = Vec::new();
        for key in self.published() {
            if !algorithms.contains(&key.algorithm()) {
                algorithms.push(key.algorithm());
            }
        }
        algorithms
    }
}
