//! The health of a server, its database, its cache, its clock and its outbox.

use std::time::Duration;

use super::Admin;
use crate::cache::CacheStatus;
use crate::db::{Condition, DbResult};
use crate::mail::{self, OutboxStatus};

/// The health of the server that answers, and of what it shares with others.
pub(crate) struct Health {
    /// The condition of the database.
    pub database: Condition,
    /// Whether the database is Postgres.
    pub is_postgres: bool,
    /// The state of the cache.
    pub cache: CacheStatus,
    /// How much the clock differs from the database's.
    pub clock_skew: Duration,
    /// Whether that is little enough.
    pub is_clock_right: bool,
    /// The time since the log of revocations was last read.
    pub log_age: Duration,
    /// The outbox.
    pub outbox: OutboxStatus,
}

impl Admin {
    /// Returns the health of this server.
    pub(crate) async fn health(&self) -> DbResult<Health> {
        let database = self.db.condition().await;
        let outbox = self.db.read(mail::outbox_status).await?;
        Ok(Health {
            database,
            is_postgres: self.db.is_postgres(),
            cache: self.sessions.cache.status(),
            clock_skew: self.clock.skew(),
            is_clock_right: self.clock.is_right(),
            log_age: self.sessions.log.reader_progress().since_read(),
            outbox,
        })
    }
}
