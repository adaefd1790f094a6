//! The number of connections from each address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::throttle::ip_key;

/// The open connections by the network of their peer. Clones share them.
#[derive(Clone)]
pub(super) struct Places {
    taken: Arc<Taken>,
}

struct Taken {
    max: Option<NonZeroU32>,
    /// Peers with any number of connections.
    unlimited: Vec<IpNet>,
    counts: Mutex<HashMap<[u8; 16], u32>>,
}

/// The place of one connection, which is free again once this is dropped.
pub(super) struct Place {
    counted: Option<([u8; 16], Arc<Taken>)>,
}

impl Places {
    /// Creates places: `max` for each IPv4 address or IPv6 network of 64 bits, and any number for `unlimited`.
    pub(super) fn new(max: Option<NonZeroU32>, unlimited: Vec<IpNet>) -> Self {
        Self { taken: Arc::new(Taken { max, unlimited, counts: Mutex::default() }) }
    }

    /// Takes a place for a connection from `peer`. Returns `None` if its address has as many as it may have.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Place> {
        let address = peer.to_canonical();
        let Some(max) = self.taken.max else { return Some(Place { counted: None }) };
        if self.taken.unlimited.iter().any(|network| network.contains(&address)) {
            return Some(Place { counted: None });
        }
        let key = ip_key(address);
        let mut counts = self.taken.counts();
        let count = counts.entry(key).or_default();
        if *count >= max.get() {
            return None;
        }
        *count = count.saturating_add(1);
        drop(counts);
        Some(Place { counted: Some((key, Arc::clone(&self.taken))) })
    }
}

impl Taken {
    fn counts(&self) -> MutexGuard<'_, HashMap<[u8; 16], u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((key, taken)) = self.counted.take() else { return };
        if let Entry::Occupied(mut count) = taken.counts().entry(key) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn places(max: u32) -> Places {
        Places::new(NonZeroU32::new(max), vec!["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let places = places(2);
        let (first, second) = (places.take(ip("192.0.2.1")), places.take(ip("::ffff:192.0.2.1")));
        assert!(first.is_some() && second.is_some());
        assert!(places.take(ip("192.0.2.1")).is_none());
        assert!(places.take(ip("192.0.2.2")).is_some());
        drop(first);
        let third = places.take(ip("192.0.2.1"));
        assert!(third.is_some() && places.take(ip("192.0.2.1")).is_none());
        drop((second, third));
        assert!(places.taken.counts().is_empty());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_address() {
        let places = places(1);
        let place = places.take(ip("2001:db8:1:2:3::4"));
        assert!(place.is_some() && places.take(ip("2001:db8:1:2:5::6")).is_none());
        assert!(places.take(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn trusted_proxies_and_a_maximum_of_zero_have_no_limit() {
        let (few, unlimited) = (places(1), places(0));
        let taken: Vec<_> = (0..3).map(|_| (few.take(ip("10.1.2.3")), unlimited.take(ip("192.0.2.1")))).collect();
        assert!(taken.iter().all(|(proxy, anybody)| proxy.is_some() && anybody.is_some()));
    }
}
