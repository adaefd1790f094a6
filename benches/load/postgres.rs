//! What keyturn is compared with on Postgres and Redis: pgbench with the update of a refresh, and redis-benchmark.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::report::{Round, percentile};
use crate::server::Folder;
use crate::{Result, output, random_hex};

/// Of either program: as many as the connections that keyturn is compared at.
pub const CLIENTS: usize = 64;

/// The servers to use, from the environment.
#[derive(Clone)]
pub struct Servers {
    /// A database of a role that may create databases.
    postgres_url: String,
    redis_url: String,
    /// The folder of psql and pgbench; on the PATH when not given.
    programs: Option<PathBuf>,
}

/// A fresh database, dropped with this value.
pub struct Database {
    servers: Servers,
    name: String,
}

/// A copy of the refreshed sessions, and a script that updates its rows as a refresh does.
pub struct Pgbench {
    folder: Folder,
    /// The one statement of each transaction.
    pub statement: String,
}

impl Servers {
    /// `None` where no Postgres is given.
    pub fn from_environment() -> Result<Option<Self>> {
        let Ok(postgres_url) = std::env::var("KEYTURN_TEST_POSTGRES_URL") else { return Ok(None) };
        let redis_url = std::env::var("KEYTURN_TEST_REDIS_URL").map_err(|_| "KEYTURN_TEST_REDIS_URL is not set")?;
        let programs = std::env::var_os("KEYTURN_TEST_POSTGRES_BIN").map(PathBuf::from);
        Ok(Some(Self { postgres_url, redis_url, programs }))
    }

    /// `GET` of one key from 64 clients, one request in flight each.
    fn redis_get(&self, length: Duration) -> Result<Round> {
        // redis-benchmark counts requests, not seconds: this is about a third of the time.
        let requests = length.as_secs().max(1) * 25_000;
        let address = self.redis_url.trim_start_matches("redis://").split('/').next().unwrap_or_default();
        let (host, port) = address.split_once(':').ok_or("KEYTURN_TEST_REDIS_URL is not redis://HOST:PORT")?;
        let mut command = Command::new("redis-benchmark");
        command.args(["-h", host, "-p", port, "-t", "get", "--csv", "-c", &CLIENTS.to_string()]);
        let table = output(command.args(["-n", &requests.to_string()]))?;
        let mut lines = table.lines().map(|line| line.split(',').map(|cell| cell.trim_matches('"')));
        let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
            return Err(format!("redis-benchmark printed no table: {table}").into());
        };
        let cells: Vec<_> = names.zip(values).collect();
        let cell = |wanted: &str| -> Result<f64> {
            let (_, value) = cells.iter().find(|(name, _)| *name == wanted).ok_or("redis-benchmark lacks a column")?;
            Ok(value.parse()?)
        };
        let (p50, p99) = (cell("p50_latency_ms")? * 1e3, cell("p99_latency_ms")? * 1e3);
        Ok(Round { rate: cell("rps")?, p50, p99, server_cpu: None, client_cpu: None })
    }

    fn program(&self, name: &str) -> Command {
        let path = self.programs.as_ref().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        let mut command = Command::new(path);
        // keyturn's tables are in a schema of their own.
        command.env("PGOPTIONS", "-c search_path=keyturn,public");
        command
    }

    /// Each statement in a transaction of its own.
    fn psql(&self, url: &str, statements: &[&str]) -> Result<String> {
        let mut command = self.program("psql");
        command.args(["-X", "-q", "-A", "-t", "-F", " ", "-v", "ON_ERROR_STOP=1", "-d", url]);
        for statement in statements {
            command.args(["-c", statement]);
        }
        Ok(output(&mut command)?.trim().to_owned())
    }
}

impl Database {
    pub fn create(servers: Servers) -> Result<Self> {
        let name = format!("keyturn_load_{}", random_hex(8)?);
        servers.psql(&servers.postgres_url, &[&format!("CREATE DATABASE {name}")])?;
        Ok(Self { servers, name })
    }

    pub fn url(&self) -> String {
        let url = &self.servers.postgres_url;
        let (server, options) = url.split_once('?').map_or((url.as_str(), None), |(url, options)| (url, Some(options)));
        let server = server.rsplit_once('/').map_or(server, |(server, _database)| server);
        match options {
            Some(options) => format!("{server}/{}?{options}", self.name),
            None => format!("{server}/{}", self.name),
        }
    }

    pub fn redis_url(&self) -> &str {
        &self.servers.redis_url
    }

    pub fn redis_get(&self, length: Duration) -> Result<Round> {
        self.servers.redis_get(length)
    }

    /// The version, and the settings that decide what a commit costs.
    pub fn describe(&self) -> Result<String> {
        self.psql(&["SELECT format('PostgreSQL %s (fsync %s, synchronous_commit %s)', \
             split_part(current_setting('server_version'), ' ', 1), \
             current_setting('fsync'), current_setting('synchronous_commit'))"])
    }

    /// Which share of the updates so far touched no index, in percent: of keyturn's table and of pgbench's.
    pub fn hot_updates(&self) -> Result<String> {
        self.psql(&["SELECT string_agg(format('%s %s %%', relname, n_tup_hot_upd * 100 / n_tup_upd), \
             ', ' ORDER BY relname DESC) \
             FROM pg_stat_user_tables WHERE relname IN ('sessions', 'bench_sessions') AND n_tup_upd > 0"])
    }

