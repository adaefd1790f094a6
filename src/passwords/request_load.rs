//! The load of the threads that carry out requests, by which the last core hashes too or is left to them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// The least time over which the load is measured.
pub(super) const GAUGE_INTERVAL: Duration = Duration::from_millis(10);

/// The share of its time, in percent, up to which a thread counts as having little to do.
const LOW_PERCENT: u128 = 25;

/// Returns how long a thread has been busy since it was started.
type BusyTime = Box<dyn Fn() -> Duration + Send>;

/// The threads that carry out requests. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct RequestLoad {
    threads: Arc<Mutex<Vec<BusyTime>>>,
}

impl RequestLoad {
    /// Adds a thread that has been busy for as long as `busy` returns, waiting for a database included.
    pub(crate) fn add(&self, busy: impl Fn() -> Duration + Send + 'static) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(busy));
    }

    /// Adds the thread that calls this, which has a runtime of its own.
    pub(crate) fn add_this_thread(&self) {
        let runtime = Handle::current().metrics();
        self.add(move || runtime.worker_total_busy_duration(0));
    }

    /// Returns how long each thread has been busy since it was started.
    fn busy(&self) -> Vec<Duration> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|busy| busy()).collect()
    }
}

/// The load since the last look at it.
pub(super) struct Gauge {
    load: RequestLoad,
    looked_at: Instant,
    busy: Vec<Duration>,
    was_low: bool,
}

impl Gauge {
    pub(super) fn new(load: RequestLoad) -> Self {
        Self { load, looked_at: Instant::now(), busy: Vec::new(), was_low: true }
    }

    /// Returns whether every thread had little to do since the last look, or at the last look if that was a moment ago.
    pub(super) fn is_low(&mut self) -> bool {
        let elapsed = self.looked_at.elapsed();
        if elapsed >= GAUGE_INTERVAL {
            let busy = self.load.busy();
            self.was_low =
                self.busy.iter().zip(&busy).all(|(before, now)| is_low(now.saturating_sub(*before), elapsed));
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
        let mut gauge = Gauge::new(RequestLoad::default());
        std::thread::sleep(GAUGE_INTERVAL);
        assert!(gauge.is_low());
    }

    #[test]
    fn a_busy_thread_is_noticed_and_so_is_that_it_has_nothing_to_do_any_more() {
        let load = RequestLoad::default();
        load.add(|| Duration::ZERO);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut gauge = Gauge::new(load.clone());
        runtime.block_on(async {
            load.add_this_thread();
            std::thread::sleep(GAUGE_INTERVAL);
            gauge.is_low();
            // On a busy machine a thread may be woken late, and have been idle meanwhile.
            for attempt in 1.. {
                assert!(attempt < 100, "a busy thread is not noticed");
                let begun = Instant::now();
                while begun.elapsed() < 5 * GAUGE_INTERVAL {
                    std::hint::spin_loop();
                }
                // The runtime counts when it waits for the next task.
                tokio::time::sleep(Duration::from_millis(1)).await;
                if !gauge.is_low() {
                    break;
                }
            }
        });
        runtime.block_on(async { tokio::time::sleep(50 * GAUGE_INTERVAL).await });
        assert!(gauge.is_low());
    }
}
