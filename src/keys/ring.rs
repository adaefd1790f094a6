//! All signing keys of a server, opened: the one that signs and those that verify.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::signing_key::{self, SigningKey, UnusableKey, VerifyingKey};
use super::store::{self, KeyRow};
use crate::clock::Timestamp;
use crate::config::Algorithm;
use crate::db::types::KeyId;
use crate::db::{Conn, DbError, DbResult};
use crate::random::Random;
use crate::secret::SealKey;

/// The keys. Clones share them.
#[derive(Clone)]
pub struct Ring {
    signing: Arc<SigningKey>,
    verifying: Arc<[VerifyingKey]>,
}

#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The key in the database was sealed under another `JWT_SECRET`.
    #[error("signing key {0} was sealed under another JWT_SECRET: start with the secret it was made with")]
    Sealed(KeyId),
    #[error("signing key {0} is damaged or of an algorithm that this build does not know")]
    Unusable(KeyId),
    #[error("no signing key for {0}")]
    Missing(&'static str),
}

/// Makes a key for `algorithm` unless there is one. To be called while no other server does the same on Postgres; on
/// SQLite the transaction is the turn. A secret that does not open the keys there are makes none: it would lock out
/// the one that does.
pub fn ensure(conn: &mut Conn, algorithm: Algorithm, seal: &SealKey, random: &Random, now: Timestamp) -> DbResult<()> {
    conn.write(|conn| {
        let rows = store::all(conn)?;
        if rows.iter().any(|row| row.algorithm == algorithm.name() || unseal(row, seal).is_none()) {
            return Ok(());
        }
        let row = make(algorithm, seal, random, now).map_err(|error| DbError::Unexpected(error.to_string()))?;
        store::insert(conn, &row)
    })
}

fn unseal(row: &KeyRow, seal: &SealKey) -> Option<Zeroizing<Vec<u8>>> {
    seal.open(&row.sealed_private_key, row.id.0.as_bytes())
}

fn make(algorithm: Algorithm, seal: &SealKey, random: &Random, now: Timestamp) -> Result<KeyRow, UnusableKey> {
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

/// The rows that [`Ring::open`] takes.
pub fn load(conn: &mut Conn) -> DbResult<Vec<KeyRow>> {
    store::all(conn)
}

impl Ring {
    /// Opens every key; the newest of `algorithm` signs.
    pub fn open(rows: &[KeyRow], algorithm: Algorithm, seal: &SealKey) -> Result<Self, RingError> {
        let mut signing = None;
        let mut verifying = Vec::with_capacity(rows.len());
        for row in rows {
            let unusable = || RingError::Unusable(row.id);
            let private = unseal(row, seal).ok_or(RingError::Sealed(row.id))?;
            let own = Algorithm::parse(&row.algorithm).ok_or_else(unusable)?;
            let key = SigningKey::parse(row.id, own, &private).map_err(|_| unusable())?;
            verifying.push(key.verifying_key(&private).map_err(|_| unusable())?);
            if own == algorithm {
                signing = Some(key);
            }
        }
        let signing = signing.ok_or(RingError::Missing(algorithm.name()))?;
        Ok(Self { signing: Arc::new(signing), verifying: verifying.into() })
    }

    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The key that a token's `kid` names.
    pub fn verifying(&self, id: KeyId) -> Option<&VerifyingKey> {
        self.verifying.iter().find(|key| key.id == id)
    }

    pub fn all_verifying(&self) -> &[VerifyingKey] {
        &self.verifying
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::MasterSecret;

    fn seal(filler: char) -> SealKey {
        MasterSecret::parse(&filler.to_string().repeat(64)).unwrap().signing_key_seal()
    }

    #[test]
    fn a_key_opens_under_the_secret_it_was_sealed_under_and_no_other() {
        for algorithm in Algorithm::ALL {
            let row = make(algorithm, &seal('a'), &Random, Timestamp::from_millis(0)).unwrap();
            let ring = Ring::open(std::slice::from_ref(&row), algorithm, &seal('a')).unwrap();
            assert_eq!(ring.signing().id, row.id);
            assert!(matches!(Ring::open(&[row], algorithm, &seal('b')), Err(RingError::Sealed(_))));
        }
    }
}
