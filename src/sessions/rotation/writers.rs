//! The threads that take turns at the queue of rotations: one whose connection does not answer is left behind.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{BATCH, Job, Parts, Writer};

/// How long a batch may take before its thread is left behind. The rotations that wait behind it have enough time left
/// to be executed by another thread, on a new connection.
const BATCH_TIMEOUT: Duration = Duration::from_secs(3);

/// The most threads that are left behind at a time. When there are as many, rotations wait for the last one.
const MAX_LEFT_BEHIND: usize = 8;

/// The writers of one queue. Only the newest one takes jobs. The others were left behind with connections that do not
/// answer; what they execute late, they answer to whoever still waits.
pub(super) struct Writers {
    queue: Mutex<mpsc::Receiver<Job>>,
    turn: Mutex<Turn>,
    pub parts: Parts,
}

/// Whose turn it is to take jobs.
#[derive(Default)]
struct Turn {
    /// The number of the newest writer.
    writer: u64,
    /// The time since which it has been executing its batch.
    busy_since: Option<Instant>,
    /// How long the batches before have taken.
    busy: Duration,
    left_behind: usize,
}

impl Turn {
    /// Returns how long batches have been executed, the one at hand included.
    fn busy(&self) -> Duration {
        self.busy + self.busy_since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Writers {
    /// Creates the writers of `queue`, of which none is started.
    pub(super) fn new(queue: mpsc::Receiver<Job>, parts: Parts) -> Self {
        Self { queue: Mutex::new(queue), turn: Mutex::default(), parts }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how long batches have been executed since the first writer started.
    pub(super) fn busy(&self) -> Duration {
        self.turn().busy()
    }

    /// Waits for jobs. Returns whether there are any, and not that the queue was closed.
    fn take(&self, jobs: &mut Vec<Job>) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let has_jobs = queue.blocking_recv_many(jobs, BATCH) > 0;
        self.turn().busy_since = has_jobs.then(Instant::now);
        has_jobs
    }

    /// Notes that a writer has executed its batch. Returns whether it is the newest writer.
    fn finish(&self, writer: u64) -> bool {
        let mut turn = self.turn();
        if turn.writer == writer {
            turn.busy = turn.busy();
            turn.busy_since = None;
            return true;
        }
        turn.left_behind = turn.left_behind.saturating_sub(1);
        false
    }

    /// Starts another writer if the newest one has been executing its batch for too long.
    pub(super) fn replace_stuck(self: &Arc<Self>) {
        let mut turn = self.turn();
        let is_stuck = turn.busy_since.is_some_and(|since| since.elapsed() >= BATCH_TIMEOUT);
        if !is_stuck || turn.left_behind >= MAX_LEFT_BEHIND {
            return;
        }
        let next = turn.writer.saturating_add(1);
        match Writer::start(self, next) {
            Ok(()) => {
                let left_behind = turn.left_behind.saturating_add(1);
                *turn = Turn { writer: next, busy_since: None, busy: turn.busy(), left_behind };
                tracing::warn!("the connection that rotates refresh tokens does not answer and is replaced");
            }
            Err(error) => tracing::error!(%error, "no thread could be started to rotate refresh tokens"),
        }
    }
}

impl Writer {
    /// Starts a thread.
    pub(super) fn start(writers: &Arc<Writers>, number: u64) -> std::io::Result<()> {
        let writer = Self { writers: writers.clone(), number, conn: None, down_since: None };
        std::thread::Builder::new().name("rotation".to_owned()).spawn(move || writer.run())?;
        Ok(())
    }

    fn run(mut self) {
        let mut jobs = Vec::with_capacity(BATCH);
        while self.writers.take(&mut jobs) {
            self.execute(&mut jobs);
            if !self.writers.finish(self.number) {
                return;
            }
        }
    }
}
