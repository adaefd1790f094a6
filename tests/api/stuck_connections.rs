//! Connections to Postgres that stay open and answer nothing any more, while new ones work: nobody is logged out, and
//! all is well again without a restart.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use keyturn::clock::Clock;
use keyturn::config::Database;
use keyturn::db::{Channel, DbResult, Pooling, Purpose};
use serde_json::json;
use zeroize::Zeroizing;

use crate::support::http::at_once;
use crate::support::proxy::Wire;
use crate::support::servers::Postgres;
use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Proxy, Request, Server, Tokens, until, variable};

scaled_only! {
    connections_that_became_dead_ends_are_replaced,
    as_many_connections_are_left_behind_as_there_are_places_and_no_more,
    a_stuck_backend_of_the_rotation_does_not_stop_refreshes,
    a_transaction_whose_client_is_gone_holds_its_locks_for_seconds,
    every_connection_has_its_timeouts,
}

/// The connections of a server's pool.
const POOL: usize = 16;

const UNLIMITED: [(&str, &str); 4] = [
    ("LIMIT_LOGIN_ACCOUNT", "off"),
    ("LIMIT_LOGIN_ADDRESS", "off"),
    ("LIMIT_REFRESH_SESSION", "off"),
    ("LIMIT_REFRESH_ADDRESS", "off"),
];

/// A server whose connections to Postgres, not to Redis, lead through a proxy.
async fn behind_proxy(deployment: &Arc<Deployment>) -> (Proxy, Server) {
    let (proxy, url) = Proxy::before(&deployment.database_url()).await;
    let settings = [&UNLIMITED[..], &[("DATABASE_URL", url.as_str())]].concat();
    let server = Server::start(deployment, &settings, Clock::default()).await;
    (proxy, server)
}

/// Asks for so much at once that every connection of the pool has work. Returns the statuses.
async fn occupy_pool(server: &Endpoint, tokens: &Tokens) -> Vec<u16> {
    let list: Vec<Request> = (0..POOL + 4).map(|_| server.get("/api/v1/sessions").bearer(&tokens.access)).collect();
    at_once(list).await.iter().map(|answer| answer.status).collect()
}

async fn until_logins_and_refreshes_work(server: &Endpoint, tokens: &Tokens) -> Tokens {
    let (answer, _) = server.refreshing(&tokens.refresh).persist().await;
    let tokens = Tokens::of(answer.assert_status(200));
    let login = server.post("/api/v1/auth/login").json(&json!({"email": tokens.email, "password": PASSWORD}));
    login.persist().await.0.assert_status(200);
    until("the server to be ready", async || (server.get("/health/ready").send().await.status == 200).then_some(()))
        .await;
    // And it stays so: each of these would meet a connection that is stuck.
    assert!(occupy_pool(server, &tokens).await.iter().all(|status| *status == 200));
    server.refreshed(&tokens).await
}

async fn connections_that_became_dead_ends_are_replaced(deployment: Arc<Deployment>) {
    let (proxy, server) = behind_proxy(&deployment).await;
    let mut tokens = server.register().await;
    tokens = server.refreshed(&tokens).await;
    assert!(occupy_pool(&server, &tokens).await.iter().all(|status| *status == 200));
    proxy.swallow();
    // The refresh meets the dead connection of the rotation, the others those of the pool.
    let (refresh, others) = tokio::join!(server.refresh(&tokens.refresh), occupy_pool(&server, &tokens));
    assert!(matches!(refresh.status, 200 | 503), "{refresh:?}");
    assert!(others.iter().all(|status| matches!(status, 200 | 503)), "{others:?}");
    until_logins_and_refreshes_work(&server, &tokens).await;
    assert_eq!(server.count("revocations"), 0);
}

async fn as_many_connections_are_left_behind_as_there_are_places_and_no_more(deployment: Arc<Deployment>) {
    let (proxy, server) = behind_proxy(&deployment).await;
    let tokens = server.register().await;
    let own = "pg_stat_activity WHERE application_name = 'keyturn' AND datname = current_database()";
    let is_ready = async || server.get("/health/ready").send().await.status == 200;
    let mut rounds = 0;
    while is_ready().await {
        rounds += 1;
        assert!(rounds < 12, "connections are left behind without a limit");
        let mut lock = server.conn();
        lock.batch_execute("BEGIN; LOCK TABLE sessions").unwrap();
        let requests = tokio::spawn({
            let (server, tokens) = (Endpoint::clone(&server), tokens.clone());
            async move { occupy_pool(&server, &tokens).await }
        });
        until("all connections to be at work", async || {
            let waiting = server.count(&format!("{own} AND wait_event_type = 'Lock'"));
            (waiting >= i64::try_from(POOL - 2).unwrap() || requests.is_finished()).then_some(())
        })
        .await;
        proxy.swallow();
        lock.batch_execute("ROLLBACK").unwrap();
        assert!(requests.await.unwrap().contains(&503));
    }
    // Two pools are left behind, and the third waits for its own connections.
    assert!(rounds >= 3, "{rounds}");
    // With the threads that rotate and wait for revocations, and the test itself.
    assert!(server.count(own) <= i64::try_from(3 * POOL + 3).unwrap());
    proxy.set(Wire::Cut);
    // But for the test's own.
    until("all connections to be cut", async || (server.count(own) <= 1).then_some(())).await;
    proxy.set(Wire::Open);
    until_logins_and_refreshes_work(&server, &tokens).await;
}

