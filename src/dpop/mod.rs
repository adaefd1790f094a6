//! Proofs that a client holds a key (DPoP, RFC 9449): they are checked, and each is accepted once by all servers.

mod nonce;
mod seen;
mod store;

use std::sync::Arc;
use std::time::Duration;

use keyturn_verify::dpop::{self, InvalidProof, Proof, ProvenRequest};
use sha2::{Digest as _, Sha256};

use crate::cache::{Cache, CacheError};
use crate::clock::Clock;
use crate::config::{Config, Database};
use crate::db::{Conn, Db, DbError, DbResult};
use crate::types::{KeyThumbprint, Timestamp};
use nonce::Nonces;
use seen::{Seen, SeenProofs};

/// The time that a used proof is remembered: as long as it is valid, even if the clocks of two servers are as far apart
/// as they may be.
pub(super) const KEPT: Duration = Duration::from_secs(80);

/// The proofs that clients send to a server. Clones share everything.
#[derive(Clone)]
pub(crate) struct Proofs {
    db: Db,
    cache: Cache,
    clock: Clock,
    seen: Arc<SeenProofs>,
    nonces: Nonces,
    requires_nonce: bool,
    /// Whether no other server uses the same database.
    is_alone: bool,
}

/// Why a proof is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    /// The proof is not valid for the request.
    #[error(transparent)]
    Invalid(#[from] InvalidProof),
    /// The proof lacks a nonce of the server's, or has one that is not accepted any more.
    #[error("the proof needs a nonce of the server's")]
    Nonce,
    /// The proof is by another key than the expected one.
    #[error("the proof is by another key")]
    OtherKey,
    /// It is not known whether the proof was used before.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Deletes up to `limit` proofs that expired at `before` or earlier. Returns their number.
pub(crate) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire(conn, before, limit)
}

impl Proofs {
    /// Creates the check of a server. A server that is alone on its database remembers proofs in its memory only.
    pub(crate) fn new(config: &Config, db: Db, cache: Cache, clock: Clock) -> Self {
        Self {
            db,
            cache,
            clock,
            seen: Arc::default(),
            nonces: Nonces::new(config.secret.dpop_nonce_key()),
            requires_nonce: config.requires_dpop_nonce,
            is_alone: matches!(config.database, Database::Sqlite { .. }),
        }
    }

    /// Returns whether every proof needs a nonce.
    pub(crate) fn requires_nonce(&self) -> bool {
        self.requires_nonce
    }

    /// Returns a nonce for the next proof.
    pub(crate) fn next_nonce(&self) -> String {
        self.nonces.current(self.clock.now())
    }

    /// Checks a proof for a request, by the key `expected` or, without one, by any. Returns the key. The proof is used
    /// up.
    ///
    /// # Errors
    /// The proof is not valid, was used before or is by another key, or the database fails.
    pub(crate) async fn check(
        &self,
        text: &str,
        request: ProvenRequest<'_>,
        expected: Option<KeyThumbprint>,
    ) -> Result<KeyThumbprint, ProofError> {
        let now = self.clock.now();
        let Proof { thumbprint, jti, nonce } = dpop::verify(text, request, now.as_secs())?;
        let key = KeyThumbprint::new(thumbprint);
        if expected.is_some_and(|expected| expected != key) {
            return Err(ProofError::OtherKey);
        }
        let is_fresh = nonce.map_or(!self.requires_nonce, |nonce| self.nonces.accepts(&nonce, now));
        if !is_fresh {
            return Err(ProofError::Nonce);
        }
        let mut digest = Sha256::new();
        digest.update(thumbprint);
        digest.update(jti);
        if self.use_up(digest.finalize().into(), now).await? { Ok(key) } else { Err(InvalidProof::Replayed.into()) }
    }

    /// Uses up a proof. Returns whether no server has accepted it before. That is known from the memory of this server,
    /// and from the cache that servers share or, while they share none, from the database.
    async fn use_up(&self, digest: [u8; 32], now: Timestamp) -> DbResult<bool> {
        match self.seen.remember(digest, now) {
            Seen::Before => return Ok(false),
            Seen::Never if self.is_alone => return Ok(true),
            Seen::Never | Seen::Forgotten => {}
        }
        match self.cache.claim_proof(&digest, KEPT).await {
            Ok(Some(is_new)) => Ok(is_new),
            Ok(None) | Err(CacheError) => {
                let expires_at = now.plus(KEPT);
                self.db.write(move |conn| store::insert(conn, &digest, expires_at)).await
            }
        }
    }
}
