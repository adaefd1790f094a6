//! The character NUL in any text of a request is refused as the client's mistake, on every route.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::audit::administrator;
use crate::openapi::{document, operations};
use crate::support::{Backend, Request, Response, Server, Tokens};

both_backends! {
    every_text_of_every_body_is_refused_with_nul,
    every_parameter_of_every_query_is_refused_with_nul,
    every_field_of_every_form_is_refused_with_nul,
    a_path_with_nul_leads_nowhere,
    a_header_with_nul_is_no_request,
    a_cookie_with_nul_is_no_token,
    a_made_up_cursor_with_nul_is_refused,
}

/// The text with NUL.
const TEXT: &str = "a\0b";

/// A server that one account may call as often as there are fields.
pub async fn unlimited(backend: Backend) -> Server {
    Server::with(backend, &[("LIMIT_WRITE_ACCOUNT", "off"), ("LIMIT_SEARCH_ACCOUNT", "off")]).await
}

/// A route, and what is to be sent to it.
pub struct Target<'a> {
    pub method: &'a str,
    pub path: String,
    pub operation: &'a Value,
}

impl Target<'_> {
    pub fn request(&self, server: &Server, by: &Tokens, query: &str) -> Request {
        server.request(self.method, &format!("{}{query}", self.path)).bearer(&by.access)
    }
}

/// Calls `visit` with every route, on things that exist.
pub async fn walk(server: &Server, visit: impl AsyncFn(Target<'_>, &Value, &Tokens)) {
    let document = document(server).await;
    let by = administrator(server).await;
    let other = server.register().await;
    for ((method, path), operation) in operations(&document) {
        let id = if path.contains("/users/") { other.user.to_string() } else { other.session.to_string() };
        let path = path.replace("{id}", &id);
        visit(Target { method: &method, path, operation: &operation }, &document, &by).await;
    }
}

/// The properties of an operation's JSON body.
pub fn properties(document: &Value, operation: &Value) -> Vec<(String, Value)> {
    let mut schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    while schema.is_object() && schema.get("properties").is_none() {
        let of_either = || schema["oneOf"].as_array()?.iter().find_map(|either| either.get("$ref"));
        let reference = schema.get("$ref").or_else(of_either);
        let pointer = reference.unwrap_or_else(|| panic!("{schema}")).as_str().unwrap();
        schema = document.pointer(pointer.strip_prefix('#').unwrap()).unwrap();
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(name, schema)| (name.clone(), schema.clone())).collect()
}

#[track_caller]
fn assert_refused(answer: &Response, field: &str) {
    answer.assert_problem(422, "invalid_input");
    let errors = &answer.json()["errors"];
    assert_eq!(errors.as_array().unwrap().len(), 1, "{errors}");
    assert_eq!((&errors[0]["field"], &errors[0]["code"]), (&json!(field), &json!("contains_nul")));
}

async fn every_text_of_every_body_is_refused_with_nul(backend: Backend) {
    let server = unlimited(backend).await;
    let seen = std::cell::Cell::new(0);
    walk(&server, async |target, document, by| {
        for (name, _) in properties(document, target.operation) {
            for (value, place) in [
                (json!(TEXT), name.clone()),
                (json!(["x", TEXT]), format!("{name}[1]")),
                (json!({"x": TEXT}), format!("{name}.x")),
            ] {
                let answer = target.request(&server, by, "").json(&json!({&name: value})).send().await;
                assert_refused(&answer, &place);
            }
            seen.set(seen.get() + 1);
        }
    })
    .await;
    assert!(seen.get() >= 30, "{}", seen.get());
}

async fn every_parameter_of_every_query_is_refused_with_nul(backend: Backend) {
    let server = unlimited(backend).await;
    let seen = std::cell::Cell::new(0);
    walk(&server, async |target, _, by| {
        for parameter in target.operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" {
                let name = parameter["name"].as_str().unwrap();
                let answer = target.request(&server, by, &format!("?{name}=a%00b")).send().await;
                // Pages tell it as a page.
                let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
                if is_page {
                    answer.assert_status(422);
                } else {
                    assert_refused(&answer, name);
                }
                seen.set(seen.get() + 1);
            }
        }
        // A query that a route does not read harms nobody.
        let answer = target.request(&server, by, "?x%00=%00").send().await;
        assert!(answer.status < 500, "{} {}: {answer:?}", target.method, target.path);
    })
    .await;
    assert!(seen.get() >= 20, "{}", seen.get());
}

