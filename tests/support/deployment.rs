//! What the servers of one test share: a database, a Redis and a secret that no other test has.

use std::path::PathBuf;
use std::sync::Arc;

use deadpool_redis::redis;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use keyturn::audit::Audit;
use keyturn::clock::Clock;
use keyturn::config::{Config, Database};
use keyturn::db::schema::sessions;
use keyturn::db::types::IpColumn;
use keyturn::db::{Conn, Db, PgConnection};
use keyturn::devices::Devices;
use keyturn::mail::Mail;
use keyturn::metrics::Metrics;
use keyturn::random::Random;
use keyturn::types::{Jti, SessionId, Timestamp, UserId};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::folder::Folder;
use super::{Backend, random_hex, variable};

/// Where people would reach the servers of tests.
pub const PUBLIC_URL: &str = "https://keyturn.example";

/// Databases of the Redis that `scripts/servers` starts, without the first, which hands out the others.
const REDIS_DATABASES: i64 = 4095;

/// A database, and on the scaled backend a Redis, for one test. Both are removed with it.
pub struct Deployment {
    pub backend: Backend,
    pub folder: Folder,
    pub secret: String,
    scaled: Option<Scaled>,
}

struct Scaled {
    /// Whether other tests use Postgres and Redis, too, which nobody breaks then.
    is_shared: bool,
    /// To reach the server that holds the database, and the database on it.
    postgres: Url,
    database: String,
    redis: Url,
}

impl Deployment {
    pub fn new(backend: Backend) -> Arc<Self> {
        let scaled = (backend == Backend::Scaled)
            .then(|| Scaled::on(&variable("KEYTURN_TEST_POSTGRES_URL"), &variable("KEYTURN_TEST_REDIS_URL")));
        Self::of(backend, scaled.map(|scaled| Scaled { is_shared: true, ..scaled }))
    }

    /// On a Postgres and a Redis that the test has started itself, to break them.
    pub fn on(postgres_url: &str, redis_url: &str) -> Arc<Self> {
        Self::of(Backend::Scaled, Some(Scaled::on(postgres_url, redis_url)))
    }

    fn of(backend: Backend, scaled: Option<Scaled>) -> Arc<Self> {
        Arc::new(Self { backend, folder: Folder::new(), secret: random_hex::<32>(), scaled })
    }

