//! A memory of verified tokens, so that the signature of a token is verified once and not at each request.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::VerifiedToken;

/// The number of parts, each with a lock of its own.
const PARTS: usize = 16;

/// The number of characters at the end of a token by which it is found. They are of its signature, which nobody can
/// choose. The whole token is compared then.
const HASHED: usize = 48;

#[derive(Default)]
struct Part {
    /// The tokens of this round and of the one before, by the hash of their ends.
    young: HashMap<u64, Remembered>,
    old: HashMap<u64, Remembered>,
}

struct Remembered {
    text: Box<str>,
    token: Arc<VerifiedToken>,
}

/// A memory of verified tokens. It forgets those that were not used for longest.
pub(crate) struct Memory {
    parts: [RwLock<Part>; PARTS],
    state: RandomState,
    capacity: usize,
    capacity_of_part: usize,
    /// Increased when the keys have changed, so that nothing is remembered that an earlier key verified.
    generation: AtomicU64,
}

impl Memory {
    /// Creates a memory of between `capacity` and twice as many tokens.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            parts: std::array::from_fn(|_| RwLock::default()),
            state: RandomState::new(),
            capacity,
            capacity_of_part: capacity.div_ceil(PARTS),
            generation: AtomicU64::new(0),
        }
    }

    /// Returns the number of tokens that are remembered at least.
    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    fn place(&self, text: &str) -> Option<(u64, &RwLock<Part>)> {
        let mut hasher = self.state.build_hasher();
        let bytes = text.as_bytes();
        hasher.write(bytes.get(bytes.len().saturating_sub(HASHED)..)?);
        let hash = hasher.finish();
        let part = usize::try_from(hash >> 56).ok()? % PARTS;
        self.parts.get(part).map(|part| (hash, part))
    }

    pub(crate) fn get(&self, text: &str) -> Option<Arc<VerifiedToken>> {
        let (hash, lock) = self.place(text)?;
        let part = lock.read().unwrap_or_else(PoisonError::into_inner);
        let is_same = |found: &&Remembered| *found.text == *text;
        if let Some(found) = part.young.get(&hash).filter(is_same) {
            return Some(Arc::clone(&found.token));
        }
        let token = part.old.get(&hash).filter(is_same).map(|found| Arc::clone(&found.token))?;
        drop(part);
        self.put(text, &token, self.generation());
        Some(token)
    }

    /// Returns the number that [`put`](Self::put) takes, from before the token was verified.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn put(&self, text: &str, token: &Arc<VerifiedToken>, generation: u64) {
        let Some((hash, lock)) = self.place(text) else { return };
        let mut part = lock.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, which `forget_all` takes after it has increased the number.
        if self.generation() != generation || self.capacity_of_part == 0 {
            return;
        }
        if part.young.len() >= self.capacity_of_part {
            part.old = std::mem::take(&mut part.young);
        }
        part.young.insert(hash, Remembered { text: text.into(), token: Arc::clone(token) });
    }

    pub(crate) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        for part in &self.parts {
            *part.write().unwrap_or_else(PoisonError::into_inner) = Part::default();
        }
    }
}
