//! How the reader of the log gets on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The times of a reader's last turn and of the last one in which it read the log. Clones share them.
#[derive(Clone)]
pub(crate) struct ReaderProgress {
    latest: Arc<Mutex<Latest>>,
}

struct Latest {
    turn: Instant,
    read: Instant,
}

impl Default for ReaderProgress {
    fn default() -> Self {
        let now = Instant::now();
        Self { latest: Arc::new(Mutex::new(Latest { turn: now, read: now })) }
    }
}

impl ReaderProgress {
    /// Notes a turn, in which the log was read or could not be.
    pub(super) fn note(&self, has_read: bool) {
        let now = Instant::now();
        let mut latest = self.latest();
        latest.turn = now;
        if has_read {
            latest.read = now;
        }
    }

    /// Returns the time since the last turn: without a fault of this process, some seconds at the most.
    pub(crate) fn since_turn(&self) -> Duration {
        self.latest().turn.elapsed()
    }

    /// Returns the time since the log was last read, which is long while the database does not answer.
    pub(crate) fn since_read(&self) -> Duration {
        self.latest().read.elapsed()
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
