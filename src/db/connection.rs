//! A connection to either engine, and how one is opened.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, PgConnection, SqliteConnection};
use url::Url;

use super::error::{DbError, DbResult};
use crate::config::Database;

/// A connection to Postgres or SQLite.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// How long one connection waits for another's lock on a SQLite file. Writers of one server take turns before they
/// get this far, so only another process (the command line) is waited for.
const SQLITE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection that found a new SQLite file locked waits before it asks again.
const SQLITE_RETRY: Duration = Duration::from_millis(5);

impl Conn {
    /// Opens a connection. Blocks, for Postgres up to its `connect_timeout` (2 s unless the URL says otherwise).
    pub fn open(database: &Database) -> DbResult<Self> {
        match database {
            Database::Postgres { url } => Ok(Self::Postgres(PgConnection::establish(&with_defaults(url))?)),
            Database::Sqlite { path } => {
                create_private(path)?;
                let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
                conn.batch_execute(&format!(
                    "PRAGMA busy_timeout = {}; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                     PRAGMA cache_size = -2048;",
                    SQLITE_PATIENCE.as_millis()
                ))?;
                write_ahead(&mut conn)?;
                Ok(Self::Sqlite(conn))
            }
        }
    }

    /// Prepares a connection for statements of which each is the same but for the length of its arrays: plans are
    /// generic and walk the arrays in their order, so that rows are locked in that order, and no statement waits longer
    /// than `lock_patience` for a row. SQLite locks no rows and keeps its plans anyway.
    pub fn prepare_for_batches(&mut self, lock_patience: Duration) -> DbResult<()> {
        if let Self::Postgres(conn) = self {
            conn.batch_execute(&format!(
                "SET plan_cache_mode = force_generic_plan; SET enable_hashjoin = off; SET enable_mergejoin = off; \
                 SET enable_seqscan = off; SET jit = off; SET lock_timeout = {}",
                lock_patience.as_millis()
            ))?;
        }
        Ok(())
    }

    /// Lets no statement wait longer than `patience` for a row or table that is locked. SQLite locks neither, and how long
    /// it waits for its writer is set when it is opened.
    pub fn wait_for_locks(&mut self, patience: Duration) -> DbResult<()> {
        if let Self::Postgres(conn) = self {
            conn.batch_execute(&format!("SET lock_timeout = {}", patience.as_millis()))?;
        }
        Ok(())
    }

    /// Whether the database answers on this connection.
    pub fn answers(&mut self) -> DbResult<()> {
        Ok(self.batch_execute("SELECT 1")?)
    }

    /// One transaction around `work`: all of it or, on an error, none. On SQLite it takes the writer's place at
    /// once, so the first statement cannot find that another writer came first.
    pub fn write<T>(&mut self, work: impl FnOnce(&mut Self) -> DbResult<T>) -> DbResult<T> {
        let begin = match self {
            Self::Postgres(_) => "BEGIN",
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
        };
        self.batch_execute(begin)?;
        let outcome = work(self).and_then(|value| Ok(self.batch_execute("COMMIT").map(|()| value)?));
        if outcome.is_err() {
            // A connection that cannot roll back is lost with its transaction; the first error is the one to tell.
            let _ = self.batch_execute("ROLLBACK");
        }
        outcome
    }
}

/// Lets a SQLite file have a write-ahead log. The switch of a new file needs the file alone, and SQLite does not wait for
/// that as it waits for other locks, so connections that open a new file at once have to ask again.
fn write_ahead(conn: &mut SqliteConnection) -> DbResult<()> {
    let mut asked = Duration::ZERO;
    loop {
        match conn.batch_execute("PRAGMA journal_mode = WAL").map_err(DbError::from) {
            Err(DbError::Unavailable(_)) if asked < SQLITE_PATIENCE => {
                std::thread::sleep(SQLITE_RETRY);
                asked += SQLITE_RETRY;
            }
            outcome => return outcome,
        }
    }
}

/// Creates the file of a SQLite database for its owner alone, unless it is there: SQLite would let others read it. What
/// SQLite puts beside it gets the same mode. A file that is there is not touched: to close it would drop SQLite's locks.
fn create_private(path: &Path) -> DbResult<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(DbError::Unavailable(format!("{}: {error}", path.display())))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// `url` with the parameters that a server needs to notice a database that has gone, where the operator set none.
fn with_defaults(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    let given: Vec<String> = parsed.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let defaults = [
        ("connect_timeout", "2"),
        ("tcp_user_timeout", "5000"),
        ("keepalives_idle", "10"),
        ("keepalives_interval", "5"),
        ("application_name", "keyturn"),
        ("target_session_attrs", "read-write"),
    ];
    for (name, value) in defaults {
        if !given.iter().any(|own| own == name) {
            parsed.query_pairs_mut().append_pair(name, value);
        }
    }
    parsed.into()
}
