//! The log of revocations and its readers.
//!
//! A revocation is appended to the log in the transaction that revokes. Every server keeps the unexpired part of the
//! log in memory and checks it before any cache, so a cache that has lost a mark cannot make a revoked session valid
//! again. The servers read the log twice a second and mark new entries in the cache. If a server crashes between its
//! commit and the mark in the cache, the next reader adds the mark.

mod progress;
mod reason;
mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use crate::cache::{Cache, Incarnation, RevocationMark};
use crate::clock::Clock;
use crate::db::{Conn, Db, DbResult, time};
use crate::types::{SessionId, Timestamp, UserId};

pub(crate) use progress::ReaderProgress;
pub(crate) use reason::Reason;
use store::Cursor;

/// The time between two reads of the log.
const READ_INTERVAL: Duration = Duration::from_millis(500);

/// The number of revocations that are marked in the cache by one call.
const MARKS_PER_CALL: usize = 1000;

/// The time between two removals of expired entries from memory.
const REMOVAL_INTERVAL: Duration = Duration::from_secs(60);

/// An entry of the log: a revoked session, or the revoked access tokens of a session that stays valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revocation {
    /// The session that was revoked, or the session of the access tokens.
    pub session: SessionId,
    /// The revision of the session before which its access tokens are revoked, or `None` if the session was revoked.
    pub before: Option<i64>,
    /// The time at which the last access token that it revokes expires.
    pub expires_at: Timestamp,
    /// The reason.
    pub reason: Reason,
}

/// Appends entries about the account `user` to the log, in the caller's transaction.
pub(crate) fn append(conn: &mut Conn, entries: &[Revocation], user: UserId, now: Timestamp) -> DbResult<()> {
    store::append(conn, entries, user, now)
}

/// Deletes up to `limit` entries that expired at `before` or earlier. Returns their number.
pub(crate) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire(conn, before, limit)
}

/// The status of a session according to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogStatus {
    /// The session was revoked.
    Revoked,
    /// The session was not revoked. Its access tokens of revisions before this one were; 0 if none were.
    ValidFrom(i64),
}

/// The unexpired part of the log in memory. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct RevocationLog {
    entries: Arc<RwLock<Entries>>,
    /// The revocations whose marks could not be set in the cache.
    unmarked: Arc<Mutex<Vec<Revocation>>>,
    progress: ReaderProgress,
}

#[derive(Default)]
struct Entries {
    /// The sessions that were revoked.
    sessions: HashMap<SessionId, Revocation>,
    /// The sessions whose access tokens were revoked, each with the latest such entry.
    tokens: HashMap<SessionId, Revocation>,
}

impl Entries {
    fn contains(&self, entry: &Revocation) -> bool {
        match entry.before {
            Some(_) => self.tokens.get(&entry.session).is_some_and(|present| present.before >= entry.before),
            None => self.sessions.contains_key(&entry.session),
        }
    }

    fn add(&mut self, entry: &Revocation) {
        if !self.contains(entry) {
            let entries = if entry.before.is_some() { &mut self.tokens } else { &mut self.sessions };
            entries.insert(entry.session, *entry);
        }
    }
}

impl RevocationLog {
    /// Returns the status of `session`.
    pub(crate) fn status(&self, session: SessionId) -> LogStatus {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if entries.sessions.contains_key(&session) {
            return LogStatus::Revoked;
        }
        LogStatus::ValidFrom(entries.tokens.get(&session).and_then(|entry| entry.before).unwrap_or(0))
    }

    /// Returns how the reader of this server gets on.
    pub(crate) fn reader_progress(&self) -> &ReaderProgress {
        &self.progress
    }

