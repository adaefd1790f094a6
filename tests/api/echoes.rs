//! Requests that arrive late: copies of a refresh that its client has given up, repeated and gone on from.

use std::sync::Arc;

use keyturn::clock::Clock;
use keyturn::types::SessionId;

use crate::support::deployment::SessionRow;
use crate::support::http::at_once;
use crate::support::proxy::{Proxy, Wire};
use crate::support::{Backend, Deployment, Process, Server, Servers, Tokens, until};

both_backends! {
    a_late_copy_of_a_refresh_ends_nothing,
    a_thief_within_the_horizon_is_caught_at_the_second_try,
    a_thief_after_the_horizon_is_caught_at_the_first_try,
    a_rotation_does_not_wipe_a_doubt_out,
    a_newer_replaced_token_is_a_doubt_of_its_own,
    copies_that_arrive_at_once_are_one_echo,
    a_late_copy_with_the_key_of_the_rotation_is_told_that_it_was_answered,
    a_refresh_repeated_with_its_own_successor_is_still_that_refresh,
    without_a_replay_window_no_refresh_is_a_repetition,
    a_key_that_is_always_the_same_proves_nothing,
    the_key_of_another_rotation_proves_nothing,
    with_its_key_a_client_that_loses_every_answer_goes_on,
    without_the_key_of_the_rotation_a_recovery_costs_as_much_as_before,
    a_key_that_can_be_guessed_is_refused_and_nothing_changes,
    a_client_that_has_hung_up_is_no_evidence,
}

scaled_only! {
    a_database_that_stalls_for_longer_than_the_window_costs_no_tab_a_recovery,
}

const KEYS: [&str; 3] = ["4b1f0c3e-first-refresh", "4b1f0c3e-second-refresh", "4b1f0c3e-third-refresh"];

/// Refreshes with a key.
async fn refresh_with(server: &Server, tokens: &Tokens, key: &str) -> Tokens {
    let request = server.refreshing(&tokens.refresh).header("idempotency-key", key);
    Tokens::of(request.send().await.assert_status(200))
}

fn doubt(server: &Deployment, session: SessionId) -> (Option<i64>, bool) {
    let SessionRow { doubted_generation, revoked_at, .. } = server.session(session);
    (doubted_generation, revoked_at.is_some())
}

/// The parent of a token pair whose access token was used, which is past the replay window.
async fn gone_on(server: &Server) -> (Tokens, Tokens) {
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    server.me(&second.access).await.assert_status(200);
    server.advance(14);
    (first, second)
}

async fn a_late_copy_of_a_refresh_ends_nothing(servers: Servers) {
    for rotations in 1..=3 {
        let first = servers.register().await;
        let mut current = servers.refreshed(&first).await;
        for _ in 1..rotations {
            current = servers.refreshed(&current).await;
        }
        servers.me(&current.access).await.assert_status(200);
        servers.advance(14);
        let late = servers.refresh(&first.refresh).await;
        late.assert_problem(503, "refresh_token_replaced");
        assert_eq!(late.header("retry-after"), Some("1"));
        assert_eq!(doubt(&servers, first.session), (Some(0), false));
        for server in servers.all() {
            server.me(&current.access).await.assert_status(200);
        }
        servers.refreshed(&current).await;
        let about = format!("session_id = {} AND event = 'refresh_token.doubted'", servers.literal(first.session.0));
        assert_eq!(servers.audited(&about).len(), 1);
    }
    assert_eq!(servers.refreshes("doubted").await, 3);
}

async fn a_thief_within_the_horizon_is_caught_at_the_second_try(servers: Servers) {
    let (first, second) = gone_on(&servers).await;
    servers.refresh(&first.refresh).await.assert_problem(503, "refresh_token_replaced");
    servers.advance(1);
    let other = servers.all().last().unwrap();
    other.refresh(&first.refresh).await.assert_problem(401, "refresh_token_reused");
    for server in servers.all() {
        server.me(&second.access).await.assert_problem(401, "invalid_token");
    }
    assert_eq!(servers.session(first.session).revoked_reason.as_deref(), Some("refresh_token_reused"));
}

async fn a_thief_after_the_horizon_is_caught_at_the_first_try(server: Server) {
    let (first, _) = gone_on(&server).await;
    server.advance(300);
    server.refresh(&first.refresh).await.assert_problem(401, "refresh_token_reused");
    assert_eq!(doubt(&server, first.session), (None, true));
}

async fn a_rotation_does_not_wipe_a_doubt_out(server: Server) {
    let (first, second) = gone_on(&server).await;
    server.refresh(&first.refresh).await.assert_problem(503, "refresh_token_replaced");
    let mut current = second;
    for _ in 0..3 {
        server.advance(250);
        current = server.refreshed(&current).await;
    }
    server.refresh(&first.refresh).await.assert_problem(401, "refresh_token_reused");
    server.me(&current.access).await.assert_problem(401, "invalid_token");
}

