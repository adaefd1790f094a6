//! The verifier.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::dpop::{self, Proof, ProvenRequest, SeenProofs};
use crate::remembered::Memory;
use crate::revoked::Revoked;
use crate::{Event, Keys, Moment, Refusal, Rules, VerifiedToken};

/// The number of tokens that are remembered by default, which take about 20 MB.
const REMEMBERED: usize = 8 * 1024;

/// The number of proofs that are accepted in 66 seconds by default, which take about 20 MB.
const PROOFS: usize = 1024 * 1024;

/// How a request presents a token.
#[derive(Clone, Copy)]
pub(crate) enum Presented<'a> {
    /// By itself.
    Bearer,
    /// With a proof, to this method and URL.
    Bound { proof: &'a str, method: &'a str, url: &'a str },
}

/// A token that is valid but for the age of the knowledge about revocations, and its proof, which may be a replay.
pub(crate) struct Certain {
    token: Arc<VerifiedToken>,
    /// Boxed, so that tokens without a proof carry nothing of it.
    proof: Option<Box<Proof>>,
}

/// What to do with a valid token when the knowledge about revocations is too old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenStale {
    /// Refuse it: 503 for the caller.
    #[default]
    Refuse,
    /// Ask the server for each token (RFC 7662), and refuse it if the server does not answer.
    Introspect,
    /// Accept it: a revoked token may pass until it expires.
    Accept,
}

/// Verifies tokens. Clones share what is known.
#[derive(Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
}

struct Inner {
    rules: Rules,
    feed: Option<FeedPolicy>,
    keys: RwLock<Option<Arc<Keys>>>,
    revoked: Revoked,
    memory: Memory,
    proofs: SeenProofs,
}

#[derive(Clone, Copy)]
struct FeedPolicy {
    max_age: Duration,
    when_stale: WhenStale,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("rules", &self.inner.rules).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Creates a verifier that follows the feed: it refuses what was revoked. Once its knowledge is older than
    /// `max_age`, `when_stale` says what happens to tokens that it holds for valid.
    pub fn new(rules: Rules, max_age: Duration, when_stale: WhenStale) -> Self {
        Self::with(rules, Some(FeedPolicy { max_age, when_stale }), REMEMBERED, PROOFS)
    }

    /// Creates a verifier that knows nothing of revocations: a token of a session that has ended is accepted until it
    /// expires.
    pub fn without_feed(rules: Rules) -> Self {
        Self::with(rules, None, REMEMBERED, PROOFS)
    }

    /// Returns a verifier that remembers this many verified tokens at least, 0 for none, and knows nothing yet.
    #[must_use]
    pub fn remembering(self, tokens: usize) -> Self {
        Self::with(self.inner.rules.clone(), self.inner.feed, tokens, self.inner.proofs.capacity())
    }

    /// Returns a verifier that accepts this many proofs in 66 seconds, and knows nothing yet. Further ones are refused
    /// with 503, since it could not tell their replays.
    #[must_use]
    pub fn accepting_proofs(self, proofs: usize) -> Self {
        Self::with(self.inner.rules.clone(), self.inner.feed, self.inner.memory.capacity(), proofs)
    }

    fn with(rules: Rules, feed: Option<FeedPolicy>, remembered: usize, proofs: usize) -> Self {
        let memory = Memory::new(remembered);
        let proofs = SeenProofs::new(proofs);
        let inner = Inner { rules, feed, keys: RwLock::default(), revoked: Revoked::default(), memory, proofs };
        Self { inner: Arc::new(inner) }
    }

