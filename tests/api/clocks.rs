//! A server whose clock is not that of the database: it deletes and keeps what the database's clock says, tells that it
//! is not ready, and issues nothing by a clock that is far off.

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use keyturn::clock::Clock;
use keyturn::db::schema::{revocations, sessions};
use keyturn::types::{SessionId, Timestamp};
use serde_json::json;

use crate::support::process::command;
use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Process, Server, until};

scaled_only! {
    a_server_ahead_deletes_nothing_and_issues_nothing,
    a_server_behind_writes_revocations_that_last,
    a_few_seconds_are_told_and_cost_nothing_else,
    old_rows_are_deleted_by_the_clock_of_the_database,
    the_log_tells_when_the_clocks_differ_and_when_they_agree_again,
}

both_backends! {
    the_time_that_passes_for_all_is_no_difference,
}

const DAY: i64 = 86_400_000;
const MINUTE: i64 = 60_000;

/// Every second, and rows are kept for as short as can be.
const SWEEPING: [(&str, &str); 3] = [("SWEEP_INTERVAL", "1"), ("SESSION_RETENTION", "0"), ("AUDIT_RETENTION", "86400")];

async fn until_clock_is(server: &Endpoint, state: &str) {
    until(&format!("the clock to be {state}"), async || {
        let answer = server.get("/health/ready").send().await;
        let ready = answer.json();
        assert_eq!(answer.status == 200, ready["clock"] == "synchronized", "{ready}");
        assert_eq!(ready["status"] == "unavailable", ready["clock"] == "skewed", "{ready}");
        assert_eq!(ready["database"], "postgres", "{ready}");
        (ready["clock"] == state).then_some(())
    })
    .await;
}

/// Waits until a server has had the occasion to delete old rows: it says so by a row that nobody needs any more.
async fn until_old_rows_are_deleted(server: &Server) {
    let user = uuid();
    server.sql(&format!(
        "INSERT INTO revocations (session_id, user_id, reason, revoked_at, expires_at) \
         VALUES ('{user}', '{user}', 'logout', now() - interval '2 days', now() - interval '1 day')"
    ));
    until("old rows to be deleted", async || {
        (server.count(&format!("revocations WHERE user_id = '{user}'")) == 0).then_some(())
    })
    .await;
}

fn uuid() -> String {
    uuid::Builder::from_random_bytes(keyturn::random::Random.bytes()).into_uuid().to_string()
}

async fn a_server_ahead_deletes_nothing_and_issues_nothing(deployment: Arc<Deployment>) {
    let right = Server::start(&deployment, &SWEEPING, Clock::default()).await;
    let tokens = right.register().await;
    let events = right.count("audit_log");
    let ahead = Clock::default();
    ahead.set_wrong(400 * DAY);
    let wrong = Server::start(&deployment, &SWEEPING, ahead).await;
    until_clock_is(&wrong, "skewed").await;
    until_old_rows_are_deleted(&right).await;
    assert_eq!(right.count("sessions"), 1);
    assert_eq!(right.count("audit_log"), events);
    assert_issues_nothing(&wrong, &tokens.email, &tokens.refresh).await;
    assert_eq!(right.count("users"), 1);
    // It was not revoked, and the other server goes on with it.
    let tokens = right.refreshed(&tokens).await;
    wrong.clock.set_wrong(0);
    until_clock_is(&wrong, "synchronized").await;
    let tokens = wrong.refreshed(&tokens).await;
    wrong.login(&tokens.email).await;
    right.verify(&tokens.access).await.assert_status(200);
}

