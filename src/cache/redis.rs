//! The cache that servers share: Redis, alone, behind Sentinel or as a Cluster.
//!
//! Each thread that serves requests keeps one multiplexed connection, so commands of requests that it serves at the
//! same time travel together. A fault or an answer that takes too long opens a breaker: from then on every call fails
//! at once, while a probe asks a few times a second whether Redis is back.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::{
    Client, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo as _, Pipeline, RedisFuture, RedisResult, Script,
    TlsCertificates, Value, cmd,
};
use deadpool_redis::{Manager, Pool, Runtime, Timeouts, cluster, sentinel};

use super::gcra::{self, Decision};
use super::{CacheError, Lookup, Superseded, Version};
use crate::clock::Timestamp;
use crate::config::{Rate, Redis, RedisLayout};
use crate::db::types::{SessionId, TokenId};

/// The longest that one call may take on a connection that is there.
const CALL_PATIENCE: Duration = Duration::from_millis(100);

/// The longest that a call may take which has to connect first.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// Connections of one server at the most: one per thread that asks.
const MAX_CONNECTIONS: usize = 256;

/// Marks sent in one pipeline.
const MARKS_AT_ONCE: usize = 1000;

/// Keeps an entry unless a newer one is there, and in any case marks the token that it superseded, unless that has ended before. Entries begin with their
/// version, written so that a later one is greater as text.
/// KEYS: entry, mark of the token (or none). ARGV: version and entry, TTL in ms, time from which the mark holds.
const PUT: &str = r"
if redis.call('GETRANGE', KEYS[1], 0, 31) <= string.sub(ARGV[1], 1, 32) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
if KEYS[2] then
  local held = redis.call('GET', KEYS[2])
  if not held or tonumber(held) > tonumber(ARGV[3]) then redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2]) end
end
return 1
";

/// Bytes of an entry that are its version: two numbers of 16 hexadecimal digits.
const VERSION_LENGTH: usize = 32;

/// Clones share connections and breaker.
#[derive(Clone)]
pub struct RedisCache(Arc<Shared>);

struct Shared {
    /// Tells this cache from others in thread-local storage.
    id: u64,
    pools: Pools,
    prefix: String,
    put: Script,
    count: Script,
    away: AtomicBool,
    probing: AtomicBool,
    recoveries: AtomicU64,
}

enum Pools {
    Single(Pool),
    Sentinel(sentinel::Pool),
    Cluster(cluster::Pool),
}

/// A connection and its place in the pool, which it keeps for as long as its thread uses it.
enum Held {
    Single(deadpool_redis::Connection),
    Sentinel(sentinel::Connection),
    Cluster(cluster::Connection),
}

/// A clone of a connection, to send one command or pipeline.
enum Link {
    Multiplexed(MultiplexedConnection),
    Cluster(ClusterConnection),
}

thread_local! {
    /// By cache: a connection, and how often the cache had come back when it was made.
    static HELD: RefCell<HashMap<u64, (u64, Held)>> = RefCell::default();
}

