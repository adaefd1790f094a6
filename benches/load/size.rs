//! What the size of the database costs: the same requests to a server with an empty database and to one with a full
//! one, side by side.

use std::sync::Arc;
use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Text;
use keyturn::config;
use keyturn::db::Conn;

use crate::Result;
use crate::lanes::{self, Account, Session, Work, deal};
use crate::report::{Bound, Report};
use crate::server::{Backend, Server};

const ACCOUNTS: usize = 16;
const SESSIONS_EACH: usize = 4;
const CONNECTIONS: usize = 8;

/// Audited events of an empty database: as many as fill each page that is asked for, so that both sides answer alike.
const NEARLY_EMPTY: u64 = 1000;

const REFRESH: (&str, &str) = ("refresh, empty database", "refresh, full database");

/// What is asked for, at the empty and at the full database.
const PAGES: [(&str, &str, &str); 4] = [
    ("/api/v1/sessions", "own sessions, empty database", "own sessions, full database"),
    ("/api/v1/sessions/audit", "own audit page, empty database", "own audit page, full database"),
    ("/api/v1/admin/audit", "everybody's audit page, empty database", "everybody's audit page, full database"),
    (
        "/api/v1/admin/audit?status=failure&event_type=login.failed",
        "everybody's failed logins, empty database",
        "everybody's failed logins, full database",
    ),
];

/// The pages for browsers, each with the longest time in which it is to be there, in milliseconds.
const BROWSER_PAGES: [(&str, &str, f64); 6] = [
    ("/account/sessions", "page of 50 own sessions, full database", 10.0),
    ("/account/activity", "page of own activity, full database", 10.0),
    ("/admin/users", "console: people, full database", 100.0),
    ("/admin/users?q=size-5", "console: people found, full database", 100.0),
    ("/admin/sessions", "console: sessions, full database", 100.0),
    ("/admin/audit", "console: audit log, full database", 100.0),
];

/// The sessions of the person whose list a browser shows.
const LISTED: usize = 50;

/// A server on a backend of its own, with the sessions that ask it.
struct Side {
    /// Before the backend, so that it is ended before its data is removed.
    server: Server,
    _backend: Backend,
    sessions: Vec<Session>,
    /// The cookie of an administrator with [`LISTED`] sessions.
    cookie: Arc<str>,
}

/// Measures `rounds` times on `empty` and on `full`, into which `rows` audited events, as many sessions and a tenth as
/// many accounts are put.
pub async fn run(
    (empty, full): (Backend, Backend),
    rows: u64,
    length: Duration,
    rounds: usize,
    report: &mut Report,
) -> Result<()> {
    let name = empty.name();
    let mut sides = [Side::new(empty, NEARLY_EMPTY).await?, Side::new(full, rows).await?];
    for round in 1..=rounds {
        eprintln!("{name}, size, round {round} of {rounds}");
        for (path, at_empty, at_full) in PAGES {
            for (side, what) in sides.iter_mut().zip([at_empty, at_full]) {
                side.load(name, what, length, |sessions| Work::Get(path, sessions), report).await?;
            }
        }
        for (side, what) in sides.iter_mut().zip([REFRESH.0, REFRESH.1]) {
            side.load(name, what, length, Work::Refresh, report).await?;
        }
    }
    for (at_empty, at_full) in PAGES.iter().map(|(_, empty, full)| (*empty, *full)).chain([REFRESH]) {
        let ratio = report.ratio(name, (at_full, CONNECTIONS), (at_empty, CONNECTIONS), |round| round.p50);
        report.goal(name, format!("p50 of {at_full} / empty"), ratio, Bound::AtMost(1.5));
    }
    let [_, full] = &sides;
    for (path, what, longest) in BROWSER_PAGES {
        full.show(name, (path, what), length, report).await?;
        report.goal(
            name,
            format!("p99 of {what}, ms"),
            report.figures(name, (what, 1), |round| round.p99 / 1000.0),
            Bound::AtMost(longest),
        );
    }
    report.note(format!("{name}, full: {rows} audited events, {rows} sessions, {} accounts", rows / 10));
    Ok(())
}

