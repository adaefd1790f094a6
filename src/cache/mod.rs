//! The cache of checks: entries of sessions, marks of revoked sessions and tokens, and shared rate limits, in the
//! process or in Redis. Everything that it loses can be read from the database again.

pub mod bounded;
pub mod gcra;
pub mod latest;
mod memory;
mod redis;

use std::time::Duration;

use crate::clock::Clock;
use crate::config::CacheKind;
use crate::metrics::Metrics;
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
#[derive(Clone, Copy, Debug)]
pub struct Superseded {
    /// The access token.
    pub jti: Jti,
    /// The time from which it is not valid.
    pub from: Timestamp,
}

/// A new entry of a session.
#[derive(Debug)]
pub struct NewEntry {
    /// The session.
    pub session: SessionId,
    /// The version of the entry.
    pub version: EntryVersion,
    /// The content.
    pub bytes: Vec<u8>,
    /// The token that was superseded.
    pub superseded: Option<Superseded>,
    /// How long the entry is kept, and that the token was superseded.
    pub ttl: Duration,
}

/// The mark of a revoked session, or of the revoked access tokens of a session that stays valid.
#[derive(Clone, Copy, Debug)]
pub struct RevocationMark {
    /// The session that was revoked, or the session of the access tokens.
    pub session: SessionId,
    /// The revision of the session before which its access tokens are revoked, or `None` if the session was revoked.
    pub before: Option<i64>,
    /// The time at which the last access token that was revoked expires.
    pub expires_at: Timestamp,
}

/// The identity of the data that a cache holds. It changes when the cache may have lost marks: when its data was
/// flushed, or when it was restarted or another server took over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incarnation {
    canary: Vec<u8>,
    servers: Vec<String>,
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
    pub fn new(kind: &CacheKind, clock: Clock, metrics: &Metrics) -> Result<Self, String> {
        match kind {
            CacheKind::Memory => Ok(Self::Memory(std::sync::Arc::new(Memory::new(clock)))),
            CacheKind::Redis(redis) => RedisCache::new(redis, metrics).map(Self::Redis),
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

    /// Stores the entry of a session, unless there is a newer one, and marks the token that was superseded.
    ///
    /// # Errors
    /// The cache is unavailable.
    pub async fn put(&self, entry: NewEntry) -> Result<(), CacheError> {
        match self {
            Self::Memory(memory) => {
                memory.put(entry);
                Ok(())
            }
            Self::Redis(redis) => redis.put(entry).await,
        }
    }

    /// Stores entries like [`Self::put`] without waiting for it. Until then, and for good if it fails, a check may read
    /// the entries before them.
    pub fn queue(&self, entries: Vec<NewEntry>) {
        match self {
            Self::Memory(memory) => entries.into_iter().for_each(|entry| memory.put(entry)),
            Self::Redis(redis) => redis.queue(entries),
        }
    }

    /// Stores what is queued until the future is dropped.
    pub async fn run(self) {
        match self {
            Self::Memory(_) => {}
            Self::Redis(redis) => redis.run().await,
        }
    }

    /// Waits until everything that is queued was stored, or could not be.
    pub async fn flush(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Redis(redis) => redis.flush().await,
        }
    }

    /// Marks sessions and access tokens as revoked, each until its last access token expires, and deletes the entries
    /// of the sessions. A cache in the process needs no marks, because the revocation log in memory is checked before
    /// it.
    ///
    /// # Errors
    /// The cache is unavailable. Some of the marks may have been set.
    pub async fn mark_revoked(&self, marks: &[RevocationMark], now: Timestamp) -> Result<(), CacheError> {
        match self {
            Self::Memory(memory) => {
                memory.delete(marks.iter().filter(|mark| mark.before.is_none()).map(|mark| mark.session));
                Ok(())
            }
            Self::Redis(redis) => redis.mark_revoked(marks, now).await,
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

    /// Claims a proof for `kept` on behalf of all servers that share the cache. Returns whether nobody has before;
    /// `None` if the cache is in the process.
    ///
    /// # Errors
    /// The cache is unavailable. The proof may be claimed.
    pub async fn claim_proof(&self, digest: &[u8; 32], kept: Duration) -> Result<Option<bool>, CacheError> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Redis(redis) => redis.claim_proof(digest, kept).await.map(Some),
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

    /// Returns the identity of the cache's data. What it does not tell this time is taken from `previous`.
    ///
    /// # Errors
    /// The cache is unavailable.
    pub async fn incarnation(&self, previous: Option<&Incarnation>) -> Result<Incarnation, CacheError> {
        match self {
            Self::Memory(_) => Ok(Incarnation::default()),
            Self::Redis(redis) => redis.incarnation(previous).await,
        }
    }

    /// Checks whether the cache can be read and written to. Waits for connections as long as opening them may take.
    ///
    /// # Errors
    /// The cache is unavailable. The text says why, after its name.
    pub async fn ping(&self) -> Result<(), String> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Redis(redis) => redis.ping().await,
        }
    }
}
