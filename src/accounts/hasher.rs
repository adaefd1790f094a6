//! Password hashing on threads of its own: a flood of logins queues up here, and takes no thread from the rest.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use argon2::Block;
use argon2::password_hash::phc::Salt;
use tokio::sync::oneshot;

use super::foreign::{Foreign, HashRefusal};
use super::hash::{COST_OUT_OF_BOUNDS, Scheme, Stored};
use super::password::Password;
use crate::config::Argon2Cost;
use crate::random::Random;

/// How long an idle thread keeps its memory.
const MEMORY_KEPT: Duration = Duration::from_secs(5);

/// Argon2id (RFC 9106) on a fixed number of threads behind a bounded queue. The threads end when this is dropped.
pub struct Hasher {
    queue: Arc<Queue>,
    scheme: Scheme,
    random: Random,
}

/// What a password is to a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// Right, and to be hashed anew: the stored hash is of another cost than the one set, or not of Argon2id.
    RightButOutdated,
    Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HasherError {
    /// To be tried again in a moment.
    #[error("too many passwords wait to be hashed")]
    Busy,
    #[error("the stored password hash {0}")]
    Stored(HashRefusal),
    #[error("hashing failed")]
    Failed,
}

impl Hasher {
    /// Starts `threads` threads; `waiting` is how many passwords may wait for one. Fails for a cost that Argon2 does not
    /// know or that is over the bounds, and when a thread cannot be started.
    pub fn new(cost: Argon2Cost, threads: NonZeroUsize, waiting: usize, random: Random) -> io::Result<Self> {
        let scheme = Scheme::new(cost).ok_or_else(|| io::Error::other(COST_OUT_OF_BOUNDS))?;
        let hasher = Self { queue: Arc::new(Queue::new(waiting)), scheme, random };
        for number in 0..threads.get() {
            let (queue, usual) = (hasher.queue.clone(), hasher.scheme.block_count());
            thread::Builder::new()
                .name(format!("hasher-{number}"))
                .spawn(move || work(&queue, MEMORY_KEPT, &mut Memory::new(usual)))?;
        }
        Ok(hasher)
    }

    /// The hash of a password under a fresh salt, as a PHC string.
    pub async fn hash(&self, password: Password) -> Result<String, HasherError> {
        let (scheme, salt) = (self.scheme.clone(), self.fresh_salt()?);
        self.run(move |memory| {
            let blocks = memory.blocks(scheme.block_count());
            let output = scheme.digest(password.as_bytes(), &salt, blocks).ok_or(HasherError::Failed)?;
            scheme.phc(salt, output).ok_or(HasherError::Failed)
        })
        .await
    }

    /// Compares a password with the stored hash of an account, in constant time. Without one, since there is no such
    /// account or it has no password, it does the work of a hash of the cost set, and says `Wrong`.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verdict, HasherError> {
        let stored = stored.as_deref().map_or(Ok(Stored::Nothing), Stored::parse).map_err(HasherError::Stored)?;
        let (scheme, salt, expected) = match stored {
            Stored::Argon2(scheme, salt, output) => (scheme, salt, Some(output)),
            Stored::Nothing => (self.scheme.clone(), self.fresh_salt()?, None),
            Stored::Foreign(foreign) => return self.run(move |_| foreign_verdict(&foreign, &password)).await,
        };
        let outdated = scheme != self.scheme;
        self.run(move |memory| {
            for spelling in password.spellings() {
                let output =
                    scheme.digest(spelling, &salt, memory.blocks(scheme.block_count())).ok_or(HasherError::Failed)?;
                // `Output` compares in constant time.
                match (expected == Some(output), outdated) {
                    (false, _) => {}
                    (true, false) => return Ok(Verdict::Right),
                    (true, true) => return Ok(Verdict::RightButOutdated),
                }
            }
            Ok(Verdict::Wrong)
        })
        .await
    }

    fn fresh_salt(&self) -> Result<Salt, HasherError> {
        Salt::new(&self.random.bytes::<{ Salt::RECOMMENDED_LENGTH }>()).map_err(|_| HasherError::Failed)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, HasherError> + Send + 'static,
    ) -> Result<T, HasherError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Box::new(move |memory| {
            // When nobody waits for the answer any more, the work would only delay those who do.
            if !reply.is_closed() {
                drop(reply.send(work(memory)));
            }
        }))?;
        answer.await.unwrap_or(Err(HasherError::Failed))
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn foreign_verdict(foreign: &Foreign, password: &Password) -> Result<Verdict, HasherError> {
    for spelling in password.spellings() {
        if foreign.matches(spelling).ok_or(HasherError::Failed)? {
            return Ok(Verdict::RightButOutdated);
        }
    }
    Ok(Verdict::Wrong)
}

