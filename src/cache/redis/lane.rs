//! Calls of one kind, reads or writes: their connections, their time limit and their circuit breaker.
//!
//! Reads and writes do not share connections, because Redis answers the commands of a connection in order: a write
//! that it holds back would hold the reads behind it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_redis::redis::{Cmd, RedisResult, Value, cmd};
use tokio::sync::watch;

use super::breaker::Breaker;
use super::servers::{Connection, Servers};
use crate::cache::CacheError;
use crate::metrics::{CacheAccess, Metrics};
use crate::random::Random;

/// The number of calls in a row that must succeed before an open breaker closes.
const PROBES: u32 = 3;

/// The time between these calls.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// The lane of the reads or of the writes.
pub(super) struct Lane {
    /// The id of this lane in thread-local storage.
    id: u64,
    access: CacheAccess,
    servers: Arc<Servers>,
    prefix: String,
    metrics: Metrics,
    breaker: Breaker,
    /// How often the breaker has closed. A connection from before is replaced: it may lead to a former primary.
    closings: AtomicU64,
}

/// The connection of one thread in one lane.
struct Link {
    state: watch::Sender<LinkState>,
    next_number: AtomicU64,
}

enum LinkState {
    Closed(String),
    Connecting,
    Open(OpenLink),
}

#[derive(Clone)]
struct OpenLink {
    /// Distinguishes the connections of a link.
    number: u64,
    /// The closings of the breaker before it was opened.
    closings: u64,
    connection: Connection,
}

/// Ends the state of connecting also if the task is cancelled.
struct ConnectGuard {
    link: Arc<Link>,
}

thread_local! {
    static LINKS: RefCell<HashMap<u64, Arc<Link>>> = RefCell::default();
}

