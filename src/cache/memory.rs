//! The cache of a server that runs alone.

use std::time::Duration;

use super::bounded::Bounded;
use super::{Lookup, Superseded, Version};
use crate::clock::{Clock, Timestamp};
use crate::db::types::{SessionId, TokenId};

/// Sessions, and likewise superseded tokens, that are surely kept: about 30 MB when full.
const CAPACITY: usize = 32 * 1024;

pub struct Memory {
    clock: Clock,
    entries: Bounded<SessionId, Entry>,
    superseded: Bounded<TokenId, Timestamp>,
}

#[derive(Clone)]
struct Entry {
    version: Version,
    expires_at: Timestamp,
    bytes: Vec<u8>,
}

impl Memory {
    pub fn new(clock: Clock) -> Self {
        Self { clock, entries: Bounded::new(CAPACITY), superseded: Bounded::new(CAPACITY) }
    }

    pub fn lookup(&self, session: SessionId, token: TokenId) -> Lookup {
        let now = self.clock.now();
        let entry = self.entries.get(&session).filter(|entry| entry.expires_at > now);
        Lookup { revoked: false, superseded_from: self.superseded.get(&token), entry: entry.map(|entry| entry.bytes) }
    }

    pub fn put(
        &self,
        session: SessionId,
        version: Version,
        bytes: Vec<u8>,
        superseded: Option<Superseded>,
        ttl: Duration,
    ) {
        let expires_at = self.clock.now().plus(ttl);
        self.entries.update(session, |held| match held {
            Some(held) if held.version > version => None,
            Some(_) | None => Some(Entry { version, expires_at, bytes }),
        });
        if let Some(superseded) = superseded {
            self.superseded.put(superseded.token, superseded.from);
        }
    }
}
