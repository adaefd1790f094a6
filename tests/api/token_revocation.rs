//! `POST /oauth/revoke` (RFC 7009).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::audit::administrator;
use crate::clients::{Client, assert_error, form, introspect, register};
use crate::support::http::at_once;
use crate::support::{Endpoint, Response, Server, Servers, Tokens, until};

both_backends! {
    a_refresh_token_ends_its_session_on_every_server,
    an_access_token_dies_alone_on_every_server,
    an_access_token_that_was_replaced_dies_too,
    a_refresh_that_is_repeated_after_a_revocation_gets_a_valid_token,
    what_is_no_valid_token_is_answered_alike_and_changes_nothing,
    a_token_of_a_client_is_revoked_by_that_client_alone,
    the_feed_names_no_session_for_the_token_of_a_client,
    the_tokens_of_a_deleted_client_are_revoked,
    a_client_that_is_not_valid_revokes_nothing,
    a_token_revoked_during_refreshes_is_dead_and_the_session_goes_on,
    a_revoked_token_stays_dead_after_a_restart_and_without_redis,
}

const REVOKE: &str = "/oauth/revoke";

async fn revoke(server: &Endpoint, token: &str) -> Response {
    let answer = form(server, REVOKE, &[("token", token)]).send().await;
    assert!(answer.body.is_empty() || answer.status != 200, "{answer:?}");
    answer
}

async fn able(server: &Endpoint) -> (Tokens, Client) {
    let admin = administrator(server).await;
    let body = json!({"name": "orders", "scopes": ["introspect", "token-exchange", "a"]});
    let client = register(server, &admin, &body).await;
    (admin, client)
}

async fn is_active(server: &Endpoint, client: &Client, token: &str) -> bool {
    introspect(server, client, token).await.assert_status(200).json()["active"].as_bool().unwrap()
}

async fn a_refresh_token_ends_its_session_on_every_server(servers: Servers) {
    for presented in ["current", "replaced"] {
        let tokens = servers.register().await;
        let other = servers.login(&tokens.email).await;
        let last = if presented == "current" { tokens.clone() } else { servers.refreshed(&tokens).await };
        for server in servers.all() {
            server.me(&last.access).await.assert_status(200);
        }
        revoke(&servers, &tokens.refresh).await.assert_status(200);
        for server in servers.all() {
            server.me(&last.access).await.assert_problem(401, "invalid_token");
            server.me(&other.access).await.assert_status(200);
        }
        servers.refresh(&last.refresh).await.assert_problem(401, "session_revoked");
        assert_eq!(servers.session(tokens.session).revoked_reason.as_deref(), Some("logout"));
        let of_session = format!("session_id = {}", servers.literal(tokens.session.0));
        assert!(servers.audited(&of_session).contains(&"session.logged_out".to_owned()));
    }
}

async fn an_access_token_dies_alone_on_every_server(servers: Servers) {
    let (_, client) = able(&servers).await;
    let tokens = servers.register().await;
    for server in servers.all() {
        server.me(&tokens.access).await.assert_status(200);
    }
    revoke(&servers, &tokens.access).await.assert_status(200);
    for server in servers.all() {
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
        server.verify(&tokens.access).await.assert_status(401);
        assert!(!is_active(server, &client, &tokens.access).await);
        assert!(is_active(server, &client, &tokens.refresh).await);
    }
    assert_ne!(servers.session(tokens.session).access_jti, tokens.jti());
    assert_eq!(servers.session(tokens.session).revoked_at, None);
    assert_eq!(servers.count("revocations WHERE reason = 'token_revoked'"), 1);
    let of_session = format!("session_id = {}", servers.literal(tokens.session.0));
    assert!(servers.audited(&of_session).contains(&"access_token.revoked".to_owned()));
    let next = servers.refreshed(&tokens).await;
    for server in servers.all() {
        server.me(&next.access).await.assert_status(200);
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    }
    // Once more changes nothing.
    revoke(&servers, &tokens.access).await.assert_status(200);
    servers.me(&next.access).await.assert_status(200);
}

async fn an_access_token_that_was_replaced_dies_too(servers: Servers) {
    let tokens = servers.register().await;
    let next = servers.refreshed(&tokens).await;
    for server in servers.all() {
        server.me(&tokens.access).await.assert_status(200);
    }
    revoke(&servers, &tokens.access).await.assert_status(200);
    for server in servers.all() {
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
        server.me(&next.access).await.assert_status(200);
    }
}