    /// Keeps the sessions as they are, for [`Pgbench::prepare`] to see what a refresh changes.
    pub fn remember_sessions(&self) -> Result<()> {
        self.psql(&["CREATE TABLE bench_before AS SELECT * FROM sessions"]).map(drop)
    }

    fn psql(&self, statements: &[&str]) -> Result<String> {
        self.servers.psql(&self.url(), statements)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        if let Err(error) = self.servers.psql(&self.servers.postgres_url, &[&drop]) {
            eprintln!("database {} stays behind: {error}", self.name);
        }
    }
}

/// The same table with the same options, holding the sessions refreshed since `bench_before` and a number for each, by
/// which pgbench can pick one. `LIKE` copies everything but the options, where the fill factor is.
const COPY: [&str; 6] = [
    "CREATE TABLE bench_sessions (LIKE sessions INCLUDING ALL, n integer)",
    "DO $$
    DECLARE options text;
    BEGIN
        SELECT array_to_string(reloptions, ', ') INTO options FROM pg_class WHERE oid = 'sessions'::regclass;
        IF options IS NOT NULL THEN EXECUTE format('ALTER TABLE bench_sessions SET (%s)', options); END IF;
    END $$",
    "INSERT INTO bench_sessions
    SELECT s.*, row_number() OVER () - 1 FROM sessions s JOIN bench_before b USING (id)
    WHERE to_jsonb(s) <> to_jsonb(b)",
    "CREATE INDEX ON bench_sessions (n)",
    "VACUUM ANALYZE bench_sessions",
    "SELECT count(*) FROM bench_sessions",
];

/// One assignment for each column in which a refreshed session differs from what it was: found out, not written down,
/// so that it follows the schema. The new values are as wide as the old ones and cost next to nothing to compute.
const ASSIGNMENTS: &str = "\
WITH changed AS (
    SELECT DISTINCT new.key FROM sessions s JOIN bench_before b USING (id), jsonb_each(to_jsonb(s)) AS new
    WHERE to_jsonb(b) -> new.key IS DISTINCT FROM new.value
)
SELECT string_agg(format(
    CASE data_type
        WHEN 'bytea' THEN '%1$I = substr(%1$I, 2) || substr(%1$I, 1, 1)'
        WHEN 'uuid' THEN '%1$I = gen_random_uuid()'
        WHEN 'timestamp with time zone' THEN '%1$I = %1$I + interval ''1 millisecond'''
        WHEN 'bigint' THEN '%1$I = %1$I + 1'
        WHEN 'integer' THEN '%1$I = %1$I + 1'
        ELSE '%1$I = %1$I'
    END, column_name), ', ' ORDER BY ordinal_position)
FROM information_schema.columns JOIN changed ON key = column_name
WHERE table_schema = current_schema() AND table_name = 'sessions'";

impl Pgbench {
    /// Wants every session to be measured refreshed once since [`Database::remember_sessions`].
    pub fn prepare(database: &Database, sessions: usize) -> Result<Self> {
        let copied: usize = database.psql(&COPY)?.parse()?;
        if copied != sessions {
            return Err(format!("{sessions} sessions were refreshed, but {copied} rows of the table changed").into());
        }
        let assignments = database.psql(&[ASSIGNMENTS])?;
        database.psql(&["DROP TABLE bench_before"])?;

        // Each client has rows of its own, as each connection has sessions of its own: nobody waits for a row's lock.
        let share = sessions / CLIENTS;
        let statement = format!("UPDATE bench_sessions SET {assignments} WHERE n = :n");
        let script = format!("\\set n :client_id * {share} + random(0, {})\n{statement};\n", share.saturating_sub(1));
        let folder = Folder::new()?;
        std::fs::write(folder.path().join("refresh.sql"), script)?;
        Ok(Self { folder, statement })
    }

    /// Prepared protocol, a commit for each statement.
    pub fn run(&self, database: &Database, length: Duration) -> Result<Round> {
        let threads = std::thread::available_parallelism()?.to_string();
        let seconds = length.as_secs_f64().ceil().to_string();
        let mut command = database.servers.program("pgbench");
        command.current_dir(self.folder.path()).args(["--no-vacuum", "--protocol=prepared", "--file=refresh.sql"]);
        command.args(["--client", &CLIENTS.to_string(), "--jobs", &threads, "--time", &seconds]);
        // Latencies of every tenth transaction: enough for a p99, too few to be felt.
        command.args(["--log", "--log-prefix=latencies", "--sampling-rate=0.1", &database.url()]);
        let summary = output(&mut command)?;
        let rate = summary.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        let rate = rate.ok_or_else(|| format!("pgbench printed no rate: {summary}"))?.parse()?;
        let micros = self.take_latencies()?;
        let (p50, p99) = (percentile(&micros, 50), percentile(&micros, 99));
        Ok(Round { rate, p50, p99, server_cpu: None, client_cpu: None })
    }

    /// Reads and removes the logs, one for each thread: client, transaction, microseconds, and more.
    fn take_latencies(&self) -> Result<Vec<u32>> {
        let mut micros = Vec::new();
        for entry in std::fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("latencies.")) {
                for line in std::fs::read_to_string(&path)?.lines() {
                    micros.push(line.split(' ').nth(2).ok_or("a pgbench log without latencies")?.parse()?);
                }
                std::fs::remove_file(&path)?;
            }
        }
        micros.sort_unstable();
        Ok(micros)
    }
}
