//! Connections to either engine.

#![expect(missing_docs, reason = "Diesel's derive generates public items without documentation")]

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
    /// A connection to Postgres.
    Postgres(PgConnection),
    /// A connection to SQLite.
    Sqlite(SqliteConnection),
}

/// The time that a connection waits for the lock of a SQLite file. Writers of one server queue before, so only another
/// process, such as the command line, can hold the lock.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between two attempts to enable the write-ahead log.
const WAL_RETRY_INTERVAL: Duration = Duration::from_millis(5);

impl Conn {
    /// Opens a connection. Blocks, on Postgres at most for `connect_timeout`, which is 2 s unless the URL sets it.
    pub fn open(database: &Database) -> DbResult<Self> {
        match database {
            Database::Postgres { url } => Ok(Self::Postgres(PgConnection::establish(&with_defaults(url))?)),
            Database::Sqlite { path } => {
                create_private(path)?;
                let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
                conn.batch_execute(&format!(
                    "PRAGMA busy_timeout = {}; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                     PRAGMA cache_size = -2048;",
                    SQLITE_BUSY_TIMEOUT.as_millis()
                ))?;
                enable_wal(&mut conn)?;
                Ok(Self::Sqlite(conn))
            }
        }
    }

    /// Prepares a connection for statements on arrays of rows. Postgres then uses generic plans that process an array
    /// in its order, so rows are locked in that order, and no statement waits longer than `lock_timeout` for a lock.
    /// Does nothing on SQLite, which has no row locks.
    pub fn prepare_for_batches(&mut self, lock_timeout: Duration) -> DbResult<()> {
        if let Self::Postgres(conn) = self {
            conn.batch_execute(&format!(
                "SET plan_cache_mode = force_generic_plan; SET enable_hashjoin = off; SET enable_mergejoin = off; \
                 SET enable_seqscan = off; SET jit = off; SET lock_timeout = {}",
                lock_timeout.as_millis()
            ))?;
        }
        Ok(())
    }

    /// Sets the longest time that a statement waits for a locked row or table. Does nothing on SQLite, whose timeout is
    /// set when the connection is opened.
    pub fn set_lock_timeout(&mut self, timeout: Duration) -> DbResult<()> {
        if let Self::Postgres(conn) = self {
            conn.batch_execute(&format!("SET lock_timeout = {}", timeout.as_millis()))?;
        }
        Ok(())
    }

    /// Checks whether the database responds on this connection.
    ///
    /// # Errors
    /// It does not.
    pub fn ping(&mut self) -> DbResult<()> {
        Ok(self.batch_execute("SELECT 1")?)
    }

    /// Runs `work` in one transaction, which is rolled back on an error. On SQLite it takes the write lock at the
    /// start, so the first statement cannot fail because of another writer.
    ///
    /// # Errors
    /// `work` fails, or the database does.
    pub fn write<T, E: From<DbError>>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let begin = match self {
            Self::Postgres(_) => "BEGIN",
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
        };
        self.batch_execute(begin).map_err(DbError::from)?;
        let outcome =
            work(self).and_then(|value| Ok(self.batch_execute("COMMIT").map(|()| value).map_err(DbError::from)?));
        if outcome.is_err() {
            // If the rollback fails, the connection is lost with its transaction. The caller needs the first error.
            let _ = self.batch_execute("ROLLBACK");
        }
        outcome
    }
}

/// Enables the write-ahead log of a SQLite file. On a new file this needs an exclusive lock, for which SQLite does not
/// wait as it does for other locks. Connections that open a new file at the same time must therefore retry.
fn enable_wal(conn: &mut SqliteConnection) -> DbResult<()> {
    let mut waited = Duration::ZERO;
    loop {
        match conn.batch_execute("PRAGMA journal_mode = WAL").map_err(DbError::from) {
            Err(DbError::Unavailable(_)) if waited < SQLITE_BUSY_TIMEOUT => {
                std::thread::sleep(WAL_RETRY_INTERVAL);
                waited += WAL_RETRY_INTERVAL;
            }
            outcome => return outcome,
        }
    }
}

/// Creates the file of a SQLite database so that only its owner can read it, unless the file exists. SQLite would allow
/// others to read it. The other files of SQLite get the same mode. An existing file is not opened, because closing it
/// would release the locks of SQLite.
fn create_private(path: &Path) -> DbResult<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(DbError::Unavailable(format!("{}: {error}", path.display())))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Returns `url` with the parameters by which a server detects a lost database, unless they are set.
fn with_defaults(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    let present: Vec<String> = parsed.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let defaults = [
        ("connect_timeout", "2"),
        ("tcp_user_timeout", "5000"),
        ("keepalives_idle", "10"),
        ("keepalives_interval", "5"),
        ("application_name", "keyturn"),
        ("target_session_attrs", "read-write"),
    ];
    for (name, value) in defaults {
        if !present.iter().any(|parameter| parameter == name) {
            parsed.query_pairs_mut().append_pair(name, value);
        }
    }
    parsed.into()
}
