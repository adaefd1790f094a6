//! The cache that servers share: a single Redis, a Redis with Sentinel, or a Redis Cluster.
//!
//! Each thread that serves requests keeps one multiplexed connection, so the commands of its concurrent requests are
//! pipelined. An error or a timeout opens a circuit breaker. Every call then fails at once, and a probe checks several
//! times a second whether Redis is available again.

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
use super::scripts;
use super::{CacheError, EntryVersion, Lookup, Superseded};
use crate::config::{Redis, RedisLayout};
use crate::types::{Jti, Rate, SessionId, Timestamp};

/// The timeout of a call on an open connection.
const CALL_TIMEOUT: Duration = Duration::from_millis(100);

/// The timeout of a call that must connect first.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// The most connections of one server. Each thread keeps one.
const MAX_CONNECTIONS: usize = 256;

const MARKS_PER_PIPELINE: usize = 1000;

/// The length of the version of an entry: two numbers of 16 hexadecimal digits.
const VERSION_LENGTH: usize = 32;

/// A cache in Redis. Clones share the connections and the circuit breaker.
#[derive(Clone)]
pub struct RedisCache {
    inner: Arc<Inner>,
}

struct Inner {
    /// The id of this cache in thread-local storage.
    id: u64,
    pools: Pools,
    prefix: String,
    put: Script,
    raise: Script,
    count: Script,
    /// Whether the circuit breaker is open.
    unavailable: AtomicBool,
    probing: AtomicBool,
    recoveries: AtomicU64,
}

enum Pools {
    Single(Pool),
    Sentinel(sentinel::Pool),
    Cluster(cluster::Pool),
}

/// A pooled connection that a thread keeps.
enum PooledConnection {
    Single(deadpool_redis::Connection),
    Sentinel(sentinel::Connection),
    Cluster(cluster::Connection),
}

/// A clone of a connection for one command or pipeline.
enum Connection {
    Multiplexed(MultiplexedConnection),
    Cluster(ClusterConnection),
}

thread_local! {
    /// For each cache, a connection and the number of recoveries before it was opened.
    static CONNECTIONS: RefCell<HashMap<u64, (u64, PooledConnection)>> = RefCell::default();
}

impl PooledConnection {
    fn connection(&self) -> Connection {
        match self {
            Self::Single(connection) => Connection::Multiplexed((**connection).clone()),
            Self::Sentinel(connection) => Connection::Multiplexed((**connection).clone()),
            Self::Cluster(connection) => Connection::Cluster((**connection).clone()),
        }
    }
}

