//! The unexpired part of the log in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::watch;

use super::store::{Cursor, Position, Snapshot};
use super::{FeedCursor, Page, ReaderProgress, Revocation, Revoked, Sync};
use crate::cache::{Cache, RevocationMark};
use crate::random::Random;
use crate::types::{ClientId, Jti, KeyId, SessionId, Timestamp};

/// The number of revocations that are marked in the cache by one call.
const MARKS_PER_CALL: usize = 1000;

/// The status of a session according to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogStatus {
    /// The session was revoked.
    Revoked,
    /// The session was not revoked. Its access tokens of revisions before this one were; 0 if none were.
    ValidFrom(i64),
}

/// The unexpired part of the log in memory. Clones share it.
#[derive(Clone)]
pub(crate) struct RevocationLog {
    entries: Arc<RwLock<Entries>>,
    /// The revocations whose marks could not be set in the cache.
    unmarked: Arc<Mutex<Vec<Revocation>>>,
    /// The number of the latest entry.
    latest: watch::Sender<u64>,
    /// How far the log of the database was read.
    read: watch::Sender<Option<ReadTo>>,
    /// Distinguishes the numbers of this process from those of others.
    process: u64,
    progress: ReaderProgress,
}

impl Default for RevocationLog {
    fn default() -> Self {
        Self::new(&Random)
    }
}

/// The end of the last read of the log in the database.
#[derive(Clone)]
pub(super) struct ReadTo {
    pub cursor: Cursor,
    /// When the last read began.
    pub began_at: Instant,
}

/// The key of an entry: there is one for each subject.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Session(SessionId),
    TokensOf(SessionId),
    Token(Jti),
    Key(KeyId),
    Client(ClientId),
}

impl Subject {
    const fn of(revoked: Revoked) -> Self {
        match revoked {
            Revoked::Session(session) => Self::Session(session),
            Revoked::TokensBefore { session, .. } => Self::TokensOf(session),
            Revoked::Token { jti, .. } => Self::Token(jti),
            Revoked::Key(key) => Self::Key(key),
            Revoked::Client(client) => Self::Client(client),
        }
    }
}

/// An entry with its place in this server's order and in the log.
#[derive(Clone, Copy)]
struct Known {
    entry: Revocation,
    /// The number of the entry on this server, in the order in which it got to know them.
    number: u64,
    /// The position in the log of the database, unless it was not read there yet.
    position: Option<Position>,
}

#[derive(Default)]
pub(super) struct Entries {
    known: HashMap<Subject, Known>,
    numbers: BTreeMap<u64, Subject>,
    latest: u64,
}

impl Entries {
    /// Returns whether there is an entry that revokes as much.
    pub(super) fn contains(&self, entry: &Revocation) -> bool {
        self.known.get(&Subject::of(entry.revoked)).is_some_and(|known| match (known.entry.revoked, entry.revoked) {
            (Revoked::TokensBefore { revision: known, .. }, Revoked::TokensBefore { revision, .. }) => {
                known >= revision
            }
            _ => true,
        })
    }

    /// Adds an entry unless one revokes as much. Returns whether it was added.
    pub(super) fn add(&mut self, entry: &Revocation, position: Option<Position>) -> bool {
        let subject = Subject::of(entry.revoked);
        if self.contains(entry) {
            if let Some(known) = self.known.get_mut(&subject) {
                known.position = known.position.or(position);
            }
            return false;
        }
        self.latest = self.latest.saturating_add(1);
        let known = Known { entry: *entry, number: self.latest, position };
        if let Some(replaced) = self.known.insert(subject, known) {
            self.numbers.remove(&replaced.number);
        }
        self.numbers.insert(self.latest, subject);
        true
    }

    fn remove_expired(&mut self, now: Timestamp) {
        let numbers = &mut self.numbers;
        self.known.retain(|_, known| {
            let is_live = known.entry.expires_at > now;
            if !is_live {
                numbers.remove(&known.number);
            }
            is_live
        });
    }
}

impl RevocationLog {
    /// Creates a log that knows nothing yet.
    pub(crate) fn new(random: &Random) -> Self {
        Self {
            entries: Arc::default(),
            unmarked: Arc::default(),
            latest: watch::Sender::new(0),
            read: watch::Sender::new(None),
            process: u64::from_be_bytes(random.bytes()),
            progress: ReaderProgress::default(),
        }
    }

    /// Returns the status of `session`.
    pub(crate) fn status(&self, session: SessionId) -> LogStatus {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if entries.known.contains_key(&Subject::Session(session)) {
            return LogStatus::Revoked;
        }
        match entries.known.get(&Subject::TokensOf(session)).map(|known| known.entry.revoked) {
            Some(Revoked::TokensBefore { revision, .. }) => LogStatus::ValidFrom(revision),
            _ => LogStatus::ValidFrom(0),
        }
    }

    /// Returns whether this access token was revoked by itself.
    pub(crate) fn is_token_revoked(&self, jti: Jti) -> bool {
        self.knows(Subject::Token(jti))
    }

    /// Returns whether every access token that `key` has signed was revoked.
    pub(crate) fn is_key_revoked(&self, key: KeyId) -> bool {
        self.knows(Subject::Key(key))
    }

