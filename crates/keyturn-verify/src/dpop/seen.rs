//! A memory of the proofs that were used.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::{InvalidProof, LEEWAY_SECS, MAX_AGE_SECS};
use crate::Refusal;

/// The time in which a proof is valid, in seconds: it may be from [`LEEWAY_SECS`] ahead.
const PERIOD_SECS: i64 = MAX_AGE_SECS + LEEWAY_SECS + 1;

/// A memory of the proofs that were used, each for as long as it is valid and up to twice as long.
pub(crate) struct SeenProofs {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The time since which proofs are added to `young`, in seconds since 1970.
    since: i64,
    young: HashSet<[u8; 16]>,
    old: HashSet<[u8; 16]>,
}

impl SeenProofs {
    /// Creates a memory that takes `capacity` proofs in [`PERIOD_SECS`].
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default() }
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Uses up a proof that is valid at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// It was used before, or the memory is full.
    pub(crate) fn use_up(&self, digest: [u8; 16], now: i64) -> Result<(), Refusal> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.saturating_sub(state.since);
        if age >= PERIOD_SECS {
            state.old = std::mem::take(&mut state.young);
            state.since = now;
        } else if age < 0 {
            // The clock was set back.
            state.since = now;
        }
        if state.young.contains(&digest) || state.old.contains(&digest) {
            return Err(InvalidProof::Replayed.into());
        }
        if state.young.len() >= self.capacity {
            return Err(Refusal::ProofUnknown);
        }
        state.young.insert(digest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{PERIOD_SECS, SeenProofs};
    use crate::Refusal;
    use crate::dpop::InvalidProof;

    const REPLAYED: Result<(), Refusal> = Err(Refusal::Proof(InvalidProof::Replayed));

    #[test]
    fn a_proof_is_remembered_while_it_is_valid() {
        for first in 0..=PERIOD_SECS {
            let proofs = SeenProofs::new(10);
            assert_eq!(proofs.use_up([0; 16], 1000), Ok(()));
            assert_eq!(proofs.use_up([1; 16], 1000 + first), Ok(()));
            for later in 0..PERIOD_SECS {
                assert_eq!(proofs.use_up([1; 16], 1000 + first + later), REPLAYED, "{first} {later}");
            }
            assert_eq!(proofs.use_up([2; 16], 1000 + first + PERIOD_SECS), Ok(()));
            assert_eq!(proofs.use_up([1; 16], 1000 + first + 2 * PERIOD_SECS), Ok(()));
        }
    }

    #[test]
    fn a_full_memory_refuses_until_it_forgets() {
        let proofs = SeenProofs::new(2);
        assert_eq!(proofs.use_up([0; 16], 1000), Ok(()));
        assert_eq!(proofs.use_up([1; 16], 1000), Ok(()));
        assert_eq!(proofs.use_up([2; 16], 1000), Err(Refusal::ProofUnknown));
        assert_eq!(proofs.use_up([0; 16], 1000), REPLAYED);
        // A clock that was set back stops nothing for longer than a period.
        assert_eq!(proofs.use_up([2; 16], 10), Err(Refusal::ProofUnknown));
        assert_eq!(proofs.use_up([2; 16], 10 + PERIOD_SECS), Ok(()));
    }
}
