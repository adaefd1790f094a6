//! The circuit breaker of one kind of calls: when it opens, and for how long.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The number of failures within [`WINDOW`] that opens the breaker. Failures of calls that overlap count as one, so
/// one slow moment does not open it, however many calls were under way.
const FAILURES: usize = 3;

const WINDOW: Duration = Duration::from_secs(5);

/// The pause before a breaker is probed that has not been open lately.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause, which a breaker reaches that opens again and again.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How long a breaker must have been closed for its pause to be the shortest again.
const CALM: Duration = Duration::from_secs(60);

/// A circuit breaker. While it is open, no call is made.
#[derive(Default)]
pub(super) struct Breaker {
    open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the latest failures that count were seen.
    failures: VecDeque<Instant>,
    closed_at: Option<Instant>,
    pause: Duration,
}

impl Breaker {
    /// Returns whether the breaker is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts the failure of a call that began at `began`. Returns the pause between probes if it opens the breaker.
    pub(super) fn fail(&self, began: Instant, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        let overlaps = state.failures.back().is_some_and(|failed| began < *failed);
        if self.is_open() || overlaps || state.closed_at.is_some_and(|closed_at| began < closed_at) {
            return None;
        }
        state.failures.push_back(now);
        state.failures.retain(|failed| now.duration_since(*failed) < WINDOW);
        if state.failures.len() < FAILURES {
            return None;
        }
        state.failures.clear();
        let is_calm = state.closed_at.is_none_or(|closed_at| now.duration_since(closed_at) >= CALM);
        state.pause = if is_calm { SHORTEST_PAUSE } else { LONGEST_PAUSE.min(state.pause.saturating_mul(2)) };
        self.open.store(true, Ordering::Relaxed);
        Some(state.pause)
    }

    /// Closes the breaker.
    pub(super) fn close(&self, now: Instant) {
        self.state().closed_at = Some(now);
        self.open.store(false, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Lets calls fail one after the other until the breaker opens. Returns when, and the pause.
    fn open(breaker: &Breaker, from: Instant) -> (Instant, Duration) {
        let mut now = from;
        for _ in 1..FAILURES {
            assert_eq!(breaker.fail(now, now + MILLISECOND), None);
            assert!(!breaker.is_open());
            now += 2 * MILLISECOND;
        }
        let pause = breaker.fail(now, now + MILLISECOND).expect("it opens");
        assert!(breaker.is_open());
        (now + MILLISECOND, pause)
    }

    #[test]
    fn failures_one_after_the_other_open_it_and_those_at_once_count_as_one() {
        let breaker = Breaker::default();
        let begun = Instant::now();
        for call in 0..1000 {
            assert_eq!(breaker.fail(begun, begun + MILLISECOND * (100 + call)), None);
        }
        open(&Breaker::default(), begun);
    }

    #[test]
    fn failures_far_apart_do_not_open_it() {
        let breaker = Breaker::default();
        let mut now = Instant::now();
        for _ in 0..100 {
            assert_eq!(breaker.fail(now, now + MILLISECOND), None);
            now += WINDOW / 2;
        }
    }

    #[test]
    fn a_call_from_before_it_closed_does_not_count_against_it() {
        let breaker = Breaker::default();
        let (opened, pause) = open(&breaker, Instant::now());
        breaker.close(opened + pause);
        for _ in 0..100 {
            assert_eq!(breaker.fail(opened, opened + pause + MILLISECOND), None);
        }
    }

    #[test]
    fn each_time_that_it_opens_again_soon_it_stays_open_for_longer() {
        let breaker = Breaker::default();
        let (mut now, mut pauses) = (Instant::now(), Vec::new());
        for _ in 0..6 {
            let (opened, pause) = open(&breaker, now);
            pauses.push(pause.as_millis());
            now = opened + pause;
            breaker.close(now);
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 8000]);
        assert_eq!(open(&breaker, now + CALM).1, SHORTEST_PAUSE);
    }
}
