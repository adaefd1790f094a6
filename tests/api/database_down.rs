//! Postgres gone or not answering, alone or with Redis: nobody is logged out.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::degraded::{
    World, assert_as_it_was, assert_as_it_was_after_a_restart, assert_retryable, ended, entry_key, until_cache_is,
};
use crate::support::http::at_once;
use crate::support::{Backend, Endpoint, PASSWORD, Tokens, random_hex, until};

scaled_only! {
    postgres_down_is_never_a_logout,
    postgres_that_does_not_answer_is_never_a_logout,
    nothing_there_at_all_is_never_a_logout,
}

async fn postgres_down_is_never_a_logout(_: Backend) {
    let mut world = World::with_both();
    let server = world.server().await;
    let mut live = server.register().await;
    let uncached = server.register().await;
    let ended = ended(&server).await;
    server.redis::<()>(&["DEL", &entry_key(uncached.session)]);
    world.postgres().stop();
    for _ in 0..3 {
        assert_no_database(&server, &live, &uncached, &ended).await;
    }
    world.postgres().start_again();
    until_database_is_back(&server).await;
    assert_as_it_was(&server, &mut live, &ended).await;
    server.verify(&uncached.access).await.assert_status(200);
    server.refreshed(&uncached).await;
    server.login(&live.email).await;
    assert_as_it_was_after_a_restart(&world, &mut live, &ended).await;
}

async fn postgres_that_does_not_answer_is_never_a_logout(_: Backend) {
    let mut world = World::with_both();
    let server = world.server().await;
    let mut live = server.register().await;
    let uncached = server.register().await;
    let ended = ended(&server).await;
    server.redis::<()>(&["DEL", &entry_key(uncached.session)]);
    world.postgres().freeze(true);
    let begun = Instant::now();
    assert_no_database(&server, &live, &uncached, &ended).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    world.postgres().freeze(false);
    until_database_is_back(&server).await;
    // A refresh that was under way may have been carried out, which the same token then finds.
    assert_as_it_was(&server, &mut live, &ended).await;
    server.verify(&uncached.access).await.assert_status(200);
    server.login(&live.email).await;
    assert_as_it_was_after_a_restart(&world, &mut live, &ended).await;
}

/// Asserts what a server answers without its database, all at once: what is cached is good, what has ended is refused,
/// and all else is to be tried again.
async fn assert_no_database(server: &Endpoint, live: &Tokens, uncached: &Tokens, ended: &Tokens) {
    let verify = |tokens: &Tokens| server.get("/api/v1/auth/verify").bearer(&tokens.access);
    let account = json!({"email": format!("person-{}@example.com", random_hex::<6>()), "password": PASSWORD});
    let answers = at_once([
        verify(live),
        verify(ended),
        verify(uncached),
        server.refreshing(&live.refresh),
        server.post("/api/v1/auth/login").json(&json!({"email": live.email, "password": PASSWORD})),
        server.post("/api/v1/auth/register").json(&account),
        server.post("/api/v1/auth/logout").bearer(&live.access),
        server.get("/api/v1/sessions").bearer(&live.access),
        server.get("/health/ready"),
        server.get("/health/live"),
    ])
    .await;
    answers[0].assert_status(200);
    answers[1].assert_problem(401, "invalid_token");
    for answer in &answers[2..8] {
        assert_retryable(answer, "database_unavailable");
    }
    let ready = answers[8].assert_status(503).json();
    assert_eq!((&ready["status"], &ready["database"]), (&json!("unavailable"), &json!("unavailable")), "{ready}");
    answers[9].assert_status(200);
}

async fn until_database_is_back(server: &Endpoint) {
    until("the database to be found again", async || {
        let ready = server.get("/health/ready").send().await;
        (ready.status == 200).then(|| assert_eq!(ready.json()["database"], "postgres"))
    })
    .await;
    // The thread that rotates has a connection of its own, and tries again a moment later.
    until("refreshes to go on", async || {
        let tokens = server.register().await;
        let answer = server.refresh(&tokens.refresh).await;
        if answer.status == 503 {
            return None;
        }
        answer.assert_status(200);
        Some(())
    })
    .await;
}

async fn nothing_there_at_all_is_never_a_logout(_: Backend) {
    let mut world = World::with_both();
    let server = world.server().await;
    let mut live = server.register().await;
    let ended = ended(&server).await;
    world.redis.stop();
    world.postgres().stop();
    for _ in 0..3 {
        assert_retryable(&server.verify(&live.access).await, "database_unavailable");
        assert_retryable(&server.me(&live.access).await, "database_unavailable");
        assert_retryable(&server.refresh(&live.refresh).await, "database_unavailable");
        assert_retryable(&server.try_login(&live.email, PASSWORD).await, "database_unavailable");
        server.verify(&ended.access).await.assert_problem(401, "invalid_token");
        server.get("/health/ready").send().await.assert_status(503);
        server.get("/health/live").send().await.assert_status(200);
    }
    world.postgres().start_again();
    until_database_is_back(&server).await;
    until_cache_is(&server, "unavailable").await;
    assert_as_it_was(&server, &mut live, &ended).await;
    world.redis.start_again();
    until_cache_is(&server, "redis").await;
    assert_as_it_was(&server, &mut live, &ended).await;
    assert_as_it_was_after_a_restart(&world, &mut live, &ended).await;
}
