//! The database: a pool of connections to Postgres or SQLite.
//!
//! Functions that access tables take a `&mut Conn`. They run in owned closures on the threads of the pool, so a
//! transaction cannot span an `.await`, and a client that disconnects does not cancel a transaction.

pub mod channel;
pub mod connection;
pub mod error;
mod listen;
pub mod migrate;
mod pool;
mod postgres;
mod probe;
pub mod schema;
pub mod time;
pub mod types;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, mpsc};

pub use channel::{Channel, Pooling, Purpose};
pub use connection::Conn;
pub use error::{DbError, DbResult};
pub use postgres::PgConnection;
pub use probe::{Condition, write_test_row};

use crate::config::Database;
use pool::Pool;
use probe::LatestProbe;

/// The longest time that a caller waits for one operation, including the wait for a connection.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the files that the settings of a database name, without connecting.
///
/// # Errors
/// A file cannot be used. The text names it.
pub fn check_files(database: &Database) -> Result<(), String> {
    match database {
        Database::Postgres { url, .. } => postgres::check_files(url),
        Database::Sqlite { .. } => Ok(()),
    }
}

/// The database. Clones share one pool.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
    write_queue: WriteQueue,
    latest_probe: LatestProbe,
}

impl Db {
    /// Creates a pool of up to `size` connections, without opening one.
    pub fn new(database: &Database, size: usize) -> Self {
        Self {
            pool: Pool::new(database, size),
            write_queue: WriteQueue::new(database),
            latest_probe: LatestProbe::default(),
        }
    }

    /// Returns a receiver of the notifications on `channel`, or `None` if the database has none. They wake early and
    /// may be missing.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn listen(&self, channel: &'static str) -> std::io::Result<Option<mpsc::Receiver<()>>> {
        listen::listen(&self.pool, channel)
    }

    /// Runs statements that only read, without a transaction unless a pooler demands one.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> DbResult<T> + Send + 'static,
    ) -> DbResult<T> {
        with_timeout(self.pool.run(|channel, _| channel.run(work))).await
    }

    /// Runs `work` in one transaction, as [`Self::transact`] does, with only the errors of the database.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> DbResult<T> + Send + 'static,
    ) -> DbResult<T> {
        self.transact(work).await
    }

    /// Runs `work` in one transaction, which is durable when this returns `Ok` and rolled back on an error. After
    /// [`DbError::Unavailable`] it is not known whether it was committed. A refusal that must be committed is a
    /// [`Committed::Refused`]. The first statement of `work` must be a write.
    ///
    /// # Errors
    /// `work` fails, or the database does.
    pub async fn transact<T, E>(&self, work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let write_queue = self.write_queue.clone();
        with_timeout(self.pool.run(move |channel, progress| {
            let _writing = write_queue.wait();
            if progress.is_left_behind() {
                return Err(DbError::Unavailable("the database was busy for too long".to_owned()).into());
            }
            channel.write(work)
        }))
        .await
    }

    /// Returns the queue in which a thread with a connection of its own must wait before it writes.
    pub fn write_queue(&self) -> WriteQueue {
        self.write_queue.clone()
    }

    /// Opens a connection outside the pool. Blocks.
    pub fn open(&self, purpose: Purpose) -> DbResult<Channel> {
        self.pool.open(purpose)
    }

    /// Returns whether the database is Postgres.
    pub fn is_postgres(&self) -> bool {
        matches!(self.pool.database(), Database::Postgres { .. })
    }
}

/// The result of a transaction that is committed in both cases. A refusal that must store something, such as a counted
/// attempt, cannot be an error, because errors roll back.
pub enum Committed<T, E> {
    /// The transaction did what was asked for.
    Accepted(T),
    /// The transaction stored only what a refusal must store.
    Refused(E),
}

impl<T, E> Committed<T, E> {
    /// Converts a refusal into an error, after the commit.
    ///
    /// # Errors
    /// The transaction refused.
    pub fn into_result(self) -> Result<T, E> {
        match self {
            Self::Accepted(value) => Ok(value),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

/// Waits for `work`, for five seconds at most. Work that has begun can still complete after the timeout.
///
/// # Errors
/// `work` fails or takes too long.
pub async fn with_timeout<T, E: From<DbError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::time::timeout(OPERATION_TIMEOUT, work).await.unwrap_or_else(|_| {
        Err(DbError::Unavailable(format!("no response within {} s", OPERATION_TIMEOUT.as_secs())).into())
    })
}

/// The queue of writers. SQLite allows one writer at a time and lets the others poll for the lock; in this queue they
/// wait in the order of their arrival. Postgres needs no queue.
#[derive(Clone)]
pub struct WriteQueue {
    mutex: Option<Arc<Mutex<()>>>,
}

impl WriteQueue {
    fn new(database: &Database) -> Self {
        Self { mutex: matches!(database, Database::Sqlite { .. }).then(Arc::default) }
    }

    /// Blocks until the caller can write, which it can until it drops the guard.
    pub fn wait(&self) -> Option<MutexGuard<'_, ()>> {
        self.mutex.as_deref().map(Mutex::blocking_lock)
    }
}
