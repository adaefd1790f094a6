//! What a refresh costs in Postgres: one statement for each batch, one row changed in its place, none added.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyturn::clock::Clock;

use crate::support::http::at_once;
use crate::support::servers::Postgres;
use crate::support::{Deployment, Server, Tokens, until, variable};

scaled_only! {
    a_thousand_refreshes_of_one_session_are_a_thousand_statements_that_touch_no_index_and_add_no_row,
    refreshes_at_once_share_statements,
}

const NO_LIMITS: [(&str, &str); 3] =
    [("LIMIT_REFRESH_SESSION", "off"), ("LIMIT_REFRESH_ADDRESS", "off"), ("LIMIT_LOGIN_ACCOUNT", "off")];

/// A server on a Postgres that logs each statement with the process that carried it out.
async fn logged() -> (Postgres, Server) {
    let postgres = Postgres::start(&["log_statement=all", "log_line_prefix=%p|%d|", "autovacuum=off"]);
    let deployment = Deployment::on(&postgres.url(), &variable("KEYTURN_TEST_REDIS_URL"));
    let server = Server::start(&deployment, &NO_LIMITS, Clock::default()).await;
    (postgres, server)
}

async fn a_thousand_refreshes_of_one_session_are_a_thousand_statements_that_touch_no_index_and_add_no_row(
    _: Arc<Deployment>,
) {
    let (postgres, server) = logged().await;
    let mut tokens = server.register().await;
    // Opens the connection that rotates.
    tokens = server.refreshed(&tokens).await;
    until_mails_have_left(&server).await;
    let rows = rows(&server);
    let before = postgres.log().len();
    for _ in 0..1000 {
        tokens = server.refreshed(&tokens).await;
    }
    let log = postgres.log();
    assert_eq!(server.session(tokens.session).generation, 1001);
    assert_eq!(self::rows(&server), rows);

    let statements = statements(&log[before..]);
    let rotations = statements.get(ROTATION).copied().unwrap_or_default();
    assert_eq!(rotations, 1000, "{statements:#?}");
    // Beside them only those who look for what is new: in the log of revocations and in the outbox.
    for (statement, count) in statements.iter().filter(|(statement, _)| **statement != ROTATION) {
        assert!(is_of_the_reader(statement), "{count} × {statement}");
    }

    // A connection reports its statistics when it ends, if not before.
    let deployment = Arc::clone(&server.deployment);
    drop(server);
    let hot = until("the statistics", async || {
        let counted = deployment.texts(
            "SELECT n_tup_upd || ' ' || n_tup_hot_upd AS text FROM pg_stat_user_tables WHERE relname = 'sessions'",
        );
        let (all, hot) = counted.first()?.split_once(' ')?;
        (all.parse::<u32>().unwrap() >= 1001).then(|| hot.parse::<u32>().unwrap())
    })
    .await;
    assert!(hot >= 951, "{hot} of 1001 updates were HOT");
}

async fn refreshes_at_once_share_statements(_: Arc<Deployment>) {
    const SESSIONS: usize = 64;
    const ROUNDS: usize = 5;
    let (postgres, server) = logged().await;
    let mut current = vec![server.register().await];
    for _ in 1..SESSIONS {
        current.push(server.login(&current[0].email).await);
    }
    current[0] = server.refreshed(&current[0]).await;
    until_mails_have_left(&server).await;
    let rows = rows(&server);
    let batches = server.metric("keyturn_rotation_batch_count").await;
    let before = postgres.log().len();
    for _ in 0..ROUNDS {
        let answers = at_once(current.iter().map(|tokens| server.refreshing(&tokens.refresh))).await;
        current = answers.iter().map(Tokens::of).collect();
    }
    let log = postgres.log();
    assert_eq!(self::rows(&server), rows);
    let batches = server.metric("keyturn_rotation_batch_count").await - batches;
    let statements = statements(&log[before..]);
    let count = |statement| statements.get(statement).copied().unwrap_or_default();
    assert_eq!(count(ROTATION) + count(BATCH), batches, "{statements:#?}");
    assert!(batches < u64::try_from(SESSIONS * ROUNDS / 2).unwrap(), "{batches} batches");
    assert!(statements.keys().all(|statement| [ROTATION, BATCH].contains(statement) || is_of_the_reader(statement)));
}

/// Registering posts one, and what delivers it are statements too.
async fn until_mails_have_left(server: &Server) {
    until("the outbox to be empty", async || (server.count("outbox") == 0).then_some(())).await;
}

const ROTATION: &str = "UPDATE sessions SET generation";
const BATCH: &str = "UPDATE sessions AS s SET generation";

/// How often each statement was carried out in a test's database, by its beginning.
fn statements(log: &str) -> BTreeMap<&str, u64> {
    let mut statements = BTreeMap::new();
    for line in log.lines() {
        let Some((_, line)) = line.split_once("|keyturn_test_") else { continue };
        let Some((_, line)) = line.split_once("LOG:  ") else { continue };
        let Some((kind, statement)) = line.split_once(": ") else { continue };
        assert!(kind == "statement" || kind.starts_with("execute "), "{line}");
        let known = [ROTATION, BATCH].into_iter().find(|known| statement.starts_with(known));
        *statements.entry(known.unwrap_or(statement)).or_default() += 1;
    }
    statements
}

/// Whether a statement is one of those by which each server follows the log of revocations, the outbox and the signing
/// keys, or opens a connection for that, where several look at the same time.
fn is_of_the_reader(statement: &str) -> bool {
    let looks = |table| statement.starts_with("SELECT") && statement.contains(table);
    // The empty one asks whether the connection still stands.
    statement.is_empty()
        || statement.contains("pg_current_snapshot()::text")
        || statement.contains("clock_timestamp()")
        || looks("FROM \"revocations\"")
        || looks("FROM \"outbox\"")
        || looks("FROM \"signing_keys\"")
        || statement.starts_with("SET ")
}

/// How many rows each table has.
fn rows(server: &Server) -> Vec<(String, i64)> {
    server.tables().into_iter().map(|table| (table.clone(), server.count(&table))).collect()
}
