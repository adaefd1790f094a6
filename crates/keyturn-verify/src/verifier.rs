//! The verifier.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::remembered::Memory;
use crate::revoked::Revoked;
use crate::{Event, Keys, Moment, Refusal, Rules, VerifiedToken};

/// The number of tokens that are remembered by default, which take about 20 MB.
const REMEMBERED: usize = 8 * 1024;

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
        Self::with(rules, Some(FeedPolicy { max_age, when_stale }), REMEMBERED)
    }

    /// Creates a verifier that knows nothing of revocations: a token of a session that has ended is accepted until it
    /// expires.
    pub fn without_feed(rules: Rules) -> Self {
        Self::with(rules, None, REMEMBERED)
    }

    /// Returns a verifier that remembers this many verified tokens at least, 0 for none, and knows nothing yet.
    #[must_use]
    pub fn remembering(self, tokens: usize) -> Self {
        Self::with(self.inner.rules.clone(), self.inner.feed, tokens)
    }

    fn with(rules: Rules, feed: Option<FeedPolicy>, remembered: usize) -> Self {
        let memory = Memory::new(remembered);
        let inner = Inner { rules, feed, keys: RwLock::default(), revoked: Revoked::default(), memory };
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

    /// Verifies a token, without I/O.
    ///
    /// # Errors
    /// The token is refused, or it is not known whether it was revoked and the policy is not to accept it.
    pub fn verify(&self, token: &str, now: Moment) -> Result<Arc<VerifiedToken>, Refusal> {
        let token = self.verify_but_for_age(token, now)?;
        self.check_age(now)?;
        Ok(token)
    }

    /// Verifies a token, whatever the age of the knowledge about revocations.
    pub(crate) fn verify_but_for_age(&self, text: &str, now: Moment) -> Result<Arc<VerifiedToken>, Refusal> {
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
