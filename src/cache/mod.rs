//! The cache of checks: entries of sessions, marks of revoked sessions and tokens, and shared rate limits, in the
//! process or in Redis. Everything that it loses can be read from the database again.

pub mod bounded;
pub mod gcra;
mod memory;
mod redis;
mod scripts;

use std::time::Duration;

use crate::clock::Clock;
use crate::config::CacheKind;
use crate::types::{Jti, Rate, SessionId, Timestamp};

use gcra::Decision;
use memory::Memory;
pub use redis::RedisCache;

/// The cache of a server. Clones share everything.
#[derive(Clone)]
pub enum Cache {
    /// A cache in the process.
    Memory(std::sync::Arc<Memory>),
    /// A cache that servers share.
    Redis(RedisCache),
}

/// The error of a cache that is unavailable. The caller must query the database.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the cache is not available")]
pub struct CacheError;

/// The version of the entry of a session. Versions are ordered by generation and then by revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryVersion {
    /// The generation of the session's refresh token.
    pub generation: i64,
    /// The number of changes of the session.
    pub revision: i64,
}

/// The content of the cache about one access token.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Whether the session is marked as revoked. This takes precedence over the entry.
    pub revoked: bool,
    /// The revision from which on the access tokens of the session are valid, if earlier ones are marked as revoked.
    pub valid_from: i64,
    /// The time from which the token is superseded, if it is marked so.
    pub superseded_from: Option<Timestamp>,
    /// The entry of the session.
    pub entry: Option<Vec<u8>>,
}

/// An access token that is superseded from a time on.
#[derive(Clone, Copy)]
pub struct Superseded {
    /// The access token.
    pub jti: Jti,
    /// The time from which it is not valid.
    pub from: Timestamp,
}

/// The status of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStatus {
    /// The cache is in the process.
    Memory,
    /// The cache is Redis, which is available.
    Redis,
    /// The cache is Redis, which is unavailable.
    Unavailable,
}

impl CacheStatus {
    /// Returns the name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Cache {
    /// Creates the cache, without connecting.
    ///
    /// # Errors
    /// The settings of Redis cannot be used.
    pub fn new(kind: &CacheKind, clock: Clock) -> Result<Self, String> {
        match kind {
            CacheKind::Memory => Ok(Self::Memory(std::sync::Arc::new(Memory::new(clock)))),
            CacheKind::Redis(redis) => RedisCache::new(redis).map(Self::Redis),
        }
    }

    /// Reads everything about one access token in one round trip.
    ///
    /// # Errors
    /// The cache is unavailable.
    pub async fn lookup(&self, session: SessionId, jti: Jti) -> Result<Lookup, CacheError> {
        match self {
            Self::Memory(memory) => Ok(memory.lookup(session, jti)),
            Self::Redis(redis) => redis.lookup(session, jti).await,
        }
    }

    /// Stores the entry of a session for `ttl`, unless there is a newer one, and marks the token that was superseded.
    ///
    /// # Errors
    /// The cache is unavailable.
    pub async fn put(
        &self,
        session: SessionId,
        version: EntryVersion,
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

    /// Marks sessions as revoked, each until its last access token expires, and deletes their entries. A cache in the
    /// process needs no marks, because the revocation log in memory is checked before it.
    ///
    /// # Errors
    /// The cache is unavailable.
    pub async fn mark_revoked(&self, revocations: &[(SessionId, Timestamp)], now: Timestamp) -> Result<(), CacheError> {
        match self {
            Self::Memory(memory) => {
                memory.delete(revocations.iter().map(|(session, _)| *session));
                Ok(())
            }
            Self::Redis(redis) => redis.mark_revoked(revocations, now).await,
        }
    }

    /// Marks the access tokens of a session that were issued before its revision `before` as revoked, for `ttl`. Does
    /// nothing if the cache is in the process, as [`Self::mark_revoked`] does.
    ///
    /// # Errors
    /// The cache is unavailable.
    pub async fn mark_tokens_revoked(&self, session: SessionId, before: i64, ttl: Duration) -> Result<(), CacheError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Redis(redis) => redis.mark_tokens_revoked(session, before, ttl).await,
        }
    }

    /// Counts up to `requested` attempts under `key` for all servers that share the cache. Returns `None` if the cache
    /// is in the process.
    ///
    /// # Errors
    /// The cache is unavailable.
    pub async fn count(&self, key: &str, rate: Rate, requested: u32) -> Result<Option<Decision>, CacheError> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Redis(redis) => redis.count(key, rate, requested).await.map(Some),
        }
    }

    /// Returns the status of the cache.
    pub fn status(&self) -> CacheStatus {
        match self {
            Self::Memory(_) => CacheStatus::Memory,
            Self::Redis(redis) if redis.is_available() => CacheStatus::Redis,
            Self::Redis(_) => CacheStatus::Unavailable,
        }
    }

    /// Returns how often the cache has become available again.
    pub fn recoveries(&self) -> u64 {
        match self {
            Self::Memory(_) => 0,
            Self::Redis(redis) => redis.recoveries(),
        }
    }

    /// Checks whether the cache responds.
    ///
    /// # Errors
    /// The cache is unavailable.
    pub async fn ping(&self) -> Result<(), CacheError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Redis(redis) => redis.ping().await,
        }
    }
}
