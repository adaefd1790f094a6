//! Hashes passwords on dedicated threads, so that a flood of logins queues up here and blocks no other work.

use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use argon2::Block;
use argon2::password_hash::phc::Salt;
use tokio::sync::oneshot;

use super::hash::{COST_OUT_OF_BOUNDS, Scheme, StoredHash};
use super::imported_hash::{HashError, ImportedHash};
use super::password::{NewPassword, Password, WeakPassword};
use super::queue::{Place, Queue};
use super::request_load::{Gauge, RequestLoad};
use crate::config::Argon2Cost;
use crate::random::Random;

/// The idle time after which a thread frees its memory.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest time that a password waits for a thread. Work that has begun is not interrupted.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Argon2id (RFC 9106) on dedicated threads behind a bounded queue. The threads end when this is dropped.
pub(crate) struct Hasher {
    queue: Arc<Queue>,
    load: RequestLoad,
    scheme: Scheme,
    random: Random,
    max_wait: Duration,
}

/// The result of verifying a password against a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verification {
    /// The password matches.
    Match,
    /// The password matches and should be rehashed: the stored hash has another cost than the configured one, or was
    /// imported.
    MatchOutdated,
    /// The password does not match.
    Mismatch,
}

/// Why a password was not hashed or verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HasherError {
    /// The queue is full, or the password has waited for too long. The same call may succeed in a moment.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// The stored hash cannot be used.
    #[error("the stored password hash {0}")]
    StoredHash(HashError),
    /// Hashing failed.
    #[error("hashing failed")]
    Failed,
}

/// Why a new password was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NewPasswordError {
    /// The password is easy to guess.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// The password was not judged or not hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
}

impl Hasher {
    /// Starts threads for `cores` cores, with a queue of up to `capacity` passwords for each. One core is left to
    /// everything else: its thread hashes only while the threads that serve requests have little to do.
    ///
    /// # Errors
    /// The cost is invalid or out of bounds, or a thread cannot be started.
    pub(crate) fn new(cost: Argon2Cost, cores: NonZeroUsize, capacity: usize, random: Random) -> io::Result<Self> {
        let scheme = Scheme::new(cost).ok_or_else(|| io::Error::other(COST_OUT_OF_BOUNDS))?;
        let threads = cores.get().saturating_sub(1).max(1);
        let queue = Arc::new(Queue::new(threads.saturating_mul(capacity)));
        let hasher = Self { queue, load: RequestLoad::default(), scheme, random, max_wait: MAX_WAIT };
        for number in 0..threads {
            let queue = hasher.queue.clone();
            hasher.start(&format!("hasher-{number}"), move |timeout| queue.next(timeout))?;
        }
        if threads < cores.get() {
            let queue = hasher.queue.clone();
            let mut gauge = Gauge::new(hasher.load.clone());
            hasher.start("hasher-spare", move |timeout| queue.next_spare(timeout, || gauge.is_low()))?;
        }
        Ok(hasher)
    }

    /// Starts a thread that runs what `next` returns.
    fn start(&self, name: &str, next: impl FnMut(Option<Duration>) -> Option<Job> + Send + 'static) -> io::Result<()> {
        let usual = self.scheme.block_count();
        thread::Builder::new().name(name.to_owned()).spawn(move || work(&mut Memory::new(usual), next))?;
        Ok(())
    }

    /// Returns the load of the threads that serve requests, where these register.
    pub(crate) fn request_load(&self) -> &RequestLoad {
        &self.load
    }

    /// Hashes a password that was verified a moment ago, before all that wait: its owner has waited already. Returns a
    /// PHC string with a new salt.
    ///
    /// # Errors
    /// Hashing fails.
    pub(crate) async fn rehash(&self, password: Password) -> Result<String, HasherError> {
        self.hash_at(Place::Front, password).await
    }

    async fn hash_at(&self, place: Place, password: Password) -> Result<String, HasherError> {
        let scheme = self.scheme.clone();
        let salt = self.fresh_salt()?;
        self.run(place, move |memory| scheme.hash(&password, salt, memory)).await
    }