async fn assert_issues_nothing(server: &Endpoint, email: &str, refresh_token: &str) {
    let person = json!({"email": format!("person-{}@example.com", uuid()), "password": PASSWORD});
    let refused = [
        server.refresh(refresh_token).await,
        server.try_login(email, PASSWORD).await,
        server.post("/api/v1/auth/register").json(&person).send().await,
    ];
    for answer in refused {
        answer.assert_problem(503, "clock_skew");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
}

async fn a_server_behind_writes_revocations_that_last(deployment: Arc<Deployment>) {
    let settings = [&SWEEPING[..], &[("ACCESS_TOKEN_TTL", "3600")]].concat();
    let right = Server::start(&deployment, &settings, Clock::default()).await;
    let behind = Server::start(&deployment, &settings, Clock::default()).await;
    let tokens = right.register().await;
    // A token that has begun by either clock.
    for server in [&right, &behind] {
        server.advance(25 * 60);
    }
    right.verify(&tokens.access).await.assert_status(200);
    behind.clock.set_wrong(-20 * MINUTE);
    until_clock_is(&behind, "skewed").await;
    behind.logout(&tokens.access).await.assert_status(204);
    let now = right.clock.now();
    let revoked_at = right.session(tokens.session).revoked_at.unwrap();
    assert!(now.since(revoked_at) < Duration::from_secs(60), "{revoked_at} is not {now}");
    until_old_rows_are_deleted(&right).await;
    let lasts: Vec<Timestamp> = revocations::table.select(revocations::expires_at).load(&mut right.conn()).unwrap();
    assert!(matches!(lasts[..], [until] if until.since(now) >= Duration::from_secs(35 * 60)), "{lasts:?}");
    // A server that has read nothing yet finds it, too.
    for server in [&right, &right.another().await] {
        server.verify(&tokens.access).await.assert_problem(401, "invalid_token");
    }
}

async fn a_few_seconds_are_told_and_cost_nothing_else(server: Server) {
    let tokens = server.register().await;
    for millis in [-20_000, 20_000] {
        server.clock.set_wrong(millis);
        until_clock_is(&server, "skewed").await;
        server.login(&tokens.email).await;
    }
    server.clock.set_wrong(0);
    until_clock_is(&server, "synchronized").await;
}

async fn the_time_that_passes_for_all_is_no_difference(backend: Backend) {
    let server = Server::with(backend, &[]).await;
    let tokens = server.register().await;
    server.clock.advance(Duration::from_secs(3 * 86_400));
    let ready = server.get("/health/ready").send().await.assert_status(200).json();
    assert_eq!(ready["clock"], "synchronized");
    server.refreshed(&tokens).await;
}

/// Sets the clock of a Postgres database, which has a function of its own for the time, ahead of the real one.
fn set_database_clock(deployment: &Deployment, ahead: &str) {
    deployment.sql(&format!(
        "CREATE SCHEMA IF NOT EXISTS keyturn; \
         CREATE OR REPLACE FUNCTION keyturn.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS \
         $$ SELECT pg_catalog.clock_timestamp() + interval '{ahead}' $$"
    ));
}

/// Gives a Postgres database a function of its own for the time, in the schema where keyturn looks first.
fn give_database_a_clock(deployment: &Deployment) {
    set_database_clock(deployment, "0");
}

async fn old_rows_are_deleted_by_the_clock_of_the_database(deployment: Arc<Deployment>) {
    give_database_a_clock(&deployment);
    let server = Server::start(&deployment, &[], Clock::default()).await;
    let tokens = server.register().await;
    let cleanup = || {
        let output = command(&deployment, &[("SESSION_RETENTION", "0")]).args(["session", "cleanup"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        server.count("sessions")
    };
    let [created, ended] = [40, 30].map(|days| server.clock.now().minus(Duration::from_secs(days * 86_400)));
    let builder = uuid::Builder::from_unix_timestamp_millis(created.as_millis().unsigned_abs(), &[0; 10]);
    diesel::update(sessions::table.find(tokens.session))
        .set((sessions::id.eq(SessionId(builder.into_uuid())), sessions::ends_at.eq(ended)))
        .execute(&mut deployment.conn())
        .unwrap();
    set_database_clock(&deployment, "-31 days");
    assert_eq!(cleanup(), 1);
    set_database_clock(&deployment, "-29 days");
    assert_eq!(cleanup(), 0);
}

async fn the_log_tells_when_the_clocks_differ_and_when_they_agree_again(deployment: Arc<Deployment>) {
    give_database_a_clock(&deployment);
    set_database_clock(&deployment, "-40 days");
    let server = Process::start(&deployment, &[]);
    until_clock_is(&server, "skewed").await;
    set_database_clock(&deployment, "0");
    until_clock_is(&server, "synchronized").await;
    set_database_clock(&deployment, "7 seconds");
    until_clock_is(&server, "skewed").await;
    let told = |text: &str| server.log().matches(text).count();
    until("both changes to be logged", async || {
        (told("differs from that of the database") == 2 && told("agrees with that of the database again") == 1)
            .then_some(())
    })
    .await;
}
