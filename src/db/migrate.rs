//! Bringing a database to the schema of this build.

use diesel::RunQueryDsl as _;
use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Conn;
use super::error::{DbError, DbResult};
use crate::clock::Timestamp;
use crate::config::Database;

pub const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
pub const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Key of the advisory lock that servers starting at once take turns by: "keyturn" in ASCII.
const ADVISORY_LOCK: i64 = 0x006b_6579_7475_726e;

/// The names of the migrations that `database` lacks: all of them where its SQLite file is not there yet. Creates nothing.
pub fn pending_in(database: &Database) -> DbResult<Vec<String>> {
    match database {
        Database::Sqlite { path } if !path.exists() => told::<Sqlite>(SQLITE.migrations()),
        Database::Sqlite { .. } | Database::Postgres { .. } => pending(&mut Conn::open(database)?),
    }
}

/// The names of the migrations that `conn`'s database lacks. Changes nothing.
pub fn pending(conn: &mut Conn) -> DbResult<Vec<String>> {
    // To find out, Diesel creates the table of what was applied.
    conn.batch_execute("BEGIN")?;
    let pending = match conn {
        Conn::Postgres(conn) => told(conn.pending_migrations(POSTGRES)),
        Conn::Sqlite(conn) => told(conn.pending_migrations(SQLITE)),
    };
    conn.batch_execute("ROLLBACK")?;
    pending
}

fn told<DB: Backend>(migrations: diesel::migration::Result<Vec<Box<dyn Migration<DB>>>>) -> DbResult<Vec<String>> {
    let names = migrations.map(|all| all.iter().map(|migration| migration.name().to_string()).collect());
    names.map_err(|error| DbError::Unavailable(error.to_string()))
}

/// Applies what is pending, then runs `then`, taking turns with servers that start at the same time. On Postgres the
/// turn is one advisory lock around both; on SQLite each is a transaction of its own that begins by taking the
/// writer's place. Returns what was applied and what `then` returned.
pub fn apply<T>(conn: &mut Conn, then: impl FnOnce(&mut Conn) -> DbResult<T>) -> DbResult<(Vec<String>, T)> {
    if let Conn::Sqlite(sqlite) = conn {
        let applied = sqlite
            .immediate_transaction(|sqlite| Ok::<_, DbError>(applied(sqlite.run_pending_migrations(SQLITE))))??;
        return Ok((applied, then(conn)?));
    }
    conn.batch_execute(&format!("SELECT pg_advisory_lock({ADVISORY_LOCK})"))?;
    let result = match conn {
        Conn::Postgres(postgres) => applied(postgres.run_pending_migrations(POSTGRES)),
        Conn::Sqlite(_) => Ok(Vec::new()),
    }
    .and_then(|applied| Ok((applied, then(conn)?)));
    conn.batch_execute(&format!("SELECT pg_advisory_unlock({ADVISORY_LOCK})"))?;
    result
}

fn applied(outcome: diesel::migration::Result<Vec<diesel::migration::MigrationVersion<'_>>>) -> DbResult<Vec<String>> {
    let versions = outcome.map_err(|error| DbError::Unexpected(error.to_string()))?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

/// What time it is for the database. SQLite has no clock of its own.
pub fn database_time(conn: &mut Conn) -> DbResult<Timestamp> {
    #[derive(diesel::QueryableByName)]
    struct Now {
        #[diesel(sql_type = BigInt)]
        millis: i64,
    }
    let query = match conn {
        Conn::Postgres(_) => "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS millis",
        Conn::Sqlite(_) => "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS millis",
    };
    let now: Now = diesel::sql_query(query).get_result(conn)?;
    Ok(Timestamp::from_millis(now.millis))
}
