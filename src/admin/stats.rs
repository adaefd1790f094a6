//! Statistics: the current accounts and sessions, and logins and refreshes by hour.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Admin, store};
use crate::cache::latest::Latest;
use crate::clock::Clock;
use crate::db::{Db, DbError, DbResult};
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use crate::types::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

/// How long the counts of accounts and sessions are cached, because counting reads every row.
const CACHED_FOR: Duration = Duration::from_secs(60);

/// How often a server writes its counts to the database.
const RECORD_INTERVAL: Duration = Duration::from_secs(60);

/// The first part of the names under which live sessions are recorded.
const LIVE: &str = "live";

/// The time that the counts of an hour are kept: 90 days.
pub(crate) const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// The statistics of all servers.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    /// The number of accounts.
    pub users: i64,
    /// The number of live sessions.
    pub active_sessions: i64,
    /// Live sessions by the type of their device.
    pub sessions_by_device: BTreeMap<String, i64>,
    /// The time at which accounts and sessions were counted, up to a minute ago.
    pub counted_at: Timestamp,
    /// The hours with counts, oldest first.
    pub hours: Vec<HourlyStats>,
    /// The server's time.
    pub server_time: Timestamp,
}

/// The logins, refreshes and refusals of one hour, and the sessions at its beginning. The counts of the last minute may
/// be missing.
#[derive(Clone, Debug)]
pub(crate) struct HourlyStats {
    /// The beginning of the hour.
    pub hour: Timestamp,
    /// Logins by outcome.
    pub logins: BTreeMap<String, i64>,
    /// Refreshes by outcome.
    pub refreshes: BTreeMap<String, i64>,
    /// Attempts that were refused, by rate limit.
    pub limited: BTreeMap<String, i64>,
    /// The sessions that were live when the hour began, or when a server was started in it, by type of device.
    pub live: BTreeMap<String, i64>,
}

/// The counts of accounts and sessions.
#[derive(Clone)]
struct Counts {
    users: i64,
    by_device: BTreeMap<String, i64>,
    counted_at: Timestamp,
}

/// The cache of the counts of accounts and sessions.
#[derive(Default)]
pub(crate) struct StatsCache {
    counts: Latest<Counts>,
}

impl Admin {
    /// Returns the current statistics and those of the last `hours` hours.
    pub(crate) async fn stats(&self, hours: u32) -> DbResult<Stats> {
        let now = self.clock.now();
        let counts = self.counts(now).await?;
        let from = start_of_hour(now).minus(HOUR.saturating_mul(hours.saturating_sub(1)));
        let rows = self.db.read(move |conn| store::hourly_counts(conn, from)).await?;
        Ok(Stats {
            users: counts.users,
            active_sessions: counts.by_device.values().sum(),
            sessions_by_device: counts.by_device,
            counted_at: counts.counted_at,
            hours: by_hour(rows),
            server_time: now,
        })
    }

    async fn counts(&self, now: Timestamp) -> DbResult<Counts> {
        let admin = self.clone();
        let counts = self.stats.counts.get(CACHED_FOR, now, async move {
            let users = admin.accounts.count().await?;
            let by_device = admin.sessions.count_by_device().await?;
            DbResult::Ok(Counts { users, by_device, counted_at: now })
        });
        counts.await?.ok_or_else(|| DbError::Unavailable("nothing could be counted a moment ago".to_owned()))
    }
}

fn by_hour(rows: Vec<(Timestamp, String, i64)>) -> Vec<HourlyStats> {
    let mut hours: Vec<HourlyStats> = Vec::new();
    for (hour, name, count) in rows {
        if hours.last().is_none_or(|last| last.hour != hour) {
            let none = BTreeMap::new;
            hours.push(HourlyStats { hour, logins: none(), refreshes: none(), limited: none(), live: none() });
        }
        let Some(last) = hours.last_mut() else { continue };
        match name.split_once('.') {
            Some(("login", outcome)) => last.logins.insert(outcome.to_owned(), count),
            Some(("refresh", outcome)) => last.refreshes.insert(outcome.to_owned(), count),
            Some(("limit", limit)) => last.limited.insert(limit.to_owned(), count),
            Some((LIVE, device)) => last.live.insert(device.to_owned(), count),
            _ => None,
        };
    }
    hours
}

/// Returns the beginning of the hour of a time.
fn start_of_hour(at: Timestamp) -> Timestamp {
    Timestamp::from_secs(at.as_secs().div_euclid(3600).saturating_mul(3600))
}

/// The recorder that adds the counts of one server to those in the database. Clones share everything.
#[derive(Clone)]
pub(crate) struct StatsRecorder {
    db: Db,
    clock: Clock,
    metrics: Metrics,
    sessions: Sessions,
    /// The counts that are already recorded.
    recorded: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl StatsRecorder {
    /// Creates a recorder of the counts in `metrics`.
    pub(crate) fn new(db: Db, clock: Clock, metrics: Metrics, sessions: Sessions) -> Self {
        Self { db, clock, metrics, sessions, recorded: Arc::default() }
    }

    /// Records the counts every minute, and the live sessions every hour, until the future is dropped.
    pub(crate) async fn run(self) {
        let mut counted = None;
        loop {
            let hour = start_of_hour(self.clock.now());
            if counted != Some(hour) {
                match self.count_live(hour).await {
                    Ok(()) => counted = Some(hour),
                    Err(error) => tracing::warn!(%error, "live sessions were not counted: they will be in a minute"),
                }
            }
            tokio::time::sleep(RECORD_INTERVAL).await;
            if let Err(error) = self.record().await {
                tracing::warn!(%error, "statistics were not recorded: they will be recorded later");
            }
        }
    }

    /// Records how many sessions are live, unless a server has done so in this hour: it reads every row.
    async fn count_live(&self, hour: Timestamp) -> DbResult<()> {
        if self.db.read(move |conn| store::has_counts(conn, hour, LIVE)).await? {
            return Ok(());
        }
        let live = self.sessions.count_by_device().await?;
        let counts: Vec<_> = live.into_iter().map(|(device, count)| (format!("{LIVE}.{device}"), count)).collect();
        self.db.write(move |conn| store::set_counts(conn, hour, &counts)).await
    }

    /// Records the counts since the last call in one transaction, if there are any. After an error they are recorded by
    /// the next call.
    pub(crate) async fn record(&self) -> DbResult<()> {
        let totals: BTreeMap<String, u64> = self.metrics.totals().into_iter().collect();
        let new = self.unrecorded(&totals);
        if new.is_empty() {
            return Ok(());
        }
        let hour = start_of_hour(self.clock.now());
        self.db.write(move |conn| store::add_counts(conn, hour, &new)).await?;
        *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) = totals;
        Ok(())
    }

    /// Returns the counts that are not recorded yet.
    fn unrecorded(&self, totals: &BTreeMap<String, u64>) -> Vec<(String, i64)> {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |(name, total): (&String, &u64)| {
            let count = total.saturating_sub(recorded.get(name).copied().unwrap_or_default());
            (name.clone(), i64::try_from(count).unwrap_or(i64::MAX))
        };
        totals.iter().map(since).filter(|(_, count)| *count > 0).collect()
    }
}