    /// Judges a new password, where the guesser knows the texts in `personal`, and hashes it with a new salt. Returns
    /// a PHC string.
    ///
    /// # Errors
    /// The password is easy to guess, the queue is full, or hashing fails.
    pub(crate) async fn hash_new(&self, new: NewPassword, personal: Vec<String>) -> Result<String, NewPasswordError> {
        let scheme = self.scheme.clone();
        let salt = self.fresh_salt()?;
        let hashed = self.run(Place::Back, move |memory| match new.judge(&personal) {
            Ok(password) => scheme.hash(&password, salt, memory).map(Ok),
            Err(weak) => Ok(Err(weak)),
        });
        Ok(hashed.await??)
    }

    /// Judges a new password, where the guesser knows the texts in `personal`.
    ///
    /// # Errors
    /// The password is easy to guess, or the queue is full.
    pub(crate) async fn judge(&self, new: NewPassword, personal: Vec<String>) -> Result<(), NewPasswordError> {
        let judged = self.run(Place::Back, move |_| Ok(new.judge(&personal).map(|_| ())));
        Ok(judged.await??)
    }

    /// Verifies a password against the stored hash of an account, in constant time. If there is no account or it has no
    /// password, this takes as long as a hash of the configured cost and returns [`Verification::Mismatch`].
    ///
    /// # Errors
    /// The queue is full or too slow, the stored hash cannot be used, or hashing fails.
    pub(crate) async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verification, HasherError> {
        let stored =
            stored.as_deref().map_or(Ok(StoredHash::None), StoredHash::parse).map_err(HasherError::StoredHash)?;
        let (scheme, salt, expected) = match stored {
            StoredHash::Argon2(scheme, salt, output) => (scheme, salt, Some(output)),
            StoredHash::None => (self.scheme.clone(), self.fresh_salt()?, None),
            StoredHash::Imported(hash) => {
                return self.run(Place::Back, move |_| verify_imported(&hash, &password)).await;
            }
        };
        let outdated = scheme != self.scheme;
        self.run(Place::Back, move |memory| {
            for spelling in password.spellings() {
                let output =
                    scheme.digest(spelling, &salt, memory.blocks(scheme.block_count())).ok_or(HasherError::Failed)?;
                // `Output` compares in constant time.
                match (expected == Some(output), outdated) {
                    (false, _) => {}
                    (true, false) => return Ok(Verification::Match),
                    (true, true) => return Ok(Verification::MatchOutdated),
                }
            }
            Ok(Verification::Mismatch)
        })
        .await
    }

    fn fresh_salt(&self) -> Result<Salt, HasherError> {
        Salt::new(&self.random.bytes::<{ Salt::RECOMMENDED_LENGTH }>()).map_err(|_| HasherError::Failed)
    }

    async fn run<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce(&mut Memory) -> Result<T, HasherError> + Send + 'static,
    ) -> Result<T, HasherError> {
        let (begin, begun) = oneshot::channel();
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |memory: &mut Memory| {
            // A caller that is gone must not delay the others.
            if begin.send(()).is_ok() {
                drop(reply.send(work(memory)));
            }
        });
        self.queue.push(job, place)?;
        match tokio::time::timeout(self.max_wait, begun).await {
            Ok(Ok(())) => answer.await.unwrap_or(Err(HasherError::Failed)),
            Ok(Err(_)) => Err(HasherError::Failed),
            Err(_) => Err(HasherError::Busy),
        }
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Scheme {
    /// Hashes a password. Returns a PHC string.
    fn hash(&self, password: &Password, salt: Salt, memory: &mut Memory) -> Result<String, HasherError> {
        let blocks = memory.blocks(self.block_count());
        let output = self.digest(password.as_bytes(), &salt, blocks).ok_or(HasherError::Failed)?;
        self.phc(salt, output).ok_or(HasherError::Failed)
    }
}

fn verify_imported(hash: &ImportedHash, password: &Password) -> Result<Verification, HasherError> {
    for spelling in password.spellings() {
        if hash.matches(spelling).ok_or(HasherError::Failed)? {
            return Ok(Verification::MatchOutdated);
        }
    }
    Ok(Verification::Mismatch)
}

/// The memory of one thread, allocated when it is first needed.
pub(super) struct Memory {
    blocks: Vec<Block>,
    /// The number of blocks that a hash of the configured cost needs. A larger allocation is freed after its job.
    usual: usize,
}

