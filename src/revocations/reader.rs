//! The reader of the log, one for each server.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::log::{Entries, ReadTo};
use super::store::{self, Cursor};
use super::{Revocation, RevocationLog};
use crate::cache::{Cache, Incarnation};
use crate::clock::Clock;
use crate::db::{Conn, Db, DbResult, time};
use crate::types::Timestamp;

/// The longest time between two reads of the log.
const READ_INTERVAL: Duration = Duration::from_millis(500);

/// The shortest time between two reads of the log, so that one reads what many revocations have appended.
const MIN_READ_INTERVAL: Duration = Duration::from_millis(5);

/// The notification of Postgres that entries were appended, which a trigger sends.
const APPENDED: &str = "keyturn_revocations";

/// The time between two removals of expired entries from memory.
const REMOVAL_INTERVAL: Duration = Duration::from_secs(60);

/// Writes revocations to the database again that it has lost, in the caller's transaction.
pub(crate) type Rewrite = fn(&mut Conn, &[Revocation], Timestamp) -> DbResult<()>;

/// Reads the log for one server.
pub(crate) struct LogReader {
    db: Db,
    cache: Cache,
    clock: Clock,
    log: RevocationLog,
    rewrite: Rewrite,
    cursor: Cursor,
    /// The data of the cache in which the log was marked.
    marked_in: Option<Incarnation>,
    /// When the clock and the cache were last looked at.
    checked_at: Option<Instant>,
}

impl LogReader {
    /// Creates a reader that has read nothing yet.
    pub(crate) fn new(db: Db, cache: Cache, clock: Clock, log: RevocationLog, rewrite: Rewrite) -> Self {
        let cursor = Cursor { database: log.identity(), ..Cursor::default() };
        Self { db, cache, clock, log, rewrite, cursor, marked_in: None, checked_at: None }
    }

    /// Reads the entries that were appended since the last call and marks them in the cache. The first call reads all
    /// unexpired entries, and so does one after a failover or a restore of the database; what it has lost is then
    /// written again. Twice a second the clock is compared with the database's, too, and all entries are marked again
    /// if the cache has lost data.
    pub(crate) async fn read(&mut self) -> DbResult<()> {
        let is_due = self.checked_at.is_none_or(|at| at.elapsed() >= READ_INTERVAL);
        let cursor = self.cursor.clone();
        let clock = self.clock.clone();
        let began_at = Instant::now();
        let read = self.db.read(move |conn| {
            if is_due {
                time::read(conn, &clock)?;
            }
            store::since(conn, &cursor, clock.earlier_now())
        });
        let read = read.await?;
        let now = self.clock.earlier_now();
        if read.is_complete {
            self.rewrite_lost(now).await?;
        }
        let new = self.log.add_read(read.revocations);
        self.cursor = read.cursor;
        self.log.has_read(ReadTo { cursor: self.cursor.clone(), began_at });
        if is_due {
            self.mark(new, now).await;
            self.checked_at = Some(began_at);
        } else if !new.is_empty() {
            self.log.mark(&self.cache, &new, now).await;
        }
        Ok(())
    }

    /// Writes those revocations again that this server knows and the database has lost.
    async fn rewrite_lost(&self, now: Timestamp) -> DbResult<()> {
        // Taken before the database is read, which then has all of it unless it has lost some.
        let known = self.log.all();
        if known.is_empty() {
            return Ok(());
        }
        let present = self.db.read(move |conn| store::since(conn, &Cursor::default(), now)).await?.revocations;
        let mut entries = Entries::default();
        present.iter().for_each(|(entry, position)| {
            entries.add(entry, Some(*position));
        });
        let is_lost = |entry: &Revocation| entry.expires_at > now && !entries.contains(entry);
        let lost: Vec<Revocation> = known.into_iter().filter(is_lost).collect();
        if lost.is_empty() {
            return Ok(());
        }
        tracing::warn!(lost = lost.len(), "the database has lost revocations, which are written again");
        let rewrite = self.rewrite;
        self.db.write(move |conn| rewrite(conn, &lost, now)).await
    }

    /// Marks what the cache does not have: new entries, those that it could not take before, and all of them if it has
    /// lost data. An error of the cache does no harm, because the log is checked first. Asking for the data's identity
    /// detects an unavailable cache also on a server without requests.
    async fn mark(&mut self, new: Vec<Revocation>, now: Timestamp) {
        let incarnation = self.cache.incarnation(self.marked_in.as_ref()).await.ok();
        let mut unmarked = self.log.take_unmarked();
        if incarnation.is_some() && incarnation != self.marked_in {
            self.marked_in = incarnation;
            unmarked = self.log.all();
        } else {
            unmarked.extend(new);
        }
        self.log.mark(&self.cache, &unmarked, now).await;
    }

    /// Reads the log twice a second, and when the database tells that entries were appended, until the future is
    /// dropped.
    pub(crate) async fn run(mut self) {
        let mut appended = self.db.listen(APPENDED).unwrap_or_else(|error| {
            tracing::error!(%error, "no thread could be started to wait for revocations");
            None
        });
        let mut removed_at = self.clock.earlier_now();
        let mut failing = false;
        let mut is_clock_right = true;
        self.report_clock(&mut is_clock_right);
        loop {
            tokio::time::sleep(MIN_READ_INTERVAL).await;
            // Either way it is time to read.
            let _ = timeout(READ_INTERVAL, next(&mut appended)).await;
            let outcome = self.read().await;
            self.log.reader_progress().note(outcome.is_ok());
            match &outcome {
                Err(error) if !failing => tracing::warn!(%error, "the revocation log cannot be read"),
                Ok(()) if failing => tracing::info!("the revocation log can be read again"),
                Ok(()) | Err(_) => {}
            }
            failing = outcome.is_err();
            self.report_clock(&mut is_clock_right);
            let now = self.clock.earlier_now();
            if now.since(removed_at) >= REMOVAL_INTERVAL {
                removed_at = now;
                self.log.remove_expired(now);
            }
        }
    }

    /// Logs that the clock has become wrong, or right again.
    fn report_clock(&self, was_right: &mut bool) {
        let is_right = self.clock.is_right();
        match (*was_right, is_right) {
            (true, false) => tracing::error!(
                seconds = self.clock.skew().as_secs(),
                "the clock of this machine differs from that of the database: this server is not ready"
            ),
            (false, true) => tracing::info!("the clock of this machine agrees with that of the database again"),
            (true, true) | (false, false) => {}
        }
        *was_right = is_right;
    }
}

/// Waits for the next notification, forever if there are none.
async fn next(appended: &mut Option<mpsc::Receiver<()>>) {
    let received = match appended {
        Some(appended) => appended.recv().await,
        None => None,
    };
    if received.is_none() {
        std::future::pending().await
    }
}
