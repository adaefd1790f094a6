//! Retention: schedules the deletion of old rows. Each module deletes its own rows.
//!
//! One server at a time deletes rows, which a lease in the database ensures. It deletes small batches with pauses, so
//! that other transactions do not wait long.

mod store;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Clock;
use crate::db::{Conn, Db, DbError, DbResult, time};
use crate::random::Random;
use crate::types::{SessionId, Timestamp};

/// Work that one server at a time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    /// The deletion of old rows.
    Retention,
    /// Changes of signing keys.
    Keys,
    /// A change of `JWT_SECRET`.
    Secrets,
}

impl Lease {
    /// Returns the name in the database.
    const fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Keys => "keys",
            Self::Secrets => "secrets",
        }
    }
}

/// Takes or renews a lease for `holder` until a time. Returns whether no other server has it.
pub(crate) fn take(
    conn: &mut Conn,
    lease: Lease,
    holder: &[u8; 16],
    now: Timestamp,
    until: Timestamp,
) -> DbResult<bool> {
    store::lease(conn, lease.name(), holder, now, until)
}

/// Waits until no other transaction does the same work, and excludes others until the caller's transaction ends.
pub(crate) fn lock(conn: &mut Conn, lease: Lease) -> DbResult<()> {
    store::lock(conn, lease.name())
}

/// The most rows that one transaction deletes or examines.
const BATCH_SIZE: i64 = 1000;

/// The pause after a batch, in which other transactions can write.
const PAUSE: Duration = Duration::from_millis(20);

/// The shortest lease. It is longer than a batch takes.
const MIN_LEASE: Duration = Duration::from_secs(30);

/// A function that deletes rows up to a time, and at most a number of rows. Returns the number of deleted rows.
pub(crate) type Expire = Arc<dyn Fn(&mut Conn, Timestamp, i64) -> DbResult<usize> + Send + Sync>;

/// A function that deletes sessions that ended up to a time. It examines a number of sessions that follow an id.
/// Returns the number of deleted sessions and the last id that it examined.
pub(crate) type ExpireSessions = fn(&mut Conn, Timestamp, SessionId, i64) -> DbResult<(usize, Option<SessionId>)>;

/// The retention of the rows of one table.
#[derive(Clone)]
pub(crate) struct Rule<E> {
    /// The time that rows are kept.
    pub kept: Duration,
    /// The function that deletes them.
    pub expire: E,
}

/// The retention rules of a server.
pub(crate) struct Rules {
    /// The rule for sessions.
    pub sessions: Rule<ExpireSessions>,
    /// The rules for all other tables.
    pub others: Vec<Rule<Expire>>,
    /// The time between two runs. Zero leaves them to operators.
    pub interval: Duration,
}

/// Deletes old rows for one server. Clones share everything.
#[derive(Clone)]
pub(crate) struct Retention {
    db: Db,
    clock: Clock,
    random: Random,
    rules: Arc<Rules>,
    /// The id of the server in the lease.
    server: [u8; 16],
}

/// The numbers of rows that a run has deleted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deleted {
    /// Sessions.
    pub sessions: usize,
    /// Rows of all other tables.
    pub others: usize,
}

/// The condition under which a batch runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// This server has the lease or can take it.
    Leased,
    /// No condition.
    Always,
}

/// The reason why a run ended early.
enum Stop {
    /// Another server has the lease.
    LeaseHeld,
    /// The database failed.
    Database(DbError),
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl Retention {
    /// Creates the retention of a server.
    pub(crate) fn new(rules: Rules, db: Db, clock: Clock, random: Random) -> Self {
        Self { db, clock, random, rules: Arc::new(rules), server: random.bytes() }
    }

    /// Deletes old rows at the configured interval, unless another server does, until the future is dropped. Returns at
    /// once if the interval is zero.
    pub(crate) async fn run(self) {
        if self.rules.interval.is_zero() {
            return;
        }
        loop {
            // With jitter, so that servers that started at the same time do not run at the same time.
            tokio::time::sleep(self.rules.interval.mul_f64(0.85 + 0.3 * self.random.fraction())).await;
            if !self.clock.is_right() {
                tracing::warn!("no old rows are deleted while the clock of this machine is wrong");
                continue;
            }
            match self.run_if(Condition::Leased).await {
                Ok(Deleted { sessions: 0, others: 0 }) => {}
                Ok(Deleted { sessions, others }) => tracing::info!(sessions, others, "old rows were deleted"),
                Err(error) => tracing::warn!(%error, "old rows were not deleted"),
            }
        }
    }

    /// Deletes all old rows once, even if another server does so at the same time.
    pub(crate) async fn run_once(&self) -> DbResult<Deleted> {
        self.run_if(Condition::Always).await
    }

    /// Returns the numbers of deleted rows, also if another server took the lease in between.
    async fn run_if(&self, condition: Condition) -> DbResult<Deleted> {
        let mut deleted = Deleted::default();
        match self.delete_all(condition, &mut deleted).await {
            Ok(()) | Err(Stop::LeaseHeld) => Ok(deleted),
            Err(Stop::Database(error)) => Err(error),
        }
    }

    async fn delete_all(&self, condition: Condition, deleted: &mut Deleted) -> Result<(), Stop> {
        self.delete_sessions(condition, &mut deleted.sessions).await?;
        for rule in &self.rules.others {
            self.delete_others(condition, rule, &mut deleted.others).await?;
        }
        Ok(())
    }

    async fn delete_sessions(&self, condition: Condition, deleted: &mut usize) -> Result<(), Stop> {
        let Rule { kept, expire } = self.rules.sessions;
        let mut after = SessionId(Uuid::nil());
        loop {
            let (count, last) =
                self.batch(condition, move |conn, now| expire(conn, now.minus(kept), after, BATCH_SIZE)).await?;
            *deleted = deleted.saturating_add(count);
            self.pause_after(count).await;
            match last {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }

    async fn delete_others(&self, condition: Condition, rule: &Rule<Expire>, deleted: &mut usize) -> Result<(), Stop> {
        loop {
            let Rule { kept, expire } = rule.clone();
            let count = self.batch(condition, move |conn, now| expire(conn, now.minus(kept), BATCH_SIZE)).await?;
            *deleted = deleted.saturating_add(count);
            self.pause_after(count).await;
            if i64::try_from(count).is_ok_and(|count| count < BATCH_SIZE) {
                return Ok(());
            }
        }
    }

    /// Runs one batch in a transaction, at the time of the database.
    async fn batch<T: Send + 'static>(
        &self,
        condition: Condition,
        work: impl FnOnce(&mut Conn, Timestamp) -> DbResult<T> + Send + 'static,
    ) -> Result<T, Stop> {
        let server = self.server;
        let clock = self.clock.clone();
        // Until shortly before this server runs again, so that the other servers do not run in between.
        let lease = self.rules.interval.mul_f64(0.8).max(MIN_LEASE);
        let done = self.db.transact(move |conn| {
            let now = time::read(conn, &clock)?;
            if condition == Condition::Leased
                && !store::lease(conn, Lease::Retention.name(), &server, now, now.plus(lease))?
            {
                return Err(Stop::LeaseHeld);
            }
            Ok(work(conn, now)?)
        });
        done.await
    }

    async fn pause_after(&self, deleted: usize) {
        if deleted > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
