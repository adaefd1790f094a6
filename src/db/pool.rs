//! The connections of a server, each with a thread of its own.
//!
//! Work that has begun cannot be given up: behind a pooler or balancer that acknowledges bytes and delivers none, a
//! statement waits for as long as any may take, and longer. So a connection leaves the pool before its work begins, and
//! comes back only once the work has ended. A connection that works longer than [`WORK_TIMEOUT`] is left behind with
//! its thread, and a new one takes its place. The threads are not the runtime's, which would wait for them when it
//! ends.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak, mpsc};
use std::thread;
use std::time::Duration;

use diesel::Connection as _;
use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::result::{DatabaseErrorKind, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::channel::{Channel, Pooling, Purpose};
use super::error::{DbError, DbResult};
use crate::config::Database;

/// The most connections that are left behind at a time, so that threads do not grow without limit. When there are as
/// many, a connection that does not answer keeps its place in the pool.
const MAX_LEFT_BEHIND: usize = 32;

/// The longest time that work may take before its connection is left behind.
const WORK_TIMEOUT: Duration = super::OPERATION_TIMEOUT;

/// A pool of connections. Clones share it. The threads end with the last clone, those that wait for an answer later.
#[derive(Clone)]
pub(super) struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// Found out when the first connection is opened.
    pooling: OnceLock<Pooling>,
    /// One permit for each connection that may work.
    places: Arc<Semaphore>,
    /// One permit for each connection that may be left behind.
    places_behind: Arc<Semaphore>,
    idle: Mutex<Vec<Worker>>,
    /// Whether a statement has failed since the last probe, so that it is in doubt whether the database can be
    /// written.
    doubt: Arc<AtomicBool>,
}

/// A thread with a connection, which it opens at its first task. It ends when this is dropped.
struct Worker {
    tasks: mpsc::Sender<Task>,
}

/// Work for a thread.
struct Task {
    work: Work,
    progress: Progress,
    /// The thread's own handle, which the pool takes back after the work.
    worker: Worker,
}

/// Work on a connection, which is `None` before the first work and after a fault. Returns how to answer whoever waits.
type Work = Box<dyn FnOnce(&mut Option<Channel>, &Progress) -> Answer + Send>;

/// Sends the result of a work.
type Answer = Box<dyn FnOnce()>;

/// The progress of a work: it goes on, its connection is back, or its connection was left behind.
pub(super) struct Progress {
    state: Arc<AtomicU8>,
    /// Dropped when the work has ended.
    _end: oneshot::Sender<()>,
}

const WORKING: u8 = 0;
const HOME: u8 = 1;
const LEFT_BEHIND: u8 = 2;

impl Progress {
    /// Returns whether the connection was left behind: nobody waits any more.
    pub(super) fn is_left_behind(&self) -> bool {
        self.state.load(Ordering::Acquire) == LEFT_BEHIND
    }

    /// Brings the connection home, unless it was left behind. Returns whether it is home.
    fn come_home(&self) -> bool {
        move_on(&self.state, HOME)
    }
}

