//! Revocations that are asked for again, because the answer was lost, and what outlasts a change of an account.

use std::sync::Arc;

use keyturn::clock::Clock;
use serde_json::json;

use crate::support::endpoint::Endpoint;
use crate::support::http::Request;
use crate::support::{Deployment, Server, Servers, Tokens};

both_backends! {
    no_access_token_from_before_a_change_of_roles_is_accepted_however_many_refreshes_ago,
    a_replay_after_a_change_of_roles_gives_a_token_that_is_valid,
}

scaled_only! {
    a_server_that_answers_a_repeated_revocation_refuses_the_session_from_then_on,
    a_server_that_refuses_a_refresh_as_revoked_refuses_the_access_token_too,
    a_server_that_answers_a_repeated_change_of_roles_refuses_the_former_tokens,
}

async fn no_access_token_from_before_a_change_of_roles_is_accepted_however_many_refreshes_ago(servers: Servers) {
    servers.clock.hold();
    let admin = crate::audit::administrator(&servers).await;
    let mut tokens = vec![servers.register().await];
    for _ in 0..3 {
        let next = servers.refreshed(tokens.last().unwrap()).await;
        tokens.push(next);
    }
    for server in servers.all() {
        for tokens in &tokens {
            server.me(&tokens.access).await.assert_status(200);
        }
    }
    let change = servers.patch(&format!("/api/v1/admin/users/{}", tokens[0].user.0)).bearer(&admin.access);
    change.json(&json!({"roles": ["user", "editor"]})).send().await.assert_status(200);
    for server in servers.all() {
        for tokens in &tokens {
            server.me(&tokens.access).await.assert_problem(401, "invalid_token");
        }
    }
    // A server that starts afterwards knows the log and the rows.
    let late = servers.another().await;
    for tokens in &tokens {
        late.me(&tokens.access).await.assert_problem(401, "invalid_token");
    }
    let next = servers.refreshed(tokens.last().unwrap()).await;
    assert_eq!(next.claims()["roles"], json!(["user", "editor"]));
    for server in servers.all() {
        server.me(&next.access).await.assert_status(200);
    }
}

async fn a_replay_after_a_change_of_roles_gives_a_token_that_is_valid(servers: Servers) {
    let admin = crate::audit::administrator(&servers).await;
    let first = servers.register().await;
    let second = servers.refreshed(&first).await;
    let change = servers.patch(&format!("/api/v1/admin/users/{}", first.user.0)).bearer(&admin.access);
    change.json(&json!({"roles": ["user", "editor"]})).send().await.assert_status(200);
    for server in servers.all() {
        let again = server.refreshed(&first).await;
        assert_eq!((&again.refresh, &again.claims()["roles"]), (&second.refresh, &json!(["user", "editor"])));
        server.me(&again.access).await.assert_status(200);
        server.me(&second.access).await.assert_problem(401, "invalid_token");
    }
}

/// Two servers that share a database and no cache, so that the second learns of a revocation by its log alone.
async fn apart(deployment: &Arc<Deployment>) -> [Server; 2] {
    let settings = [("REDIS_URL", "")];
    let first = Server::start(deployment, &settings, Clock::default()).await;
    let second = Server::start(deployment, &settings, Clock::default()).await;
    [first, second]
}

async fn a_server_that_answers_a_repeated_revocation_refuses_the_session_from_then_on(deployment: Arc<Deployment>) {
    type Way = fn(&Endpoint, &Tokens, &Tokens) -> Request;
    let ways: [(Way, u16); 5] = [
        (|server, owner, ended| server.delete(&session(ended)).bearer(&owner.access), 204),
        (|server, owner, _| server.delete("/api/v1/sessions").bearer(&owner.access), 200),
        (|server, owner, ended| revoke(server, owner, ended), 200),
        (|server, _, ended| server.post("/api/v1/auth/logout").bearer(&ended.access), 204),
        (|server, _, ended| server.post("/api/v1/auth/logout-all").bearer(&ended.access), 200),
    ];
    let [first, second] = apart(&deployment).await;
    for (way, status) in ways {
        // Another server's reader may be faster; without what is tested, it hardly ever is.
        for _ in 0..5 {
            let owner = first.register().await;
            let ended = first.login(&owner.email).await;
            for tokens in [&owner, &ended] {
                second.me(&tokens.access).await.assert_status(200);
            }
            first.delete(&session(&ended)).bearer(&owner.access).send().await.assert_status(204);
            let repeated = way(&second, &owner, &ended).send().await;
            assert!([status, 401].contains(&repeated.status), "{repeated:?}");
            second.me(&ended.access).await.assert_problem(401, "invalid_token");
        }
    }
}

fn session(tokens: &Tokens) -> String {
    format!("/api/v1/sessions/{}", tokens.session.0)
}

fn revoke(server: &Endpoint, owner: &Tokens, ended: &Tokens) -> Request {
    let body = json!({"session_id": ended.session.0.to_string()});
    server.post("/api/v1/sessions/revoke").bearer(&owner.access).json(&body)
}

async fn a_server_that_refuses_a_refresh_as_revoked_refuses_the_access_token_too(deployment: Arc<Deployment>) {
    let [first, second] = apart(&deployment).await;
    for is_old in [false, true] {
        for _ in 0..5 {
            let old = first.register().await;
            let tokens = first.refreshed(&old).await;
            let tokens = first.refreshed(&tokens).await;
            second.me(&tokens.access).await.assert_status(200);
            first.logout(&tokens.access).await.assert_status(204);
            let presented = if is_old { &old } else { &tokens };
            second.refresh(&presented.refresh).await.assert_status(401);
            second.me(&tokens.access).await.assert_problem(401, "invalid_token");
        }
    }
}

async fn a_server_that_answers_a_repeated_change_of_roles_refuses_the_former_tokens(deployment: Arc<Deployment>) {
    let [first, second] = apart(&deployment).await;
    let admin = crate::audit::administrator(&first).await;
    for change in [json!({"roles": ["user", "editor"]}), json!({"disabled": true})] {
        for _ in 0..5 {
            let tokens = first.register().await;
            second.me(&tokens.access).await.assert_status(200);
            for server in [&first, &second] {
                let target = format!("/api/v1/admin/users/{}", tokens.user.0);
                server.patch(&target).bearer(&admin.access).json(&change).send().await.assert_status(200);
            }
            second.me(&tokens.access).await.assert_problem(401, "invalid_token");
        }
    }
}