/// The memory of one thread, taken when first needed.
struct Memory {
    blocks: Vec<Block>,
    /// Blocks that a hash of the cost set takes; more are not kept from one job to the next.
    usual: usize,
}

impl Memory {
    /// An allocation over 32 MiB is a mapping of its own, which goes back to the system when freed, while a smaller one
    /// may stay with the allocator (`M_MMAP_THRESHOLD` of glibc). What is never written takes no memory.
    const MAPPED: usize = 33 * 1024 * 1024 / Block::SIZE;

    fn new(usual: usize) -> Self {
        Self { blocks: Vec::new(), usual }
    }

    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.blocks.len() < count {
            self.free();
            self.blocks.reserve_exact(count.max(Self::MAPPED));
            self.blocks.resize(count, Block::new());
        }
        &mut self.blocks
    }

    fn free_unusual(&mut self) {
        if self.blocks.len() > self.usual {
            self.free();
        }
    }

    fn free(&mut self) {
        self.blocks = Vec::new();
    }
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// A thread's life: jobs as they come, until the queue is closed.
fn work(queue: &Queue, memory_kept: Duration, memory: &mut Memory) {
    let next = |memory: &mut Memory| {
        queue.next(Some(memory_kept)).or_else(|| {
            memory.free();
            queue.next(None)
        })
    };
    while let Some(job) = next(memory) {
        // A panic must not cost the pool a thread; whoever waits for the answer is told by the dropped reply.
        drop(catch_unwind(AssertUnwindSafe(|| job(memory))));
        memory.free_unusual();
    }
}

/// A bounded queue with many takers.
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
    capacity: usize,
}

struct QueueState {
    jobs: VecDeque<Job>,
    open: bool,
}

impl Queue {
    fn new(capacity: usize) -> Self {
        let state = Mutex::new(QueueState { jobs: VecDeque::new(), open: true });
        Self { state, changed: Condvar::new(), capacity }
    }

