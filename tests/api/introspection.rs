//! `POST /oauth/introspect` (RFC 7662).

use serde_json::{Value, json};

use crate::audit::administrator;
use crate::clients::{INTROSPECT, assert_error, form, introspect, introspecting, register};
use crate::support::{Backend, Server, Servers, random_hex};

both_backends! {
    a_live_access_token_is_told_with_its_claims,
    the_current_refresh_token_is_told_without_a_use_of_it,
    what_is_not_live_is_told_as_inactive_and_nothing_else,
    a_token_is_inactive_at_once_on_every_server_once_its_session_ends,
    only_clients_with_the_scope_may_ask,
    what_is_no_form_is_refused_in_the_form_of_oauth,
    asking_about_an_access_token_is_a_use_of_it,
    a_database_that_is_away_is_no_inactive_token,
}

fn inactive() -> Value {
    json!({"active": false})
}

async fn a_live_access_token_is_told_with_its_claims(server: Server) {
    let (_, client) = introspecting(&server).await;
    let tokens = server.register().await;
    let answer = introspect(&server, &client, &tokens.access).await;
    let told = answer.assert_status(200).json();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("Bearer")));
    assert_eq!((&told["sub"], &told["sid"]), (&json!(tokens.user), &json!(tokens.session)));
    for (claim, value) in tokens.claims().as_object().unwrap() {
        assert_eq!(&told[claim], value, "{claim}");
    }
    let hinted = [("token", tokens.access.as_str()), ("token_type_hint", "refresh_token"), ("resource", "ignored")];
    let hinted = form(&server, INTROSPECT, &hinted).header("authorization", &client.basic()).send().await;
    assert_eq!(hinted.json(), told, "a hint is a hint, and unknown parameters are ignored");
}

async fn the_current_refresh_token_is_told_without_a_use_of_it(server: Server) {
    let (_, client) = introspecting(&server).await;
    let tokens = server.register().await;
    let told = introspect(&server, &client, &tokens.refresh).await.assert_status(200).json();
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("refresh_token")));
    assert_eq!((&told["sub"], &told["sid"]), (&json!(tokens.user), &json!(tokens.session)));
    assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 604_800);
    let next = server.refreshed(&tokens).await;
    assert_eq!(introspect(&server, &client, &tokens.refresh).await.json(), inactive());
    assert_eq!(introspect(&server, &client, &next.refresh).await.json()["active"], true);
    assert_eq!(server.session(tokens.session).generation, 1);
    assert_eq!(server.session(tokens.session).doubted_generation, None);
    assert_eq!(server.refreshes("invalid").await, 0);
}

async fn what_is_not_live_is_told_as_inactive_and_nothing_else(server: Server) {
    let (_, client) = introspecting(&server).await;
    let tokens = server.register().await;
    let ended = server.login(&tokens.email).await;
    server.logout(&ended.access).await.assert_status(204);
    let forged = format!("{}{}", &tokens.access[..tokens.access.len() - 6], "AAAAAA");
    let garbage = random_hex::<64>();
    let long = "a".repeat(20_000);
    for token in [
        ended.access.as_str(),
        &ended.refresh,
        &forged,
        &tokens.refresh[..tokens.refresh.len() - 1],
        &garbage,
        &long,
        "null",
        "ktr_",
        &client.secret,
    ] {
        assert_eq!(introspect(&server, &client, token).await.assert_status(200).json(), inactive(), "{token}");
    }
    server.advance(901);
    assert_eq!(introspect(&server, &client, &tokens.access).await.json(), inactive());
    server.advance(604_800);
    assert_eq!(introspect(&server, &client, &tokens.refresh).await.json(), inactive());
}

async fn a_token_is_inactive_at_once_on_every_server_once_its_session_ends(backend: Backend) {
    let servers = Servers::with(backend, &[]).await;
    let (admin, client) = introspecting(&servers).await;
    for end in ["logout", "disabled"] {
        let tokens = servers.register().await;
        for server in servers.all() {
            assert_eq!(introspect(server, &client, &tokens.access).await.json()["active"], true);
        }
        if end == "logout" {
            servers.logout(&tokens.access).await.assert_status(204);
        } else {
            let path = format!("/api/v1/admin/users/{}", tokens.user);
            let disable = servers.patch(&path).bearer(&admin.access).json(&json!({"disabled": true}));
            disable.send().await.assert_status(200);
        }
        for server in servers.all() {
            for token in [&tokens.access, &tokens.refresh] {
                assert_eq!(introspect(server, &client, token).await.json(), inactive(), "{end}");
            }
        }
    }
}

async fn only_clients_with_the_scope_may_ask(server: Server) {
    let admin = administrator(&server).await;
    let other = register(&server, &admin, &json!({"name": "feed", "scopes": ["revocations", "introspect:x"]})).await;
    let told = introspect(&server, &other, &admin.access).await;
    assert_error(&told, 403, "insufficient_scope");
    let by_user = form(&server, INTROSPECT, &[("token", &admin.access)]).bearer(&admin.access).send().await;
    assert!([400, 401].contains(&by_user.status), "{by_user:?}");
    assert!(!by_user.text().contains("active"));
}

async fn what_is_no_form_is_refused_in_the_form_of_oauth(server: Server) {
    let (_, client) = introspecting(&server).await;
    let post = || server.post(INTROSPECT).header("authorization", &client.basic());
    let typed = || post().header("content-type", "application/x-www-form-urlencoded");
    assert_error(&post().json(&json!({"token": "x"})).send().await, 415, "invalid_request");
    assert_error(&post().body("token=x").send().await, 415, "invalid_request");
    assert_error(&post().header("content-type", "text/plain").body("token=x").send().await, 415, "invalid_request");
    for body in
        ["", "token=", "other=x", "token=a&token=b", "token=a&token=", "token=%00", "x%00=a&token=b", "a&a&token=b"]
    {
        assert_error(&typed().body(body).send().await, 400, "invalid_request");
    }
    assert_error(&typed().body(format!("token={}", "a".repeat(70_000))).send().await, 413, "invalid_request");
    typed().body("token=x&new=1&").send().await.assert_status(200);
    let charset = post().header("content-type", "application/x-www-form-urlencoded; charset=UTF-8").body("token=x");
    charset.send().await.assert_status(200);
}

async fn asking_about_an_access_token_is_a_use_of_it(server: Server) {
    let (_, client) = introspecting(&server).await;
    let tokens = server.register().await;
    assert!(!server.session(tokens.session).access_seen);
    introspect(&server, &client, &tokens.access).await.assert_status(200);
    crate::support::until("the note", async || server.session(tokens.session).access_seen.then_some(())).await;
}

async fn a_database_that_is_away_is_no_inactive_token(server: Server) {
    let (_, client) = introspecting(&server).await;
    let tokens = server.register().await;
    introspect(&server, &client, "x").await.assert_status(200);
    server.sql("ALTER TABLE sessions RENAME TO lost");
    // The client is remembered, the session is not asked for: what cannot be known is an error.
    let answer = introspect(&server, &client, &tokens.refresh).await;
    assert!([500, 503].contains(&answer.status) && !answer.text().contains("active"), "{answer:?}");
    assert!(answer.json()["error"].is_string());
    server.sql("ALTER TABLE lost RENAME TO sessions");
    assert_eq!(introspect(&server, &client, &tokens.refresh).await.json()["active"], true);
}
