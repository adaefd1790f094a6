//! Figures of the whole: what is there now, and what happened hour by hour.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::Admin;
use super::store;
use crate::clock::{Clock, Timestamp};
use crate::db::{Db, DbResult};
use crate::metrics::Metrics;

const HOUR: Duration = Duration::from_secs(3600);

/// How long a count of all sessions is shown before they are counted anew: it reads every row.
const FRESH: Duration = Duration::from_secs(60);

/// How often what a server has counted is added to the database.
const INTERVAL: Duration = Duration::from_secs(60);

/// The figures that operators see.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Stats {
    pub users: i64,
    pub active_sessions: i64,
    /// Live sessions by the type of their device.
    #[schema(value_type = Object)]
    pub sessions_by_device: BTreeMap<String, i64>,
    /// When users and sessions were counted: up to a minute ago.
    #[schema(value_type = String, format = DateTime)]
    pub counted_at: Timestamp,
    /// The hours in which anything happened, the oldest first.
    pub hours: Vec<Hour>,
    #[schema(value_type = String, format = DateTime)]
    pub server_time: Timestamp,
}

/// What happened on all servers within one hour, as far as they have written it down: up to a minute ago.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Hour {
    #[schema(value_type = String, format = DateTime)]
    pub hour: Timestamp,
    /// Logins by outcome.
    #[schema(value_type = Object)]
    pub logins: BTreeMap<String, i64>,
    /// Refreshes by outcome.
    #[schema(value_type = Object)]
    pub refreshes: BTreeMap<String, i64>,
}

#[derive(Clone)]
struct Counted {
    users: i64,
    by_device: BTreeMap<String, i64>,
    at: Timestamp,
}

/// What was counted last of users and sessions.
#[derive(Default)]
pub struct Figures(Mutex<Option<Counted>>);

impl Admin {
    /// The figures of now and of the last `hours`.
    pub async fn stats(&self, hours: u32) -> DbResult<Stats> {
        let now = self.0.clock.now();
        let counted = self.counted(now).await?;
        let from = hour_of(now).minus(HOUR.saturating_mul(hours.saturating_sub(1)));
        let rows = self.0.db.read(move |conn| store::counts(conn, from)).await?;
        Ok(Stats {
            users: counted.users,
            active_sessions: counted.by_device.values().sum(),
            sessions_by_device: counted.by_device,
            counted_at: counted.at,
            hours: by_hour(rows),
            server_time: now,
        })
    }

    async fn counted(&self, now: Timestamp) -> DbResult<Counted> {
        let known = self.0.figures.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| now.since(known.at) < FRESH) {
            return Ok(known);
        }
        let (users, kinds) =
            self.0.db.read(move |conn| Ok((store::count_users(conn)?, store::sessions_by_device(conn, now)?))).await?;
        let by_device = kinds.into_iter().map(|of| (of.kind, of.count)).collect();
        let counted = Counted { users, by_device, at: now };
        *self.0.figures.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(counted.clone());
        Ok(counted)
    }
}

fn by_hour(rows: Vec<(Timestamp, String, i64)>) -> Vec<Hour> {
    let mut hours: Vec<Hour> = Vec::new();
    for (hour, name, count) in rows {
        if hours.last().is_none_or(|last| last.hour != hour) {
            hours.push(Hour { hour, logins: BTreeMap::new(), refreshes: BTreeMap::new() });
        }
        let Some(last) = hours.last_mut() else { continue };
        match name.split_once('.') {
            Some(("login", outcome)) => last.logins.insert(outcome.to_owned(), count),
            Some(("refresh", outcome)) => last.refreshes.insert(outcome.to_owned(), count),
            _ => None,
        };
    }
    hours
}

/// The beginning of the hour.
fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_secs(at.as_secs().div_euclid(3600).saturating_mul(3600))
}

/// Adds what one server has counted to what all have. Clones share it.
#[derive(Clone)]
pub struct Tally {
    db: Db,
    clock: Clock,
    metrics: Metrics,
    /// What was added already.
    added: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Tally {
    pub fn new(db: Db, clock: Clock, metrics: Metrics) -> Self {
        Self { db, clock, metrics, added: Arc::default() }
    }

    /// Adds for ever, once a minute.
    pub async fn run(self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Err(error) = self.add().await {
                tracing::warn!(%error, "what was counted could not be written down; it is tried again");
            }
        }
    }

    /// Adds what has been counted since the last time, in one small transaction, or in none if that is nothing. What
    /// fails is added the next time.
    pub async fn add(&self) -> DbResult<()> {
        let totals: BTreeMap<String, u64> = self.metrics.totals().into_iter().collect();
        let fresh = {
            let added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
            let since = |(name, total): (&String, &u64)| {
                let count = total.saturating_sub(added.get(name).copied().unwrap_or_default());
                (name.clone(), i64::try_from(count).unwrap_or(i64::MAX))
            };
            totals.iter().map(since).filter(|(_, count)| *count > 0).collect::<Vec<_>>()
        };
        if fresh.is_empty() {
            return Ok(());
        }
        let hour = hour_of(self.clock.now());
        self.db.write(move |conn| store::add_counts(conn, hour, &fresh)).await?;
        *self.added.lock().unwrap_or_else(PoisonError::into_inner) = totals;
        Ok(())
    }
}
