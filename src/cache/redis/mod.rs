//! The cache that servers share: a single Redis, a Redis with Sentinel, or a Redis Cluster.
//!
//! Each thread that serves requests keeps one multiplexed connection for reads and one for writes, so the commands of
//! its concurrent requests are pipelined. Failures open the circuit breaker of the reads or of the writes. Every such
//! call then fails at once, and a probe checks whether Redis is available again.

mod breaker;
mod lane;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, Pipeline, Script, Value, cmd};

use super::bounded::BoundedMap;
use super::gcra::{self, Decision};
use super::{CacheError, EntryVersion, Incarnation, Lookup, RevocationMark, Superseded};
use crate::config::Redis;
use crate::metrics::{CacheAccess, Metrics};
use crate::random::Random;
use crate::types::{Jti, Rate, SessionId, Timestamp};

use lane::Lane;
use servers::Servers;

/// The least number of sessions whose entries could not be written that are remembered. They take about 4 MB.
const MAX_UNWRITTEN: usize = 32 * 1024;

const MARKS_PER_PIPELINE: usize = 1000;

/// Stores an entry unless there is a newer one, and marks the token that was superseded unless there is an earlier
/// mark. Entries begin with their version, in a form in which a later version is greater as text. KEYS: entry, optional
/// mark of the token. ARGV: version and entry, TTL in ms, time from which the token is superseded.
const PUT: &str = r"
if redis.call('GETRANGE', KEYS[1], 0, 31) <= string.sub(ARGV[1], 1, 32) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
if KEYS[2] then
  local mark = redis.call('GET', KEYS[2])
  if not mark or tonumber(mark) > tonumber(ARGV[3]) then redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2]) end
end
return 1
";

/// Raises a number unless it is as high already. KEYS: the number. ARGV: its value, TTL in ms.
const RAISE: &str = r"
local present = redis.call('GET', KEYS[1])
if not present or tonumber(present) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1
";

/// The length of the version of an entry: two numbers of 16 hexadecimal digits.
const VERSION_LENGTH: usize = 32;

/// A cache in Redis. Clones share the connections and the circuit breakers.
#[derive(Clone)]
pub struct RedisCache {
    inner: Arc<Inner>,
}

struct Inner {
    prefix: String,
    is_cluster: bool,
    reads: Arc<Lane>,
    writes: Arc<Lane>,
    /// The versions of entries that this server could not write. An older entry of such a session may be read still,
    /// and is out of date.
    unwritten: BoundedMap<SessionId, String>,
    put: Script,
    count: Script,
}