impl ConnectionLike for Connection {
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
    /// Creates the cache, without connecting.
    pub fn new(config: &Redis) -> Result<Self, String> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let inner = Inner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            pools: Pools::new(config)?,
            prefix: config.prefix.clone(),
            put: Script::new(scripts::PUT),
            raise: Script::new(scripts::RAISE),
            count: Script::new(gcra::SCRIPT),
            unavailable: AtomicBool::new(false),
            probing: AtomicBool::new(false),
            recoveries: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads everything about one access token.
    pub async fn lookup(&self, session: SessionId, jti: Jti) -> Result<Lookup, CacheError> {
        type Found = (Option<Vec<u8>>, Option<i64>, Option<i64>, Option<Vec<u8>>);
        let mut command = cmd("MGET");
        command.arg(self.mark_key(session)).arg(self.valid_from_key(session));
        command.arg(self.token_key(session, jti)).arg(self.entry_key(session));
        let (mark, valid_from, from, entry): Found = self.query(&command).await?;
        Ok(Lookup {
            revoked: mark.is_some(),
            valid_from: valid_from.unwrap_or(0),
            superseded_from: from.map(Timestamp::from_millis),
            entry: entry.and_then(|entry| entry.get(VERSION_LENGTH..).map(<[u8]>::to_vec)),
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
        let mut versioned = format!("{:016x}{:016x}", version.generation, version.revision).into_bytes();
        versioned.extend_from_slice(entry);
        call.key(self.entry_key(session)).arg(versioned).arg(millis(ttl));
        if let Some(superseded) = superseded {
            call.key(self.token_key(session, superseded.jti)).arg(superseded.from.as_millis());
        }
        self.call(async |connection| call.invoke_async::<i64>(connection).await).await.map(drop)
    }

    /// Marks sessions as revoked, each until its last access token expires, and deletes their entries.
    pub async fn mark_revoked(&self, revocations: &[(SessionId, Timestamp)], now: Timestamp) -> Result<(), CacheError> {
        // In a cluster each session has a slot of its own, and a pipeline cannot span slots.
        let is_cluster = matches!(self.inner.pools, Pools::Cluster(_));
        let mut marks = tokio::task::JoinSet::new();
        for chunk in revocations.chunks(if is_cluster { 1 } else { MARKS_PER_PIPELINE }) {
            if marks.len() >= MARKS_PER_PIPELINE {
                marks.join_next().await.transpose().map_err(|_| CacheError)?.transpose()?;
            }
            let pipeline = self.marks(chunk, now);
            let cache = self.clone();
            marks.spawn(
                async move { cache.call(async |connection| pipeline.query_async::<()>(connection).await).await },
            );
        }
        while let Some(marked) = marks.join_next().await {
            marked.map_err(|_| CacheError)??;
        }
        Ok(())
    }

    /// Marks the access tokens of a session that were issued before its revision `before` as revoked, for `ttl`.
    pub async fn mark_tokens_revoked(&self, session: SessionId, before: i64, ttl: Duration) -> Result<(), CacheError> {
        let mut call = self.inner.raise.prepare_invoke();
        call.key(self.valid_from_key(session)).arg(before).arg(millis(ttl).max(1));
        self.call(async |connection| call.invoke_async::<i64>(connection).await).await.map(drop)
    }

    /// Returns the commands that mark sessions as revoked and delete their entries.
    fn marks(&self, revocations: &[(SessionId, Timestamp)], now: Timestamp) -> Pipeline {
        let mut pipeline = Pipeline::new();
        for (session, expires_at) in revocations {
            let ttl = millis(expires_at.since(now)).max(1);
            pipeline.cmd("SET").arg(self.mark_key(*session)).arg(1).arg("PX").arg(ttl).ignore();
            pipeline.cmd("UNLINK").arg(self.entry_key(*session)).ignore();
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
        let reply: Vec<i64> = self.call(async |connection| call.invoke_async(connection).await).await?;
        gcra::parse(&reply).ok_or(CacheError)
    }

    /// Checks whether Redis responds.
    pub async fn ping(&self) -> Result<(), CacheError> {
        self.query::<Value>(&cmd("PING")).await.map(drop)
    }

    /// Returns whether the circuit breaker is closed.
    pub fn is_available(&self) -> bool {
        !self.inner.unavailable.load(Ordering::Relaxed)
    }

    /// Returns how often Redis has become available again.
    pub fn recoveries(&self) -> u64 {
        self.inner.recoveries.load(Ordering::Relaxed)
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, CacheError> {
        self.call(async |connection| command.query_async(connection).await).await
    }

    async fn call<T>(&self, work: impl AsyncFnOnce(&mut Connection) -> RedisResult<T>) -> Result<T, CacheError> {
        if !self.is_available() {
            return Err(CacheError);
        }
        match self.inner.attempt(work).await {
            Ok(value) => Ok(value),
            Err(reason) => {
                self.open_breaker(&reason);
                Err(CacheError)
            }
        }
    }

    fn open_breaker(&self, reason: &str) {
        self.inner.unavailable.store(true, Ordering::Relaxed);
        if !self.inner.probing.swap(true, Ordering::AcqRel) {
            tracing::warn!(reason, "Redis is unavailable: checks query the database instead");
            tokio::spawn(Arc::clone(&self.inner).probe());
        }
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

impl Inner {
    /// Makes one call on this thread's connection, with a timeout. A connection that failed returns to the pool, which
    /// checks it before it is used again.
    async fn attempt<T>(&self, work: impl AsyncFnOnce(&mut Connection) -> RedisResult<T>) -> Result<T, String> {
        // A connection from before the last failure is probably lost too.
        let recoveries = self.recoveries.load(Ordering::Acquire);
        let open = CONNECTIONS.with_borrow(|connections| {
            let (opened_after, pooled) = connections.get(&self.id)?;
            (*opened_after == recoveries).then(|| pooled.connection())
        });
        let timeout = if open.is_some() { CALL_TIMEOUT } else { CONNECT_TIMEOUT };
        let outcome = tokio::time::timeout(timeout, async {
            let mut connection = match open {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            work(&mut connection).await.map_err(|error| error.to_string())
        })
        .await
        .unwrap_or_else(|_| Err(format!("no response within {} ms", timeout.as_millis())));
        if outcome.is_err() {
            CONNECTIONS.with_borrow_mut(|connections| connections.remove(&self.id));
        }
        outcome
    }

    async fn connect(&self) -> Result<Connection, String> {
        let pooled = match &self.pools {
            Pools::Single(pool) => pool.get().await.map(PooledConnection::Single).map_err(|error| error.to_string()),
            Pools::Sentinel(pool) => {
                pool.get().await.map(PooledConnection::Sentinel).map_err(|error| error.to_string())
            }
            Pools::Cluster(pool) => pool.get().await.map(PooledConnection::Cluster).map_err(|error| error.to_string()),
        }?;
        let connection = pooled.connection();
        let recoveries = self.recoveries.load(Ordering::Acquire);
        CONNECTIONS.with_borrow_mut(|connections| connections.insert(self.id, (recoveries, pooled)));
        Ok(connection)
    }

    /// Pings Redis until it responds, then closes the circuit breaker.
    async fn probe(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PROBE_INTERVAL).await;
            let outcome = self.attempt(async |connection| cmd("PING").query_async::<Value>(connection).await).await;
            if outcome.is_ok() {
                break;
            }
        }
        self.recoveries.fetch_add(1, Ordering::Release);
        self.probing.store(false, Ordering::Release);
        self.unavailable.store(false, Ordering::Relaxed);
        tracing::info!("Redis is available again");
    }
}

impl Pools {
    fn new(config: &Redis) -> Result<Self, String> {
        let certificate = config.ca_file.as_deref().map(std::fs::read).transpose();
        let certificate = certificate.map_err(|error| format!("REDIS_CA_FILE cannot be read: {error}"))?;
        let node = |url: &str| node(url, certificate.as_deref());
        let timeouts =
            Timeouts { wait: Some(CONNECT_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CALL_TIMEOUT) };
        macro_rules! pool {
            ($module:path, $manager:expr) => {{
                use $module as module;
                module::Pool::builder($manager.map_err(|error| error.to_string())?)
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
                let primary = sentinel::SentinelNodeConnectionInfo {
                    tls_mode: tls.then_some(sentinel::TlsMode::Secure),
                    redis_connection_info: Some(deadpool_redis::RedisConnectionInfo {
                        db: *db,
                        username: username.clone(),
                        password: password.as_ref().map(|password| password.to_string()),
                        ..Default::default()
                    }),
                };
                let server = sentinel::SentinelServerType::Master;
                Self::Sentinel(pool!(sentinel, sentinel::Manager::new(nodes, service.clone(), Some(primary), server)))
            }
        })
    }
}

/// Returns the connection settings of one server.
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
