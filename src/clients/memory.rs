//! The clients that were read a moment ago, so that one that calls often costs the database a query a second.
//!
//! A change by this server is seen at once, and one by another server or the command line within two seconds: after one
//! second one caller reads the row again while the others go on, and after two all of them do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Client;
use crate::cache::bounded::BoundedMap;
use crate::types::ClientId;

/// The age from which one caller reads the row again.
const FRESH: Duration = Duration::from_secs(1);

/// The age from which all callers read the row again.
const USABLE: Duration = Duration::from_secs(2);

/// The least number of clients that are remembered.
const CAPACITY: usize = 1024;

/// The clients that were read a moment ago.
pub(super) struct Memory {
    clients: BoundedMap<ClientId, Arc<Remembered>>,
    /// The number of changes by this server: what was read before one is not remembered after it.
    changes: AtomicU64,
}

/// A client that was read.
struct Remembered {
    client: Arc<Client>,
    /// The time at which the reading began. It is not that of the clock, which may be set back.
    read_at: Instant,
    is_read_again: AtomicBool,
}

/// The reading of a client that has begun.
pub(super) struct Reading {
    id: ClientId,
    read_at: Instant,
    changes: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self { clients: BoundedMap::new(CAPACITY), changes: AtomicU64::new(0) }
    }
}

impl Memory {
    /// Returns a client that was read less than two seconds ago. Returns `None` to one caller after one second.
    pub(super) fn get(&self, id: ClientId) -> Option<Arc<Client>> {
        let remembered = self.clients.get(&id)?;
        let age = remembered.read_at.elapsed();
        let is_usable = age < FRESH || (age < USABLE && remembered.is_read_again.swap(true, Ordering::Relaxed));
        is_usable.then(|| Arc::clone(&remembered.client))
    }

    /// Begins to read a client.
    pub(super) fn begin(&self, id: ClientId) -> Reading {
        Reading { id, read_at: Instant::now(), changes: self.changes.load(Ordering::SeqCst) }
    }

    /// Remembers a client that was read, unless this server has changed one meanwhile.
    pub(super) fn put(&self, reading: Reading, client: Arc<Client>) {
        let remembered =
            Arc::new(Remembered { client, read_at: reading.read_at, is_read_again: AtomicBool::new(false) });
        // Within the lock of the entry, which `forget` takes after it has counted the change.
        self.clients
            .update(reading.id, |_| (self.changes.load(Ordering::SeqCst) == reading.changes).then_some(remembered));
    }

    /// Forgets a client that this server has changed.
    pub(super) fn forget(&self, id: ClientId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.clients.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::types::{Audiences, Scopes, Timestamp};

    const ID: ClientId = ClientId(Uuid::nil());

    fn client() -> Arc<Client> {
        Arc::new(Client {
            id: ID,
            name: "a".to_owned(),
            scopes: Scopes::default(),
            audiences: Audiences::default(),
            access_token_ttl: None,
            signing_algorithm: None,
            secrets_issued: 0,
            created_at: Timestamp::from_millis(0),
            disabled_at: None,
            last_used_at: None,
            secrets: Vec::new(),
        })
    }

    fn read(memory: &Memory, age: Duration) {
        let mut reading = memory.begin(ID);
        reading.read_at = Instant::now().checked_sub(age).unwrap();
        memory.put(reading, client());
    }

    #[test]
    fn a_client_is_read_again_by_one_caller_after_a_second_and_by_all_after_two() {
        let memory = Memory::default();
        assert!(memory.get(ID).is_none());
        read(&memory, Duration::ZERO);
        assert!((0..3).all(|_| memory.get(ID).is_some()));
        read(&memory, Duration::from_millis(1100));
        assert!(memory.get(ID).is_none(), "the first one reads it again");
        assert!((0..3).all(|_| memory.get(ID).is_some()));
        read(&memory, USABLE);
        assert!((0..3).all(|_| memory.get(ID).is_none()));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let memory = Memory::default();
        let reading = memory.begin(ID);
        memory.forget(ID);
        memory.put(reading, client());
        assert!(memory.get(ID).is_none());
        read(&memory, Duration::ZERO);
        memory.forget(ID);
        assert!(memory.get(ID).is_none());
    }
}
