//! What is known of the feed, in memory.
//!
//! A session takes 25 bytes of a table that is between half and fully used. The table is made of 64 parts, each with a
//! lock of its own, and a part grows by itself, so that growing never needs the whole table twice.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::{Claims, Event, Id, Refusal};

/// The number of parts of the table of sessions.
const PARTS: usize = 64;

/// The number of syncs between two removals of expired entries, which visit every entry.
const SYNCS_PER_REMOVAL: u32 = 30;

/// An entry about a session.
#[derive(Clone, Copy)]
struct Ended {
    /// The server's time at which the entry ends, in seconds since 1970, rounded up.
    expires_at_secs: u32,
    /// The snapshot in which the entry was seen last.
    snapshot: u32,
}

type Part = RwLock<HashMap<[u8; 16], Ended>>;

/// An entry about a token, or about the tokens of a session or a client.
#[derive(Clone, Copy)]
struct Entry<T> {
    value: T,
    expires_at_secs: u32,
}

/// The entries that are few.
#[derive(Default)]
struct Few {
    tokens: HashMap<Id, Entry<()>>,
    revisions: HashMap<Id, Entry<i64>>,
    keys: HashSet<String>,
    clients: HashMap<String, Entry<()>>,
}

/// The times at which the state was complete.
#[derive(Default)]
struct Progress {
    /// The monotonic time up to which everything is known.
    complete_until: Option<Instant>,
    server_time_secs: u32,
    syncs: u32,
    /// The number of the snapshot that is read; equal to `known` when none is.
    reading: u32,
    known: u32,
}

/// The revocations that are known.
pub(crate) struct Revoked {
    sessions: [Part; PARTS],
    few: RwLock<Few>,
    /// What the snapshot that is read has had so far.
    next: RwLock<Few>,
    progress: RwLock<Progress>,
    /// The server's time of the last sync, for entries that ended and were not removed yet.
    server_time_secs: AtomicU32,
}

