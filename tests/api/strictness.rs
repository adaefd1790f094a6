//! What a route does not take is refused on every route for programs: unknown parameters, and a body where there is
//! none.

use serde_json::{Value, json};

use crate::nul::{unlimited, walk};
use crate::support::{Backend, PASSWORD, Server};

both_backends! {
    an_unknown_parameter_is_refused_wherever_programs_call,
    a_body_is_refused_where_a_route_takes_none,
    what_does_not_hurt_is_ignored,
    nothing_happens_that_was_asked_for_otherwise,
    a_form_with_a_field_twice_is_refused_with_a_page,
}

fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/") && path != "/api/v1/auth/verify"
}

async fn an_unknown_parameter_is_refused_wherever_programs_call(backend: Backend) {
    let server = unlimited(backend).await;
    let seen = std::cell::Cell::new(0);
    walk(&server, async |target, _, by| {
        for query in ["?x=1", "?dry_run=true", "?x", "?=", "?limit=1&x=1", "?Limit=1"] {
            if !is_for_programs(&target.path) {
                continue;
            }
            let answer = target.request(&server, by, query).send().await;
            answer.assert_invalid("query");
            assert_eq!(answer.json()["errors"][0]["code"], "invalid", "{} {}", target.method, target.path);
            seen.set(seen.get() + 1);
        }
        assert!(!is_for_programs(&target.path) || target.operation["responses"]["422"].is_object());
    })
    .await;
    assert!(seen.get() >= 6 * 40, "{}", seen.get());
}

async fn a_body_is_refused_where_a_route_takes_none(backend: Backend) {
    let server = unlimited(backend).await;
    let seen = std::cell::Cell::new(0);
    walk(&server, async |target, _, by| {
        if !is_for_programs(&target.path) {
            return;
        }
        let request = || target.request(&server, by, "");
        if target.operation.get("requestBody").is_some() {
            // One that takes one takes no other fields.
            request().json(&json!({"nonsense": true})).send().await.assert_status(422);
            return;
        }
        request().json(&json!({"all": true})).send().await.assert_invalid("all");
        for (body, place) in [(json!([]), "."), (Value::Null, ".")] {
            request().json(&body).send().await.assert_invalid(place);
        }
        let chunked = request().header("transfer-encoding", "chunked").header("content-type", "application/json");
        chunked.body("8\r\n{\"x\": 1}\r\n0\r\n\r\n").send().await.assert_invalid("x");
        request().header("content-type", "application/json").body("{").send().await.assert_status(400);
        request().header("content-type", "text/plain").body("all").send().await.assert_status(415);
        request().body("all=true").send().await.assert_status(415);
        seen.set(seen.get() + 1);
    })
    .await;
    assert!(seen.get() >= 20, "{}", seen.get());
}

async fn what_does_not_hurt_is_ignored(server: Server) {
    let own = server.register().await;
    // What a proxy appends of the request that it asks about, what trackers add to links, and what no cache has seen.
    for path in [
        "/api/v1/auth/verify?q=1&dry_run=true",
        "/account/verify-email?token=x&utm_source=mail&fbclid=1",
        "/account/not-me?x=1",
        "/health/live?t=1",
        "/health/ready?t=1",
        "/metrics?t=1",
        "/openapi.json?t=1",
        "/.well-known/jwks.json?t=1",
        "/.well-known/oauth-authorization-server?t=1",
    ] {
        let plain = path.split('?').next().unwrap();
        let (answer, expected) = (server.get(path).bearer(&own.access), server.get(plain).bearer(&own.access));
        assert_eq!(answer.send().await.status, expected.send().await.status, "{path}");
    }
    let asked = server.request("POST", "/api/v1/auth/verify").bearer(&own.access).json(&json!({"of": "the app"}));
    asked.send().await.assert_status(200);
    for body in ["", "{}", " { } ", "\u{feff}{}"] {
        let asked = server.get("/api/v1/auth/me").bearer(&own.access).header("content-type", "application/json");
        asked.body(body).send().await.assert_status(200);
    }
    let logout = server.post("/api/v1/auth/logout").bearer(&own.access).json(&json!({}));
    logout.send().await.assert_status(204);
}

/// Which of two values was meant is not known.
async fn a_form_with_a_field_twice_is_refused_with_a_page(server: Server) {
    let post = server.post("/account/verify-email").header("content-type", "application/x-www-form-urlencoded");
    let answer = post.body("token=kto_a&token=kto_b").send().await;
    answer.assert_status(400);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(answer.text().contains("sent twice"), "{}", answer.text());
}

async fn nothing_happens_that_was_asked_for_otherwise(server: Server) {
    let own = server.register().await;
    let deletion = server.delete("/api/v1/auth/me?dry_run=true").bearer(&own.access).send().await;
    deletion.assert_invalid("query");
    let logout = server.post("/api/v1/auth/logout").bearer(&own.access).json(&json!({"all": true})).send().await;
    logout.assert_invalid("all");
    let login = json!({"email": own.email, "password": PASSWORD});
    server.post("/api/v1/auth/login?x=1").json(&login).send().await.assert_invalid("query");
    server.me(&own.access).await.assert_status(200);
    assert_eq!(server.count("sessions"), 1);
    // Strangers are told nothing else.
    server.get("/api/v1/auth/me?x=1").send().await.assert_problem(401, "missing_token");
    let logout = server.post("/api/v1/auth/logout").json(&json!({"all": true}));
    logout.send().await.assert_problem(401, "missing_token");
}