async fn a_refresh_that_is_repeated_after_a_revocation_gets_a_valid_token(server: Server) {
    let tokens = server.register().await;
    let next = server.refreshed(&tokens).await;
    revoke(&server, &next.access).await.assert_status(200);
    let repeated = server.refreshed(&tokens).await;
    assert_eq!(repeated.refresh, next.refresh);
    assert_ne!(repeated.jti(), next.jti());
    server.me(&repeated.access).await.assert_status(200);
    server.me(&next.access).await.assert_problem(401, "invalid_token");
}

async fn what_is_no_valid_token_is_answered_alike_and_changes_nothing(server: Server) {
    let tokens = server.register().await;
    let state = || (server.rows("sessions"), server.count("revocations"), server.count("audit_log"));
    let before = state();
    let cut = &tokens.refresh[..tokens.refresh.len() - 1];
    let forged = format!("{}AAAA", &tokens.access[..tokens.access.len() - 4]);
    for token in ["x", "ktr_", cut, &forged, &"a".repeat(10_000)] {
        revoke(&server, token).await.assert_status(200);
    }
    assert_eq!(state(), before);
    assert_error(&form(&server, REVOKE, &[]).send().await, 400, "invalid_request");
    assert_error(&server.post(REVOKE).json(&json!({"token": tokens.access})).send().await, 415, "invalid_request");
    server.advance(901);
    revoke(&server, &tokens.access).await.assert_status(200);
    assert_eq!(server.count("revocations"), 0);
    server.refreshed(&tokens).await;
}

async fn a_token_of_a_client_is_revoked_by_that_client_alone(servers: Servers) {
    let server: &Server = &servers;
    let (admin, client) = able(server).await;
    let other = register(server, &admin, &json!({"name": "other", "scopes": ["introspect"]})).await;
    let tokens = server.register().await;
    let issue = async |fields: &[(&str, &str)]| {
        let asked = form(server, "/oauth/token", fields).header("authorization", &client.basic());
        asked.send().await.assert_status(200).json()["access_token"].as_str().unwrap().to_owned()
    };
    let exchanged = issue(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &tokens.access),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ])
    .await;
    let own = issue(&[("grant_type", "client_credentials")]).await;
    for token in [&exchanged, &own] {
        assert_error(&revoke(server, token).await, 401, "invalid_client");
        let by = |by: &Client| form(server, REVOKE, &[("token", token)]).header("authorization", &by.basic());
        assert_error(&by(&other).send().await, 400, "unauthorized_client");
        for server in servers.all() {
            assert!(is_active(server, &client, token).await);
        }
        by(&client).send().await.assert_status(200);
        assert!(!is_active(server, &client, token).await);
        for server in servers.all() {
            crate::support::until("the log", async || (!is_active(server, &client, token).await).then_some(())).await;
        }
    }
    for server in servers.all() {
        server.me(&tokens.access).await.assert_status(200);
    }
}

async fn the_feed_names_no_session_for_the_token_of_a_client(servers: Servers) {
    let server: &Server = &servers;
    let admin = administrator(server).await;
    let body = json!({"name": "orders", "scopes": ["introspect", "revocations"]});
    let client = register(server, &admin, &body).await;
    let issued = form(server, "/oauth/token", &[("grant_type", "client_credentials")]);
    let issued = issued.header("authorization", &client.basic()).send().await.assert_status(200).json();
    let token = issued["access_token"].as_str().unwrap();
    assert!(is_active(server, &client, token).await);
    let by_client = form(server, REVOKE, &[("token", token)]).header("authorization", &client.basic());
    by_client.send().await.assert_status(200);
    let person = server.register().await;
    revoke(server, &person.access).await.assert_status(200);
    for server in servers.all() {
        let told = async || {
            let feed = server.get("/api/v1/revocations").header("authorization", &client.basic()).send().await;
            let told = feed.assert_status(200).json()["revocations"].as_array().unwrap().clone();
            (told.len() == 2).then_some(told)
        };
        let told = until("both revocations", told).await;
        let claims = jti(token);
        let of_client = told.iter().find(|entry| entry["jti"] == claims).unwrap();
        assert!(of_client.get("sid").is_none(), "{told:?}");
        assert_eq!((&of_client["reason"], of_client.get("before_rev")), (&json!("token_revoked"), None));
        let of_person = told.iter().find(|entry| entry["jti"] != claims).unwrap();
        assert_eq!(of_person["sid"], person.session.to_string());
        assert!(!is_active(server, &client, token).await);
    }
}

