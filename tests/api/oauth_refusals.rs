//! Every refusal of the standard endpoints has the form of RFC 6749 §5.2.

use serde_json::json;

use crate::audit::administrator;
use crate::clients::{Client, assert_error, form, register};
use crate::degraded::World;
use crate::support::{Backend, Endpoint, Request, Response, Server, Tokens};

both_backends! {
    what_cannot_be_read_or_served_is_refused_in_one_form,
    what_no_client_may_is_refused_in_one_form,
    what_is_sent_too_often_is_refused_in_one_form,
    a_database_that_fails_is_told_in_one_form,
}

scaled_only! {
    a_server_without_its_database_answers_in_one_form,
}

const ENDPOINTS: [&str; 3] = ["/oauth/token", "/oauth/introspect", "/oauth/revoke"];
const FORM: &str = "application/x-www-form-urlencoded";

async fn able(server: &Endpoint) -> (Tokens, Client) {
    let admin = administrator(server).await;
    let client = register(server, &admin, &json!({"name": "gateway", "scopes": ["introspect"]})).await;
    (admin, client)
}

async fn what_cannot_be_read_or_served_is_refused_in_one_form(server: Server) {
    let (_, client) = able(&server).await;
    for path in ENDPOINTS {
        let by = |request: Request| request.header("authorization", &client.basic());
        let post = || by(server.post(path));
        let typed = |body: &str| post().header("content-type", FORM).body(body);
        let requests = [
            (by(server.get(path)), 405),
            (server.get(path), 405),
            (by(server.request("PUT", path)).header("content-type", FORM).body("token=x"), 405),
            (server.request("DELETE", path), 405),
            (server.request("OPTIONS", path), 405),
            (server.request("BREW", path), 405),
            (by(server.get(&format!("{path}/"))), 404),
            (by(server.post(&format!("{path}/x"))), 404),
            (by(server.post("/oauth/authorize")), 404),
            (server.get("/oauth/"), 404),
            (post(), 415),
            (post().body("token=x"), 415),
            (post().header("content-type", "multipart/form-data; boundary=x").body("token=x"), 415),
            (post().json(&json!({"token": "x"})), 415),
            (post().header("content-encoding", "gzip").header("content-type", FORM).body("token=x"), 415),
            (typed(&format!("token={}", "a".repeat(70_000))), 413),
            (post().header("content-type", FORM).header("content-length", "70000"), 413),
            (typed(""), 400),
            (typed("&&=&"), 400),
            (typed("token=a&token=b&grant_type=client_credentials"), 400),
            (typed("token=%00&grant_type=client_credentials"), 400),
            (typed("%00=x&token=a&grant_type=client_credentials"), 400),
            (typed("token=a&grant_type=client_credentials").header("authorization", &client.basic()), 400),
        ];
        for (request, status) in requests {
            let shown = String::from_utf8_lossy(&request.bytes()).chars().take(300).collect::<String>();
            let answer = request.send().await;
            assert_eq!(answer.status, status, "{shown}: {answer:?}");
            assert_error(&answer, status, "invalid_request");
            assert_eq!(answer.header("allow"), (status == 405).then_some("POST"), "{shown}");
        }
        let digest = server.post(path).header("content-type", FORM).header("authorization", "Digest x");
        assert_error(&digest.body("token=x&grant_type=client_credentials").send().await, 401, "invalid_client");
        let head = server.request("HEAD", path).send().await;
        assert_eq!((head.assert_status(405).header("content-type"), &*head.body), (Some("application/json"), &b""[..]));
    }
}

async fn what_no_client_may_is_refused_in_one_form(server: Server) {
    let (admin, client) = able(&server).await;
    let plain = register(&server, &admin, &json!({"name": "plain", "scopes": []})).await;
    let wrong = Client { id: client.id.clone(), secret: format!("ktc_{}", "A".repeat(43)) };
    for path in ENDPOINTS {
        let fields = [("token", "x"), ("grant_type", "client_credentials"), ("scope", "introspect")];
        let send = |client: &Client| form(&server, path, &fields).header("authorization", &client.basic()).send();
        let refused = send(&wrong).await;
        assert_error(&refused, 401, "invalid_client");
        assert!(refused.header("www-authenticate").unwrap().starts_with("Basic "), "{path}");
        let unreadable = form(&server, path, &fields).header("authorization", "Basic %").send().await;
        assert_error(&unreadable, 401, "invalid_client");
        match path {
            "/oauth/token" => assert_error(&send(&plain).await, 400, "invalid_scope"),
            "/oauth/introspect" => assert_error(&send(&plain).await, 403, "insufficient_scope"),
            _ => drop(send(&plain).await.assert_status(200)),
        }
    }
    let by_token = form(&server, "/oauth/introspect", &[("token", "x")]).bearer("x").send().await;
    assert_error(&by_token, 401, "invalid_token");
}

fn refreshing(server: &Endpoint, tokens: &Tokens) -> Request {
    form(server, "/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)])
}

async fn what_is_sent_too_often_is_refused_in_one_form(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_REFRESH_SESSION", "1/3600")]).await;
    let tokens = server.register().await;
    refreshing(&server, &tokens).send().await.assert_status(200);
    let refused = refreshing(&server, &tokens).send().await;
    assert_error(&refused, 429, "temporarily_unavailable");
    assert!(refused.header("retry-after").is_some());
}

fn assert_unavailable(answer: &Response) {
    assert_error(answer, 503, "temporarily_unavailable");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

async fn a_database_that_fails_is_told_in_one_form(server: Server) {
    let (_, client) = able(&server).await;
    let tokens = server.register().await;
    let by = |request: Request| request.header("authorization", &client.basic());
    by(form(&server, "/oauth/introspect", &[("token", "x")])).send().await.assert_status(200);
    server.sql("ALTER TABLE sessions RENAME TO lost");
    let token = [("token", &*tokens.refresh)];
    for request in [
        refreshing(&server, &tokens),
        by(form(&server, "/oauth/introspect", &token)),
        form(&server, "/oauth/revoke", &token),
    ] {
        assert_unavailable(&request.send().await);
    }
}

async fn a_server_without_its_database_answers_in_one_form(_: Backend) {
    let mut world = World::with_both();
    let server = world.server().await;
    let (_, client) = able(&server).await;
    let tokens = server.register().await;
    let by = |request: Request| request.header("authorization", &client.basic());
    world.postgres().stop();
    let token = [("token", &*tokens.refresh)];
    for request in [
        refreshing(&server, &tokens),
        by(form(&server, "/oauth/token", &[("grant_type", "client_credentials")])),
        by(form(&server, "/oauth/introspect", &token)),
        form(&server, "/oauth/revoke", &token),
        by(form(&server, "/oauth/revoke", &token)),
    ] {
        assert_unavailable(&request.send().await);
    }
}