    /// Returns whether every access token that was issued to `client` was revoked.
    pub(crate) fn is_client_revoked(&self, client: ClientId) -> bool {
        self.knows(Subject::Client(client))
    }

    fn knows(&self, subject: Subject) -> bool {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).known.contains_key(&subject)
    }

    /// Returns a receiver that changes whenever entries were added.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// Returns how the reader of this server gets on.
    pub(crate) fn reader_progress(&self) -> &ReaderProgress {
        &self.progress
    }

    /// Adds revocations that this server has committed.
    pub(crate) fn add(&self, revocations: &[Revocation]) {
        self.add_all(revocations.iter().map(|entry| (*entry, None)));
    }

    /// Adds revocations that were read from the database. Returns those that were new.
    pub(super) fn add_read(&self, read: Vec<(Revocation, Position)>) -> Vec<Revocation> {
        self.add_all(read.into_iter().map(|(entry, position)| (entry, Some(position))))
    }

    fn add_all(&self, revocations: impl Iterator<Item = (Revocation, Option<Position>)>) -> Vec<Revocation> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        for (entry, position) in revocations {
            if entries.add(&entry, position) {
                new.push(entry);
            }
        }
        let latest = entries.latest;
        drop(entries);
        if !new.is_empty() {
            self.latest.send_if_modified(|number| {
                let is_later = *number < latest;
                *number = latest.max(*number);
                is_later
            });
        }
        new
    }

    /// Marks revocations in the cache that servers share. Those that it could not mark are kept for the reader, which
    /// tries again. They are valid nevertheless. Single tokens, keys and clients have no marks.
    pub(crate) async fn mark(&self, cache: &Cache, revocations: &[Revocation], now: Timestamp) {
        let mark = |entry: &Revocation| {
            let (session, before) = match entry.revoked {
                Revoked::Session(session) => (session, None),
                Revoked::TokensBefore { session, revision, .. } => (session, Some(revision)),
                Revoked::Token { .. } | Revoked::Key(_) | Revoked::Client(_) => return None,
            };
            Some(RevocationMark { session, before, expires_at: entry.expires_at })
        };
        let mut rest = revocations;
        for chunk in revocations.chunks(MARKS_PER_CALL) {
            let marks: Vec<RevocationMark> = chunk.iter().filter_map(mark).collect();
            if cache.mark_revoked(&marks, now).await.is_err() {
                break;
            }
            rest = rest.get(chunk.len()..).unwrap_or_default();
        }
        self.unmarked().extend_from_slice(rest);
    }

    /// Returns the revocations whose marks could not be set, and forgets them.
    pub(super) fn take_unmarked(&self) -> Vec<Revocation> {
        std::mem::take(&mut *self.unmarked())
    }

    fn unmarked(&self) -> MutexGuard<'_, Vec<Revocation>> {
        self.unmarked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remove_expired(&self, now: Timestamp) {
        self.entries.write().unwrap_or_else(PoisonError::into_inner).remove_expired(now);
        self.unmarked().retain(|entry| entry.expires_at > now);
    }

    /// Returns a number that is that of no other process.
    pub(super) fn identity(&self) -> i64 {
        i64::from_be_bytes(self.process.to_be_bytes())
    }

    /// Notes how far the log of the database was read, after its entries were added.
    pub(super) fn has_read(&self, read_to: ReadTo) {
        self.read.send_replace(Some(read_to));
    }

    /// Returns a receiver that changes whenever the log of the database was read.
    pub(super) fn reads(&self) -> watch::Receiver<Option<ReadTo>> {
        self.read.subscribe()
    }

    /// Returns up to `limit` entries that a reader with `cursor` was not told yet, all of them if the cursor is not of
    /// this log.
    pub(super) fn page(&self, cursor: Option<&FeedCursor>, limit: usize) -> Page {
        // Looked at before the entries, which then reach at least as far.
        let read_to = self.read.borrow().clone();
        let (known, read_at) = read_to.map_or((Cursor::default(), Instant::now()), |to| (to.cursor, to.began_at));
        let from = cursor.filter(|cursor| cursor.database == known.database);
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let first = from.filter(|from| from.process == self.process).map_or(0, |from| from.number.saturating_add(1));
        let is_told = |entry: &Known| match &from {
            Some(from) if from.process != self.process => entry.position.is_some_and(|at| from.snapshot.contains(at)),
            Some(_) | None => false,
        };
        let mut untold = entries
            .numbers
            .range(first..)
            .filter_map(|(_, subject)| entries.known.get(subject))
            .filter(|entry| !is_told(entry));
        let page: Vec<&Known> = untold.by_ref().take(limit).collect();
        let has_more = untold.next().is_some();
        let cursor = if has_more {
            // Elsewhere the reader has to begin again.
            let snapshot = from.map_or_else(Snapshot::default, |from| from.snapshot.clone());
            let number = page.last().map_or(0, |entry| entry.number);
            FeedCursor::new(Cursor { snapshot, database: known.database }, self.process, number)
        } else {
            FeedCursor::new(known, self.process, entries.latest)
        };
        Page {
            reset: from.is_none(),
            revocations: page.into_iter().map(|known| known.entry).collect(),
            sync: Sync { cursor, read_at },
            has_more,
        }
    }

    /// Returns all entries.
    pub(super) fn all(&self) -> Vec<Revocation> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.known.values().map(|known| known.entry).collect()
    }
}
