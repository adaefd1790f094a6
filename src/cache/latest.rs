//! A value that is expensive to read, kept for a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::types::Timestamp;

/// How long a failure is kept, so that those who wait do not fail one after the other.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// A value that is read at most once in a while, and by one reader at a time, however many want it.
pub struct Latest<T> {
    state: Arc<Mutex<State<T>>>,
}

enum State<T> {
    Unknown,
    Known { value: T, read_at: Timestamp },
    Failed { at: Timestamp },
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { state: Arc::new(Mutex::new(State::Unknown)) }
    }
}

impl<T: Clone + Send + 'static> Latest<T> {
    /// Returns the value if it was read less than `kept` before `now`. Otherwise reads it, in a task that goes on if
    /// the caller gives up, while all others wait for it. Returns `None` if another reader has just failed.
    ///
    /// # Errors
    /// The value cannot be read.
    pub async fn get<E: From<tokio::task::JoinError> + Send + 'static>(
        &self,
        kept: Duration,
        now: Timestamp,
        read: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<Option<T>, E> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        match &*state {
            State::Known { value, read_at } if now.since(*read_at) < kept => return Ok(Some(value.clone())),
            State::Failed { at } if now.since(*at) < FAILURE_KEPT => return Ok(None),
            State::Unknown | State::Known { .. } | State::Failed { .. } => {}
        }
        let reading = tokio::spawn(async move {
            let outcome = read.await;
            *state = match &outcome {
                Ok(value) => State::Known { value: value.clone(), read_at: now },
                Err(_) => State::Failed { at: now },
            };
            outcome
        });
        reading.await?.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Failure;

    impl From<tokio::task::JoinError> for Failure {
        fn from(_: tokio::task::JoinError) -> Self {
            Self
        }
    }

    const KEPT: Duration = Duration::from_secs(5);

    fn reading(reads: &Arc<AtomicU32>) -> impl Future<Output = Result<u32, Failure>> + Send + use<> {
        let reads = Arc::clone(reads);
        async move {
            tokio::task::yield_now().await;
            Ok(reads.fetch_add(1, Ordering::Relaxed) + 1)
        }
    }

    #[tokio::test]
    async fn many_at_once_read_once_and_those_later_read_again() {
        let (latest, reads) = (Arc::new(Latest::default()), Arc::new(AtomicU32::new(0)));
        let now = Timestamp::from_secs(1_700_000_000);
        let all: Vec<_> = (0..40)
            .map(|_| {
                let (latest, read) = (Arc::clone(&latest), reading(&reads));
                tokio::spawn(async move { latest.get(KEPT, now, read).await })
            })
            .collect();
        for one in all {
            assert_eq!(one.await.unwrap().unwrap(), Some(1));
        }
        let later = now.plus(KEPT);
        assert_eq!(latest.get(KEPT, later, reading(&reads)).await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn a_reader_who_gives_up_does_not_let_the_next_one_read_beside_it() {
        let (latest, reads) = (Latest::default(), Arc::new(AtomicU32::new(0)));
        let now = Timestamp::from_secs(1_700_000_000);
        let mut given_up = Box::pin(latest.get(KEPT, now, reading(&reads)));
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(given_up.as_mut().poll(context).is_pending())).await
        );
        drop(given_up);
        assert_eq!(latest.get(KEPT, now, reading(&reads)).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn a_failure_is_shared_by_those_who_wait() {
        let latest: Latest<u32> = Latest::default();
        let now = Timestamp::from_secs(1_700_000_000);
        let failing = || async { Err::<u32, _>(Failure) };
        latest.get(KEPT, now, failing()).await.unwrap_err();
        assert_eq!(latest.get(KEPT, now, failing()).await.unwrap(), None);
        latest.get(KEPT, now.plus(FAILURE_KEPT), failing()).await.unwrap_err();
    }
}