impl Default for Revoked {
    fn default() -> Self {
        Self {
            sessions: std::array::from_fn(|_| Part::default()),
            few: RwLock::default(),
            next: RwLock::default(),
            progress: RwLock::default(),
            server_time_secs: AtomicU32::new(0),
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whole seconds, rounded up, as far as they fit.
fn secs(millis: i64) -> u32 {
    let secs = millis.div_euclid(1000).saturating_add(i64::from(millis.rem_euclid(1000) > 0));
    u32::try_from(secs.max(0)).unwrap_or(u32::MAX)
}

impl Few {
    fn add_token(&mut self, jti: Id, expires_at_secs: u32) {
        let entry = self.tokens.entry(jti).or_insert(Entry { value: (), expires_at_secs });
        entry.expires_at_secs = entry.expires_at_secs.max(expires_at_secs);
    }

    fn add_client(&mut self, client: &str, expires_at_secs: u32) {
        let entry = self.clients.entry(client.to_owned()).or_insert(Entry { value: (), expires_at_secs });
        entry.expires_at_secs = entry.expires_at_secs.max(expires_at_secs);
    }

    fn add_revision(&mut self, sid: Id, revision: i64, expires_at_secs: u32) {
        let entry = self.revisions.entry(sid).or_insert(Entry { value: revision, expires_at_secs });
        entry.value = entry.value.max(revision);
        entry.expires_at_secs = entry.expires_at_secs.max(expires_at_secs);
    }
}

impl Revoked {
    fn part(&self, session: &Id) -> Option<&Part> {
        // The last bytes of a UUID are random in every version that is used for ids.
        let last = session.bytes().last().copied().unwrap_or(0);
        self.sessions.get(usize::from(last) % PARTS)
    }

    /// Applies an event that arrived at `at`. Returns whether a key was revoked or is no longer.
    pub(crate) fn apply(&self, event: &Event, at: Instant) -> bool {
        match event {
            Event::Reset => {
                let mut progress = write(&self.progress);
                progress.reading = progress.reading.wrapping_add(1);
                *write(&self.next) = Few::default();
                false
            }
            Event::Revoked { sid, jti, before_rev, expires_at_millis } => {
                self.add(*sid, *jti, *before_rev, secs(*expires_at_millis));
                false
            }
            Event::Key { kid } => {
                if self.is_reading() {
                    write(&self.next).keys.insert(kid.clone());
                }
                write(&self.few).keys.insert(kid.clone())
            }
            Event::Client { client_id, expires_at_millis } => {
                let expires_at_secs = secs(*expires_at_millis);
                if self.is_reading() {
                    write(&self.next).add_client(client_id, expires_at_secs);
                }
                write(&self.few).add_client(client_id, expires_at_secs);
                false
            }
            Event::Sync { age_millis, server_time_millis } => self.sync(*age_millis, *server_time_millis, at),
            Event::Bye { .. } | Event::Unknown => false,
        }
    }

    fn is_reading(&self) -> bool {
        let progress = read(&self.progress);
        progress.reading != progress.known
    }

    fn add(&self, sid: Option<Id>, jti: Option<Id>, before_rev: Option<i64>, expires_at_secs: u32) {
        let add_few = |few: &mut Few| match (sid, jti, before_rev) {
            (_, Some(jti), _) => few.add_token(jti, expires_at_secs),
            (Some(sid), None, Some(revision)) => few.add_revision(sid, revision, expires_at_secs),
            (_, None, _) => {}
        };
        if let (Some(sid), None, None) = (sid, jti, before_rev) {
            let snapshot = read(&self.progress).reading;
            let Some(part) = self.part(&sid) else { return };
            let mut part = write(part);
            let entry = part.entry(*sid.bytes()).or_insert(Ended { expires_at_secs, snapshot });
            entry.snapshot = snapshot;
            entry.expires_at_secs = entry.expires_at_secs.max(expires_at_secs);
            return;
        }
        add_few(&mut write(&self.few));
        if self.is_reading() {
            add_few(&mut write(&self.next));
        }
    }

    fn sync(&self, age_millis: u64, server_time_millis: i64, at: Instant) -> bool {
        let mut progress = write(&self.progress);
        // Rounded down, so that an entry lives until its end.
        let now_secs = u32::try_from(server_time_millis.div_euclid(1000).max(0)).unwrap_or(u32::MAX);
        progress.server_time_secs = progress.server_time_secs.max(now_secs);
        self.server_time_secs.store(progress.server_time_secs, Ordering::Relaxed);
        let complete = at.checked_sub(Duration::from_millis(age_millis));
        progress.complete_until = progress.complete_until.max(complete);
        progress.syncs = progress.syncs.wrapping_add(1);
        let is_snapshot = progress.reading != progress.known;
        let mut are_keys_changed = false;
        if is_snapshot {
            progress.known = progress.reading;
            let next = std::mem::take(&mut *write(&self.next));
            let mut few = write(&self.few);
            are_keys_changed = few.keys != next.keys;
            *few = next;
        }
        let is_removal = is_snapshot || progress.syncs.is_multiple_of(SYNCS_PER_REMOVAL);
        let server_time_secs = progress.server_time_secs;
        let snapshot = is_snapshot.then_some(progress.known);
        // Removing takes a while, and every verification asks for the age.
        drop(progress);
        if is_removal {
            self.remove(server_time_secs, snapshot);
        }
        are_keys_changed
    }

    /// Removes the entries that have ended, and those that the snapshot had not.
    fn remove(&self, now_secs: u32, snapshot: Option<u32>) {
        for part in &self.sessions {
            let mut part = write(part);
            part.retain(|_, entry| {
                entry.expires_at_secs > now_secs && snapshot.is_none_or(|snapshot| entry.snapshot == snapshot)
            });
            if part.capacity() > 1024 && part.len() < part.capacity() / 4 {
                part.shrink_to_fit();
            }
        }
        let mut few = write(&self.few);
        few.tokens.retain(|_, entry| entry.expires_at_secs > now_secs);
        few.revisions.retain(|_, entry| entry.expires_at_secs > now_secs);
        few.clients.retain(|_, entry| entry.expires_at_secs > now_secs);
    }

    /// Checks whether the session, the token or its client was revoked.
    ///
    /// # Errors
    /// It was.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), Refusal> {
        let now_secs = self.server_time_secs.load(Ordering::Relaxed);
        if let Some(sid) = &claims.sid {
            let ended = self.part(sid).and_then(|part| read(part).get(sid.bytes()).copied());
            if ended.is_some_and(|entry| entry.expires_at_secs > now_secs) {
                return Err(Refusal::SessionRevoked);
            }
        }
        let few = read(&self.few);
        let is_live = |entry: &Entry<()>| entry.expires_at_secs > now_secs;
        if few.tokens.get(&claims.jti).is_some_and(is_live) || few.clients.get(&claims.client_id).is_some_and(is_live) {
            return Err(Refusal::TokenRevoked);
        }
        let revision = claims.sid.as_ref().and_then(|sid| few.revisions.get(sid));
        let is_earlier = |entry: &Entry<i64>| claims.rev.is_some_and(|rev| rev < entry.value);
        if revision.is_some_and(|entry| entry.expires_at_secs > now_secs && is_earlier(entry)) {
            return Err(Refusal::TokenRevoked);
        }
        Ok(())
    }

    /// Returns whether a key was revoked.
    pub(crate) fn is_key_revoked(&self, kid: &str) -> bool {
        read(&self.few).keys.contains(kid)
    }

    /// Returns how old the knowledge is, `None` if a snapshot was never read to its end.
    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        read(&self.progress).complete_until.map(|until| now.saturating_duration_since(until))
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        let sessions: usize = self.sessions.iter().map(|part| read(part).len()).sum();
        let few = read(&self.few);
        sessions + few.tokens.len() + few.revisions.len() + few.keys.len() + few.clients.len()
    }
}
