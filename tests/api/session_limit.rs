//! `MAX_SESSIONS_PER_USER`: a login beyond it ends the session that was used the longest ago, and never leaves one
//! more.

use std::sync::Arc;

use serde_json::json;

use crate::support::http::at_once;
use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Process, Server, Servers, Tokens};

both_backends! {
    a_login_beyond_the_limit_ends_the_session_that_was_used_the_longest_ago,
    a_lower_limit_counts_from_the_next_login,
    sessions_of_others_and_those_that_have_ended_do_not_count,
    without_a_limit_no_login_ends_a_session,
    fifty_logins_at_once_never_leave_more_than_the_limit,
}

const LIVE: &str = "sessions WHERE revoked_at IS NULL";

async fn limited(backend: Backend, limit: &str) -> Servers {
    Servers::with(backend, &[("MAX_SESSIONS_PER_USER", limit), ("LIMIT_LOGIN_ACCOUNT", "off")]).await
}

async fn assert_ended(servers: &Servers, tokens: &Tokens) {
    for server in servers.all() {
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
        server.refresh(&tokens.refresh).await.assert_problem(401, "session_revoked");
    }
    assert_eq!(servers.session(tokens.session).revoked_reason.as_deref(), Some("session_limit"));
}

async fn assert_live(servers: &Servers, tokens: &Tokens) {
    for server in servers.all() {
        server.me(&tokens.access).await.assert_status(200);
    }
    assert_eq!(servers.session(tokens.session).revoked_at, None);
}

async fn a_login_beyond_the_limit_ends_the_session_that_was_used_the_longest_ago(backend: Backend) {
    let servers = limited(backend, "2").await;
    let first = servers.register().await;
    servers.advance(60);
    let second = servers.login(&first.email).await;
    servers.advance(60);
    // The older of the two is the one in use.
    let first = servers.refreshed(&first).await;
    servers.advance(60);
    let third = servers.login(&first.email).await;
    assert_ended(&servers, &second).await;
    assert_live(&servers, &first).await;
    assert_live(&servers, &third).await;

    let rows = servers.rows("audit_log");
    let ends: Vec<_> = rows.iter().filter(|row| row["event"] == "session.revoked").collect();
    assert!(ends.len() == 1 && ends[0]["metadata"].to_string().contains("session_limit"), "{ends:?}");
}

async fn a_lower_limit_counts_from_the_next_login(backend: Backend) {
    let deployment = Deployment::new(backend);
    let clock = keyturn::clock::Clock::default();
    let before = Server::start(&deployment, &[], clock.clone()).await;
    let mut sessions = vec![before.register().await];
    for _ in 0..4 {
        before.advance(1);
        sessions.push(before.login(&sessions[0].email).await);
    }
    drop(before);
    let after = Server::start(&deployment, &[("MAX_SESSIONS_PER_USER", "2")], clock).await;
    assert_eq!(after.count(LIVE), 5, "nothing ends by itself");
    after.advance(1);
    let last = after.login(&sessions[0].email).await;
    let live: Vec<bool> =
        sessions.iter().chain([&last]).map(|own| after.session(own.session).revoked_at.is_none()).collect();
    assert_eq!(live, [false, false, false, false, true, true]);
}

async fn sessions_of_others_and_those_that_have_ended_do_not_count(backend: Backend) {
    let servers = limited(backend, "2").await;
    let (own, stranger) = (servers.register().await, servers.register().await);
    let ended = servers.login(&own.email).await;
    servers.logout(&ended.access).await.assert_status(204);
    servers.login(&own.email).await;
    assert_live(&servers, &own).await;
    assert_live(&servers, &stranger).await;
    // One in which an administrator acts is not the owner's.
    servers.sql(&format!("UPDATE sessions SET actor_id = user_id WHERE id = {}", servers.literal(own.session.0)));
    servers.login(&own.email).await;
    assert_live(&servers, &own).await;
}

async fn without_a_limit_no_login_ends_a_session(server: Server) {
    let own = server.register().await;
    for _ in 0..8 {
        server.login(&own.email).await;
    }
    assert_eq!(server.count(LIVE), 9);
}

fn logging_in(server: &Endpoint, email: &str) -> crate::support::Request {
    server.post("/api/v1/auth/login").json(&json!({"email": email, "password": PASSWORD}))
}

async fn fifty_logins_at_once_never_leave_more_than_the_limit(deployment: Arc<Deployment>) {
    const LOGINS: usize = 50;
    let settings = [("MAX_SESSIONS_PER_USER", "5"), ("LIMIT_LOGIN_ACCOUNT", "off")];
    let processes = Process::fleet(&deployment, &settings);
    let own = processes[0].register().await;
    let answers = at_once((0..LOGINS).map(|n| logging_in(&processes[n % processes.len()], &own.email))).await;
    // A busy machine may make some wait for longer than a login may wait for the account's row.
    let (opened, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    for answer in refused {
        answer.assert_status(503);
    }
    assert!(opened.len() > 5, "{} of {LOGINS}", opened.len());
    assert_eq!(deployment.count(LIVE), 5);

    let mut good = 0;
    for tokens in opened.iter().map(|answer| Tokens::of(answer)).chain([own]) {
        let is_live = deployment.session(tokens.session).revoked_at.is_none();
        let refreshed = processes[0].refresh(&tokens.refresh).await;
        assert_eq!(refreshed.status, if is_live { 200 } else { 401 });
        good += usize::from(is_live);
    }
    assert_eq!(good, 5);
}