impl Held {
    fn link(&self) -> Link {
        match self {
            Self::Single(connection) => Link::Multiplexed((**connection).clone()),
            Self::Sentinel(connection) => Link::Multiplexed((**connection).clone()),
            Self::Cluster(connection) => Link::Cluster((**connection).clone()),
        }
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Multiplexed(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Multiplexed(connection) => connection.req_packed_commands(cmd, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Multiplexed(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl RedisCache {
    pub fn new(config: &Redis) -> Result<Self, String> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Ok(Self(Arc::new(Shared {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            pools: Pools::new(config)?,
            prefix: config.prefix.clone(),
            put: Script::new(PUT),
            count: Script::new(gcra::SCRIPT),
            away: AtomicBool::new(false),
            probing: AtomicBool::new(false),
            recoveries: AtomicU64::new(0),
        })))
    }

    pub async fn lookup(&self, session: SessionId, token: TokenId) -> Result<Lookup, CacheError> {
        let mut command = cmd("MGET");
        command.arg(self.mark_key(session)).arg(self.token_key(session, token)).arg(self.entry_key(session));
        let (mark, from, entry): (Option<Vec<u8>>, Option<i64>, Option<Vec<u8>>) = self.ask(&command).await?;
        Ok(Lookup {
            revoked: mark.is_some(),
            superseded_from: from.map(Timestamp::from_millis),
            entry: entry.and_then(|entry| entry.get(VERSION_LENGTH..).map(<[u8]>::to_vec)),
        })
    }

    pub async fn put(
        &self,
        session: SessionId,
        version: Version,
        entry: &[u8],
        superseded: Option<Superseded>,
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let mut call = self.0.put.prepare_invoke();
        let mut versioned = format!("{:016x}{:016x}", version.generation, version.revision).into_bytes();
        versioned.extend_from_slice(entry);
        call.key(self.entry_key(session)).arg(versioned).arg(millis(ttl));
        if let Some(superseded) = superseded {
            call.key(self.token_key(session, superseded.token)).arg(superseded.from.as_millis());
        }
        self.call(async |link| call.invoke_async::<i64>(link).await).await.map(drop)
    }

    pub async fn mark_revoked(&self, revocations: &[(SessionId, Timestamp)], now: Timestamp) -> Result<(), CacheError> {
        if let Pools::Cluster(_) = self.0.pools {
            return self.mark_in_cluster(revocations, now).await;
        }
        for chunk in revocations.chunks(MARKS_AT_ONCE) {
            let mut pipeline = Pipeline::with_capacity(chunk.len());
            for (session, expires_at) in chunk {
                let ttl = millis(expires_at.since(now)).max(1);
                pipeline.cmd("SET").arg(self.mark_key(*session)).arg(1).arg("PX").arg(ttl).ignore();
            }
            self.call(async |link| pipeline.query_async::<()>(link).await).await?;
        }
        Ok(())
    }

    pub async fn supersede(&self, session: SessionId, superseded: Superseded, ttl: Duration) -> Result<(), CacheError> {
        let mut command = cmd("SET");
        command.arg(self.token_key(session, superseded.token)).arg(superseded.from.as_millis());
        self.ask::<Value>(command.arg("PX").arg(millis(ttl).max(1))).await.map(drop)
    }

    /// Each mark lies in a slot of its own, which one pipeline cannot span: they are sent singly, and waited for together.
    async fn mark_in_cluster(&self, revocations: &[(SessionId, Timestamp)], now: Timestamp) -> Result<(), CacheError> {
        for chunk in revocations.chunks(MARKS_AT_ONCE) {
            let mut marks = tokio::task::JoinSet::new();
            for (session, expires_at) in chunk {
                let mut command = cmd("SET");
                command.arg(self.mark_key(*session)).arg(1).arg("PX").arg(millis(expires_at.since(now)).max(1));
                let cache = self.clone();
                marks.spawn(async move { cache.ask::<Value>(&command).await.map(drop) });
            }
            while let Some(marked) = marks.join_next().await {
                marked.map_err(|_| CacheError)??;
            }
        }
        Ok(())
    }

    pub async fn count(&self, key: &str, rate: Rate, asked: u32) -> Result<Decision, CacheError> {
        let mut call = self.0.count.prepare_invoke();
        call.key(format!("{}:limit:{{{key}}}", self.0.prefix));
        for argument in gcra::arguments(rate, asked) {
            call.arg(argument);
        }
        let reply: Vec<i64> = self.call(async |link| call.invoke_async(link).await).await?;
        gcra::parse(&reply).ok_or(CacheError)
    }

    pub async fn ping(&self) -> Result<(), CacheError> {
        self.ask::<Value>(&cmd("PING")).await.map(drop)
    }

    pub fn is_available(&self) -> bool {
        !self.0.away.load(Ordering::Relaxed)
    }

    pub fn recoveries(&self) -> u64 {
        self.0.recoveries.load(Ordering::Relaxed)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, CacheError> {
        self.call(async |link| command.query_async(link).await).await
    }

    async fn call<T>(&self, work: impl AsyncFnOnce(&mut Link) -> RedisResult<T>) -> Result<T, CacheError> {
        if !self.is_available() {
            return Err(CacheError);
        }
        match self.0.attempt(work).await {
            Ok(value) => Ok(value),
            Err(reason) => {
                self.open_breaker(&reason);
                Err(CacheError)
            }
        }
    }

    fn open_breaker(&self, reason: &str) {
        self.0.away.store(true, Ordering::Relaxed);
        if !self.0.probing.swap(true, Ordering::AcqRel) {
            tracing::warn!(reason, "Redis is away: the database is asked instead");
            tokio::spawn(Arc::clone(&self.0).probe());
        }
    }

    fn entry_key(&self, session: SessionId) -> String {
        format!("{}:{{{session}}}:session", self.0.prefix)
    }

    fn mark_key(&self, session: SessionId) -> String {
        format!("{}:{{{session}}}:revoked", self.0.prefix)
    }

    fn token_key(&self, session: SessionId, token: TokenId) -> String {
        format!("{}:{{{session}}}:jti:{token}", self.0.prefix)
    }
}

impl Shared {
    /// One call on this thread's connection, in bounded time. A connection that failed is given back to the pool,
    /// which tries it before it hands it out again.
    async fn attempt<T>(&self, work: impl AsyncFnOnce(&mut Link) -> RedisResult<T>) -> Result<T, String> {
        // One from before the last fault is likely as dead as the one that showed it.
        let recoveries = self.recoveries.load(Ordering::Acquire);
        let held = HELD.with_borrow(|held| {
            held.get(&self.id).filter(|(made_at, _)| *made_at == recoveries).map(|(_, held)| held.link())
        });
        let patience = if held.is_some() { CALL_PATIENCE } else { CONNECT_PATIENCE };
        let outcome = tokio::time::timeout(patience, async {
            let mut link = match held {
                Some(link) => link,
                None => self.connect().await?,
            };
            work(&mut link).await.map_err(|error| error.to_string())
        })
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} ms", patience.as_millis())));
        if outcome.is_err() {
            HELD.with_borrow_mut(|held| held.remove(&self.id));
        }
        outcome
    }

    async fn connect(&self) -> Result<Link, String> {
        let held = match &self.pools {
            Pools::Single(pool) => pool.get().await.map(Held::Single).map_err(|error| error.to_string()),
            Pools::Sentinel(pool) => pool.get().await.map(Held::Sentinel).map_err(|error| error.to_string()),
            Pools::Cluster(pool) => pool.get().await.map(Held::Cluster).map_err(|error| error.to_string()),
        }?;
        let link = held.link();
        let recoveries = self.recoveries.load(Ordering::Acquire);
        HELD.with_borrow_mut(|all| all.insert(self.id, (recoveries, held)));
        Ok(link)
    }

    /// Asks until Redis answers, then closes the breaker.
    async fn probe(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PROBE_INTERVAL).await;
            let answered = self.attempt(async |link| cmd("PING").query_async::<Value>(link).await).await;
            if answered.is_ok() {
                break;
            }
        }
        self.recoveries.fetch_add(1, Ordering::Release);
        self.probing.store(false, Ordering::Release);
        self.away.store(false, Ordering::Relaxed);
        tracing::info!("Redis is back");
    }
}

impl Pools {
    fn new(config: &Redis) -> Result<Self, String> {
        let certificate = config.ca_file.as_deref().map(std::fs::read).transpose();
        let certificate = certificate.map_err(|error| format!("REDIS_CA_FILE cannot be read: {error}"))?;
        let node = |url: &str| node(url, certificate.as_deref());
        let timeouts =
            Timeouts { wait: Some(CONNECT_PATIENCE), create: Some(CONNECT_PATIENCE), recycle: Some(CALL_PATIENCE) };
        macro_rules! pool {
            ($module:path, $manager:expr) => {{
                use $module as of;
                of::Pool::builder($manager.map_err(|error| error.to_string())?)
                    .max_size(MAX_CONNECTIONS)
                    .runtime(Runtime::Tokio1)
                    .timeouts(timeouts)
                    .build()
                    .map_err(|error| error.to_string())?
            }};
        }
        Ok(match &config.layout {
            RedisLayout::Single { url } => Self::Single(pool!(deadpool_redis, Manager::new(node(url)?))),
            RedisLayout::Cluster { nodes } => {
                let nodes = nodes.iter().map(|url| node(url)).collect::<Result<Vec<_>, _>>()?;
                Self::Cluster(pool!(cluster, cluster::Manager::new(nodes, false)))
            }
            RedisLayout::Sentinel { sentinels, service, username, password, db, tls } => {
                let nodes = sentinels.iter().map(|url| node(url)).collect::<Result<Vec<_>, _>>()?;
                let of_master = sentinel::SentinelNodeConnectionInfo {
                    tls_mode: tls.then_some(sentinel::TlsMode::Secure),
                    redis_connection_info: Some(deadpool_redis::RedisConnectionInfo {
                        db: *db,
                        username: username.clone(),
                        password: password.as_ref().map(|password| password.to_string()),
                        ..Default::default()
                    }),
                };
                let kind = sentinel::SentinelServerType::Master;
                Self::Sentinel(pool!(sentinel, sentinel::Manager::new(nodes, service.clone(), Some(of_master), kind)))
            }
        })
    }
}

/// How to reach one server, with the operator's own authority where there is one.
fn node(url: &str, certificate: Option<&[u8]>) -> Result<ConnectionInfo, String> {
    let info = url.into_connection_info().map_err(|error| error.to_string())?;
    let Some(certificate) = certificate else { return Ok(info) };
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(certificate.to_vec()) };
    let client = Client::build_with_tls(info, certificates).map_err(|error| format!("REDIS_CA_FILE: {error}"))?;
    Ok(client.get_connection_info().clone())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