/// Sends a signal to a backend of Postgres.
fn signal(pid: &str, name: &str) {
    assert!(Command::new("kill").arg("-s").arg(name).arg(pid).status().unwrap().success());
}

async fn a_stuck_backend_of_the_rotation_does_not_stop_refreshes(_: Backend) {
    // The test's own: to remove a database, Postgres waits for every backend.
    let postgres = Postgres::start(&[]);
    let deployment = Deployment::on(&postgres.url(), &variable("KEYTURN_TEST_REDIS_URL"));
    let server = Server::start(&deployment, &UNLIMITED, Clock::default()).await;
    let mut tokens = server.register().await;
    tokens = server.refreshed(&tokens).await;
    let backends = "SELECT pid::text AS text FROM pg_stat_activity WHERE application_name = 'keyturn' \
                    AND datname = current_database() AND query LIKE 'UPDATE sessions SET generation%'";
    let [backend]: [String; 1] = server.texts(backends).try_into().unwrap();
    signal(&backend, "STOP");
    // The first refresh is in the stuck batch. Those that wait behind it are carried out by the next thread.
    let others: Vec<Tokens> = vec![server.register().await, server.register().await];
    let stuck = tokio::spawn(server.refreshing(&tokens.refresh).send());
    let behind = at_once(others.iter().map(|tokens| server.refreshing(&tokens.refresh))).await;
    assert!(behind.iter().all(|answer| matches!(answer.status, 200 | 503)), "{behind:?}");
    let stuck = stuck.await.unwrap();
    assert!(matches!(stuck.status, 200 | 503), "{stuck:?}");
    for tokens in others.iter().chain([&tokens]) {
        let (answer, _) = server.refreshing(&tokens.refresh).persist().await;
        let next = Tokens::of(answer.assert_status(200));
        server.refreshed(&next).await;
    }
    // What was left behind ends once it can, and what it carries out late forks nothing.
    signal(&backend, "CONT");
    until("the stuck connection to end", async || {
        server
            .texts(&format!("SELECT pid::text AS text FROM pg_stat_activity WHERE pid = {backend}"))
            .is_empty()
            .then_some(())
    })
    .await;
    for tokens in &others {
        assert_eq!(server.session(tokens.session).revoked_at, None);
    }
    assert_eq!(server.count("revocations"), 0);
}

async fn a_transaction_whose_client_is_gone_holds_its_locks_for_seconds(server: Server) {
    let tokens = server.register().await;
    let mut gone = server.conn();
    let session = server.literal(tokens.session.0);
    gone.batch_execute(&format!("BEGIN; UPDATE sessions SET name = 'held' WHERE id = {session}")).unwrap();
    server.refresh(&tokens.refresh).await.assert_problem(503, "database_unavailable");
    let (answer, _) = server.refreshing(&tokens.refresh).persist().await;
    answer.assert_status(200);
    assert_eq!(server.session(tokens.session).name, None);
}

#[derive(QueryableByName)]
struct Settings {
    #[diesel(sql_type = Text)]
    text: String,
}

async fn every_connection_has_its_timeouts(deployment: Arc<Deployment>) {
    let database = Database::Postgres { url: Zeroizing::new(deployment.database_url()), schema: "keyturn".to_owned() };
    let settings = "SELECT concat_ws(' ', current_setting('idle_in_transaction_session_timeout'), \
                    current_setting('statement_timeout'), current_setting('lock_timeout')) AS text";
    let read = |pooling, purpose| {
        let mut channel = Channel::open(&database, pooling, purpose).unwrap();
        let read: DbResult<Settings> = channel.run(|conn| Ok(diesel::sql_query(settings).get_result(conn)?));
        read.unwrap().text
    };
    for pooling in [Pooling::None, Pooling::Transactions] {
        assert_eq!(read(pooling, Purpose::Setup), "10s 0 0");
        assert_eq!(read(pooling, Purpose::Operations), "10s 10s 1s");
        assert_eq!(read(pooling, Purpose::Batches(Duration::from_millis(100))), "10s 10s 100ms");
    }
}
