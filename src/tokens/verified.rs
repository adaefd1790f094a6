//! A cache of verified access tokens, so that the signature of a token is verified once and not at each request.
//!
//! A hit means that the form, signature and claims are valid. Revocation is not cached and must be checked at each
//! request.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use keyturn_verify::{Refusal, Rules};
use sha2::{Digest as _, Sha256};

use super::access::{self, Claims};
use crate::cache::bounded::BoundedMap;
use crate::keys::KeyRing;
use crate::types::{KeyId, Timestamp};

/// The least number of tokens that are cached, which take about 10 MB.
const CAPACITY: usize = 8 * 1024;

/// An access token that was verified.
pub struct VerifiedToken {
    /// The claims of the token.
    pub claims: Claims,
    key: KeyId,
    activity_recorded_at: AtomicI64,
}

impl VerifiedToken {
    /// Returns whether the caller should record the use of the token: at its first use and then once per `interval`. Of
    /// concurrent callers only one gets `true`.
    pub fn should_record_activity(&self, now: Timestamp, interval: Duration) -> bool {
        let recorded = self.activity_recorded_at.load(Ordering::Relaxed);
        now >= Timestamp::from_millis(recorded).plus(interval)
            && self
                .activity_recorded_at
                .compare_exchange(recorded, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// A cache of verified access tokens.
pub struct VerifiedTokens {
    by_digest: BoundedMap<[u8; 32], Arc<VerifiedToken>>,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self { by_digest: BoundedMap::new(CAPACITY) }
    }
}

impl VerifiedTokens {
    /// Verifies a token as [`access::verify`] does. Caches the result under the SHA-256 of the whole token, as long as
    /// the key exists and the token has not expired.
    ///
    /// # Errors
    /// The token is invalid.
    pub fn verify(
        &self,
        token: &str,
        key_ring: &KeyRing,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Arc<VerifiedToken>, Refusal> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.by_digest.get(&digest)
            && key_ring.verifying(known.key).is_some()
        {
            if !rules.accepts_audience(&known.claims.aud) {
                return Err(Refusal::Claims);
            }
            rules.check_time(known.claims.nbf, known.claims.exp, now.as_secs())?;
            return Ok(known);
        }
        let (claims, key) = access::verify(token, |id| key_ring.verifying(id), rules, now)?;
        let claims = Claims::try_from(claims)?;
        let verified = Arc::new(VerifiedToken { claims, key, activity_recorded_at: AtomicI64::new(0) });
        self.by_digest.put(digest, Arc::clone(&verified));
        Ok(verified)
    }
}