async fn every_field_of_every_form_is_refused_with_nul(backend: Backend) {
    let server = unlimited(backend).await;
    let seen = std::cell::Cell::new(0);
    walk(&server, async |target, _, by| {
        if target.operation["requestBody"]["content"].get("application/x-www-form-urlencoded").is_none() {
            return;
        }
        if target.path.starts_with("/oauth/") {
            let request = target.request(&server, by, "").header("content-type", "application/x-www-form-urlencoded");
            let answer = request.body("token=x&other=%00").send().await;
            crate::clients::assert_error(&answer, 400, "invalid_request");
            return;
        }
        for body in ["token=kto_%00", "token=kto_\0", "token=kto_x&new_password=%00", "token=x&other%00=1"] {
            let request = target.request(&server, by, "").header("content-type", "application/x-www-form-urlencoded");
            request.body(body).send().await.assert_status(422);
        }
        let is_of_link = crate::pages::PATHS.contains(&&*target.path);
        let name = if is_of_link { "token" } else { "return_to" };
        if is_of_link || target.path == "/login" {
            let shown = server.get(&format!("{}?{name}=kto_%00", target.path)).send().await;
            shown.assert_status(422);
            assert_eq!(shown.header("content-type"), Some("text/html; charset=utf-8"));
        }
        seen.set(seen.get() + 1);
    })
    .await;
    assert!(seen.get() >= 20, "{}", seen.get());
}

async fn a_path_with_nul_leads_nowhere(backend: Backend) {
    let server = unlimited(backend).await;
    let by = administrator(&server).await;
    for ((method, path), operation) in operations(&document(&server).await) {
        // The pages of the console lead whoever has no browser session to the login.
        if path.contains("{id}") && !path.starts_with("/admin") {
            let body = json!({"name": null, "reason": "a question", "disabled": false});
            let path = path.replace("{id}", "a%00b");
            let request = server.request(&method, &path).bearer(&by.access);
            let request = if operation.get("requestBody").is_some() { request.json(&body) } else { request };
            request.send().await.assert_problem(404, "not_found");
        }
    }
}

async fn a_header_with_nul_is_no_request(server: Server) {
    for header in ["user-agent", "x-forwarded-for", "idempotency-key", "authorization", "cookie", "x-request-id"] {
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET /health/live HTTP/1.1\r\nhost: x\r\n{header}: a\0b\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{header}: {answer}");
    }
}

async fn a_cookie_with_nul_is_no_token(server: Server) {
    let cookies = "__Host-keyturn_access=a%00b; __Secure-keyturn_refresh=ktr_%00; __Host-keyturn_device=ktd_%00";
    let origin = crate::support::deployment::PUBLIC_URL;
    let me = server.get("/api/v1/auth/me").header("cookie", cookies).send().await;
    me.assert_problem(401, "invalid_token");
    let refresh = server.post("/api/v1/sessions/refresh").header("cookie", cookies).header("origin", origin);
    refresh.send().await.assert_problem(401, "invalid_refresh_token");
}

async fn a_made_up_cursor_with_nul_is_refused(server: Server) {
    use base64::Engine as _;
    let by = administrator(&server).await;
    let position = [&[1][..], &[7; 16], b"a\0b"].concat();
    let cursor = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(position);
    let path = format!("/api/v1/admin/users?q=a&cursor={cursor}");
    server.get(&path).bearer(&by.access).send().await.assert_invalid("cursor");
}
