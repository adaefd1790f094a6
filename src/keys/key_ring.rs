//! All keys of a server, decrypted: the one that signs and those that verify.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::signing_key::{self, SigningKey, UnusableKey, VerifyingKey};
use super::store::{self, KeyRow};
use crate::db::{Conn, DbError, DbResult};
use crate::random::Random;
use crate::secret::SealKey;
use crate::types::{Algorithm, KeyId, Timestamp};

/// The keys of a server. Clones share them.
#[derive(Clone)]
pub struct KeyRing {
    signing: Arc<SigningKey>,
    verifying: Arc<[VerifyingKey]>,
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
    /// The database has no key for the algorithm with this name.
    #[error("there is no signing key for {0}")]
    Missing(&'static str),
}

/// Generates a key for `algorithm` unless there is one, in the caller's transaction, which must exclude other servers.
/// Generates nothing if the secret cannot decrypt the existing keys, because a new key would lock out servers with the
/// right secret.
pub fn ensure(conn: &mut Conn, algorithm: Algorithm, seal: &SealKey, random: &Random, now: Timestamp) -> DbResult<()> {
    let rows = store::all(conn)?;
    if rows.iter().any(|row| row.algorithm == algorithm.name() || unseal(row, seal).is_none()) {
        return Ok(());
    }
    let row = generate(algorithm, seal, random, now).map_err(|error| DbError::Unexpected(error.to_string()))?;
    store::insert(conn, &row)
}

fn unseal(row: &KeyRow, seal: &SealKey) -> Option<Zeroizing<Vec<u8>>> {
    seal.open(&row.sealed_private_key, row.id.0.as_bytes())
}

fn generate(algorithm: Algorithm, seal: &SealKey, random: &Random, now: Timestamp) -> Result<KeyRow, UnusableKey> {
    let id = KeyId(random.id(now));
    let private = signing_key::generate(algorithm, random)?;
    Ok(KeyRow {
        id,
        algorithm: algorithm.name().to_owned(),
        public_key: SigningKey::parse(id, algorithm, &private)?.public_bytes(),
        sealed_private_key: seal.seal(&private, id.0.as_bytes(), random),
        created_at: now,
    })
}

/// Loads the rows for [`KeyRing::open`].
pub fn load(conn: &mut Conn) -> DbResult<Vec<KeyRow>> {
    store::all(conn)
}

impl KeyRing {
    /// Decrypts every key. The newest key of `algorithm` signs.
    ///
    /// # Errors
    /// A key cannot be decrypted or used, or there is no key of `algorithm`.
    pub fn open(rows: &[KeyRow], algorithm: Algorithm, seal: &SealKey) -> Result<Self, KeyRingError> {
        let mut signing = None;
        let mut verifying = Vec::with_capacity(rows.len());
        for row in rows {
            let unusable = || KeyRingError::Unusable(row.id);
            let private = unseal(row, seal).ok_or(KeyRingError::Sealed(row.id))?;
            let key_algorithm = Algorithm::parse(&row.algorithm).ok_or_else(unusable)?;
            let key = SigningKey::parse(row.id, key_algorithm, &private).map_err(|_| unusable())?;
            verifying.push(key.verifying_key(&private).map_err(|_| unusable())?);
            if key_algorithm == algorithm {
                signing = Some(key);
            }
        }
        let signing = signing.ok_or(KeyRingError::Missing(algorithm.name()))?;
        Ok(Self { signing: Arc::new(signing), verifying: verifying.into() })
    }

    /// Returns the key that signs.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// Finds the key that the `kid` of a token names.
    pub fn verifying(&self, id: KeyId) -> Option<&VerifyingKey> {
        self.verifying.iter().find(|key| key.id == id)
    }

    /// Returns all keys that verify.
    pub fn all_verifying(&self) -> &[VerifyingKey] {
        &self.verifying
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::MasterSecret;

    fn seal(filler: char) -> SealKey {
        MasterSecret::for_test(&filler.to_string()).signing_key_seal()
    }

    #[test]
    fn a_key_can_be_decrypted_only_with_the_secret_that_encrypted_it() {
        for algorithm in Algorithm::ALL {
            let row = generate(algorithm, &seal('a'), &Random, Timestamp::from_millis(0)).unwrap();
            let key_ring = KeyRing::open(std::slice::from_ref(&row), algorithm, &seal('a')).unwrap();
            assert_eq!(key_ring.signing().id, row.id);
            assert!(matches!(KeyRing::open(&[row], algorithm, &seal('b')), Err(KeyRingError::Sealed(_))));
        }
    }
}