    fn push(&self, job: Job) -> Result<(), HasherError> {
        let mut state = self.lock();
        if state.jobs.len() >= self.capacity {
            return Err(HasherError::Busy);
        }
        state.jobs.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for a job. `None` when `patience` is over, and for good once the queue is closed.
    fn next(&self, patience: Option<Duration>) -> Option<Job> {
        let nothing = |state: &mut QueueState| state.open && state.jobs.is_empty();
        let state = self.lock();
        let mut state = match patience {
            Some(patience) => {
                self.changed.wait_timeout_while(state, patience, nothing).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner),
        };
        state.jobs.pop_front()
    }

    fn close(&self) {
        let mut state = self.lock();
        state.open = false;
        state.jobs.clear();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::accounts::hash::{NO_PASSWORD, check};

    const CHEAP: Argon2Cost = Argon2Cost { memory_kib: 64, passes: 1, lanes: 1 };

    fn hasher(cost: Argon2Cost, waiting: usize) -> Hasher {
        Hasher::new(cost, NonZeroUsize::MIN, waiting, Random).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::parse(text.to_owned()).unwrap()
    }

    async fn verdict(hasher: &Hasher, text: &str, stored: &str) -> Result<Verdict, HasherError> {
        hasher.verify(password(text), Some(stored.to_owned())).await
    }

    /// Occupies the only thread until the sender is used or dropped.
    async fn occupy(hasher: &Hasher) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let job: Job = Box::new(move |_| {
            begun.send(()).unwrap();
            let _ = released.recv();
        });
        hasher.queue.push(job).unwrap();
        has_begun.await.unwrap();
        release
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_under_its_own_salt_and_knows_its_password() {
        let hasher = hasher(CHEAP, 8);
        let first = hasher.hash(password("anvil thimble")).await.unwrap();
        let second = hasher.hash(password("anvil thimble")).await.unwrap();
        assert!(first.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{first}");
        assert_ne!(first, second);
        assert_eq!(verdict(&hasher, "anvil thimble", &first).await, Ok(Verdict::Right));
        assert_eq!(verdict(&hasher, "anvil thimbles", &first).await, Ok(Verdict::Wrong));
    }

    #[tokio::test]
    async fn it_agrees_with_the_reference_implementation() {
        // From its test suite.
        let id = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let i_10 = "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ";
        let hasher = hasher(CHEAP, 8);
        for stored in [id, i_10] {
            assert_eq!(verdict(&hasher, "password", stored).await, Ok(Verdict::RightButOutdated), "{stored}");
            assert_eq!(verdict(&hasher, "passwore", stored).await, Ok(Verdict::Wrong), "{stored}");
        }
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_outdated() {
        let hash = hasher(CHEAP, 8).hash(password("anvil thimble")).await.unwrap();
        for cost in [
            Argon2Cost { memory_kib: 128, ..CHEAP },
            Argon2Cost { passes: 2, ..CHEAP },
            Argon2Cost { lanes: 2, ..CHEAP },
        ] {
            let hasher = hasher(cost, 8);
            assert_eq!(verdict(&hasher, "anvil thimble", &hash).await, Ok(Verdict::RightButOutdated), "{cost:?}");
            assert_eq!(verdict(&hasher, "thimble anvil", &hash).await, Ok(Verdict::Wrong), "{cost:?}");
        }
    }

    #[tokio::test]
    async fn a_hash_of_another_system_is_outdated_however_its_password_was_typed() {
        let hasher = hasher(Argon2Cost { memory_kib: 128, ..CHEAP }, 8);
        // By Python's bcrypt, of the decomposed spelling, by Django 5.2 and by passlib 1.7.4.
        let decomposed = "$2b$04$Ykah.1nZ14jT.kq90xhcReUr3WAV2xxdLhSGUmCEl1igEO.ufOuFS";
        let django = "argon2$argon2id$v=19$m=64,t=1,p=1$TmRKM2tScTBXbVox$warJIKBQwH2EjKAp3KfsdwFLuM3Fi38VwJJoDJkx9vU";
        let passlib = "$argon2i$v=19$m=1024,t=2,p=2$ZYxRypkTYgwBoJQSgtD6Pw$/dKHKfnEdhtc25pUhCSW+tX4W22tHfkycvp2/XW0/JE";
        for (stored, text) in
            [(decomposed, "cre\u{300}me bru\u{302}le\u{301}e"), (django, "anvil thimble"), (passlib, "anvil thimble")]
        {
            assert_eq!(check(stored), Ok(()));
            assert_eq!(verdict(&hasher, text, stored).await, Ok(Verdict::RightButOutdated), "{stored}");
            assert_eq!(verdict(&hasher, "creme brulee", stored).await, Ok(Verdict::Wrong), "{stored}");
        }
    }

    #[tokio::test]
    async fn an_unknown_account_is_wrong_after_the_same_work() {
        let cost = Argon2Cost { memory_kib: 4096, passes: 1, lanes: 1 };
        let hasher = hasher(cost, 8);
        assert_eq!(hasher.verify(password("anvil thimble"), None).await, Ok(Verdict::Wrong));
        assert_written(&hasher, 4096).await;
    }

    #[tokio::test]
    async fn an_account_without_password_is_wrong_after_the_same_work() {
        let hasher = hasher(Argon2Cost { memory_kib: 4096, passes: 1, lanes: 1 }, 8);
        for text in ["anvil thimble", NO_PASSWORD] {
            assert_eq!(verdict(&hasher, text, NO_PASSWORD).await, Ok(Verdict::Wrong));
        }
        assert_written(&hasher, 4096).await;
        assert!(check(NO_PASSWORD).is_err());
    }

    async fn assert_written(hasher: &Hasher, expected: usize) {
        // The memory of a hash of the cost set was written.
        let (blocks, counted) = oneshot::channel();
        let count: Job = Box::new(move |memory| blocks.send(memory.blocks.len()).unwrap());
        hasher.queue.push(count).unwrap();
        assert_eq!(counted.await, Ok(expected));
    }

    #[tokio::test]
    async fn what_is_no_hash_within_the_bounds_is_an_error() {
        let hasher = hasher(CHEAP, 8);
        for stored in [
            "",
            "anvil thimble",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXP",
            "$argon2x$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=20$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=65536,t=4294967295,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ] {
            let refused = verdict(&hasher, "anvil thimble", stored).await;
            assert!(matches!(refused, Err(HasherError::Stored(_))), "{stored}: {refused:?}");
            assert!(check(stored).is_err(), "{stored}");
        }
    }

    #[test]
    fn a_cost_out_of_bounds_is_refused_at_the_start() {
        for (memory_kib, passes, lanes) in
            [(7, 1, 1), (64, 0, 1), (64, 1, 0), (64, 1, 9), (u32::MAX, 1, 1), (65536, 64, 1)]
        {
            let cost = Argon2Cost { memory_kib, passes, lanes };
            assert!(Hasher::new(cost, NonZeroUsize::MIN, 8, Random).is_err(), "{cost:?}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_recovers() {
        let hasher = hasher(CHEAP, 1);
        let release = occupy(&hasher).await;
        let waiting = hasher.hash(password("anvil thimble"));
        let refused = async {
            let refused = hasher.hash(password("anvil thimble")).await;
            drop(release);
            refused
        };
        let (waited, refused) = tokio::join!(waiting, refused);
        assert_eq!(refused, Err(HasherError::Busy));
        assert!(waited.is_ok());
        assert!(hasher.hash(password("anvil thimble")).await.is_ok());
    }

    #[tokio::test]
    async fn work_whose_caller_has_gone_is_skipped() {
        let hasher = hasher(CHEAP, 8);
        let release = occupy(&hasher).await;
        let (worked, has_worked) = mpsc::channel();
        let mut abandoned = Box::pin(hasher.run(move |_| {
            worked.send(()).unwrap();
            Ok(())
        }));
        assert!(futures_poll(&mut abandoned).await);
        drop(abandoned);
        drop(release);
        // The queue is worked in order: once this is done, the abandoned job has been taken too.
        hasher.hash(password("anvil thimble")).await.unwrap();
        assert!(has_worked.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_job_alone() {
        let hasher = hasher(CHEAP, 8);
        assert_eq!(hasher.run::<()>(|_| panic!("of this test")).await, Err(HasherError::Failed));
        assert!(hasher.hash(password("anvil thimble")).await.is_ok());
    }

    #[test]
    fn memory_is_taken_when_needed_and_more_than_usual_is_not_kept() {
        let mut memory = Memory::new(64);
        assert_eq!(memory.blocks.capacity(), 0);
        memory.blocks(64);
        memory.free_unusual();
        assert_eq!(memory.blocks.len(), 64);
        assert!(memory.blocks.capacity() * Block::SIZE > 32 << 20);
        memory.blocks(65);
        memory.free_unusual();
        assert_eq!(memory.blocks.capacity(), 0);
    }

    #[test]
    fn an_idle_thread_frees_its_memory_and_works_on() {
        let queue = Queue::new(8);
        let mut memory = Memory::new(64);
        let (seen, capacities) = mpsc::channel();
        let job = |seen: &mpsc::Sender<usize>| -> Job {
            let seen = seen.clone();
            Box::new(move |memory: &mut Memory| {
                seen.send(memory.blocks.capacity()).unwrap();
                memory.blocks(64);
            })
        };
        thread::scope(|scope| {
            scope.spawn(|| work(&queue, Duration::ZERO, &mut memory));
            queue.push(job(&seen)).unwrap();
            capacities.recv().unwrap();
            // With no patience at all the memory goes as soon as the queue is found empty.
            while {
                queue.push(job(&seen)).unwrap();
                capacities.recv().unwrap() > 0
            } {
                thread::yield_now();
            }
            queue.close();
        });
        assert_eq!(memory.blocks.capacity(), 0);
    }

    #[test]
    fn threads_end_with_the_hasher() {
        let hasher = Hasher::new(CHEAP, NonZeroUsize::new(3).unwrap(), 8, Random).unwrap();
        let queue = Arc::downgrade(&hasher.queue);
        drop(hasher);
        while queue.strong_count() > 0 {
            thread::yield_now();
        }
    }

    /// Polls once; whether the future still waits.
    async fn futures_poll(future: &mut (impl Future + Unpin)) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())
        })
        .await
    }
}
