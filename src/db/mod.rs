//! The database: a pool of connections to Postgres or SQLite.
//!
//! Functions that access tables take a `&mut Conn`. They run in owned closures on the thread pool for blocking work, so
//! a transaction cannot span an `.await`, and a client that disconnects does not cancel a transaction.

pub mod connection;
pub mod error;
pub mod migrate;
pub mod schema;
pub mod types;

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleResult, Timeouts};
use deadpool::{Runtime, managed};
use tokio::sync::{Mutex, MutexGuard};

pub use connection::Conn;
pub use error::{DbError, DbResult};

use crate::config::Database;

/// The longest time that a caller waits for one operation, including the wait for a connection.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of connections of one server, besides the one that rotates refresh tokens. Fewer are enough to saturate a
/// Postgres server with two cores; with more, operations would wait there instead of here.
const POOL_SIZE: usize = 16;

/// The longest time that a statement waits for a locked row. It is much shorter than [`OPERATION_TIMEOUT`], so that
/// operations that wait for a lock return their connections in time for the others.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The database. Clones share one pool.
#[derive(Clone)]
pub struct Db {
    pool: Pool<Opener>,
    write_queue: WriteQueue,
}

impl Db {
    /// Creates a pool, without opening a connection.
    pub fn new(database: &Database) -> Self {
        let pool = Pool::builder(Opener { database: database.clone() })
            .max_size(POOL_SIZE)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait: Some(OPERATION_TIMEOUT), create: Some(OPERATION_TIMEOUT), recycle: None })
            .build();
        #[expect(clippy::expect_used, reason = "fails only for timeouts without a runtime")]
        let pool = pool.expect("a runtime is given");
        Self { pool, write_queue: WriteQueue::new(database) }
    }

    /// Runs statements that only read, without a transaction.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> DbResult<T> + Send + 'static,
    ) -> DbResult<T> {
        with_timeout(self.on_blocking_pool(work)).await
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
        with_timeout(self.on_blocking_pool(move |conn| {
            let _writing = write_queue.wait();
            conn.write(work)
        }))
        .await
    }

    /// Returns the queue in which a thread with a connection of its own must wait before it writes.
    pub fn write_queue(&self) -> WriteQueue {
        self.write_queue.clone()
    }

    /// Opens a connection outside the pool. Blocks.
    pub fn open(&self) -> DbResult<Conn> {
        Conn::open(&self.pool.manager().database)
    }

    /// Returns whether the database responds.
    pub async fn is_available(&self) -> bool {
        self.read(Conn::ping).await.is_ok()
    }

    /// Returns whether the database is Postgres.
    pub fn is_postgres(&self) -> bool {
        matches!(self.pool.manager().database, Database::Postgres { .. })
    }

    async fn on_blocking_pool<T, E>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let mut object = self.pool.get().await.map_err(no_connection)?;
        let pool = self.pool.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            let result = work(&mut object);
            if result.is_err() && object.ping().is_err() {
                // The other connections are to the same server and probably lost too.
                drop(Object::take(object));
                pool.retain(|_, _| false);
            }
            result
        });
        outcome.await.unwrap_or_else(|panic| Err(DbError::Unexpected(panic.to_string()).into()))
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

fn no_connection(error: managed::PoolError<DbError>) -> DbError {
    match error {
        managed::PoolError::Backend(error) => error,
        other => DbError::Unavailable(other.to_string()),
    }
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

/// Opens connections for the pool.
struct Opener {
    database: Database,
}

impl Manager for Opener {
    type Type = Conn;
    type Error = DbError;

    async fn create(&self) -> DbResult<Conn> {
        let database = self.database.clone();
        let open = move || {
            let mut conn = Conn::open(&database)?;
            conn.set_lock_timeout(LOCK_TIMEOUT)?;
            Ok(conn)
        };
        tokio::task::spawn_blocking(open).await.unwrap_or_else(|panic| Err(DbError::Unexpected(panic.to_string())))
    }

    async fn recycle(&self, _: &mut Conn, _: &Metrics) -> RecycleResult<DbError> {
        Ok(())
    }
}
