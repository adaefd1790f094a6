//! Migrations of the database to the schema of this version.

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource};
use diesel::sql_types::{Bool, Text};
use diesel::sqlite::Sqlite;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::channel::{Channel, Pooling, Purpose};
use super::connection::Conn;
use super::error::{DbError, DbResult};
use crate::config::Database;

/// The migrations for Postgres.
pub const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The migrations for SQLite.
pub const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// The key of the advisory lock for migrations: "keyturn" in ASCII.
const ADVISORY_LOCK: i64 = 0x006b_6579_7475_726e;

/// Creates keyturn's schema, the first of the search path, unless it exists. A role that may create none can be given
/// one.
const CREATE_SCHEMA: &str = "\
    DO $$ DECLARE own text := split_part(current_setting('search_path'), ',', 1); BEGIN \
    IF to_regnamespace(own) IS NULL THEN EXECUTE 'CREATE SCHEMA ' || own; END IF; END $$";

/// The state of the tables of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There are none.
    Empty,
    /// They lack these migrations.
    Outdated(Vec<String>),
    /// They are those of this version.
    UpToDate,
}

/// Returns the state of the tables of `database`. Creates nothing.
pub fn state(database: &Database) -> DbResult<State> {
    let pending = pending_in(database)?;
    Ok(match pending.len() {
        0 => State::UpToDate,
        count if count == migrations()?.len() => State::Empty,
        _ => State::Outdated(pending),
    })
}

/// Returns the names of the pending migrations of `database`. If its SQLite file does not exist, all are pending.
/// Creates nothing.
pub fn pending_in(database: &Database) -> DbResult<Vec<String>> {
    match database {
        Database::Sqlite { path } if !path.exists() => Ok(migrations()?.into_iter().map(|(_, name)| name).collect()),
        Database::Sqlite { .. } | Database::Postgres { .. } => {
            pending(&mut Channel::open(database, Pooling::of(database)?, Purpose::Setup)?)
        }
    }
}

/// Returns the names of the pending migrations. Only reads, unlike Diesel, which creates its table of those applied.
pub fn pending(channel: &mut Channel) -> DbResult<Vec<String>> {
    let applied = channel.run(applied_versions)?;
    let pending = migrations()?.into_iter().filter(|(version, _)| !applied.contains(version));
    Ok(pending.map(|(_, name)| name).collect())
}

/// Returns the versions of the migrations that were applied.
fn applied_versions(conn: &mut Conn) -> DbResult<Vec<String>> {
    let exists = match conn {
        Conn::Postgres(_) => "to_regclass('__diesel_schema_migrations') IS NOT NULL",
        Conn::Sqlite(_) => "EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__diesel_schema_migrations')",
    };
    if !diesel::select(sql::<Bool>(exists)).get_result::<bool>(conn)? {
        return Ok(Vec::new());
    }
    let rows: Vec<AppliedMigration> = diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(conn)?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

#[derive(QueryableByName)]
struct AppliedMigration {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Returns the versions and names of all migrations, which are the same for both engines.
fn migrations() -> DbResult<Vec<(String, String)>> {
    let all: diesel::migration::Result<Vec<Box<dyn Migration<Sqlite>>>> = SQLITE.migrations();
    let all = all.map_err(|error| DbError::Unexpected(error.to_string()))?;
    Ok(all.iter().map(|migration| (migration.name().version().to_string(), migration.name().to_string())).collect())
}

/// Applies the pending migrations and then runs `then`, while servers that start at the same time wait. On Postgres
/// both are one transaction with an advisory lock, which no pooler can leave behind. On SQLite each is a transaction
/// that begins with the write lock. Returns the names of the applied migrations and the result of `then`.
///
/// # Errors
/// A migration fails, or `then` does. On Postgres nothing is applied then; on SQLite the migrations stay applied.
pub fn apply<T>(channel: &mut Channel, then: impl FnOnce(&mut Conn) -> DbResult<T>) -> DbResult<(Vec<String>, T)> {
    let begin = format!("{} SELECT pg_advisory_xact_lock({ADVISORY_LOCK}); {CREATE_SCHEMA}", channel.local_settings());
    let conn = &mut **channel;
    if let Conn::Sqlite(sqlite) = conn {
        let applied = sqlite
            .immediate_transaction(|sqlite| Ok::<_, DbError>(applied(sqlite.run_pending_migrations(SQLITE))))??;
        return Ok((applied, conn.write(then)?));
    }
    conn.transaction(|conn| {
        conn.batch_execute(&begin)?;
        let applied = match conn {
            Conn::Postgres(postgres) => applied(postgres.run_pending_migrations(POSTGRES))?,
            Conn::Sqlite(_) => Vec::new(),
        };
        Ok((applied, then(conn)?))
    })
}

fn applied(outcome: diesel::migration::Result<Vec<diesel::migration::MigrationVersion<'_>>>) -> DbResult<Vec<String>> {
    let versions = outcome.map_err(|error| DbError::Unexpected(error.to_string()))?;
    Ok(versions.iter().map(ToString::to_string).collect())
}