fn move_on(state: &AtomicU8, to: u8) -> bool {
    state.compare_exchange(WORKING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

impl Pool {
    /// Creates a pool of up to `size` connections, without opening one.
    pub(super) fn new(database: &Database, size: usize) -> Self {
        let inner = Inner {
            database: database.clone(),
            pooling: OnceLock::new(),
            places: Arc::new(Semaphore::new(size)),
            places_behind: Arc::new(Semaphore::new(MAX_LEFT_BEHIND)),
            idle: Mutex::default(),
            doubt: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the database that the connections lead to.
    pub(super) fn database(&self) -> &Database {
        &self.inner.database
    }

    /// Opens a connection beside those of the pool. Blocks.
    pub(super) fn open(&self, purpose: Purpose) -> DbResult<Channel> {
        self.inner.open(purpose)
    }

    /// Returns whether a statement has failed since the last call.
    pub(super) fn take_doubt(&self) -> bool {
        self.inner.doubt.swap(false, Ordering::Relaxed)
    }

    /// Has the next [`Self::take_doubt`] return that a statement has failed.
    pub(super) fn raise_doubt(&self) {
        self.inner.doubt.store(true, Ordering::Relaxed);
    }

    /// Runs `work` on a connection. Waits for a free one without a limit. Work that has begun goes on when the returned
    /// future is dropped.
    ///
    /// # Errors
    /// `work` fails, or no connection can be opened.
    pub(super) async fn run<T, E>(
        &self,
        work: impl FnOnce(&mut Channel, &Progress) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let place = self.inner.places.clone().acquire_owned().await.map_err(|_| unavailable("the pool is closed"))?;
        let (answer, outcome) = oneshot::channel();
        let pool = Arc::downgrade(&self.inner);
        let work: Work = Box::new(move |conn, progress| {
            let result = catch_unwind(AssertUnwindSafe(|| run_on(conn, &pool, |conn| work(conn, progress))));
            let result = result.unwrap_or_else(|panic| Err(DbError::Unexpected(message_of(panic.as_ref())).into()));
            Box::new(move || drop(answer.send(result)))
        });
        self.begin(work, place)?;
        outcome.await.unwrap_or_else(|_| Err(unavailable("the connection's thread has ended").into()))
    }

    /// Hands `work` to an idle thread or a new one, and watches over it.
    fn begin(&self, work: Work, place: OwnedSemaphorePermit) -> DbResult<()> {
        let idle = self.inner.idle().pop();
        let worker = idle.map_or_else(|| start_worker(Arc::downgrade(&self.inner)), Ok)?;
        let state = Arc::new(AtomicU8::new(WORKING));
        let (end, ended) = oneshot::channel();
        let progress = Progress { state: state.clone(), _end: end };
        let tasks = worker.tasks.clone();
        let begun = tasks.send(Task { work, progress, worker });
        begun.map_err(|_| unavailable("a connection's thread has ended"))?;
        tokio::spawn(watch(self.inner.clone(), state, ended, place));
        Ok(())
    }
}

impl Inner {
    fn open(&self, purpose: Purpose) -> DbResult<Channel> {
        let pooling = match self.pooling.get() {
            Some(pooling) => *pooling,
            None => {
                let found = Pooling::of(&self.database)?;
                if self.pooling.set(found).is_ok() && found == Pooling::Transactions {
                    tracing::info!(
                        "a pooler shares connections to the database between transactions: statements are not \
                         prepared, and each operation takes more round trips than on a connection of its own"
                    );
                }
                found
            }
        };
        Channel::open(&self.database, pooling, purpose)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connections that do not work at the moment. They are to the same server as one that was lost, and
    /// probably lost too.
    fn close_idle(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }
}

/// Keeps the place of a work until it has ended. After [`WORK_TIMEOUT`] the place is free for another connection.
async fn watch(pool: Arc<Inner>, state: Arc<AtomicU8>, mut ended: oneshot::Receiver<()>, place: OwnedSemaphorePermit) {
    if tokio::time::timeout(WORK_TIMEOUT, &mut ended).await.is_ok() {
        return;
    }
    let behind = tokio::select! {
        behind = pool.places_behind.clone().acquire_owned() => behind,
        _ = &mut ended => return,
    };
    if move_on(&state, LEFT_BEHIND) {
        tracing::warn!(
            "a connection to the database did not answer within {} s and is replaced",
            WORK_TIMEOUT.as_secs()
        );
        pool.close_idle();
    }
    drop((pool, place));
    let _ = ended.await;
    drop(behind);
}

/// Starts a thread that opens its connection at its first task.
fn start_worker(pool: Weak<Inner>) -> DbResult<Worker> {
    let (tasks, queue) = mpsc::channel();
    let thread = thread::Builder::new().name("database".to_owned());
    let started = thread.spawn(move || carry_out(&queue, &pool));
    started.map_err(|error| unavailable(&format!("no thread for a connection: {error}")))?;
    Ok(Worker { tasks })
}

/// Carries out one task after the other until the thread's handle is dropped or its connection was left behind.
fn carry_out(queue: &mpsc::Receiver<Task>, pool: &Weak<Inner>) {
    let mut conn = None;
    while let Ok(Task { work, progress, worker }) = queue.recv() {
        let answer = work(&mut conn, &progress);
        let is_home = progress.come_home();
        // Before the answer, so that whoever gets it finds this connection for the next work.
        if is_home && let Some(pool) = pool.upgrade() {
            pool.idle().push(worker);
        }
        answer();
        if !is_home {
            return;
        }
    }
}

/// Runs `work` on `conn`, which is opened if there is none. After an error it is kept only if it still answers.
fn run_on<T, E: From<DbError>>(
    conn: &mut Option<Channel>,
    pool: &Weak<Inner>,
    work: impl FnOnce(&mut Channel) -> Result<T, E>,
) -> Result<T, E> {
    let pool = pool.upgrade().ok_or_else(|| unavailable("the pool is closed"))?;
    let mut open = match conn.take() {
        Some(open) => open,
        None => {
            let mut open = pool.open(Purpose::Operations)?;
            open.set_instrumentation(raise_doubt_on_failure(pool.doubt.clone()));
            open
        }
    };
    let result = work(&mut open);
    if result.is_ok() || open.ping().is_ok() {
        *conn = Some(open);
    } else {
        pool.close_idle();
    }
    result
}

/// Returns a hook that raises the doubt when a statement fails for a reason that is none of its own.
fn raise_doubt_on_failure(doubt: Arc<AtomicBool>) -> impl Instrumentation {
    move |event: InstrumentationEvent<'_>| {
        // Diesel reports a full disk and missing rights as "unknown".
        if let InstrumentationEvent::FinishQuery { error: Some(Error::DatabaseError(kind, _)), .. } = event
            && matches!(kind, DatabaseErrorKind::Unknown | DatabaseErrorKind::ReadOnlyTransaction)
        {
            doubt.store(true, Ordering::Relaxed);
        }
    }
}

fn unavailable(reason: &str) -> DbError {
    DbError::Unavailable(reason.to_owned())
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}