async fn a_newer_replaced_token_is_a_doubt_of_its_own(server: Server) {
    let (first, second) = gone_on(&server).await;
    server.refresh(&first.refresh).await.assert_problem(503, "refresh_token_replaced");
    let third = server.refreshed(&second).await;
    server.me(&third.access).await.assert_status(200);
    server.advance(14);
    server.refresh(&second.refresh).await.assert_problem(503, "refresh_token_replaced");
    assert_eq!(doubt(&server, first.session), (Some(1), false));
    server.advance(1);
    // An older one than the doubted is as good as the same.
    server.refresh(&first.refresh).await.assert_problem(401, "refresh_token_reused");
}

async fn copies_that_arrive_at_once_are_one_echo(servers: Servers) {
    servers.clock.hold();
    let (first, second) = gone_on(&servers).await;
    let all = servers.all();
    let answers = at_once((0..12).map(|n| all[n % all.len()].refreshing(&first.refresh))).await;
    for answer in &answers {
        answer.assert_problem(503, "refresh_token_replaced");
    }
    assert_eq!(servers.audited("event = 'refresh_token.doubted'").len(), 1);
    servers.me(&second.access).await.assert_status(200);
}

async fn a_late_copy_with_the_key_of_the_rotation_is_told_that_it_was_answered(servers: Servers) {
    let first = servers.register().await;
    let second = refresh_with(&servers, &first, KEYS[0]).await;
    // Within the window the same key gets the same answer.
    assert_eq!(refresh_with(&servers, &first, KEYS[0]).await.refresh, second.refresh);
    servers.me(&second.access).await.assert_status(200);
    servers.advance(400);
    let late = async |server: &Server, key: &str| {
        server.refreshing(&first.refresh).header("idempotency-key", key).send().await
    };
    for server in servers.all() {
        late(server, KEYS[0]).await.assert_problem(409, "already_refreshed");
        // As a structured field, in quotes.
        late(server, &format!("\"{}\"", KEYS[0])).await.assert_problem(409, "already_refreshed");
    }
    let third = refresh_with(&servers, &second, KEYS[1]).await;
    for server in servers.all() {
        late(server, KEYS[0]).await.assert_problem(409, "already_refreshed");
    }
    assert_eq!(doubt(&servers, first.session), (None, false));
    assert_eq!(servers.audited("event LIKE 'refresh_token.%' AND outcome = 'failure'"), Vec::<String>::new());
    servers.me(&third.access).await.assert_status(200);
    // Once its owner has ended the session, a late copy is told that and nothing of a theft.
    let other = servers.login(&first.email).await;
    servers.logout(&third.access).await.assert_status(204);
    for server in servers.all() {
        late(server, KEYS[0]).await.assert_problem(401, "session_revoked");
        late(server, KEYS[1]).await.assert_problem(401, "refresh_token_reused");
    }
    servers.me(&other.access).await.assert_status(200);
}

async fn a_refresh_repeated_with_its_own_successor_is_still_that_refresh(servers: Servers) {
    servers.clock.hold();
    let first = servers.register().await;
    let second = refresh_with(&servers, &first, KEYS[0]).await;
    // A tab sends what it began with, and the cookie that another tab's answer has brought meanwhile.
    servers.advance(9);
    for server in servers.all() {
        let again = refresh_with(server, &second, KEYS[0]).await;
        assert_eq!((&again.refresh, &again.claims()), (&second.refresh, &second.claims()));
    }
    // So an answer to the token before, which arrives last of all, is not out of date.
    assert_eq!(refresh_with(&servers, &first, KEYS[0]).await.refresh, second.refresh);
    assert_eq!((servers.session(first.session).generation, doubt(&servers, first.session)), (1, (None, false)));

    let third = refresh_with(&servers, &second, KEYS[1]).await;
    assert_ne!(third.refresh, second.refresh, "another refresh");
    servers.advance(10);
    let fourth = refresh_with(&servers, &third, KEYS[1]).await;
    assert_ne!(fourth.refresh, third.refresh, "whoever has one key for all refreshes goes on, too");
    servers.me(&fourth.access).await.assert_status(200);
}

async fn without_a_replay_window_no_refresh_is_a_repetition(backend: Backend) {
    let server = Server::with(backend, &[("REFRESH_REPLAY_WINDOW", "0")]).await;
    server.clock.hold();
    let second = refresh_with(&server, &server.register().await, KEYS[0]).await;
    assert_ne!(refresh_with(&server, &second, KEYS[0]).await.refresh, second.refresh);
}

async fn the_key_of_another_rotation_proves_nothing(server: Server) {
    let first = server.register().await;
    let second = refresh_with(&server, &first, KEYS[0]).await;
    let third = refresh_with(&server, &second, KEYS[1]).await;
    server.me(&third.access).await.assert_status(200);
    server.advance(400);
    let late = server.refreshing(&first.refresh).header("idempotency-key", KEYS[1]).send().await;
    late.assert_problem(401, "refresh_token_reused");
}

