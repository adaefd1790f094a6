//! The queue of the threads that hash passwords.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::hasher::{HasherError, Job};
use super::request_load::GAUGE_INTERVAL;

/// The place of a job in the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The place behind all that wait.
    Back,
    /// The place before all that wait, however many there are.
    Front,
}

/// A bounded queue with several consumers.
pub(super) struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
    /// There are more jobs than consumers that wait for one.
    spare_changed: Condvar,
    capacity: usize,
}

struct QueueState {
    jobs: VecDeque<Job>,
    /// The consumers that wait for a job, but for the spare one.
    waiting: usize,
    open: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        let state = Mutex::new(QueueState { jobs: VecDeque::new(), waiting: 0, open: true });
        Self { state, changed: Condvar::new(), spare_changed: Condvar::new(), capacity }
    }

    pub(super) fn push(&self, job: Job, place: Place) -> Result<(), HasherError> {
        let mut state = self.lock();
        match place {
            Place::Front => state.jobs.push_front(job),
            Place::Back if state.jobs.len() >= self.capacity => return Err(HasherError::Busy),
            Place::Back => state.jobs.push_back(job),
        }
        self.changed.notify_one();
        if state.has_spare_job() {
            self.spare_changed.notify_one();
        }
        Ok(())
    }

    /// Waits for a job. Returns `None` after `timeout`, and when the queue is closed.
    pub(super) fn next(&self, timeout: Option<Duration>) -> Option<Job> {
        let mut state = self.lock();
        state.waiting += 1;
        state = wait(&self.changed, state, timeout, |state| state.open && state.jobs.is_empty());
        state.waiting -= 1;
        state.jobs.pop_front()
    }

    /// Waits for a job that no other consumer is about to take, and for a moment in which `is_low` returns that the
    /// load of everything else is low. Returns `None` after `timeout`, and when the queue is closed.
    pub(super) fn next_spare(&self, timeout: Option<Duration>, mut is_low: impl FnMut() -> bool) -> Option<Job> {
        loop {
            let state = self.lock();
            let mut state = wait(&self.spare_changed, state, timeout, |state| state.open && !state.has_spare_job());
            if !state.open || !state.has_spare_job() {
                return None;
            }
            if is_low() {
                return state.jobs.pop_front();
            }
            drop(state);
            thread::sleep(GAUGE_INTERVAL);
        }
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.open = false;
        state.jobs.clear();
        self.changed.notify_all();
        self.spare_changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn has_spare_job(&self) -> bool {
        self.jobs.len() > self.waiting
    }
}

fn wait<'a>(
    changed: &Condvar,
    state: MutexGuard<'a, QueueState>,
    timeout: Option<Duration>,
    has_to_wait: impl FnMut(&mut QueueState) -> bool,
) -> MutexGuard<'a, QueueState> {
    match timeout {
        Some(timeout) => {
            changed.wait_timeout_while(state, timeout, has_to_wait).unwrap_or_else(PoisonError::into_inner).0
        }
        None => changed.wait_while(state, has_to_wait).unwrap_or_else(PoisonError::into_inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spare_thread_takes_what_nobody_else_takes_while_the_load_is_low() {
        let queue = Queue::new(8);
        let job = || -> Job { Box::new(|_| {}) };
        let at_once = Some(Duration::ZERO);
        assert!(queue.next_spare(at_once, || true).is_none(), "there is none");
        queue.push(job(), Place::Back).unwrap();
        let mut loads = [false, false, true].into_iter();
        assert!(queue.next_spare(at_once, || loads.next().unwrap()).is_some());
        assert_eq!(loads.next(), None, "it has asked until the load was low");
        queue.push(job(), Place::Back).unwrap();
        queue.lock().waiting = 1;
        assert!(queue.next_spare(at_once, || true).is_none(), "another thread is about to take it");
        queue.close();
        assert!(queue.next_spare(None, || true).is_none());
    }
}
