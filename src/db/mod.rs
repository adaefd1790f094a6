//! The database: one pool of connections to Postgres or SQLite, and the only way to it.
//!
//! Store functions are plain functions of `&mut Conn`. They run in owned closures on the blocking pool, so a
//! transaction cannot span an `.await`, and a client that hangs up cancels nothing half-way.

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

/// The longest that a caller waits for one operation, connection included.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections kept open by one server, besides the one that rotates refresh tokens. Two cores saturate Postgres
/// with fewer; more only queue there instead of here.
const POOL_SIZE: usize = 16;

/// The longest that a statement waits for a row that somebody else has locked. Well below [`PATIENCE`], so that those who
/// ask for such a row give their connections back in time for those who do not.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// The database. Clones share one pool.
#[derive(Clone)]
pub struct Db {
    pool: Pool<Opener>,
    turn: WriteTurn,
}

impl Db {
    /// Opens no connection yet.
    pub fn new(database: &Database) -> Self {
        let pool = Pool::builder(Opener { database: database.clone() })
            .max_size(POOL_SIZE)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: None })
            .build();
        #[expect(clippy::expect_used, reason = "fails only for timeouts without a runtime")]
        let pool = pool.expect("a runtime is given");
        Self { pool, turn: WriteTurn::of(database) }
    }

    /// Runs statements that only read, without a transaction of their own.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> DbResult<T> + Send + 'static,
    ) -> DbResult<T> {
        in_time(self.on_blocking_pool(work)).await
    }

    /// Runs `work` in one transaction: all of it is durable when this answers `Ok`, none of it on an error that is
    /// not [`DbError::Unavailable`]. The first statement of `work` must be a write.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> DbResult<T> + Send + 'static,
    ) -> DbResult<T> {
        let turn = self.turn.clone();
        in_time(self.on_blocking_pool(move |conn| {
            let _turn = turn.take();
            conn.write(work)
        }))
        .await
    }

    /// What a thread with a connection of its own takes before it writes.
    pub fn write_turn(&self) -> WriteTurn {
        self.turn.clone()
    }

    /// Opens a connection outside of the pool. Blocks.
    pub fn open(&self) -> DbResult<Conn> {
        Conn::open(&self.pool.manager().database)
    }

    /// Whether the database answers.
    pub async fn is_there(&self) -> bool {
        self.read(Conn::answers).await.is_ok()
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self.pool.manager().database, Database::Postgres { .. })
    }

    async fn on_blocking_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> DbResult<T> + Send + 'static,
    ) -> DbResult<T> {
        let mut object = self.pool.get().await.map_err(no_connection)?;
        let pool = self.pool.clone();
        let ran = tokio::task::spawn_blocking(move || {
            let result = work(&mut object);
            if result.as_ref().is_err_and(DbError::may_end_connection) && object.answers().is_err() {
                // The others were opened to the same server and are likely as dead.
                drop(Object::take(object));
                pool.retain(|_, _| false);
            }
            result
        });
        ran.await.unwrap_or_else(|panic| Err(DbError::Unexpected(panic.to_string())))
    }
}

/// Waits for `work` no longer than a caller can be expected to. Work that has begun may still be carried out later.
pub async fn in_time<T>(work: impl Future<Output = DbResult<T>>) -> DbResult<T> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(DbError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()))))
}

fn no_connection(error: managed::PoolError<DbError>) -> DbError {
    match error {
        managed::PoolError::Backend(error) => error,
        other => DbError::Unavailable(other.to_string()),
    }
}

/// SQLite has one writer at a time and lets the others poll for their turn; here they queue, first come first served.
/// Postgres needs none.
#[derive(Clone)]
pub struct WriteTurn(Option<Arc<Mutex<()>>>);

impl WriteTurn {
    fn of(database: &Database) -> Self {
        Self(matches!(database, Database::Sqlite { .. }).then(Arc::default))
    }

    /// Blocks until it is the caller's turn to write.
    pub fn take(&self) -> Option<MutexGuard<'_, ()>> {
        self.0.as_deref().map(Mutex::blocking_lock)
    }
}

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
            conn.wait_for_locks(LOCK_PATIENCE)?;
            Ok(conn)
        };
        tokio::task::spawn_blocking(open).await.unwrap_or_else(|panic| Err(DbError::Unexpected(panic.to_string())))
    }

    async fn recycle(&self, _: &mut Conn, _: &Metrics) -> RecycleResult<DbError> {
        Ok(())
    }
}