impl RedisCache {
    /// Creates the cache, without connecting.
    pub fn new(config: &Redis, metrics: &Metrics) -> Result<Self, String> {
        let servers = Arc::new(Servers::new(config)?);
        let lane = |access| Lane::new(access, Arc::clone(&servers), &config.prefix, metrics.clone());
        let inner = Inner {
            prefix: config.prefix.clone(),
            is_cluster: servers.is_cluster(),
            reads: lane(CacheAccess::Read),
            writes: lane(CacheAccess::Write),
            unwritten: BoundedMap::new(MAX_UNWRITTEN),
            put: Script::new(PUT),
            count: Script::new(gcra::SCRIPT),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads everything about one access token.
    pub async fn lookup(&self, session: SessionId, jti: Jti) -> Result<Lookup, CacheError> {
        type Found = (Option<Vec<u8>>, Option<i64>, Option<i64>, Option<Vec<u8>>);
        let mut command = cmd("MGET");
        command.arg(self.mark_key(session)).arg(self.valid_from_key(session));
        command.arg(self.token_key(session, jti)).arg(self.entry_key(session));
        let (mark, valid_from, from, entry): Found =
            self.inner.reads.call(async |connection| command.query_async(connection).await).await?;
        let entry = entry.as_deref().and_then(|entry| entry.split_at_checked(VERSION_LENGTH));
        let unwritten = self.inner.unwritten.get(&session);
        let is_current = |version: &[u8]| unwritten.is_none_or(|unwritten| version >= unwritten.as_bytes());
        Ok(Lookup {
            revoked: mark.is_some(),
            valid_from: valid_from.unwrap_or(0),
            superseded_from: from.map(Timestamp::from_millis),
            entry: entry.filter(|(version, _)| is_current(version)).map(|(_, entry)| entry.to_vec()),
        })
    }

    /// Stores the entry of a session, unless there is a newer one, and marks the token that was superseded.
    pub async fn put(
        &self,
        session: SessionId,
        version: EntryVersion,
        entry: &[u8],
        superseded: Option<Superseded>,
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let mut call = self.inner.put.prepare_invoke();
        let version = format!("{:016x}{:016x}", version.generation, version.revision);
        call.key(self.entry_key(session)).arg([version.as_bytes(), entry].concat()).arg(millis(ttl));
        if let Some(superseded) = superseded {
            call.key(self.token_key(session, superseded.jti)).arg(superseded.from.as_millis());
        }
        let put = self.inner.writes.call(async |connection| call.invoke_async::<i64>(connection).await).await;
        let unwritten = &self.inner.unwritten;
        match put {
            Ok(_) if unwritten.get(&session).is_some_and(|unwritten| unwritten <= version) => {
                unwritten.remove(&session)
            }
            Ok(_) => {}
            Err(_) => unwritten.update(session, |known| (known < Some(&version)).then(|| version.clone())),
        }
        put.map(drop)
    }

    /// Marks sessions and access tokens as revoked, each until its last access token expires, and deletes the entries
    /// of the sessions.
    pub async fn mark_revoked(&self, marks: &[RevocationMark], now: Timestamp) -> Result<(), CacheError> {
        // In a cluster each session has a slot of its own, and a pipeline cannot span slots.
        let mut calls = tokio::task::JoinSet::new();
        for chunk in marks.chunks(if self.inner.is_cluster { 1 } else { MARKS_PER_PIPELINE }) {
            if calls.len() >= MARKS_PER_PIPELINE {
                calls.join_next().await.transpose().map_err(|_| CacheError)?.transpose()?;
            }
            let pipeline = self.marks(chunk, now);
            let writes = Arc::clone(&self.inner.writes);
            calls.spawn(
                async move { writes.call(async |connection| pipeline.query_async::<()>(connection).await).await },
            );
        }
        while let Some(marked) = calls.join_next().await {
            marked.map_err(|_| CacheError)??;
        }
        Ok(())
    }

    /// Returns the commands that mark sessions and access tokens as revoked.
    fn marks(&self, marks: &[RevocationMark], now: Timestamp) -> Pipeline {
        let mut pipeline = Pipeline::new();
        for mark in marks {
            let ttl = millis(mark.expires_at.since(now)).max(1);
            match mark.before {
                Some(before) => {
                    let key = self.valid_from_key(mark.session);
                    pipeline.cmd("EVAL").arg(RAISE).arg(1).arg(key).arg(before).arg(ttl).ignore();
                }
                None => {
                    pipeline.cmd("SET").arg(self.mark_key(mark.session)).arg(1).arg("PX").arg(ttl).ignore();
                    pipeline.cmd("UNLINK").arg(self.entry_key(mark.session)).ignore();
                }
            }
        }
        pipeline
    }

    /// Counts up to `requested` attempts under `key`.
    pub async fn count(&self, key: &str, rate: Rate, requested: u32) -> Result<Decision, CacheError> {
        let mut call = self.inner.count.prepare_invoke();
        call.key(format!("{}:limit:{{{key}}}", self.inner.prefix));
        for argument in gcra::arguments(rate, requested) {
            call.arg(argument);
        }
        let reply: Vec<i64> = self.inner.writes.call(async |connection| call.invoke_async(connection).await).await?;
        gcra::parse(&reply).ok_or(CacheError)
    }

    /// Returns what identifies the data in Redis: a key that is lost with the data, and the servers that hold it.
    /// Servers that do not tell who they are, or cannot be asked, are taken for those of `previous`.
    pub async fn incarnation(&self, previous: Option<&Incarnation>) -> Result<Incarnation, CacheError> {
        let key = format!("{}:canary", self.inner.prefix);
        let read = Cmd::get(&key);
        let read = async || self.inner.reads.call(async |connection| read.query_async(connection).await).await;
        let canary: Option<Vec<u8>> = read().await?;
        let canary = match canary {
            Some(canary) => canary,
            None => {
                let mut set = cmd("SET");
                set.arg(&key).arg(format!("{:032x}", u128::from_be_bytes(Random.bytes()))).arg("NX");
                self.inner.writes.call(async |connection| set.query_async::<Value>(connection).await).await?;
                // Another server may have been first.
                read().await?.ok_or(CacheError)?
            }
        };
        let mut info = cmd("INFO");
        info.arg("server");
        let told = self.inner.reads.attempt(async |connection| match info.query_async::<Value>(connection).await {
            // A proxy, or an account without the right to ask.
            Err(error) if error.code().is_some() => Ok(Value::Nil),
            answer => answer,
        });
        let mut servers = Vec::new();
        if let Ok(told) = told.await {
            collect_run_ids(&told, &mut servers);
        }
        servers.sort_unstable();
        if let (true, Some(previous)) = (servers.is_empty(), previous) {
            servers.clone_from(&previous.servers);
        }
        Ok(Incarnation { canary, servers })
    }

    /// Connects, and checks whether Redis can be read and written to.
    pub async fn ping(&self) -> Result<(), String> {
        self.inner.reads.ping().await.map_err(|reason| format!("cannot be read: {reason}"))?;
        self.inner.writes.ping().await.map_err(|reason| format!("cannot be written to: {reason}"))
    }

    /// Returns whether the circuit breakers are closed.
    pub fn is_available(&self) -> bool {
        self.inner.reads.is_available() && self.inner.writes.is_available()
    }

    fn entry_key(&self, session: SessionId) -> String {
        format!("{}:{{{session}}}:session", self.inner.prefix)
    }

    fn mark_key(&self, session: SessionId) -> String {
        format!("{}:{{{session}}}:revoked", self.inner.prefix)
    }

    fn valid_from_key(&self, session: SessionId) -> String {
        format!("{}:{{{session}}}:valid_from", self.inner.prefix)
    }

    fn token_key(&self, session: SessionId, jti: Jti) -> String {
        format!("{}:{{{session}}}:jti:{jti}", self.inner.prefix)
    }
}

/// Collects the ids that servers have drawn at their start, from the answer of one or of all primaries of a cluster.
fn collect_run_ids(answer: &Value, ids: &mut Vec<String>) {
    let mut read = |text: &str| {
        ids.extend(text.lines().filter_map(|line| line.strip_prefix("run_id:")).map(|id| id.trim_end().to_owned()));
    };
    match answer {
        Value::BulkString(text) => read(&String::from_utf8_lossy(text)),
        Value::VerbatimString { text, .. } => read(text),
        Value::Map(answers) => answers.iter().for_each(|(_, answer)| collect_run_ids(answer, ids)),
        _ => {}
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