    /// Replaces the keys.
    pub fn set_keys(&self, keys: Keys) {
        let mut current = self.inner.keys.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|current| current.are_same(&keys)) {
            return;
        }
        *current = Some(Arc::new(keys));
        drop(current);
        self.inner.memory.forget_all();
    }

    /// Applies an event of the feed that arrived at `at`.
    pub fn apply(&self, event: &Event, at: Moment) {
        if self.inner.revoked.apply(event, at.instant) {
            self.inner.memory.forget_all();
        }
    }

    /// Returns how old the knowledge about revocations is; `None` if there is none yet.
    pub fn age(&self, now: Moment) -> Option<Duration> {
        self.inner.revoked.age(now.instant)
    }

    /// Returns the number of revoked sessions, tokens and keys that are known.
    pub fn revocations(&self) -> usize {
        self.inner.revoked.len()
    }

    /// Returns whether there is a key with this id.
    pub fn has_key(&self, kid: &str) -> bool {
        self.keys().is_some_and(|keys| keys.get(kid).is_some())
    }

    fn keys(&self) -> Option<Arc<Keys>> {
        self.inner.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Verifies a token that came by itself, without I/O.
    ///
    /// # Errors
    /// The token is refused or bound to a key, or it is not known whether it was revoked and the policy is not to accept
    /// it.
    pub fn verify(&self, token: &str, now: Moment) -> Result<Arc<VerifiedToken>, Refusal> {
        self.verify_as(token, Presented::Bearer, now)
    }

    /// Verifies a token that came with a proof (RFC 9449), without I/O. `url` is that of the request as the client knows
    /// it; query and fragment do not count. The proof is used up.
    ///
    /// # Errors
    /// The token or the proof is refused, or was used before with this verifier, or it is not known whether the token
    /// was revoked and the policy is not to accept it.
    pub fn verify_bound(
        &self,
        token: &str,
        proof: &str,
        method: &str,
        url: &str,
        now: Moment,
    ) -> Result<Arc<VerifiedToken>, Refusal> {
        self.verify_as(token, Presented::Bound { proof, method, url }, now)
    }

    pub(crate) fn verify_as(
        &self,
        token: &str,
        presented: Presented<'_>,
        now: Moment,
    ) -> Result<Arc<VerifiedToken>, Refusal> {
        let certain = self.verify_but_for_age(token, presented, now)?;
        self.check_age(now)?;
        self.use_up(certain, now)
    }

    /// Verifies a token and its proof, whatever the age of the knowledge about revocations, and without using up the
    /// proof.
    pub(crate) fn verify_but_for_age(
        &self,
        text: &str,
        presented: Presented<'_>,
        now: Moment,
    ) -> Result<Certain, Refusal> {
        let token = self.verify_token(text, now)?;
        let proof = match (presented, &token.claims.cnf) {
            (Presented::Bearer, None) => None,
            (Presented::Bearer, Some(_)) => return Err(Refusal::ProofRequired),
            (Presented::Bound { .. }, None) => return Err(Refusal::NotBound),
            (Presented::Bound { proof, method, url }, Some(cnf)) => {
                let request = ProvenRequest { method, url, access_token: Some(text) };
                let proof = dpop::verify(proof, request, now.unix_secs())?;
                if proof.jkt() != cnf.jkt {
                    return Err(Refusal::OtherKey);
                }
                Some(Box::new(proof))
            }
        };
        Ok(Certain { token, proof })
    }

    /// Uses up the proof of a token, if it has one.
    pub(crate) fn use_up(&self, certain: Certain, now: Moment) -> Result<Arc<VerifiedToken>, Refusal> {
        if let Some(proof) = certain.proof {
            self.inner.proofs.use_up(proof.digest(), now.unix_secs())?;
        }
        Ok(certain.token)
    }

    fn verify_token(&self, text: &str, now: Moment) -> Result<Arc<VerifiedToken>, Refusal> {
        let inner = &self.inner;
        let token = match inner.memory.get(text) {
            Some(token) => {
                inner.rules.check_time(token.claims.nbf, token.claims.exp, now.unix_secs())?;
                token
            }
            None => {
                let generation = inner.memory.generation();
                let keys = self.keys();
                let find_key = |kid: &str| {
                    if inner.revoked.is_key_revoked(kid) {
                        return Err(Refusal::KeyRevoked);
                    }
                    let key = keys.as_ref().ok_or(Refusal::NotReady)?.get(kid);
                    key.filter(|key| inner.rules.algorithms.contains(&key.algorithm)).ok_or(Refusal::UnknownKey)
                };
                let token = Arc::new(inner.rules.verify(text, find_key, now.unix_secs())?);
                inner.memory.put(text, &token, generation);
                token
            }
        };
        inner.revoked.check(&token.claims)?;
        Ok(token)
    }

    fn check_age(&self, now: Moment) -> Result<(), Refusal> {
        let Some(feed) = self.inner.feed else { return Ok(()) };
        if self.age(now).is_some_and(|age| age <= feed.max_age) {
            return Ok(());
        }
        match feed.when_stale {
            WhenStale::Refuse => Err(Refusal::Stale),
            WhenStale::Introspect => Err(Refusal::Introspect),
            WhenStale::Accept => Ok(()),
        }
    }
}