impl Memory {
    /// The minimum allocation, in blocks. glibc maps allocations over 32 MiB separately and returns them to the system
    /// when they are freed, whereas it may keep smaller ones (`M_MMAP_THRESHOLD`). Pages that are never written take no
    /// memory.
    const MIN_BLOCKS: usize = 33 * 1024 * 1024 / Block::SIZE;

    fn new(usual: usize) -> Self {
        Self { blocks: Vec::new(), usual }
    }

    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.blocks.len() < count {
            self.free();
            self.blocks.reserve_exact(count.max(Self::MIN_BLOCKS));
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

/// The work on one password.
pub(super) type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Runs the jobs that `next` returns until the queue is closed. Frees the memory when none has arrived for a while.
fn work(memory: &mut Memory, mut next: impl FnMut(Option<Duration>) -> Option<Job>) {
    loop {
        let job = next(Some(IDLE_TIMEOUT)).or_else(|| {
            memory.free();
            next(None)
        });
        let Some(job) = job else { return };
        // A panic must not end the thread. The caller notices it by the dropped reply.
        drop(catch_unwind(AssertUnwindSafe(|| job(memory))));
        memory.free_unusual();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    impl Hasher {
        async fn hash(&self, password: Password) -> Result<String, HasherError> {
            self.hash_at(Place::Back, password).await
        }
    }
    use crate::passwords::hash::{NO_PASSWORD, check_hash as check};

    const CHEAP: Argon2Cost = Argon2Cost { memory_kib: 64, passes: 1, lanes: 1 };

    fn hasher(cost: Argon2Cost, waiting: usize) -> Hasher {
        Hasher::new(cost, NonZeroUsize::MIN, waiting, Random).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::parse(text.to_owned()).unwrap()
    }

    async fn verify(hasher: &Hasher, text: &str, stored: &str) -> Result<Verification, HasherError> {
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
        hasher.queue.push(job, Place::Back).unwrap();
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
        assert_eq!(verify(&hasher, "anvil thimble", &first).await, Ok(Verification::Match));
        assert_eq!(verify(&hasher, "anvil thimbles", &first).await, Ok(Verification::Mismatch));
    }

    #[tokio::test]
    async fn it_agrees_with_the_reference_implementation() {
        // From its test suite.
        let id = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let i_10 = "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ";
        let hasher = hasher(CHEAP, 8);
        for stored in [id, i_10] {
            assert_eq!(verify(&hasher, "password", stored).await, Ok(Verification::MatchOutdated), "{stored}");
            assert_eq!(verify(&hasher, "passwore", stored).await, Ok(Verification::Mismatch), "{stored}");
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
            assert_eq!(verify(&hasher, "anvil thimble", &hash).await, Ok(Verification::MatchOutdated), "{cost:?}");
            assert_eq!(verify(&hasher, "thimble anvil", &hash).await, Ok(Verification::Mismatch), "{cost:?}");
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
            assert_eq!(verify(&hasher, text, stored).await, Ok(Verification::MatchOutdated), "{stored}");
            assert_eq!(verify(&hasher, "creme brulee", stored).await, Ok(Verification::Mismatch), "{stored}");
        }
    }

    #[tokio::test]
    async fn an_unknown_account_is_wrong_after_the_same_work() {
        let cost = Argon2Cost { memory_kib: 4096, passes: 1, lanes: 1 };
        let hasher = hasher(cost, 8);
        assert_eq!(hasher.verify(password("anvil thimble"), None).await, Ok(Verification::Mismatch));
        assert_written(&hasher, 4096).await;
    }

    #[tokio::test]
    async fn an_account_without_password_is_wrong_after_the_same_work() {
        let hasher = hasher(Argon2Cost { memory_kib: 4096, passes: 1, lanes: 1 }, 8);
        for text in ["anvil thimble", NO_PASSWORD] {
            assert_eq!(verify(&hasher, text, NO_PASSWORD).await, Ok(Verification::Mismatch));
        }
        assert_written(&hasher, 4096).await;
        assert!(check(NO_PASSWORD).is_err());
    }

    async fn assert_written(hasher: &Hasher, expected: usize) {
        // The memory of a hash of the configured cost was written.
        let (blocks, counted) = oneshot::channel();
        let count: Job = Box::new(move |memory| blocks.send(memory.blocks.len()).unwrap());
        hasher.queue.push(count, Place::Back).unwrap();
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
            let refused = verify(&hasher, "anvil thimble", stored).await;
            assert!(matches!(refused, Err(HasherError::StoredHash(_))), "{stored}: {refused:?}");
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
    async fn a_password_that_waits_for_too_long_is_refused_and_not_hashed_any_more() {
        let mut hasher = hasher(CHEAP, 8);
        let release = occupy(&hasher).await;
        hasher.max_wait = Duration::ZERO;
        let (worked, has_worked) = mpsc::channel();
        let refused = hasher.run(Place::Back, move |_| {
            worked.send(()).unwrap();
            Ok(())
        });
        assert_eq!(refused.await, Err(HasherError::Busy));
        drop(release);
        hasher.max_wait = MAX_WAIT;
        hasher.hash(password("anvil thimble")).await.unwrap();
        assert!(has_worked.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_verified_password_is_hashed_anew_before_all_that_wait() {
        let hasher = hasher(CHEAP, 1);
        let release = occupy(&hasher).await;
        let (order, seen) = mpsc::channel();
        let job = |name: &'static str| -> Job {
            let order = order.clone();
            Box::new(move |_| order.send(name).unwrap())
        };
        hasher.queue.push(job("waiting"), Place::Back).unwrap();
        let mut rehash = Box::pin(hasher.rehash(password("anvil thimble")));
        assert!(futures_poll(&mut rehash).await);
        hasher.queue.push(job("before both"), Place::Front).unwrap();
        drop(release);
        assert!(rehash.await.is_ok());
        assert_eq!(seen.recv(), Ok("before both"));
        assert_eq!(seen.recv(), Ok("waiting"));
    }

    #[tokio::test]
    async fn a_new_password_is_judged_on_the_threads_that_hash() {
        let hasher = hasher(CHEAP, 1);
        let new = |text: &str| NewPassword::parse(text.to_owned()).unwrap();
        let release = occupy(&hasher).await;
        let waiting = hasher.hash_new(new("quellorin thrumbeck"), vec!["Quellorin Thrumbeck".to_owned()]);
        let refused = async {
            let refused = hasher.hash_new(new("password1234"), Vec::new()).await;
            drop(release);
            refused
        };
        let (judged, refused) = tokio::join!(waiting, refused);
        assert_eq!(refused, Err(NewPasswordError::Hasher(HasherError::Busy)), "nobody has judged it");
        assert!(matches!(judged, Err(NewPasswordError::Weak(WeakPassword::Guessable(_)))), "{judged:?}");
        let hash = hasher.hash_new(new("anvil thimble orchard"), Vec::new()).await.unwrap();
        assert_eq!(verify(&hasher, "anvil thimble orchard", &hash).await, Ok(Verification::Match));
    }

    #[tokio::test]
    async fn work_whose_caller_has_gone_is_skipped() {
        let hasher = hasher(CHEAP, 8);
        let release = occupy(&hasher).await;
        let (worked, has_worked) = mpsc::channel();
        let mut abandoned = Box::pin(hasher.run(Place::Back, move |_| {
            worked.send(()).unwrap();
            Ok(())
        }));
        assert!(futures_poll(&mut abandoned).await);
        drop(abandoned);
        drop(release);
        // The queue is worked in order: after this job, the abandoned one has been taken too.
        hasher.hash(password("anvil thimble")).await.unwrap();
        assert!(has_worked.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_job_alone() {
        let hasher = hasher(CHEAP, 8);
        assert_eq!(hasher.run::<()>(Place::Back, |_| panic!("of this test")).await, Err(HasherError::Failed));
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
            scope.spawn(|| work(&mut memory, |timeout| queue.next(timeout.map(|_| Duration::ZERO))));
            queue.push(job(&seen), Place::Back).unwrap();
            capacities.recv().unwrap();
            // Without a timeout the memory is freed as soon as the queue is empty.
            while {
                queue.push(job(&seen), Place::Back).unwrap();
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

    /// Polls once and returns whether the future is still pending.
    async fn futures_poll(future: &mut (impl Future + Unpin)) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())
        })
        .await
    }
}
