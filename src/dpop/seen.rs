//! The memory of the proofs that this server has accepted.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::KEPT;
use crate::types::Timestamp;

/// The most proofs that are remembered from one period. They take about 40 MB.
const CAPACITY: usize = 512 * 1024;

/// A memory of proofs, each for at least [`KEPT`] and less than twice as long.
#[derive(Default)]
pub(super) struct SeenProofs {
    periods: Mutex<Periods>,
}

#[derive(Default)]
struct Periods {
    /// The number of the current period since 1970.
    number: i64,
    current: HashSet<[u8; 32]>,
    previous: HashSet<[u8; 32]>,
}

/// The answer of the memory about a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was accepted before.
    Before,
    /// It was not, and is remembered from now on.
    Never,
    /// It was not, and there is no room to remember it.
    Forgotten,
}

impl SeenProofs {
    /// Remembers a proof. Atomic.
    pub(super) fn remember(&self, digest: [u8; 32], now: Timestamp) -> Seen {
        let mut periods = self.periods.lock().unwrap_or_else(PoisonError::into_inner);
        periods.advance_to(now);
        if periods.previous.contains(&digest) || periods.current.contains(&digest) {
            return Seen::Before;
        }
        if periods.current.len() >= CAPACITY {
            return Seen::Forgotten;
        }
        periods.current.insert(digest);
        Seen::Never
    }
}

impl Periods {
    fn advance_to(&mut self, now: Timestamp) {
        let number = now.as_millis().div_euclid(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
        // A clock that goes back makes nothing be forgotten.
        match number.saturating_sub(self.number) {
            ..=0 => return,
            1 => self.previous = std::mem::take(&mut self.current),
            2.. => {
                self.previous = HashSet::new();
                self.current = HashSet::new();
            }
        }
        self.number = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_remembered_for_as_long_as_it_may_be_valid() {
        let seen = SeenProofs::default();
        let begin = Timestamp::from_secs(1_800_000_000);
        for start in 0..90 {
            let mut digest = [0; 32];
            digest[0] = start;
            let first = begin.plus(std::time::Duration::from_secs(u64::from(start)));
            assert_eq!(seen.remember(digest, first), Seen::Never);
            assert_eq!(seen.remember(digest, first), Seen::Before);
        }
        let mut digest = [0; 32];
        digest[0] = 89;
        let last = begin.plus(std::time::Duration::from_secs(89)).plus(KEPT);
        assert_eq!(seen.remember(digest, last), Seen::Before);
        assert_eq!(seen.remember(digest, last.minus(KEPT)), Seen::Before, "a clock that goes back");
        assert_eq!(seen.remember(digest, last.plus(2 * KEPT)), Seen::Never);
    }

    #[test]
    fn what_has_no_room_is_not_called_new() {
        let seen = SeenProofs::default();
        let now = Timestamp::from_secs(1_800_000_000);
        seen.periods.lock().unwrap().advance_to(now);
        seen.periods.lock().unwrap().current.extend((0..CAPACITY).map(|number| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            digest
        }));
        assert_eq!(seen.remember([0; 32], now), Seen::Before);
        assert_eq!(seen.remember([1; 32], now), Seen::Forgotten);
        assert_eq!(seen.remember([1; 32], now.plus(KEPT)), Seen::Never);
    }
}