async fn a_key_that_is_always_the_same_proves_nothing(server: Server) {
    let mut tokens = vec![server.register().await];
    for _ in 0..3 {
        let next = refresh_with(&server, tokens.last().unwrap(), KEYS[0]).await;
        tokens.push(next);
        server.advance(10);
    }
    server.me(&tokens[3].access).await.assert_status(200);
    server.advance(400);
    let late = server.refreshing(&tokens[2].refresh).header("idempotency-key", KEYS[0]).send().await;
    late.assert_problem(401, "refresh_token_reused");
}

async fn with_its_key_a_client_that_loses_every_answer_goes_on(backend: Backend) {
    // Redis counts attempts by its own clock, for which these minutes are a second.
    let no_limits = [("LIMIT_REFRESH_SESSION", "off"), ("LIMIT_REFRESH_ADDRESS", "off")];
    let server = Server::with(backend, &no_limits).await;
    let mut current = server.register().await;
    for round in 0..20 {
        let key = format!("{}-{round}", KEYS[0]);
        let lost = refresh_with(&server, &current, &key).await;
        server.advance(60);
        current = refresh_with(&server, &current, &key).await;
        assert_eq!(current.refresh, lost.refresh);
    }
    assert_eq!((server.session(current.session).recovery_debt, server.session(current.session).recoveries), (1, 20));
}

async fn without_the_key_of_the_rotation_a_recovery_costs_as_much_as_before(server: Server) {
    let first = server.register().await;
    refresh_with(&server, &first, KEYS[0]).await;
    server.advance(60);
    let second = refresh_with(&server, &first, KEYS[1]).await;
    assert_eq!(server.session(first.session).recovery_debt, 8);
    server.refreshed(&second).await;
    server.advance(60);
    refresh_with(&server, &second, KEYS[1]).await;
    assert_eq!(server.session(first.session).recovery_debt, 15);
}

async fn a_key_that_can_be_guessed_is_refused_and_nothing_changes(server: Server) {
    let tokens = server.register().await;
    let long = "k".repeat(256);
    for key in ["", "1", "fifteen-letters", "with spaces in the key", &long] {
        let answer = server.refreshing(&tokens.refresh).header("idempotency-key", key).send().await;
        answer.assert_problem(400, "invalid_idempotency_key");
    }
    let twice = server.refreshing(&tokens.refresh).header("idempotency-key", KEYS[0]);
    let answer = twice.header("idempotency-key", KEYS[1]).send().await;
    answer.assert_problem(400, "invalid_idempotency_key");
    assert_eq!(server.session(tokens.session).generation, 0);
}

async fn a_client_that_has_hung_up_is_no_evidence(backend: Backend) {
    let process = Process::with(backend, &[("REFRESH_REPLAY_WINDOW", "0")]);
    let first = process.register().await;
    let second = process.refreshed(&first).await;
    process.me(&second.access).await.assert_status(200);
    // To a server that is stopped, a request and the end of its connection arrive together.
    process.freeze(true);
    for _ in 0..3 {
        drop(process.refreshing(&first.refresh).begin().await.unwrap());
    }
    process.freeze(false);
    process.me(&second.access).await.assert_status(200);
    let next = process.refreshed(&second).await;
    process.me(&next.access).await.assert_status(200);
    assert_eq!(doubt(&process, first.session), (None, false));
}

async fn a_database_that_stalls_for_longer_than_the_window_costs_no_tab_a_recovery(deployment: Arc<Deployment>) {
    let (proxy, url) = Proxy::before(&deployment.database_url()).await;
    let server = Server::start(&deployment, &[("DATABASE_URL", &url)], Clock::default()).await;
    let first = server.register().await;
    let first = server.refreshed(&first).await;
    // Each request is counted before it waits for the database.
    let counted = || {
        let keys = server.redis_keys("*:limit:*");
        keys.iter().map(|key| server.redis(&["GET", key])).collect::<Vec<Option<String>>>()
    };
    proxy.set(Wire::AnswersHeld);
    let mut tabs = Vec::new();
    for _ in 0..2 {
        let before = counted();
        tabs.push(server.refreshing(&first.refresh).begin().await.unwrap());
        until("the request to arrive", async || (counted() != before).then_some(())).await;
    }
    server.advance(11);
    proxy.set(Wire::Open);
    let mut successors = Vec::new();
    for tab in tabs {
        successors.push(Tokens::of(tab.answer().await.unwrap().assert_status(200)).refresh);
    }
    assert_eq!(successors[0], successors[1]);
    let row = server.session(first.session);
    assert_eq!((row.recoveries, row.recovery_debt, row.doubted_generation), (0, 0, None));
}
