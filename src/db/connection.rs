//! Connections to either engine.

#![expect(missing_docs, reason = "Diesel's derive generates public items without documentation")]

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, SqliteConnection};

use super::channel::{Channel, Pooling, Purpose};
use super::error::{DbError, DbResult};
use super::postgres::PgConnection;
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

/// Connects to Postgres, with the session's settings as they are. Blocks for `connect_timeout` at each address at most,
/// which is 2 s unless the URL sets it.
pub(super) fn connect(url: &str) -> DbResult<PgConnection> {
    Ok(PgConnection::establish(url)?)
}

/// Opens a file of SQLite, which is created if it does not exist.
pub(super) fn open_file(path: &Path) -> DbResult<SqliteConnection> {
    create_private(path)?;
    let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout = {}; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -2048;",
        SQLITE_BUSY_TIMEOUT.as_millis()
    ))?;
    enable_wal(&mut conn)?;
    Ok(conn)
}

impl Conn {
    /// Opens a connection for setup, to Postgres without a pooler that shares sessions.
    pub fn open(database: &Database) -> DbResult<Self> {
        Ok(Channel::open(database, Pooling::None, Purpose::Setup)?.into_conn())
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
        self.write_with("", work)
    }

    /// Runs `work` as [`Self::write`] does, in a transaction that begins with `settings`.
    pub(super) fn write_with<T, E: From<DbError>>(
        &mut self,
        settings: &str,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let begin = match self {
            Self::Postgres(_) if settings.is_empty() => Cow::Borrowed("BEGIN"),
            Self::Postgres(_) => Cow::Owned(format!("BEGIN; {settings}")),
            Self::Sqlite(_) => Cow::Borrowed("BEGIN IMMEDIATE"),
        };
        self.batch_execute(&begin).map_err(DbError::from)?;
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