impl Side {
    async fn new(backend: Backend, rows: u64) -> Result<Self> {
        let server = Server::keyturn(&backend).await?;
        let mut conn = Conn::open(&database(&backend))?;
        eprintln!("{}: putting in {rows} audited events", backend.name());
        fill(&mut conn, rows)?;
        let accounts = (0..ACCOUNTS).map(Account::new).collect::<Result<Vec<_>>>()?;
        let hands = deal(accounts.clone(), CONNECTIONS);
        lanes::complete(server.address, hands.into_iter().map(Work::Register)).await?;
        conn.batch_execute("UPDATE users SET roles = '[\"user\",\"admin\"]' WHERE email LIKE 'load-%'")?;
        let logins = accounts.iter().cycle().take(ACCOUNTS * SESSIONS_EACH).cloned();
        let hands = deal(logins, CONNECTIONS);
        let sessions = lanes::complete(server.address, hands.into_iter().map(Work::Login)).await?;
        let owner = accounts.first().ok_or("there are no accounts")?;
        let others = LISTED - SESSIONS_EACH - 2;
        lanes::complete(server.address, [Work::Login(vec![owner.clone(); others])].into_iter()).await?;
        let cookie = lanes::log_in_on_page(server.address, owner).await?;
        Ok(Self { server, _backend: backend, sessions, cookie })
    }

    /// Asks for a page for browsers, one after the other.
    async fn show(
        &self,
        backend: &'static str,
        (path, what): (&'static str, &'static str),
        length: Duration,
        report: &mut Report,
    ) -> Result<()> {
        let work = Work::Page(path, Arc::clone(&self.cookie));
        for outcome in lanes::measure(&self.server, length, vec![vec![work]]).await? {
            for (failure, count) in outcome.failures {
                report.fail(format!("{backend}: {what}: {failure}"), count);
            }
            report.record(backend, what, 1, outcome.round);
        }
        Ok(())
    }

    async fn load(
        &mut self,
        backend: &'static str,
        what: &'static str,
        length: Duration,
        work: impl Fn(Vec<Session>) -> Work,
        report: &mut Report,
    ) -> Result<()> {
        let works = deal(std::mem::take(&mut self.sessions), CONNECTIONS).into_iter().map(work).collect();
        for outcome in lanes::measure(&self.server, length, vec![works]).await? {
            for (failure, count) in outcome.failures {
                report.fail(format!("{backend}: {what}: {failure}"), count);
            }
            report.record(backend, what, CONNECTIONS, outcome.round);
            self.sessions.extend(outcome.sessions);
        }
        Ok(())
    }
}

fn database(backend: &Backend) -> config::Database {
    match backend {
        Backend::Embedded(folder) => config::Database::Sqlite { path: folder.path().join("data/keyturn.db") },
        Backend::Postgres(_, database) => {
            config::Database::Postgres { url: database.url().into(), schema: "keyturn".to_owned() }
        }
    }
}

#[derive(diesel::QueryableByName)]
struct Definition {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    sql: String,
}

/// Fills the tables in the order of time, as years of use would, and builds their indexes afterwards.
fn fill(conn: &mut Conn, rows: u64) -> Result<()> {
    let (indexes, statements) = match conn {
        Conn::Postgres(_) => (
            "SELECT indexname::text AS name, indexdef AS sql FROM pg_indexes \
             WHERE schemaname = current_schema() AND tablename IN ('audit_log', 'sessions') \
             AND indexname NOT LIKE '%_pkey'",
            &POSTGRES[..],
        ),
        Conn::Sqlite(_) => (
            "SELECT name, sql FROM sqlite_master \
             WHERE type = 'index' AND tbl_name IN ('audit_log', 'sessions') AND sql IS NOT NULL",
            &SQLITE[..],
        ),
    };
    let indexes: Vec<Definition> = diesel::sql_query(indexes).load(conn)?;
    for index in &indexes {
        conn.batch_execute(&format!("DROP INDEX {}", index.name))?;
    }
    for statement in statements {
        let statement = statement.replace("EVENTS", &rows.to_string());
        let statement = statement.replace("SESSIONS", &rows.to_string());
        conn.batch_execute(&statement.replace("ACCOUNTS", &(rows / 10).max(1).to_string()))?;
    }
    for index in &indexes {
        conn.batch_execute(&index.sql)?;
    }
    conn.batch_execute("ANALYZE")?;
    Ok(())
}

