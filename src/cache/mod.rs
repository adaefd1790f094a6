//! What makes a check fast: session entries, marks of what is no longer good, and shared limits, in the process or in
//! Redis. Whatever is lost here is found in the database again.

pub mod bounded;
pub mod gcra;
mod memory;
mod redis;

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::config::{CacheKind, Rate};
use crate::db::types::{SessionId, TokenId};

use gcra::Decision;
use memory::Memory;
pub use redis::RedisCache;

/// Where cached things live. Clones share it.
#[derive(Clone)]
pub enum Cache {
    Memory(std::sync::Arc<Memory>),
    Redis(RedisCache),
}

/// The cache did not answer, or not in time. Ask the database.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the cache is not available")]
pub struct CacheError;

/// Which of two entries of a session is newer: a later generation, or within one a later revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub generation: i64,
    pub revision: i64,
}

/// What the cache knows that concerns one access token.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// The session's mark: it was revoked, whatever the entry says.
    pub revoked: bool,
    /// The token's mark: from this time on it is no longer good.
    pub superseded_from: Option<Timestamp>,
    /// The session's entry, as its writer put it.
    pub entry: Option<Vec<u8>>,
}

/// An access token that a refresh replaced.
#[derive(Clone, Copy)]
pub struct Superseded {
    pub token: TokenId,
    pub from: Timestamp,
}

/// Whether and where the cache works, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Memory,
    Redis,
    Unavailable,
}

impl Mode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Cache {
    /// Connects to nothing yet. Fails only for a Redis whose settings cannot be used.
    pub fn new(kind: &CacheKind, clock: Clock) -> Result<Self, String> {
        match kind {
            CacheKind::Memory => Ok(Self::Memory(std::sync::Arc::new(Memory::new(clock)))),
            CacheKind::Redis(redis) => RedisCache::new(redis).map(Self::Redis),
        }
    }

    /// Everything that concerns one access token, in one round trip.
    pub async fn lookup(&self, session: SessionId, token: TokenId) -> Result<Lookup, CacheError> {
        match self {
            Self::Memory(memory) => Ok(memory.lookup(session, token)),
            Self::Redis(redis) => redis.lookup(session, token).await,
        }
    }

    /// Keeps a session's entry for `ttl`, unless a newer one is there, and marks the token that it superseded.
    pub async fn put(
        &self,
        session: SessionId,
        version: Version,
        entry: Vec<u8>,
        superseded: Option<Superseded>,
        ttl: Duration,
    ) -> Result<(), CacheError> {
        match self {
            Self::Memory(memory) => {
                memory.put(session, version, entry, superseded, ttl);
                Ok(())
            }
            Self::Redis(redis) => redis.put(session, version, &entry, superseded, ttl).await,
        }
    }

    /// Marks sessions as revoked, each until the time when its last access token will have expired. In the process there is nothing to mark:
    /// the log of revocations in memory is asked before the cache and shared by all who could ask.
    pub async fn mark_revoked(&self, revocations: &[(SessionId, Timestamp)], now: Timestamp) -> Result<(), CacheError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Redis(redis) => redis.mark_revoked(revocations, now).await,
        }
    }

    /// Marks an access token as superseded, for `ttl`. In the process, as above, there is nothing to mark.
    pub async fn supersede(&self, session: SessionId, superseded: Superseded, ttl: Duration) -> Result<(), CacheError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Redis(redis) => redis.supersede(session, superseded, ttl).await,
        }
    }

    /// Counts up to `asked` attempts under `key` for all servers that share the cache. `None` where it is not shared.
    pub async fn count(&self, key: &str, rate: Rate, asked: u32) -> Result<Option<Decision>, CacheError> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Redis(redis) => redis.count(key, rate, asked).await.map(Some),
        }
    }

    pub fn mode(&self) -> Mode {
        match self {
            Self::Memory(_) => Mode::Memory,
            Self::Redis(redis) if redis.is_available() => Mode::Redis,
            Self::Redis(_) => Mode::Unavailable,
        }
    }

    /// How often the cache came back after it had been away.
    pub fn recoveries(&self) -> u64 {
        match self {
            Self::Memory(_) => 0,
            Self::Redis(redis) => redis.recoveries(),
        }
    }

    /// Asks the cache whether it is there, and waits for the answer.
    pub async fn ping(&self) -> Result<(), CacheError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Redis(redis) => redis.ping().await,
        }
    }
}
