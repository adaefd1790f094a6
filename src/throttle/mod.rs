//! Throttling: rate limits, delays after failed attempts at passwords and codes, and the audit of both.

mod codes;
mod limits;
mod lockout;
mod store;

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Actor, Audit, Event, Record};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Conn, Db, DbResult};
use crate::metrics::Metrics;
use crate::secret::MacKey;
use crate::types::{Requester, Timestamp};

pub(crate) use codes::{ClaimedCode, CodeAttempt};
pub(crate) use limits::{Limit, RateLimited, ip_key};
pub(crate) use lockout::{AttemptError, AttemptSource, FAILURES_KEPT, PasswordAttempt};

use limits::Limits;

/// How often the state of idle subjects is deleted.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

/// Counts attempts and refuses them beyond the limits. Clones share everything.
#[derive(Clone)]
pub(crate) struct Throttle {
    limits: Arc<Limits>,
    cache: Cache,
    db: Db,
    audit: Audit,
    metrics: Metrics,
    clock: Clock,
    /// The key of the MACs under which failed attempts are stored.
    failure_key: MacKey,
}

impl Throttle {
    /// Creates the limits that `config` sets.
    pub(crate) fn new(config: &Config, cache: Cache, db: Db, audit: Audit, metrics: Metrics, clock: Clock) -> Self {
        let limits = Arc::new(Limits::new(&config.limits, &config.secret, &clock));
        let failure_key = config.secret.login_failure_key();
        Self { limits, cache, db, audit, metrics, clock, failure_key }
    }

    /// Counts an attempt of `actor` by `subject`.
    ///
    /// # Errors
    /// There were too many attempts. This is audited.
    pub(crate) async fn count(&self, limit: Limit, subject: &[u8], actor: &Actor) -> Result<(), RateLimited> {
        match self.limits.check(&self.cache, limit, subject).await {
            Ok(_) => Ok(()),
            Err(limited) => {
                self.record_exceeded(limit.name(), subject, Record::new(Event::LimitExceeded, actor)).await;
                Err(limited)
            }
        }
    }

    /// Counts an attempt by the requester's IP address. A requester without an address is not counted.
    ///
    /// # Errors
    /// There were too many attempts. This is audited.
    pub(crate) async fn count_ip(&self, limit: Limit, requester: &Requester) -> Result<(), RateLimited> {
        match requester.ip {
            Some(ip) => self.count(limit, &ip_key(ip), &Actor::anonymous(requester)).await,
            None => Ok(()),
        }
    }

    /// Counts an exceeded limit in the metrics and audits it.
    async fn record_exceeded(&self, limit: &'static str, subject: &[u8], record: Record) {
        self.metrics.limited(limit);
        if !self.limits.should_audit(limit, subject) {
            return;
        }
        if let Err(error) = self.audit.append_alone(record.with("limit", limit)).await {
            tracing::warn!(%error, "an exceeded limit was not audited");
        }
    }

    /// Deletes the state of idle subjects every minute, until the future is dropped.
    pub(crate) async fn run(self) {
        loop {
            tokio::time::sleep(CLEANUP_INTERVAL).await;
            self.limits.delete_idle();
        }
    }
}

/// Deletes up to `limit` counts of failed attempts whose last failure was at `before` or earlier. Returns how
/// many.
pub(crate) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire(conn, before, limit)
}