/// Ids are made of numbers, so that rows find each other; those of events also of their time, three seconds apart. One
/// event in ten is a login that failed.
const POSTGRES: [&str; 4] = [
    "INSERT INTO users (id, email, email_normalized, password_hash, roles, created_at, password_changed_at) \
     SELECT md5('user' || n)::uuid, 'size-' || n || '@example.com', 'size-' || n || '@example.com', '-', '[\"user\"]', \
     now() - interval '1 year', now() - interval '1 year' FROM generate_series(0, ACCOUNTS - 1) AS n",
    "INSERT INTO sessions (id, user_id, created_at, authenticated_at, last_active_at, expires_at, ends_at, generation, \
     revision, token_digest, issued_at, access_expires_at, access_jti, ip, user_agent, device, amr, client_id) \
     SELECT md5('session' || n)::uuid, md5('user' || n % ACCOUNTS)::uuid, at, at, at, at + interval '7 days', \
     at + interval '30 days', 0, 0, sha256(n::text::bytea), at, at, md5('token' || n)::uuid, '192.0.2.1', \
     'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', \
     '{\"type\": \"desktop\", \"os\": \"Linux\", \"browser\": \"Firefox\", \"label\": \"Firefox on Linux\"}', \
     '[\"pwd\"]', 'keyturn' \
     FROM (SELECT n, now() - n * interval '2 seconds' AS at FROM generate_series(SESSIONS, 1, -1) AS n) AS numbers",
    "INSERT INTO audit_log (id, at, event, outcome, user_id, session_id, ip, user_agent, request_id, metadata) \
     SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000' || '8' || \
     lpad(to_hex(n), 15, '0'))::uuid, \
     at, CASE WHEN n % 10 = 0 THEN 'login.failed' ELSE 'login.succeeded' END, \
     CASE WHEN n % 10 = 0 THEN 'failure' ELSE 'success' END, md5('user' || n % ACCOUNTS)::uuid, \
     md5('session' || n % SESSIONS)::uuid, '192.0.2.1', \
     'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'request-' || n, '{}' \
     FROM (SELECT n, now() - n * interval '3 seconds' AS at FROM generate_series(EVENTS, 1, -1) AS n) AS numbers",
    "VACUUM",
];

const SQLITE: [&str; 3] = [
    "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ACCOUNTS) \
     INSERT INTO users (id, email, email_normalized, password_hash, roles, created_at, password_changed_at) \
     SELECT CAST(printf('user%012d', n) AS BLOB), 'size-' || n || '@example.com', 'size-' || n || '@example.com', '-', \
     '[\"user\"]', 1700000000000, 1700000000000 FROM numbers",
    "WITH RECURSIVE numbers(n, at) AS (SELECT SESSIONS, unixepoch() * 1000 - SESSIONS * 2000 \
     UNION ALL SELECT n - 1, at + 2000 FROM numbers WHERE n > 1) \
     INSERT INTO sessions (id, user_id, created_at, authenticated_at, last_active_at, expires_at, ends_at, generation, \
     revision, token_digest, issued_at, access_expires_at, access_jti, ip, user_agent, device, amr, client_id) \
     SELECT CAST(printf('sess%012d', n) AS BLOB), CAST(printf('user%012d', n % ACCOUNTS) AS BLOB), at, at, at, \
     at + 604800000, at + 2592000000, 0, 0, randomblob(32), at, at, CAST(printf('jti-%012d', n) AS BLOB), '192.0.2.1', \
     'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', \
     '{\"type\": \"desktop\", \"os\": \"Linux\", \"browser\": \"Firefox\", \"label\": \"Firefox on Linux\"}', \
     '[\"pwd\"]', 'keyturn' FROM numbers",
    "WITH RECURSIVE numbers(n, at) AS (SELECT EVENTS, unixepoch() * 1000 - EVENTS * 3000 \
     UNION ALL SELECT n - 1, at + 3000 FROM numbers WHERE n > 1) \
     INSERT INTO audit_log (id, at, event, outcome, user_id, session_id, ip, user_agent, request_id, metadata) \
     SELECT unhex(printf('%012x70008%015x', at, n)), at, \
     CASE WHEN n % 10 = 0 THEN 'login.failed' ELSE 'login.succeeded' END, \
     CASE WHEN n % 10 = 0 THEN 'failure' ELSE 'success' END, CAST(printf('user%012d', n % ACCOUNTS) AS BLOB), \
     CAST(printf('sess%012d', n % SESSIONS) AS BLOB), '192.0.2.1', \
     'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'request-' || n, '{}' FROM numbers",
];
