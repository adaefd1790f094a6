//! A bounded map. It is sharded, so that threads rarely wait for each other.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;

/// A map that keeps at least the `capacity` entries that were stored or read last, and at most twice as many.
pub struct BoundedMap<K, V> {
    shards: [Mutex<Shard<K, V>>; SHARDS],
    hasher: RandomState,
    shard_capacity: usize,
}

/// A part of the map. New entries are inserted into `young`. When it is full, it becomes `old`, and the previous `old`
/// is dropped. An old entry that is read moves to `young`.
struct Shard<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq, V: Clone> BoundedMap<K, V> {
    /// Creates an empty map.
    pub fn new(capacity: usize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::new(Shard { young: HashMap::new(), old: HashMap::new() }));
        Self { shards, hasher: RandomState::new(), shard_capacity: capacity.div_ceil(SHARDS).max(1) }
    }

    /// Returns the value of `key` and counts it as used.
    pub fn get(&self, key: &K) -> Option<V> {
        let mut shard = self.shard(key);
        if let Some(value) = shard.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = shard.old.remove_entry(key)?;
        shard.put(key, value.clone(), self.shard_capacity);
        Some(value)
    }

    /// Sets the value of `key`.
    pub fn put(&self, key: K, value: V) {
        self.update(key, |_| Some(value));
    }

    /// Sets the value that `change` returns for the present one, or keeps the present one if it returns `None`. Atomic.
    pub fn update(&self, key: K, change: impl FnOnce(Option<&V>) -> Option<V>) {
        let mut shard = self.shard(&key);
        let present = shard.young.get(&key).or_else(|| shard.old.get(&key));
        if let Some(value) = change(present) {
            shard.old.remove(&key);
            shard.put(key, value, self.shard_capacity);
        }
    }

    /// Removes `key`.
    pub fn remove(&self, key: &K) {
        let mut shard = self.shard(key);
        shard.young.remove(key);
        shard.old.remove(key);
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, V>> {
        let hash = self.hasher.hash_one(key);
        #[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "a remainder of SHARDS is below SHARDS")]
        lock(&self.shards[(hash % SHARDS as u64) as usize])
    }
}

impl<K: Hash + Eq, V> Shard<K, V> {
    fn put(&mut self, key: K, value: V, capacity: usize) {
        if self.young.len() >= capacity && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

/// Locks a mutex, also if a thread panicked while it held the lock. The map is then consistent, because each change is
/// one insertion or removal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_is_used_and_forgets_what_is_not() {
        let map = BoundedMap::new(160);
        map.put("used".to_owned(), 1);
        map.put("unused".to_owned(), 2);
        for n in 0..10_000 {
            map.put(n.to_string(), n);
            assert_eq!(map.get(&"used".to_owned()), Some(1));
        }
        assert_eq!(map.get(&"unused".to_owned()), None);
    }

    #[test]
    fn it_never_holds_more_than_twice_its_capacity() {
        let map = BoundedMap::new(160);
        for n in 0..10_000 {
            map.put(n, ());
        }
        let count: usize = map.shards.iter().map(lock).map(|shard| shard.young.len() + shard.old.len()).sum();
        assert!((1..=320).contains(&count), "{count} entries");
    }

    #[test]
    fn an_update_sees_what_is_there_and_may_leave_it() {
        let map = BoundedMap::new(16);
        map.put(1, 5);
        map.update(1, |present| (*present? < 3).then_some(3));
        assert_eq!(map.get(&1), Some(5));
        map.update(1, |present| (*present? < 7).then_some(7));
        assert_eq!(map.get(&1), Some(7));
    }
}
