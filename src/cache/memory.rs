//! The cache in the process, for a single server.

use super::bounded::BoundedMap;
use super::{EntryVersion, Lookup, NewEntry};
use crate::clock::Clock;
use crate::types::{Jti, SessionId, Timestamp};

/// The least number of sessions, and of superseded tokens, that are kept. They take about 30 MB.
const CAPACITY: usize = 32 * 1024;

/// A cache in the process.
pub struct Memory {
    clock: Clock,
    entries: BoundedMap<SessionId, Entry>,
    superseded: BoundedMap<Jti, Timestamp>,
}

#[derive(Clone)]
struct Entry {
    version: EntryVersion,
    expires_at: Timestamp,
    bytes: Vec<u8>,
}

impl Memory {
    /// Creates an empty cache.
    pub fn new(clock: Clock) -> Self {
        Self { clock, entries: BoundedMap::new(CAPACITY), superseded: BoundedMap::new(CAPACITY) }
    }

    /// Reads everything about one access token.
    pub fn lookup(&self, session: SessionId, jti: Jti) -> Lookup {
        let now = self.clock.now();
        let entry = self.entries.get(&session).filter(|entry| entry.expires_at > now);
        Lookup {
            revoked: false,
            valid_from: 0,
            superseded_from: self.superseded.get(&jti),
            entry: entry.map(|entry| entry.bytes),
        }
    }

    /// Deletes the entries of sessions. Marks are for other servers, which do not share this cache.
    pub fn delete(&self, sessions: impl Iterator<Item = SessionId>) {
        sessions.for_each(|session| self.entries.remove(&session));
    }

    /// Stores the entry of a session, unless there is a newer one, and the token that was superseded.
    pub fn put(&self, new: NewEntry) {
        let expires_at = self.clock.now().plus(new.ttl);
        let NewEntry { session, version, bytes, superseded, .. } = new;
        self.entries.update(session, |present| match present {
            Some(present) if present.version > version => None,
            Some(_) | None => Some(Entry { version, expires_at, bytes }),
        });
        if let Some(superseded) = superseded {
            let from = superseded.from;
            self.superseded.update(superseded.jti, |known| known.is_none_or(|known| from < *known).then_some(from));
        }
    }
}
