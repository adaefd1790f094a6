//! Whether the thread that rotates makes progress, and how much it has to do.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::{CHECK_INTERVAL, Job, Rotator};

/// How long the thread has to answer: longer than it takes until one with a stuck connection is replaced.
const MAX_WAIT: Duration = Duration::from_secs(6);

impl Rotator {
    /// Returns how long the thread has been executing batches since it was started, waiting for the database included.
    pub(crate) fn busy(&self) -> Duration {
        self.writers.busy()
    }

    /// Returns whether the thread takes a job from its queue and answers it.
    pub(crate) async fn makes_progress(&self) -> bool {
        let deadline = Instant::now() + MAX_WAIT;
        let (answer, mut answered) = oneshot::channel();
        if self.jobs.send_timeout(Job::Probe(answer), MAX_WAIT).await.is_err() {
            return false;
        }
        while Instant::now() < deadline {
            self.writers.replace_stuck();
            if let Ok(outcome) = timeout(CHECK_INTERVAL, &mut answered).await {
                return outcome.is_ok();
            }
        }
        false
    }
}
