//! The clock that every operation takes the time from, and how far it is from the clock of the database.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::types::Timestamp;

/// The largest difference between the clocks of this machine and the database; with more, tokens suffer.
pub const MAX_SKEW: Duration = Duration::from_secs(5);

/// The largest difference with which tokens are issued. Revocations outlive access tokens by as much.
pub const MAX_SKEW_TO_ISSUE: Duration = Duration::from_secs(60);

/// The system's clock, which tests can set ahead. Clones share everything.
#[derive(Clone, Default)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The time that has passed for everything, the database included.
    ahead_millis: AtomicI64,
    /// The real time at which the clock stands still; 0 while it runs.
    held_millis: AtomicI64,
    /// What is wrong with this clock alone.
    wrong_millis: AtomicI64,
    database: RwLock<Option<DatabaseTime>>,
}

/// A time of the database, and when it was read.
#[derive(Clone, Copy)]
struct DatabaseTime {
    time: Timestamp,
    read_at: Instant,
    /// How wrong `time` can be: half the round trip.
    uncertainty: Duration,
}

/// The difference between the clocks of this machine and the database, too large to issue tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clock of this machine differs from that of the database by {} s", .skew.as_secs())]
pub struct ClockSkew {
    /// The difference.
    pub skew: Duration,
}

impl Clock {
    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        let wrong = self.inner.wrong_millis.load(Ordering::Relaxed);
        let real = self.held().unwrap_or_else(real_millis);
        Timestamp::from_millis(self.ahead(real).saturating_add(wrong))
    }

    /// Returns the current time of the database, as of the last time that was read from it. By it rows are deleted or
    /// kept. Returns this clock's time if none was read, as with SQLite.
    pub fn database_now(&self) -> Timestamp {
        self.database().map_or_else(
            || self.now(),
            |DatabaseTime { time, read_at, .. }| {
                Timestamp::from_millis(self.ahead(time.plus(read_at.elapsed()).as_millis()))
            },
        )
    }

    /// Returns the earlier of this clock's time and the database's: what has expired by it, has expired by both.
    pub fn earlier_now(&self) -> Timestamp {
        self.now().min(self.database_now())
    }

    /// Takes note of the database's time, which was asked for at `asked_at` and has just arrived.
    pub fn set_database_time(&self, time: Timestamp, asked_at: Instant) {
        let uncertainty = asked_at.elapsed() / 2;
        let read_at = asked_at.checked_add(uncertainty).unwrap_or(asked_at);
        let mut database = self.inner.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = Some(DatabaseTime { time, read_at, uncertainty });
    }

    /// Returns how much this clock differs at least from that of the database.
    pub fn skew(&self) -> Duration {
        let Some(database) = self.database() else { return Duration::ZERO };
        let ours = self.now();
        let theirs = self.database_now();
        ours.since(theirs).max(theirs.since(ours)).saturating_sub(database.uncertainty)
    }

    /// Returns whether this clock is right, as far as the database's tells.
    pub fn is_right(&self) -> bool {
        self.skew() <= MAX_SKEW
    }

    /// Checks that tokens may be issued by this clock.
    ///
    /// # Errors
    /// It differs too much from that of the database.
    pub fn check(&self) -> Result<(), ClockSkew> {
        let skew = self.skew();
        if skew <= MAX_SKEW_TO_ISSUE { Ok(()) } else { Err(ClockSkew { skew }) }
    }

    /// Sets the clock and all its clones ahead by `duration`, with the database's: for tests, to which that much time
    /// has passed.
    pub fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.inner.ahead_millis.fetch_add(millis, Ordering::Relaxed);
    }

    /// Stops the clock and all its clones, with the database's, so that only [`Self::advance`] moves them: for tests of
    /// short times, however slow the machine is.
    pub fn hold(&self) {
        self.inner.held_millis.store(real_millis(), Ordering::Relaxed);
    }

    /// Makes the clock and all its clones wrong by this many milliseconds, unlike the database's: for tests.
    pub fn set_wrong(&self, millis: i64) {
        self.inner.wrong_millis.store(millis, Ordering::Relaxed);
    }

    /// Returns the time of the database as it was read; none while this clock stands for it, too.
    fn database(&self) -> Option<DatabaseTime> {
        if self.held().is_some() {
            return None;
        }
        *self.inner.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ahead(&self, millis: i64) -> i64 {
        millis.saturating_add(self.inner.ahead_millis.load(Ordering::Relaxed))
    }

    fn held(&self) -> Option<i64> {
        Some(self.inner.held_millis.load(Ordering::Relaxed)).filter(|millis| *millis != 0)
    }
}

#[expect(clippy::disallowed_methods, reason = "the only place that reads the time")]
fn real_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_clock_set_ahead_is_ahead_in_all_its_clones() {
        let clock = Clock::default();
        let before = clock.now();
        clock.clone().advance(HOUR);
        assert!(clock.now().since(before) >= HOUR);
    }

    #[test]
    fn a_clock_that_is_held_is_only_moved_by_hand() {
        let clock = Clock::default();
        clock.hold();
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((clock.clone().now(), clock.database_now()), (before, before));
        clock.advance(HOUR);
        assert_eq!((clock.now(), clock.database_now()), (before.plus(HOUR), before.plus(HOUR)));
    }

    #[test]
    fn a_clock_is_compared_with_the_databases() {
        let clock = Clock::default();
        clock.advance(HOUR);
        assert_eq!((clock.skew(), clock.check()), (Duration::ZERO, Ok(())));
        for (difference, is_right, may_issue) in [(0, true, true), (7_000, false, true), (70_000, false, false)] {
            for difference in [difference, -difference] {
                clock.set_wrong(0);
                let real = clock.now().minus(HOUR);
                clock.set_database_time(real, Instant::now());
                clock.set_wrong(difference);
                assert_eq!(clock.is_right(), is_right, "{difference}");
                assert_eq!(clock.check().is_ok(), may_issue, "{difference}");
                let database = clock.database_now();
                assert!(database.since(real.plus(HOUR)) < MAX_SKEW, "{difference}: {database}");
                assert!(clock.earlier_now() <= clock.now());
            }
        }
    }

    #[test]
    fn a_slow_answer_raises_no_doubt_about_a_clock() {
        let clock = Clock::default();
        let Some(asked_at) = Instant::now().checked_sub(HOUR) else { return };
        // Read by the database right after the question, or right before the answer.
        for time in [clock.now().minus(HOUR), clock.now()] {
            clock.set_database_time(time, asked_at);
            assert!(clock.is_right());
        }
    }
}
