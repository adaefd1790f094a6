//! The load of the threads that serve requests, by which the last core hashes too or is left to them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeMetrics};

/// The least time over which the load is measured.
pub(super) const GAUGE_INTERVAL: Duration = Duration::from_millis(10);

/// The share of their time, in percent, up to which these threads count as having little to do.
const LOW_PERCENT: u128 = 25;

/// The threads that serve requests, each with a runtime of its own. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct RequestLoad {
    runtimes: Arc<Mutex<Vec<RuntimeMetrics>>>,
}

impl RequestLoad {
    /// Adds the thread that calls this, which has a runtime of its own.
    pub(crate) fn add_this_thread(&self) {
        self.runtimes.lock().unwrap_or_else(PoisonError::into_inner).push(Handle::current().metrics());
    }

    /// Returns the number of threads, and how long they have been busy since they were started, all together.
    fn busy(&self) -> (u32, Duration) {
        let runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = runtimes.iter().map(|runtime| runtime.worker_total_busy_duration(0)).sum();
        (u32::try_from(runtimes.len()).unwrap_or(u32::MAX), busy)
    }
}

/// The load since the last look at it.
pub(super) struct Gauge {
    load: RequestLoad,
    looked_at: Instant,
    busy: Duration,
    was_low: bool,
}

impl Gauge {
    pub(super) fn new(load: RequestLoad) -> Self {
        Self { load, looked_at: Instant::now(), busy: Duration::ZERO, was_low: true }
    }

    /// Returns whether the load was low since the last look, or at the last look if that was a moment ago.
    pub(super) fn is_low(&mut self) -> bool {
        let elapsed = self.looked_at.elapsed();
        if elapsed >= GAUGE_INTERVAL {
            let (threads, busy) = self.load.busy();
            self.was_low = is_low(busy.saturating_sub(self.busy), elapsed.saturating_mul(threads));
            self.busy = busy;
            self.looked_at = Instant::now();
        }
        self.was_low
    }
}

fn is_low(busy: Duration, of: Duration) -> bool {
    busy.as_nanos().saturating_mul(100) <= of.as_nanos().saturating_mul(LOW_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_threads_that_serve_requests_the_load_is_low() {
        assert!(is_low(Duration::ZERO, Duration::ZERO));
        let mut gauge = Gauge::new(RequestLoad::default());
        std::thread::sleep(GAUGE_INTERVAL);
        assert!(gauge.is_low());
    }

    #[test]
    fn a_busy_thread_is_noticed_and_so_is_that_it_has_nothing_to_do_any_more() {
        let load = RequestLoad::default();
        let mut gauge = Gauge::new(load.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            load.add_this_thread();
            let begun = Instant::now();
            while begun.elapsed() < 5 * GAUGE_INTERVAL {
                std::hint::spin_loop();
            }
            // The runtime counts when it waits for the next task.
            tokio::time::sleep(Duration::from_millis(1)).await;
        });
        assert!(!gauge.is_low());
        runtime.block_on(async { tokio::time::sleep(50 * GAUGE_INTERVAL).await });
        assert!(gauge.is_low());
    }
}
