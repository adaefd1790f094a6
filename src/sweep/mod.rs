//! Removing what has been kept for long enough: sessions that have ended, audited events, what nobody can use any more.
//!
//! One server at a time sweeps, by a lease in the database, in small batches with pauses, so that nobody waits for it.

pub mod http;
mod store;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::accounts::lockout;
use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Retention};
use crate::db::types::SessionId;
use crate::db::{Conn, Db, DbResult};
use crate::random::Random;
use crate::tokens::one_time;

/// Rows that one transaction removes or looks at, at most.
const BATCH: usize = 1000;

/// The same, for the database.
const ROWS: i64 = 1000;

/// What lies between two batches, for others to write.
const PAUSE: Duration = Duration::from_millis(20);

/// How long the counts of an hour are kept.
const COUNTS_KEPT: Duration = Duration::from_secs(90 * 86_400);

/// The shortest that a lease lasts, longer than any batch takes.
const SHORTEST_LEASE: Duration = Duration::from_secs(30);

/// Sweeps for one server. Clones share it.
#[derive(Clone)]
pub struct Sweeper(Arc<Parts>);

struct Parts {
    db: Db,
    clock: Clock,
    random: Random,
    retention: Retention,
    interval: Duration,
    /// What this server is called in the lease.
    name: [u8; 16],
}

/// What a sweep has removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Swept {
    pub sessions: usize,
    /// Rows of all other tables.
    pub others: usize,
}

/// On what condition a batch is carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// This server has the lease, or takes it.
    Leased,
    /// Always: somebody has asked for it.
    Asked,
}

/// The lease is another server's.
struct Elsewhere;

type Batch = fn(&mut Conn, Timestamp) -> DbResult<usize>;

/// What is removed besides sessions: how, and how long after the time in question.
fn others(retention: &Retention) -> Vec<(Batch, Duration)> {
    let audited: Option<(Batch, Duration)> =
        retention.audit.map(|kept| -> (Batch, Duration) { (|conn, before| audit::sweep(conn, before, BATCH), kept) });
    let all: [(Batch, Duration); 6] = [
        (|conn, now| one_time::purge(conn, now, ROWS), Duration::ZERO),
        (store::email_changes, Duration::ZERO),
        (store::mfa_challenges, Duration::ZERO),
        (store::trusted_devices, Duration::ZERO),
        (store::login_failures, lockout::FORGOTTEN_AFTER),
        (store::hourly_counts, COUNTS_KEPT),
    ];
    all.into_iter().chain(audited).collect()
}

impl Sweeper {
    pub fn new(config: &Config, db: Db, clock: Clock, random: Random) -> Self {
        let (retention, interval) = (config.retention, config.retention.sweep_interval);
        Self(Arc::new(Parts { db, clock, random, retention, interval, name: random.bytes() }))
    }

    /// Sweeps again and again, as long as no other server does; at once ends where sweeping is left to operators.
    pub async fn run(self) {
        if self.0.interval.is_zero() {
            return;
        }
        loop {
            // Servers that were started together come apart.
            tokio::time::sleep(self.0.interval.mul_f64(0.85 + 0.3 * self.0.random.fraction())).await;
            match self.pass(When::Leased).await {
                Ok(Swept { sessions: 0, others: 0 }) => {}
                Ok(Swept { sessions, others }) => tracing::info!(sessions, others, "old rows were removed"),
                Err(error) => tracing::warn!(%error, "old rows could not be removed"),
            }
        }
    }

    /// Sweeps once, to the end, whether another server does so too.
    pub async fn sweep(&self) -> DbResult<Swept> {
        self.pass(When::Asked).await
    }

    /// How many sessions have ended, by themselves or because somebody ended them, and are still kept.
    pub async fn kept(&self) -> DbResult<i64> {
        let now = self.0.clock.now();
        self.0.db.read(move |conn| store::ended(conn, now)).await
    }

    /// What is removed counts even where the pass is left to another server half-way.
    async fn pass(&self, when: When) -> DbResult<Swept> {
        let mut swept = Swept::default();
        if self.sweep_sessions(when, &mut swept.sessions).await?.is_err() {
            return Ok(swept);
        }
        for (batch, kept) in others(&self.0.retention) {
            if self.sweep_others(when, (batch, kept), &mut swept.others).await?.is_err() {
                return Ok(swept);
            }
        }
        Ok(swept)
    }

    /// Walks through the sessions that are older than they are kept for, in the order of their ids, which is that of their
    /// beginnings. There is no index of ends: a refresh would have to change it.
    async fn sweep_sessions(&self, when: When, removed: &mut usize) -> DbResult<Result<(), Elsewhere>> {
        let before = self.0.clock.now().minus(self.0.retention.sessions);
        let (mut after, end) = (SessionId(Uuid::nil()), first_id(before));
        loop {
            let upto = self.0.db.read(move |conn| store::upto(conn, after, end)).await?;
            let range = (after, upto.unwrap_or(end));
            let Ok(count) = self.batch(when, move |conn| store::sessions(conn, range, before)).await? else {
                return Ok(Err(Elsewhere));
            };
            *removed = removed.saturating_add(count);
            match upto {
                Some(upto) => after = upto,
                None => return Ok(Ok(())),
            }
        }
    }

    async fn sweep_others(
        &self,
        when: When,
        (batch, kept): (Batch, Duration),
        removed: &mut usize,
    ) -> DbResult<Result<(), Elsewhere>> {
        let before = self.0.clock.now().minus(kept);
        loop {
            let Ok(count) = self.batch(when, move |conn| batch(conn, before)).await? else {
                return Ok(Err(Elsewhere));
            };
            *removed = removed.saturating_add(count);
            if count < BATCH {
                return Ok(Ok(()));
            }
        }
    }

    /// Carries out one batch in a transaction of its own, then pauses.
    async fn batch(
        &self,
        when: When,
        work: impl FnOnce(&mut Conn) -> DbResult<usize> + Send + 'static,
    ) -> DbResult<Result<usize, Elsewhere>> {
        let (name, now) = (self.0.name, self.0.clock.now());
        // Until shortly before this server sweeps again, so that the others need not.
        let until = now.plus(self.0.interval.mul_f64(0.8).max(SHORTEST_LEASE));
        let done = self.0.db.write(move |conn| {
            if when == When::Leased && !store::lease(conn, &name, now, until)? {
                return Ok(Err(Elsewhere));
            }
            work(conn).map(Ok)
        });
        let done = done.await?;
        if done.as_ref().is_ok_and(|count| *count > 0) {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(done)
    }
}

/// The lowest id that a session which begins at `time` can have.
fn first_id(time: Timestamp) -> SessionId {
    let millis = u64::try_from(time.as_millis()).unwrap_or(0);
    SessionId(uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
}