async fn the_tokens_of_a_deleted_client_are_revoked(servers: Servers) {
    let server: &Server = &servers;
    let admin = administrator(server).await;
    let asking = register(server, &admin, &json!({"name": "a", "scopes": ["introspect", "revocations"]})).await;
    let deleted = register(server, &admin, &json!({"name": "b", "scopes": ["introspect", "token-exchange"]})).await;
    let person = server.register().await;
    let issue = async |fields: &[(&str, &str)]| {
        let issued = form(server, "/oauth/token", fields).header("authorization", &deleted.basic()).send().await;
        issued.assert_status(200).json()["access_token"].as_str().unwrap().to_owned()
    };
    let own = issue(&[("grant_type", "client_credentials")]).await;
    let exchanged = issue(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &person.access),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ])
    .await;
    for server in servers.all() {
        for token in [&own, &exchanged] {
            assert!(is_active(server, &asking, token).await);
        }
        server.verify(&exchanged).await.assert_status(200);
    }
    server.request("DELETE", &deleted.path()).bearer(&admin.access).send().await.assert_status(204);
    for (n, other) in servers.all().iter().enumerate() {
        for token in [&own, &exchanged] {
            let is_refused = async || (!is_active(other, &asking, token).await).then_some(());
            match n {
                0 => is_refused().await.unwrap(),
                _ => until("the log", is_refused).await,
            }
        }
        other.verify(&exchanged).await.assert_problem(401, "invalid_token");
        form(other, "/oauth/introspect", &[("token", "x")]).bearer(&own).send().await.assert_status(401);
        other.me(&person.access).await.assert_status(200);
        let feed = other.get("/api/v1/revocations").header("authorization", &asking.basic()).send().await.json();
        assert_eq!(feed["clients"][0]["client_id"], deleted.id);
        assert_eq!(feed["revocations"], json!([]));
    }
    // The session goes on.
    server.refreshed(&person).await;
}

/// The id of an access token.
fn jti(token: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["jti"].clone()
}

async fn a_client_that_is_not_valid_revokes_nothing(server: Server) {
    let tokens = server.register().await;
    let wrong = Client { id: uuid::Uuid::nil().to_string(), secret: format!("ktc_{}", "A".repeat(43)) };
    for token in [&tokens.access, &tokens.refresh] {
        let refused = form(&server, REVOKE, &[("token", token)]).header("authorization", &wrong.basic()).send().await;
        assert_error(&refused, 401, "invalid_client");
    }
    server.me(&tokens.access).await.assert_status(200);
    // Apps send their access token with every request: that is no client that is not valid.
    form(&server, REVOKE, &[("token", &tokens.refresh)]).bearer(&tokens.access).send().await.assert_status(200);
    server.me(&tokens.access).await.assert_problem(401, "invalid_token");
}

async fn a_token_revoked_during_refreshes_is_dead_and_the_session_goes_on(servers: Servers) {
    for _ in 0..5 {
        let tokens = servers.register().await;
        let all = servers.all();
        let last = all.last().unwrap();
        let requests = [
            servers.refreshing(&tokens.refresh),
            form(last, REVOKE, &[("token", &tokens.access)]),
            last.refreshing(&tokens.refresh),
        ];
        let answers = at_once(requests).await;
        answers[1].assert_status(200);
        let next = Tokens::of(&answers[0]);
        assert_eq!(Tokens::of(&answers[2]).refresh, next.refresh);
        for server in all {
            server.me(&tokens.access).await.assert_problem(401, "invalid_token");
        }
        servers.refreshed(&next).await;
    }
}

async fn a_revoked_token_stays_dead_after_a_restart_and_without_redis(server: Server) {
    let tokens = server.register().await;
    server.me(&tokens.access).await.assert_status(200);
    revoke(&server, &tokens.access).await.assert_status(200);
    if server.backend == crate::support::Backend::Scaled {
        server.redis::<()>(&["FLUSHDB"]);
    }
    let other = server.another().await;
    other.me(&tokens.access).await.assert_problem(401, "invalid_token");
    server.me(&tokens.access).await.assert_problem(401, "invalid_token");
}
