//! Migrations of the database to the schema of this version.

use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Conn;
use super::error::{DbError, DbResult};
use crate::config::Database;

/// The migrations for Postgres.
pub const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The migrations for SQLite.
pub const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// The key of the advisory lock for migrations: "keyturn" in ASCII.
const ADVISORY_LOCK: i64 = 0x006b_6579_7475_726e;

/// Returns the names of the pending migrations of `database`. If its SQLite file does not exist, all are pending.
/// Creates nothing.
pub fn pending_in(database: &Database) -> DbResult<Vec<String>> {
    match database {
        Database::Sqlite { path } if !path.exists() => names::<Sqlite>(SQLITE.migrations()),
        Database::Sqlite { .. } | Database::Postgres { .. } => pending(&mut Conn::open(database)?),
    }
}

/// Returns the names of the pending migrations. Changes nothing.
pub fn pending(conn: &mut Conn) -> DbResult<Vec<String>> {
    // Diesel creates its table of applied migrations, which the rollback removes.
    conn.batch_execute("BEGIN")?;
    let pending = match conn {
        Conn::Postgres(conn) => names(conn.pending_migrations(POSTGRES)),
        Conn::Sqlite(conn) => names(conn.pending_migrations(SQLITE)),
    };
    conn.batch_execute("ROLLBACK")?;
    pending
}

fn names<DB: Backend>(migrations: diesel::migration::Result<Vec<Box<dyn Migration<DB>>>>) -> DbResult<Vec<String>> {
    let names = migrations.map(|all| all.iter().map(|migration| migration.name().to_string()).collect());
    names.map_err(|error| DbError::Unavailable(error.to_string()))
}

/// Applies the pending migrations and then runs `then`, while servers that start at the same time wait. On Postgres one
/// advisory lock covers both. On SQLite each is a transaction that begins with the write lock. Returns the names of the
/// applied migrations and the result of `then`.
///
/// # Errors
/// A migration fails, or `then` does. The migrations before it stay applied.
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