impl Lane {
    /// Creates a lane without connecting.
    pub(super) fn new(access: CacheAccess, servers: Arc<Servers>, prefix: &str, metrics: Metrics) -> Arc<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            access,
            servers,
            prefix: prefix.to_owned(),
            metrics,
            breaker: Breaker::default(),
            closings: AtomicU64::new(0),
        })
    }

    /// Returns whether the circuit breaker is closed.
    pub(super) fn is_available(&self) -> bool {
        !self.breaker.is_open()
    }

    /// Makes one call within its timeout, unless the circuit breaker is open. A failure is counted by the breaker.
    pub(super) async fn call<T>(
        self: &Arc<Self>,
        work: impl AsyncFnOnce(&mut Connection) -> RedisResult<T> + Clone,
    ) -> Result<T, CacheError> {
        if self.breaker.is_open() {
            return Err(CacheError);
        }
        let began = Instant::now();
        match self.attempt(work).await {
            Ok(value) => Ok(value),
            Err(reason) => {
                if let Some(pause) = self.breaker.fail(began, Instant::now()) {
                    self.open(&reason, pause);
                }
                Err(CacheError)
            }
        }
    }

    /// Makes one call on this thread's connection, whatever the circuit breaker says. A connection on which a call
    /// failed is replaced: further calls would wait behind this one, or meet a server that has changed its role.
    pub(super) async fn attempt<T>(
        self: &Arc<Self>,
        work: impl AsyncFnOnce(&mut Connection) -> RedisResult<T> + Clone,
    ) -> Result<T, String> {
        let link = self.link();
        let mut used = None;
        let timeout = self.servers.timeout;
        let outcome = tokio::time::timeout(timeout, async {
            let mut open = self.connection(&link).await?;
            used = Some(open.number);
            let mut result = work.clone()(&mut open.connection).await;
            if let Err(error) = &result
                && error.is_connection_dropped()
            {
                // Redis closes connections that are idle, which is no fault. A call that was carried out before the
                // connection broke is made twice then. That changes nothing but counts of attempts and claims of
                // proofs, which err on the strict side.
                link.close(open.number, &error.to_string());
                open = self.connection(&link).await?;
                used = Some(open.number);
                result = work(&mut open.connection).await;
            }
            result.map_err(|error| error.to_string())
        })
        .await
        .unwrap_or_else(|_| Err(format!("no response within {} ms", timeout.as_millis())));
        if let (Err(reason), Some(number)) = (&outcome, used) {
            link.close(number, reason);
        }
        outcome
    }

    /// Connects, waiting as long as connecting may take, and makes one call.
    ///
    /// # Errors
    /// Redis cannot be reached, or refuses the call. The text says why.
    pub(super) async fn ping(self: &Arc<Self>) -> Result<(), String> {
        let link = self.link();
        self.connection(&link).await?;
        self.attempt_probe().await
    }

    /// Returns the open connection of a link, or waits for it. The connection is opened by a task of its own, so that
    /// one that takes longer than a call serves later calls.
    async fn connection(self: &Arc<Self>, link: &Arc<Link>) -> Result<OpenLink, String> {
        let closings = self.closings.load(Ordering::Acquire);
        let is_usable = |state: &LinkState| matches!(state, LinkState::Open(open) if open.closings == closings);
        if let LinkState::Open(open) = &*link.state.borrow()
            && open.closings == closings
        {
            return Ok(open.clone());
        }
        let must_connect = link.state.send_if_modified(|state| {
            let is_closed = !is_usable(state) && !matches!(state, LinkState::Connecting);
            if is_closed {
                *state = LinkState::Connecting;
            }
            is_closed
        });
        if must_connect {
            tokio::spawn(Arc::clone(self).connect(ConnectGuard { link: Arc::clone(link) }));
        }
        let mut states = link.state.subscribe();
        let state = states.wait_for(|state| !matches!(state, LinkState::Connecting)).await;
        match &*state.map_err(|error| error.to_string())? {
            LinkState::Open(open) => Ok(open.clone()),
            LinkState::Closed(reason) => Err(reason.clone()),
            LinkState::Connecting => Err("still connecting".to_owned()),
        }
    }

    async fn connect(self: Arc<Self>, guard: ConnectGuard) {
        let closings = self.closings.load(Ordering::Acquire);
        let state = match self.servers.connect().await {
            Ok(connection) => {
                let number = guard.link.next_number.fetch_add(1, Ordering::Relaxed);
                LinkState::Open(OpenLink { number, closings, connection })
            }
            Err(reason) => LinkState::Closed(reason),
        };
        guard.link.state.send_replace(state);
    }

    fn link(&self) -> Arc<Link> {
        let closed = || {
            let (state, _) = watch::channel(LinkState::Closed(String::new()));
            Arc::new(Link { state, next_number: AtomicU64::new(0) })
        };
        LINKS.with_borrow_mut(|links| Arc::clone(links.entry(self.id).or_insert_with(closed)))
    }

    fn open(self: &Arc<Self>, reason: &str, pause: Duration) {
        self.metrics.cache_breaker_opened(self.access);
        match self.access {
            CacheAccess::Read => tracing::warn!(reason, "Redis is unavailable for reads: checks query the database"),
            CacheAccess::Write => {
                tracing::warn!(reason, "Redis is unavailable for writes: each server counts limits alone")
            }
        }
        tokio::spawn(Arc::clone(self).probe(pause));
    }

    /// Probes Redis until it responds several times in a row, then closes the circuit breaker.
    async fn probe(self: Arc<Self>, pause: Duration) {
        loop {
            tokio::time::sleep(pause).await;
            if self.responds().await {
                break;
            }
        }
        self.closings.fetch_add(1, Ordering::Release);
        self.breaker.close(Instant::now());
        tracing::info!(access = self.access.name(), "Redis is available again");
    }

    async fn responds(self: &Arc<Self>) -> bool {
        for probe in 0..PROBES {
            if probe > 0 {
                tokio::time::sleep(PROBE_INTERVAL).await;
            }
            if self.attempt_probe().await.is_err() {
                return false;
            }
        }
        true
    }

    /// Reads or writes a random key, which leads to any node of a cluster.
    async fn attempt_probe(self: &Arc<Self>) -> Result<(), String> {
        let random = u64::from_be_bytes(Random.bytes());
        let key = format!("{}:{{{random:016x}}}:probe", self.prefix);
        let command = match self.access {
            CacheAccess::Read => Cmd::get(key),
            CacheAccess::Write => {
                let mut set = cmd("SET");
                set.arg(key).arg(1).arg("PX").arg(1000);
                set
            }
        };
        self.attempt(async |connection| command.query_async::<Value>(connection).await).await.map(drop)
    }
}

impl Link {
    /// Closes the connection with this number, unless it was replaced already. Calls that are under way on it go on
    /// until they end.
    fn close(&self, number: u64, reason: &str) {
        self.state.send_if_modified(|state| {
            let is_current = matches!(state, LinkState::Open(open) if open.number == number);
            if is_current {
                *state = LinkState::Closed(reason.to_owned());
            }
            is_current
        });
    }
}

impl Drop for ConnectGuard {
    fn drop(&mut self) {
        self.link.state.send_if_modified(|state| {
            let is_unfinished = matches!(state, LinkState::Connecting);
            if is_unfinished {
                *state = LinkState::Closed("connecting was cancelled".to_owned());
            }
            is_unfinished
        });
    }
}