    /// The settings of a server here: free port, passwords hashed cheaply, all else by default unless in `more`.
    pub fn settings(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut settings = vec![
            ("DATA_DIR", self.data_dir().display().to_string()),
            ("BIND", "127.0.0.1:0".to_owned()),
            ("WORKERS", "2".to_owned()),
            ("PUBLIC_URL", PUBLIC_URL.to_owned()),
            ("ARGON2", "m=7168,t=1,p=1".to_owned()),
            ("JWT_SECRET", self.secret.clone()),
        ];
        if let Some(Scaled { is_shared, .. }) = &self.scaled {
            settings.extend([("DATABASE_URL", self.database_url()), ("REDIS_URL", self.redis_url())]);
            // On a busy machine, a Redis that is well may need longer than by default.
            if *is_shared && !more.iter().any(|(name, _)| *name == "REDIS_URL") {
                settings.push(("REDIS_TIMEOUT", "5000".to_owned()));
            }
        } else {
            settings.push(("DATABASE_URL", "embedded".to_owned()));
        }
        settings.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// A server's own way to queue emails and to make links.
    pub fn mail(&self, more: &[(&str, &str)]) -> Mail {
        let settings = self.settings(more);
        let pairs: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        let config = Config::from_settings(&pairs, &Random).unwrap();
        let audit = Audit::new(Db::new(&config.database, 1), Clock::default(), Random, Devices::new(&config));
        Mail::new(&config, Random, audit, Metrics::new()).unwrap()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The SQLite file of the embedded backend.
    pub fn sqlite_file(&self) -> PathBuf {
        self.data_dir().join("keyturn.db")
    }

    /// The Postgres database of the scaled backend.
    pub fn database_url(&self) -> String {
        self.scaled().database_url().into()
    }

    /// The Redis database of the scaled backend.
    pub fn redis_url(&self) -> String {
        self.scaled().redis.clone().into()
    }

    fn scaled(&self) -> &Scaled {
        self.scaled.as_ref().expect("is for the scaled backend only")
    }

    /// A connection beside the servers'.
    pub fn conn(&self) -> Conn {
        Conn::open(&match self.backend {
            Backend::Embedded => Database::Sqlite { path: self.sqlite_file() },
            Backend::Scaled => {
                Database::Postgres { url: Zeroizing::new(self.database_url()), schema: "keyturn".to_owned() }
            }
        })
        .unwrap()
    }

    /// Carries out statements without results.
    pub fn sql(&self, statements: &str) {
        self.conn().batch_execute(statements).unwrap();
    }

    /// Lets an account's email address be verified.
    pub fn verify_email(&self, email: &str) {
        self.sql(&format!("UPDATE users SET email_verified_at = created_at WHERE email = '{email}'"));
    }

    /// An id as it is written in SQL.
    pub fn literal(&self, id: uuid::Uuid) -> String {
        match self.backend {
            Backend::Embedded => format!("X'{}'", id.simple()),
            Backend::Scaled => format!("'{id}'"),
        }
    }

    /// A session's row.
    pub fn session(&self, id: SessionId) -> SessionRow {
        sessions::table.find(id).select(SessionRow::as_select()).first(&mut self.conn()).unwrap()
    }

    /// How many rows `table` has; with a condition if `table` goes on with `WHERE`.
    pub fn count(&self, table: &str) -> i64 {
        let counted: Counted =
            diesel::sql_query(format!("SELECT count(*) AS count FROM {table}")).get_result(&mut self.conn()).unwrap();
        counted.count
    }

    /// The names of all tables.
    pub fn tables(&self) -> Vec<String> {
        self.texts(match self.backend {
            Backend::Embedded => "SELECT name AS text FROM sqlite_master WHERE type = 'table' ORDER BY name",
            Backend::Scaled => {
                "SELECT table_schema || '.' || table_name AS text FROM information_schema.tables \
                 WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
            }
        })
    }

    /// Every row of `table` as an object of its columns; bytes as hexadecimal digits.
    pub fn rows(&self, table: &str) -> Vec<Value> {
        let query = match self.backend {
            Backend::Scaled => format!("SELECT row_to_json(t)::text AS text FROM {table} AS t"),
            Backend::Embedded => {
                let columns = self.texts(&format!("SELECT name AS text FROM pragma_table_info('{table}')"));
                let pairs: Vec<String> = columns
                    .iter()
                    .map(|name| format!("'{name}', CASE typeof({name}) WHEN 'blob' THEN hex({name}) ELSE {name} END"))
                    .collect();
                format!("SELECT json_object({}) AS text FROM {table}", pairs.join(", "))
            }
        };
        // A table has no order of its own: an update may move a row.
        let mut texts = self.texts(&query);
        texts.sort_unstable();
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    /// The column `text` of a query's result.
    pub fn texts(&self, query: &str) -> Vec<String> {
        let rows: Vec<TextRow> = diesel::sql_query(query).load(&mut self.conn()).unwrap();
        rows.into_iter().map(|row| row.text).collect()
    }

    /// The names of the audited events of which `condition` is true, oldest first.
    pub fn audited(&self, condition: &str) -> Vec<String> {
        self.texts(&format!("SELECT event AS text FROM audit_log WHERE {condition} ORDER BY id"))
    }

    /// Sends one command to the test's own database in Redis.
    pub fn redis<T: redis::FromRedisValue>(&self, command: &[impl AsRef<[u8]>]) -> T {
        redis_command(&self.scaled().redis, command)
    }

    /// The keys in Redis that match `pattern`.
    pub fn redis_keys(&self, pattern: &str) -> Vec<String> {
        self.redis(&["KEYS", pattern])
    }
}

impl Scaled {
    fn on(postgres_url: &str, redis_url: &str) -> Self {
        let postgres = Url::parse(postgres_url).unwrap();
        let database = format!("keyturn_test_{}", random_hex::<8>());
        maintain(&postgres, &format!("CREATE DATABASE {database}"));
        let mut redis = Url::parse(redis_url).unwrap();
        let number: i64 = redis_command(&redis, &["INCR", "keyturn-test-databases"]);
        redis.set_path(&format!("/{}", 1 + number % REDIS_DATABASES));
        Self { is_shared: false, postgres, database, redis }
    }

    fn database_url(&self) -> Url {
        let mut url = self.postgres.clone();
        url.set_path(&self.database);
        url
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let Some(scaled) = &self.scaled else { return };
        // Servers that a test has started itself may be gone already.
        if let Ok(mut conn) = PgConnection::establish(scaled.postgres.as_str()) {
            let _ = conn.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", scaled.database));
        }
        if let Ok(mut conn) = redis::Client::open(scaled.redis.as_str()).and_then(|client| client.get_connection()) {
            let _ = redis::cmd("FLUSHDB").query::<()>(&mut conn);
        }
    }
}

fn maintain(server: &Url, statement: &str) {
    PgConnection::establish(server.as_str()).unwrap().batch_execute(statement).unwrap();
}

fn redis_command<T: redis::FromRedisValue>(url: &Url, command: &[impl AsRef<[u8]>]) -> T {
    let mut conn = redis::Client::open(url.as_str()).unwrap().get_connection().unwrap();
    let mut call = redis::Cmd::new();
    for part in command {
        call.arg(part.as_ref());
    }
    call.query(&mut conn).unwrap()
}

/// What the database keeps of a session.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct SessionRow {
    pub id: SessionId,
    pub user_id: UserId,
    pub created_at: Timestamp,
    pub last_active_at: Timestamp,
    pub expires_at: Timestamp,
    pub ends_at: Timestamp,
    pub generation: i64,
    pub revision: i64,
    pub token_digest: Vec<u8>,
    pub parent_digest: Option<Vec<u8>>,
    pub rotation_salt: Option<Vec<u8>>,
    pub issued_at: Timestamp,
    pub access_jti: Jti,
    pub former_jti: Option<Jti>,
    pub access_seen: bool,
    pub recovered: bool,
    pub recovery_debt: i32,
    pub recoveries: i32,
    pub replays: i32,
    pub doubted_generation: Option<i64>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_reason: Option<String>,
    pub ip: Option<IpColumn>,
    pub user_agent: Option<String>,
    pub name: Option<String>,
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}