    /// Adds revocations.
    pub(crate) fn add(&self, revocations: &[Revocation]) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        revocations.iter().for_each(|entry| entries.add(entry));
    }

    /// Marks revocations in the cache that servers share. Those that it could not mark are kept for the reader, which
    /// tries again. They are valid nevertheless.
    pub(crate) async fn mark(&self, cache: &Cache, revocations: &[Revocation], now: Timestamp) {
        let mark = |entry: &Revocation| RevocationMark {
            session: entry.session,
            before: entry.before,
            expires_at: entry.expires_at,
        };
        let mut rest = revocations;
        for chunk in revocations.chunks(MARKS_PER_CALL) {
            let marks: Vec<RevocationMark> = chunk.iter().map(mark).collect();
            if cache.mark_revoked(&marks, now).await.is_err() {
                break;
            }
            rest = rest.get(chunk.len()..).unwrap_or_default();
        }
        self.unmarked().extend_from_slice(rest);
    }

    fn unmarked(&self) -> MutexGuard<'_, Vec<Revocation>> {
        self.unmarked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the revocations that are not in memory yet.
    fn missing(&self, revocations: Vec<Revocation>) -> Vec<Revocation> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        revocations.into_iter().filter(|entry| !entries.contains(entry)).collect()
    }

    fn remove_expired(&self, now: Timestamp) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.sessions.retain(|_, entry| entry.expires_at > now);
        entries.tokens.retain(|_, entry| entry.expires_at > now);
        drop(entries);
        self.unmarked().retain(|entry| entry.expires_at > now);
    }

    fn all(&self) -> Vec<Revocation> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.sessions.values().chain(entries.tokens.values()).copied().collect()
    }
}

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
}

impl LogReader {
    /// Creates a reader that has read nothing yet.
    pub(crate) fn new(db: Db, cache: Cache, clock: Clock, log: RevocationLog, rewrite: Rewrite) -> Self {
        Self { db, cache, clock, log, rewrite, cursor: Cursor::default(), marked_in: None }
    }

    /// Reads the entries that were appended since the last call and marks them in the cache. The first call reads all
    /// unexpired entries, and so does one after a failover or a restore of the database; what it has lost is then
    /// written again. If the cache has lost data, all entries are marked again. Compares the clock with the database's,
    /// too.
    pub(crate) async fn read(&mut self) -> DbResult<()> {
        let cursor = self.cursor;
        let clock = self.clock.clone();
        let read = self.db.read(move |conn| {
            time::read(conn, &clock)?;
            store::since(conn, cursor, clock.earlier_now())
        });
        let read = read.await?;
        let now = self.clock.earlier_now();
        if read.is_complete {
            self.rewrite_lost(now).await?;
        }
        let new = self.log.missing(read.revocations);
        self.log.add(&new);
        self.cursor = read.cursor;
        self.mark(new, now).await;
        Ok(())
    }

    /// Writes those revocations again that this server knows and the database has lost.
    async fn rewrite_lost(&self, now: Timestamp) -> DbResult<()> {
        // Taken before the database is read, which then has all of it unless it has lost some.
        let known = self.log.all();
        if known.is_empty() {
            return Ok(());
        }
        let present = self.db.read(move |conn| store::since(conn, Cursor::default(), now)).await?.revocations;
        let mut entries = Entries::default();
        present.iter().for_each(|entry| entries.add(entry));
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
        let mut unmarked = std::mem::take(&mut *self.log.unmarked());
        if incarnation.is_some() && incarnation != self.marked_in {
            self.marked_in = incarnation;
            unmarked = self.log.all();
        } else {
            unmarked.extend(new);
        }
        self.log.mark(&self.cache, &unmarked, now).await;
    }

    /// Reads the log twice a second until the future is dropped.
    pub(crate) async fn run(mut self) {
        let mut removed_at = self.clock.earlier_now();
        let mut failing = false;
        let mut is_clock_right = true;
        self.report_clock(&mut is_clock_right);
        loop {
            tokio::time::sleep(READ_INTERVAL).await;
            let outcome = self.read().await;
            self.log.progress.note(outcome.is_ok());
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
