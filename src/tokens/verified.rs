//! Access tokens that this server has verified before, so that a signature is checked once and not at each request.
//!
//! A hit says that form, signature and claims were good. It says nothing about revocation, which is asked each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::access::{self, Claims, InvalidToken, Parties};
use crate::cache::bounded::Bounded;
use crate::clock::Timestamp;
use crate::db::types::KeyId;
use crate::keys::Ring;

/// About 10 MB when full.
const CAPACITY: usize = 8 * 1024;

/// A token whose signature held.
pub struct VerifiedToken {
    pub claims: Claims,
    key: KeyId,
    activity_noted_at: AtomicI64,
}

impl VerifiedToken {
    /// Whether this server should note the use of the token: true at its first use and then once per `every`, for
    /// one of the callers that ask at the same time.
    pub fn should_note_activity(&self, now: Timestamp, every: Duration) -> bool {
        let noted = self.activity_noted_at.load(Ordering::Relaxed);
        now >= Timestamp::from_millis(noted).plus(every)
            && self
                .activity_noted_at
                .compare_exchange(noted, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

pub struct VerifiedTokens {
    by_digest: Bounded<[u8; 32], Arc<VerifiedToken>>,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self { by_digest: Bounded::new(CAPACITY) }
    }
}

impl VerifiedTokens {
    /// [`access::verify`], remembered by the SHA-256 of the whole token for as long as its key is in the ring and it
    /// has not expired.
    pub fn verify(
        &self,
        token: &str,
        ring: &Ring,
        parties: &Parties<'_>,
        now: Timestamp,
    ) -> Result<Arc<VerifiedToken>, InvalidToken> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.by_digest.get(&digest)
            && ring.verifying(known.key).is_some()
        {
            access::not_expired(&known.claims, now)?;
            return Ok(known);
        }
        let (claims, key) = access::verify(token, ring, parties, now)?;
        let verified = Arc::new(VerifiedToken { claims, key, activity_noted_at: AtomicI64::new(0) });
        self.by_digest.put(digest, Arc::clone(&verified));
        Ok(verified)
    }
}
