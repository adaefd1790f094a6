//! What a route does not take is refused on every route for programs: unknown parameters, and a body where there is
//! none.

use serde_json::{Value, json};

use crate::audit::administrator;
use crate::nul::{properties, unlimited, walk};
use crate::support::{Backend, PASSWORD, Response, Server};

both_backends! {
    an_unknown_parameter_is_refused_wherever_programs_call,
    a_body_is_refused_where_a_route_takes_none,
    a_parameter_that_is_there_twice_is_named_on_every_route,
    a_wrong_parameter_is_named_and_told_what_it_may_be,
    a_field_that_is_there_twice_is_named,
    null_is_refused_where_nothing_can_be_removed,
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
        let twice = request().header("content-type", "application/json").header("content-type", "text/plain");
        twice.body("{}").send().await.assert_status(415);
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

/// The name, code and message of the only error of an answer.
#[track_caller]
fn only_error(answer: &Response) -> [String; 3] {
    answer.assert_problem(422, "invalid_input");
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let message = errors[0]["message"].as_str().unwrap().to_lowercase();
    for foreign in ["deserialize", "parsing", "expected", "provided string", "zorvane"] {
        assert!(!message.contains(foreign), "{errors:?}");
    }
    ["field", "code", "message"].map(|part| errors[0][part].as_str().unwrap().to_owned())
}

async fn a_parameter_that_is_there_twice_is_named_on_every_route(backend: Backend) {
    let server = unlimited(backend).await;
    let seen = std::cell::Cell::new(0);
    walk(&server, async |target, _, by| {
        // Who calls otherwise than with an access token is not known here.
        if target.operation["security"].is_array() {
            return;
        }
        let parameters = target.operation["parameters"].as_array().cloned().unwrap_or_default();
        for name in
            parameters.iter().filter(|parameter| parameter["in"] == "query").map(|p| p["name"].as_str().unwrap())
        {
            // Of some types; what is wrong besides is of no interest.
            for value in ["true", "1", "01a2003e-d8aa-7ec7-a93b-e076a8923cfc", "deny"] {
                let answer = target.request(&server, by, &format!("?{name}={value}&{name}={value}")).send().await;
                let [field, code, _] = only_error(&answer);
                assert_eq!(field, name, "{} {}", target.method, target.path);
                assert!(["duplicate", "invalid"].contains(&&*code), "{code}");
                seen.set(seen.get() + usize::from(code == "duplicate"));
            }
        }
    })
    .await;
    assert!(seen.get() > 40, "{}", seen.get());
}

async fn a_wrong_parameter_is_named_and_told_what_it_may_be(server: Server) {
    let admin = administrator(&server).await;
    let person = server.register().await;
    let id = "is not a UUID";
    let time = "is not a time of RFC 3339";
    let account = format!("/api/v1/admin/users/{}", person.user);
    for (method, path, name, told) in [
        ("GET", "/api/v1/sessions", "include_expired", "must be true or false"),
        ("DELETE", "/api/v1/sessions", "session_id", id),
        ("DELETE", "/api/v1/auth/trusted-devices", "id", id),
        ("DELETE", &*account, "at_once", "must be true or false"),
        ("GET", &*format!("{account}/sessions"), "include_expired", "must be true or false"),
        ("GET", "/api/v1/admin/users", "state", "must be active, disabled, "),
        ("GET", "/api/v1/admin/users", "limit", "must be a number from 1 to 100"),
        ("GET", "/api/v1/admin/audit", "user_id", id),
        ("GET", "/api/v1/admin/audit", "session_id", id),
        ("GET", "/api/v1/admin/audit", "from", time),
        ("GET", "/api/v1/sessions/audit", "to", time),
        ("GET", "/api/v1/sessions/audit", "status", "must be success or failure"),
        ("GET", "/api/v1/sessions/audit", "event_type", "is not an event of the audit log"),
        ("GET", "/api/v1/admin/audit", "format", "must be csv or ndjson"),
        ("GET", "/api/v1/auth/verify", "impersonation", "must be allow, read_only or deny"),
    ] {
        let answer = server.request(method, &format!("{path}?{name}=zorvane")).bearer(&admin.access).send().await;
        let [field, code, message] = only_error(&answer);
        assert_eq!((&*field, &*code), (name, "invalid"), "{path}");
        assert!(message.starts_with(told), "{path}: {message}");
    }
    let long = format!("/api/v1/admin/users?q={}", "x".repeat(255));
    let [.., message] = only_error(&server.get(&long).bearer(&admin.access).send().await);
    assert_eq!(message, "has more than 254 characters");
    // A proxy passes on what apps are asked, twice or not.
    server.get("/api/v1/auth/verify?x=1&x=2").bearer(&person.access).send().await.assert_status(200);
}

async fn a_field_that_is_there_twice_is_named(server: Server) {
    let own = server.register().await;
    for (method, path, body, name) in [
        ("POST", "/api/v1/auth/login", r#"{"email":"a@b.example","email":"c@d.example","password":"x"}"#, "email"),
        ("POST", "/api/v1/auth/register", r#"{"password":"x","email":"a@b.example","password":"y"}"#, "password"),
        ("PATCH", "/api/v1/auth/me", r#"{"name":"Ada","name":null}"#, "name"),
        ("PATCH", "/api/v1/auth/me", r#"{"alerts":true,"alerts":false}"#, "alerts"),
    ] {
        let request = server.request(method, path).bearer(&own.access).header("content-type", "application/json");
        let [field, code, message] = only_error(&request.body(body).send().await);
        assert_eq!((&*field, &*code, &*message), (name, "duplicate", "is there twice"), "{path}");
    }
    let transport = json!({"email": own.email, "password": PASSWORD, "transport": "zorvane"});
    let [.., message] = only_error(&server.post("/api/v1/auth/login").json(&transport).send().await);
    assert_eq!(message, "must be bearer or cookie");
}

async fn null_is_refused_where_nothing_can_be_removed(backend: Backend) {
    let server = unlimited(backend).await;
    let seen = std::cell::Cell::new(0);
    walk(&server, async |target, document, by| {
        if !target.method.eq_ignore_ascii_case("patch") || target.path.contains("/clients/") {
            return;
        }
        for (name, schema) in properties(document, target.operation) {
            let has_null = |types: &Value| types.as_array().is_some_and(|types| types.contains(&json!("null")));
            let either = schema["oneOf"].as_array().or(schema["anyOf"].as_array()).cloned().unwrap_or_default();
            if has_null(&schema["type"]) || either.iter().any(|schema| schema["type"] == "null") {
                continue;
            }
            let answer = target.request(&server, by, "").json(&json!({&name: null})).send().await;
            let [field, _, message] = only_error(&answer);
            assert_eq!((&field, &*message), (&name, "must not be null"), "{}", target.path);
            seen.set(seen.get() + 1);
        }
    })
    .await;
    assert!(seen.get() >= 5, "{}", seen.get());
}
