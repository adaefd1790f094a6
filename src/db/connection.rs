//! Connections to either engine.

#![expect(missing_docs, reason = "Diesel's derive generates public items without documentation")]

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, ConnectionError, PgConnection, SqliteConnection};
use percent_encoding::percent_decode_str;

use super::channel::{Channel, Pooling, Purpose};
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

/// The parameters of libpq by which a server detects a lost database, and their values unless the URL sets them.
const DEFAULTS: [(&str, &str); 8] = [
    ("connect_timeout", "2"),
    ("tcp_user_timeout", "5000"),
    ("keepalives", "1"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("application_name", "keyturn"),
    ("target_session_attrs", "read-write"),
];

/// The beginnings of messages of libpq that name a server. All others are about the URL and repeat a part of it.
const ABOUT_SERVERS: [&str; 2] = ["connection to server", "could not translate host name"];

/// Returns the error of a connection, with the message of libpq unless that can contain a part of the URL's password.
fn without_url(error: ConnectionError) -> DbError {
    match error {
        ConnectionError::BadConnection(message)
            if !ABOUT_SERVERS.iter().any(|beginning| message.starts_with(beginning)) =>
        {
            DbError::Unavailable("libpq takes no URL like that of DATABASE_URL, or no such value in it".to_owned())
        }
        other => other.into(),
    }
}

/// Connects to Postgres, with the session's settings as they are. Blocks for `connect_timeout` at most, which is 2 s
/// unless the URL sets it.
pub(super) fn connect(url: &str) -> DbResult<PgConnection> {
    PgConnection::establish(&with_defaults(url)).map_err(without_url)
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

/// Returns `url` with the parameters by which a server detects a lost database, unless they are set. Works on the text:
/// libpq accepts several hosts, ports and characters that other parsers of URLs refuse.
fn with_defaults(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    // As in libpq, a user and a password end at the first `@`, unless there is a `/` before, and may contain a `?`.
    let address = match after_scheme.find(['@', '/']) {
        Some(at) if after_scheme[at..].starts_with('@') => &after_scheme[at..],
        _ => after_scheme,
    };
    let (separator, query) = match address.split_once('?') {
        None => ("?", ""),
        Some((_, query)) if query.is_empty() || query.ends_with('&') => ("", query),
        Some((_, query)) => ("&", query),
    };
    let names = query.split('&').filter_map(|parameter| parameter.split('=').next());
    let present: Vec<_> = names.map(|name| percent_decode_str(name).decode_utf8_lossy()).collect();
    let missing: Vec<String> = DEFAULTS
        .iter()
        .filter(|(name, _)| !present.iter().any(|parameter| parameter == name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if missing.is_empty() { url.to_owned() } else { format!("{url}{separator}{}", missing.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "connect_timeout=2&tcp_user_timeout=5000&keepalives=1&keepalives_idle=10&keepalives_interval=5&\
                       keepalives_count=3&application_name=keyturn&target_session_attrs=read-write";

    #[test]
    fn every_form_of_url_gets_the_defaults() {
        for (url, separator) in [
            ("postgres://db.example/keyturn", "?"),
            ("postgresql://keyturn:secret@db.example:5432/keyturn", "?"),
            ("postgres://a.example:5432,b.example:5433/keyturn", "?"),
            ("postgres://keyturn@[::1]:5432,[::2]:5433", "?"),
            ("postgres:///keyturn?host=/var/run/postgresql", "&"),
            ("postgres://%2Fvar%2Frun%2Fpostgresql/keyturn", "?"),
            ("postgres://u:what?not#this@db.example/keyturn", "?"),
            ("postgres://u:what?not@a.example,b.example/keyturn?sslmode=require", "&"),
            ("postgres://db.example/keyturn?", ""),
            ("postgres://db.example/keyturn?sslmode=require&", ""),
            ("postgres://db.example/key@turn?sslmode=require", "&"),
        ] {
            assert_eq!(with_defaults(url), format!("{url}{separator}{ALL}"));
        }
    }

    #[test]
    fn what_the_url_sets_stays() {
        let url = "postgres://a.example,b.example/keyturn?connect_timeout=9&target%5Fsession_attrs=any";
        let with_defaults = with_defaults(url);
        let added = with_defaults.strip_prefix(url).unwrap();
        assert!(!added.contains("connect_timeout") && !added.contains("target_session_attrs"), "{added}");
        assert!(added.starts_with("&tcp_user_timeout=5000&"), "{added}");
    }
}
