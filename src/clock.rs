//! The clock that every operation takes the time from.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::types::Timestamp;

/// The system's clock, which tests can set ahead. Clones share the offset.
#[derive(Clone, Default)]
pub struct Clock {
    ahead_millis: Arc<AtomicI64>,
}

impl Clock {
    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the only place that reads the time")]
        let now = jiff::Timestamp::now().as_millisecond();
        Timestamp::from_millis(now.saturating_add(self.ahead_millis.load(Ordering::Relaxed)))
    }

    /// Sets the clock and all its clones ahead by `duration`.
    pub fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.ahead_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_ahead_is_ahead_in_all_its_clones() {
        let clock = Clock::default();
        let before = clock.now();
        clock.clone().advance(Duration::from_secs(3600));
        assert!(clock.now().since(before) >= Duration::from_secs(3600));
    }
}
