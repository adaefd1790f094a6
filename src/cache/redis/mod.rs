//! The cache that servers share: a single Redis, a Redis with Sentinel, or a Redis Cluster.
//!
//! Each thread that serves requests keeps one multiplexed connection for reads and one for writes, so the commands of
//! its concurrent requests are pipelined. Failures open the circuit breaker of the reads or of the writes. Every such
//! call then fails at once, and a probe checks whether Redis is available again.

mod breaker;
mod entries;
mod lane;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deadpool_redis::redis::{Cmd, Pipeline, Script, Value, cmd};

use super::gcra::{self, Decision};
use super::{CacheError, Incarnation, Lookup, NewEntry, RevocationMark};
use crate::config::Redis;
use crate::metrics::{CacheAccess, Metrics};
use crate::random::Random;
use crate::types::{Jti, Rate, SessionId, Timestamp};

use entries::Entries;
use lane::Lane;
use servers::Servers;

const MARKS_PER_PIPELINE: usize = 1000;

/// Raises a number unless it is as high already. KEYS: the number. ARGV: its value, TTL in ms.
const RAISE: &str = r"
local present = redis.call('GET', KEYS[1])
if not present or tonumber(present) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1
";

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
    entries: Arc<Entries>,
    count: Script,
}

impl RedisCache {
    /// Creates the cache, without connecting.
    pub fn new(config: &Redis, metrics: &Metrics) -> Result<Self, String> {
        let servers = Arc::new(Servers::new(config)?);
        let lane = |access| Lane::new(access, Arc::clone(&servers), &config.prefix, metrics.clone());
        let writes = lane(CacheAccess::Write);
        let is_cluster = servers.is_cluster();
        let inner = Inner {
            prefix: config.prefix.clone(),
            is_cluster,
            reads: lane(CacheAccess::Read),
            entries: Arc::new(Entries::new(&config.prefix, is_cluster, Arc::clone(&writes))),
            writes,
            count: Script::new(gcra::SCRIPT),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads everything about one access token.
    pub async fn lookup(&self, session: SessionId, jti: Jti) -> Result<Lookup, CacheError> {
        type Found = (Option<Vec<u8>>, Option<i64>, Option<Vec<u8>>);
        let mut command = cmd("MGET");
        command
            .arg(self.mark_key(session))
            .arg(self.valid_from_key(session))
            .arg(entry_key(&self.inner.prefix, session));
        let (mark, valid_from, value): Found =
            self.inner.reads.call(async |connection| command.query_async(connection).await).await?;
        let value = value.as_deref().and_then(|value| self.inner.entries.parse(session, jti, value));
        let (superseded_from, entry) = value.unwrap_or((None, None));
        Ok(Lookup {
            revoked: mark.is_some(),
            valid_from: valid_from.unwrap_or(0),
            superseded_from,
            entry: entry.map(<[u8]>::to_vec),
        })
    }

    /// Writes the entry of a session, unless there is a newer one, and marks the token that was superseded.
    pub async fn put(&self, entry: NewEntry) -> Result<(), CacheError> {
        self.inner.entries.put(entry).await
    }

    /// Queues entries to be written like that in a moment.
    pub fn queue(&self, entries: Vec<NewEntry>) {
        self.inner.entries.queue(entries);
    }

    /// Writes what is queued until the future is dropped.
    pub async fn run(&self) {
        self.inner.entries.run().await;
    }

    /// Waits until everything that is queued was written, or could not be.
    pub async fn flush(&self) {
        self.inner.entries.flush().await;
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
                    pipeline.cmd("UNLINK").arg(entry_key(&self.inner.prefix, mark.session)).ignore();
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

    /// Claims a proof for `kept`. Returns whether nobody has before.
    pub async fn claim_proof(&self, digest: &[u8; 32], kept: Duration) -> Result<bool, CacheError> {
        let mut command = cmd("SET");
        let key = format!("{}:proof:{}", self.inner.prefix, URL_SAFE_NO_PAD.encode(digest));
        command.arg(key).arg(1).arg("NX").arg("PX").arg(millis(kept));
        let call = async |connection: &mut _| command.query_async::<Value>(connection).await;
        match self.inner.writes.call(call).await? {
            Value::Okay => Ok(true),
            Value::Nil => Ok(false),
            _ => Err(CacheError),
        }
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

    fn mark_key(&self, session: SessionId) -> String {
        format!("{}:{{{session}}}:revoked", self.inner.prefix)
    }

    fn valid_from_key(&self, session: SessionId) -> String {
        format!("{}:{{{session}}}:valid_from", self.inner.prefix)
    }
}

fn entry_key(prefix: &str, session: SessionId) -> String {
    format!("{prefix}:{{{session}}}:entry")
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
