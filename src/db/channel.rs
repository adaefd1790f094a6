//! Open connections, with the settings that their statements need.
//!
//! Between this program and Postgres there can be a pooler, such as PgBouncer, that gives a session to another client
//! after each transaction. What a session sets or prepares would then apply to others, and not to its own next
//! transaction. Behind such a pooler everything runs in transactions that begin with their settings, and no statement
//! is prepared.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use diesel::connection::{CacheSize, SimpleConnection};
use diesel::dsl::sql;
use diesel::sql_types::Integer;
use diesel::{Connection as _, RunQueryDsl as _};

use super::connection::{self, Conn};
use super::error::{DbError, DbResult};
use super::postgres::PgConnection;
use crate::config::Database;

/// The longest time that a statement of an operation waits for a locked row. It is much shorter than the time that the
/// caller waits, so that operations that wait for a lock return their connections in time for the others.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest time that a statement may take. Nobody waits for it that long, so it only ends what was left behind.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time that a transaction may wait for its next statement. A machine that dies or is cut off in a
/// transaction holds locks on rows no longer than this.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time that Postgres may be silent while it carries out a statement, which is longer than any may take.
/// After it a connection that was left behind ends, where the network acknowledges what it does not deliver.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of times that two connections are compared to find out whether they share sessions of Postgres.
const COMPARISONS: usize = 5;

/// The purpose of a connection, which determines its settings on Postgres.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Migrations and checks, which may take long.
    Setup,
    /// Operations of a server. No statement takes long or waits long for a lock.
    Operations,
    /// Statements on arrays of rows, which wait this long for a lock. Postgres uses generic plans that process an array
    /// in its order, so rows are locked in that order.
    Batches(Duration),
}

impl Purpose {
    /// Returns the settings, beginning with the search path.
    fn settings(self, schema: &str) -> Vec<(&'static str, String)> {
        let milliseconds = |timeout: Duration| timeout.as_millis().to_string();
        // The schema comes first, and `public` is not searched.
        let mut settings = vec![
            ("search_path", format!("\"{schema}\", pg_catalog")),
            ("idle_in_transaction_session_timeout", milliseconds(IDLE_IN_TRANSACTION_TIMEOUT)),
        ];
        let lock_timeout = match self {
            Self::Setup => return settings,
            Self::Operations => LOCK_TIMEOUT,
            Self::Batches(lock_timeout) => lock_timeout,
        };
        settings.push(("lock_timeout", milliseconds(lock_timeout)));
        settings.push(("statement_timeout", milliseconds(STATEMENT_TIMEOUT)));
        if let Self::Batches(_) = self {
            settings.push(("plan_cache_mode", "force_generic_plan".to_owned()));
            let off = ["enable_hashjoin", "enable_mergejoin", "enable_seqscan", "jit"];
            settings.extend(off.map(|name| (name, "off".to_owned())));
        }
        settings
    }
}

/// The relation of connections to sessions of Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Each connection has a session of its own, or the database is SQLite.
    #[default]
    None,
    /// A pooler gives sessions to other clients after each transaction.
    Transactions,
}

impl Pooling {
    /// Finds out how a database is reached: two connections that see one session of Postgres, or one that sees two, are
    /// a pooler's.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn of(database: &Database) -> DbResult<Self> {
        let Database::Postgres { url, .. } = database else { return Ok(Self::None) };
        let connect = || {
            let mut conn = connection::connect(url)?;
            conn.set_prepared_statement_cache_size(CacheSize::Disabled);
            Ok::<_, DbError>(conn)
        };
        let mut first = connect()?;
        let mut second = connect()?;
        let own = session(&mut first)?;
        for _ in 0..COMPARISONS {
            if session(&mut second)? == own || session(&mut first)? != own {
                return Ok(Self::Transactions);
            }
        }
        Ok(Self::None)
    }
}

/// Returns the id of the session of Postgres that answers.
fn session(conn: &mut PgConnection) -> DbResult<i32> {
    Ok(diesel::select(sql::<Integer>("pg_backend_pid()")).get_result(conn)?)
}

/// An open connection. Dereferences to the connection, for statements within [`Self::run`] and [`Self::write`].
pub struct Channel {
    conn: Conn,
    /// The statements that set each transaction's settings, unless the session has them.
    local_settings: String,
}

impl Deref for Channel {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Channel {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

impl Channel {
    /// Opens a connection. Blocks, on Postgres at most for `connect_timeout`, which is 2 s unless the URL sets it.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn open(database: &Database, pooling: Pooling, purpose: Purpose) -> DbResult<Self> {
        let (url, schema) = match database {
            Database::Sqlite { path } => return Ok(Conn::Sqlite(connection::open_file(path)?).into()),
            Database::Postgres { url, schema } => (url, schema),
        };
        let mut conn = connection::connect(url)?;
        let settings = purpose.settings(schema);
        let set = |command: &str| {
            let statements: Vec<String> =
                settings.iter().map(|(name, value)| format!("{command} {name} = {value};")).collect();
            statements.join(" ")
        };
        let local_settings = match pooling {
            Pooling::None => {
                conn.batch_execute(&set("SET"))?;
                String::new()
            }
            Pooling::Transactions => {
                conn.set_prepared_statement_cache_size(CacheSize::Disabled);
                set("SET LOCAL")
            }
        };
        if let Purpose::Operations | Purpose::Batches(_) = purpose {
            conn.set_answer_timeout(ANSWER_TIMEOUT)?;
        }
        Ok(Self { conn: Conn::Postgres(conn), local_settings })
    }

    /// Returns the statements with which a transaction has to begin, which are none if the session has its settings.
    pub(super) fn local_settings(&self) -> &str {
        &self.local_settings
    }

    /// Returns the connection, for which the settings must be those of the session.
    pub fn into_conn(self) -> Conn {
        self.conn
    }

    /// Runs `work`, in one transaction if settings need one, and else each statement by itself.
    ///
    /// # Errors
    /// `work` fails, or the database does.
    pub fn run<T, E: From<DbError>>(&mut self, work: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        if self.local_settings.is_empty() { work(&mut self.conn) } else { self.write(work) }
    }

    /// Runs `work` in one transaction, which is rolled back on an error. On SQLite it takes the write lock at the
    /// start, so the first statement cannot fail because of another writer.
    ///
    /// # Errors
    /// `work` fails, or the database does.
    pub fn write<T, E: From<DbError>>(&mut self, work: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.conn.write_with(&self.local_settings, work)
    }
}

impl From<Conn> for Channel {
    /// Takes a connection whose session has all settings.
    fn from(conn: Conn) -> Self {
        Self { conn, local_settings: String::new() }
    }
}
