//! What holds on every route: refusals, ids of requests, bodies, headers, cookies and origins.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::support::deployment::PUBLIC_URL;
use crate::support::{Backend, PASSWORD, PATIENCE, Request, Response, Server, Tokens};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const ME: &str = "/api/v1/auth/me";
const REFRESH: &str = "/api/v1/sessions/refresh";

const ACCESS_COOKIE: &str = "__Host-keyturn_access";
const REFRESH_COOKIE: &str = "__Secure-keyturn_refresh";

const ALLOWED: &str = "https://app.example";
const FOREIGN: &str = "https://evil.example";

/// Bytes that a body may have.
const MAX_BODY: usize = 64 * 1024;

both_backends! {
    a_refusal_is_a_problem_document,
    a_sane_request_id_is_kept_and_any_other_replaced,
    every_answer_has_a_request_id_and_security_headers,
    a_body_over_64_kib_is_refused,
    a_body_of_another_type_is_refused,
    a_body_that_is_no_json_is_refused,
    a_body_of_another_form_is_refused_with_the_field,
    a_method_that_a_route_lacks_is_refused_with_those_it_has,
    what_is_not_there_is_not_found,
    answers_with_tokens_are_not_stored,
    a_refused_token_is_told_apart_from_a_missing_one,
    methods_that_clients_make_up_do_not_fill_the_metrics,
    cookies_are_for_this_host_and_out_of_reach_of_pages,
    without_tls_cookies_go_without_prefix,
    cookies_alone_carry_a_whole_session,
    a_refresh_by_cookie_may_announce_json_and_send_nothing,
    only_own_pages_act_with_cookies,
    only_own_pages_refresh_with_cookies,
    a_bearer_token_needs_no_origin,
    pages_of_allowed_origins_may_call,
    pages_of_other_origins_may_not_read,
}

embedded_only! {
    a_body_that_does_not_arrive_in_time_is_given_up,
    strict_transport_is_asked_for_with_tls_alone,
}

fn credentials() -> Value {
    json!({"email": "ada@example.com", "password": PASSWORD})
}

struct Cookies {
    access: String,
    refresh: String,
}

impl Cookies {
    /// Of a new account's session.
    async fn of_new_account(server: &Server) -> Self {
        let tokens = server.register().await;
        let body = json!({"email": tokens.email, "password": PASSWORD, "transport": "cookie"});
        Self::set_by(&server.post(LOGIN).json(&body).send().await)
    }

    #[track_caller]
    fn set_by(answer: &Response) -> Self {
        let value = |name: &str| {
            let set = answer.set_cookies(name);
            format!("{name}={}", set.first().unwrap_or_else(|| panic!("no cookie {name}: {answer:?}")).0)
        };
        Self { access: value(ACCESS_COOKIE), refresh: value(REFRESH_COOKIE) }
    }
}

async fn a_refusal_is_a_problem_document(server: Server) {
    let answer = server.get("/nowhere").send().await;
    answer.assert_problem(404, "not_found");
    let body = answer.json();
    assert_eq!((&body["title"], &body["retryable"]), (&json!("Not Found"), &json!(false)));
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
    let kind = url::Url::parse(body["type"].as_str().unwrap()).unwrap();
    assert!(kind.as_str().contains("not_found"));
    assert!(!body["detail"].as_str().unwrap().is_empty());
    assert!(body.get("errors").is_none());

    let invalid = server.post(LOGIN).json(&json!({"email": "nobody", "password": PASSWORD})).send().await;
    invalid.assert_problem(422, "invalid_input");
    let error = &invalid.json()["errors"][0];
    let members: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["code", "field", "message"]);
    assert_eq!((&error["field"], &error["code"]), (&json!("email"), &json!("invalid_email")));
}

async fn a_sane_request_id_is_kept_and_any_other_replaced(server: Server) {
    for sane in ["a", "0192-ab_c.D", &"x".repeat(128)] {
        let answer = server.get("/nowhere").header("x-request-id", sane).send().await;
        assert_eq!(answer.header("x-request-id"), Some(sane));
        assert_eq!(answer.json()["request_id"], sane);
    }
    let mut made = std::collections::HashSet::new();
    for wrong in ["", " ", "two words", "a/b", "<script>", "\u{e9}", "\"", &"x".repeat(129)] {
        let answer = server.get("/nowhere").header("x-request-id", wrong).send().await;
        let id: uuid::Uuid = answer.header("x-request-id").unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7, "in the place of {wrong:?}");
        assert!(made.insert(id));
    }
}

async fn every_answer_has_a_request_id_and_security_headers(backend: Backend) {
    let server = Server::with(backend, &[("ALLOWED_ORIGINS", ALLOWED)]).await;
    let tokens = server.register().await;
    let preflight = |origin: &str| {
        server.request("OPTIONS", LOGIN).header("origin", origin).header("access-control-request-method", "POST")
    };
    for (request, status) in [
        (server.get(ME).bearer(&tokens.access), 200),
        (server.get("/health/live"), 200),
        (server.get("/metrics"), 200),
        (server.get("/openapi.json"), 200),
        (server.get("/.well-known/jwks.json"), 200),
        (server.post(LOGIN).json(&credentials()), 401),
        (server.get(ME), 401),
        (server.get("/nowhere"), 404),
        (server.get("/api/v1/sessions/no-id").bearer(&tokens.access), 404),
        (server.request("TRACE", ME), 405),
        (server.post(LOGIN).json(&json!([])), 422),
        (server.post(LOGIN).body("x"), 415),
        (server.post(LOGIN).header("content-length", "70000"), 413),
        (server.get("/api/v1/sessions?x=1").bearer(&tokens.access), 422),
        (server.post(REFRESH).json(&json!({"refresh_token": "ktr_x"})), 401),
        (preflight(ALLOWED), 200),
        (preflight(FOREIGN), 200),
        (
            server
                .request("OPTIONS", "/metrics")
                .header("origin", FOREIGN)
                .header("access-control-request-method", "GET"),
            403,
        ),
        (server.post("/api/v1/auth/logout").bearer(&tokens.access), 204),
    ] {
        let answer = request.send().await;
        answer.assert_status(status);
        assert_eq!(answer.all_headers("x-request-id").len(), 1, "{answer:?}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(answer.all_headers(name), [value], "{status} {name}");
        }
        assert_eq!((answer.header("server"), answer.header("x-powered-by")), (None, None));
        if status >= 400 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
}

async fn strict_transport_is_asked_for_with_tls_alone(backend: Backend) {
    let server = Server::with(backend, &[("PUBLIC_URL", "http://127.0.0.1:8080")]).await;
    assert_eq!(server.get("/health/live").send().await.header("strict-transport-security"), None);
}

/// A body in one chunk.
fn chunked(request: Request, body: &[u8]) -> Request {
    let framed = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
    request.header("transfer-encoding", "chunked").header("content-type", "application/json").body(framed)
}

async fn a_body_over_64_kib_is_refused(server: Server) {
    let padded = |length: usize| {
        let body = credentials().to_string();
        body.clone() + &" ".repeat(length - body.len())
    };
    let announced = |length| server.post(LOGIN).header("content-type", "application/json").body(padded(length));
    let largest = announced(MAX_BODY).send().await;
    largest.assert_problem(401, "invalid_credentials");
    announced(MAX_BODY + 1).send().await.assert_problem(413, "body_too_large");
    chunked(server.post(LOGIN), padded(MAX_BODY).as_bytes()).send().await.assert_problem(401, "invalid_credentials");
    chunked(server.post(LOGIN), padded(MAX_BODY + 1).as_bytes()).send().await.assert_problem(413, "body_too_large");
    // What is announced is not waited for.
    let unsent = server.post(LOGIN).header("content-type", "application/json").header("content-length", "99999999999");
    unsent.send().await.assert_problem(413, "body_too_large");
    let refresh = server.post(REFRESH).header("content-type", "application/json").body(padded(MAX_BODY + 1));
    refresh.send().await.assert_problem(413, "body_too_large");
}

async fn a_body_of_another_type_is_refused(server: Server) {
    let send = |content_type: Option<&str>| {
        let request = server.post(LOGIN).body(credentials().to_string());
        content_type.map_or(request.clone(), |value| request.header("content-type", value)).send()
    };
    for wrong in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/jsonp"),
        Some("text/json"),
        Some("nonsense"),
    ] {
        send(wrong).await.assert_problem(415, "unsupported_media_type");
    }
    for right in
        ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=UTF-8"]
    {
        send(Some(right)).await.assert_problem(401, "invalid_credentials");
    }
}

async fn a_body_that_is_no_json_is_refused(server: Server) {
    let secret = "opensesame";
    for wrong in [
        b"".to_vec(),
        b"{".to_vec(),
        secret.into(),
        format!("{{\"password\": {secret}}}").into(),
        format!("{{\"email\": \"{secret}\"").into(),
        format!("{} {{}}", credentials()).into(),
        format!("{},", credentials()).into(),
        b"{'email': 'x'}".to_vec(),
        b"{\"email\": \"\xff\", \"password\": \"x\"}".to_vec(),
        b"{\"email\": \"\\ud800\", \"password\": \"x\"}".to_vec(),
        "[".repeat(60_000).into(),
    ] {
        let shown = String::from_utf8_lossy(&wrong[..wrong.len().min(40)]).into_owned();
        let answer = server.post(LOGIN).header("content-type", "application/json").body(wrong).send().await;
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        answer.assert_problem(400, "malformed_json");
        assert!(!answer.text().contains(secret), "what was sent is not repeated");
    }
}

async fn a_body_of_another_form_is_refused_with_the_field(server: Server) {
    for (body, field, code) in [
        (json!({"email": "ada@example.com"}), "password", "missing"),
        (json!({}), "email", "missing"),
        (json!({"email": null, "password": "p"}), "email", "wrong_type"),
        (json!({"email": "ada@example.com", "password": 12345678}), "password", "wrong_type"),
        (json!({"email": ["opensesame"], "password": "p"}), "email", "wrong_type"),
        (json!({"email": "a", "password": "p", "opensesame?": 1}), "opensesame?", "unknown"),
        (json!({"email": "a", "password": "p", "transport": "opensesame"}), "transport", "invalid"),
        (json!({"email": "a", "password": "p", "transport": 1}), "transport", "wrong_type"),
        (json!(["ada@example.com", PASSWORD, null, "bearer"]), ".", "wrong_type"),
        (json!([]), ".", "wrong_type"),
        (json!("opensesame"), ".", "wrong_type"),
        (json!(null), ".", "wrong_type"),
        (json!(7), ".", "wrong_type"),
    ] {
        let answer = server.post(LOGIN).json(&body).send().await;
        answer.assert_problem(422, "invalid_input");
        let errors = &answer.json()["errors"];
        assert_eq!((errors.as_array().unwrap().len(), &errors[0]["field"]), (1, &json!(field)), "{body}");
        assert_eq!(errors[0]["code"], code, "{body}");
        assert!(field.contains("opensesame") || !answer.text().contains("opensesame"), "{body}");
    }
}

async fn a_body_that_does_not_arrive_in_time_is_given_up(server: Server) {
    let begun = std::time::Instant::now();
    let request = server.post(LOGIN).header("content-type", "application/json");
    let some = request.clone().header("content-length", "100").body("{\"email\": ");
    let none = request.clone().header("content-length", "100");
    let endless = request.header("transfer-encoding", "chunked").body("a\r\n{\"email\": \r\n");
    let pending = [some.begin().await.unwrap(), none.begin().await.unwrap(), endless.begin().await.unwrap()];
    for mut pending in pending {
        let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"}") {
            let length = tokio::time::timeout(PATIENCE, pending.stream.read(&mut piece)).await.unwrap().unwrap();
            assert_ne!(length, 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..length]);
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"request_timeout\""), "{answer}");
    }
    assert!(begun.elapsed() >= std::time::Duration::from_secs(5), "a slow client has its time");
}

async fn a_method_that_a_route_lacks_is_refused_with_those_it_has(server: Server) {
    for (target, allowed) in [
        (LOGIN, "POST"),
        (ME, "GET, HEAD, PATCH, DELETE"),
        ("/api/v1/sessions", "GET, HEAD, DELETE"),
        ("/api/v1/sessions/", "GET, HEAD, DELETE"),
        ("/api/v1/sessions/7", "GET, HEAD, PATCH, DELETE"),
        ("/api/v1/sessions/refresh", "POST"),
        ("/.well-known/jwks.json", "GET, HEAD"),
        ("/health/live", "GET, HEAD"),
    ] {
        for method in ["PUT", "OPTIONS", "BREW"] {
            let answer = server.request(method, target).send().await;
            answer.assert_problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {target}");
        }
    }
    server.get(LOGIN).send().await.assert_problem(405, "method_not_allowed");
    server.request("HEAD", "/health/live").send().await.assert_status(200);
}

async fn what_is_not_there_is_not_found(server: Server) {
    for target in [
        "/index.html",
        "/docs/",
        "/api",
        "/api/v1/auth",
        "/api/v1/auth/me/",
        "/API/V1/AUTH/ME",
        "/api/v1/sessions/a/b",
        "/.env",
        "/%2e%2e/metrics",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            server.request(method, target).send().await.assert_problem(404, "not_found");
        }
    }
}

async fn answers_with_tokens_are_not_stored(server: Server) {
    for transport in ["bearer", "cookie"] {
        let body = json!({"email": format!("{transport}@example.com"), "password": PASSWORD, "transport": transport});
        let registered = server.post(REGISTER).json(&body).send().await;
        let logged_in = server.post(LOGIN).json(&body).send().await;
        let refreshed = if transport == "bearer" {
            server.refresh(&Tokens::of(&logged_in).refresh).await
        } else {
            let cookies = Cookies::set_by(&logged_in);
            server.post(REFRESH).header("cookie", &cookies.refresh).header("origin", PUBLIC_URL).send().await
        };
        for (answer, status) in [(registered, 201), (logged_in, 200), (refreshed, 200)] {
            answer.assert_status(status);
            assert_eq!(answer.all_headers("cache-control"), ["no-store"]);
        }
    }
}

async fn a_refused_token_is_told_apart_from_a_missing_one(server: Server) {
    let tokens = server.register().await;
    let missing = server.get(ME).send().await;
    missing.assert_problem(401, "missing_token");
    assert_eq!(missing.all_headers("www-authenticate"), ["Bearer"]);

    let refused = server.me("nonsense").await;
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer error=\"invalid_token\", error_description=\""), "{challenge}");
    let authorized = |value: &str| server.get(ME).header("authorization", value).send();
    for wrong in ["Bearer x".to_owned(), format!("Bearer {}.", tokens.access), format!("Bearer {}=", tokens.access)] {
        let answer = authorized(&wrong).await;
        answer.assert_problem(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), Some(challenge), "which check failed is not told");
    }
    authorized(&format!("bearer {}", tokens.access)).await.assert_status(200);
    authorized(&format!("BEARER {}", tokens.access)).await.assert_status(200);
    authorized("Basic dXNlcjpwYXNz").await.assert_problem(401, "missing_token");
    // A bearer token that is refused is not made good by a cookie that is; a proxy's password does no harm to one.
    let cookies = Cookies::of_new_account(&server).await;
    let proxied = server.get(ME).header("authorization", "Basic dXNlcjpwYXNz").header("cookie", &cookies.access);
    proxied.send().await.assert_status(200);
    let both = server.get(ME).header("authorization", "Bearer nonsense").header("cookie", &cookies.access);
    both.send().await.assert_problem(401, "invalid_token");
}

async fn methods_that_clients_make_up_do_not_fill_the_metrics(server: Server) {
    for n in 0..20 {
        server.request(&format!("BREW{n}"), "/health/live").send().await.assert_status(405);
        server.get(&format!("/made/up/{n}")).send().await.assert_status(404);
        server.get(&format!("/api/v1/sessions/{n}")).send().await.assert_status(401);
    }
    let text = server.get("/metrics").send().await.text();
    let requests: Vec<&str> = text.lines().filter(|line| line.starts_with("keyturn_http_requests_total{")).collect();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(!text.contains("BREW"));
    assert!(requests.iter().all(|line| line.ends_with(" 20")), "{requests:?}");
}

/// Asserts the cookies' attributes. `refresh` is the name of the refresh token's.
#[track_caller]
fn assert_cookies(answer: &Response, access: &str, refresh: &str) {
    let attributes = |text: &str| {
        let mut all: Vec<String> = text.split(';').map(|part| part.trim().to_ascii_lowercase()).collect();
        all.sort();
        all
    };
    let cookies = answer.set_cookies(access);
    assert_eq!(cookies.len(), 1, "{answer:?}");
    // Without TLS there is neither prefix nor attribute.
    let secure = || access.starts_with("__").then(|| "secure".to_owned());
    let expected = |own: &[&str]| own.iter().map(|text| (*text).to_owned()).chain(secure()).collect::<Vec<_>>();
    assert_eq!(attributes(&cookies[0].1), expected(&["httponly", "max-age=900", "path=/", "samesite=lax"]));
    assert_eq!(cookies[0].0.split('.').count(), 3);

    let cookies = answer.set_cookies(refresh);
    let paths = ["/api/v1/auth/logout", "/api/v1/sessions/refresh"];
    let mut found: Vec<_> = cookies.iter().map(|(_, text)| attributes(text)).collect();
    found.sort();
    let expected = paths.map(|path| {
        let path = format!("path={path}");
        expected(&["httponly", "max-age=604800", &path, "samesite=strict"])
    });
    assert_eq!(found, expected);
    assert!(cookies.iter().all(|(value, _)| value.starts_with("ktr_") && *value == cookies[0].0));

    let body = answer.json();
    assert!(body.get("access_token").is_none() && body.get("refresh_token").is_none(), "{body}");
    assert_eq!((&body["expires_in"], &body["token_type"]), (&json!(900), &json!("Bearer")));
    assert!(!answer.text().contains(&cookies[0].0));
}

async fn cookies_are_for_this_host_and_out_of_reach_of_pages(server: Server) {
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "transport": "cookie"});
    let registered = server.post(REGISTER).json(&body).send().await;
    assert_cookies(registered.assert_status(201), ACCESS_COOKIE, REFRESH_COOKIE);
    let logged_in = server.post(LOGIN).json(&body).send().await;
    assert_cookies(logged_in.assert_status(200), ACCESS_COOKIE, REFRESH_COOKIE);
    let refresh = Cookies::set_by(&logged_in).refresh;
    let refreshed = server.post(REFRESH).header("cookie", &refresh).header("origin", PUBLIC_URL).send().await;
    assert_cookies(refreshed.assert_status(200), ACCESS_COOKIE, REFRESH_COOKIE);

    let bearer = server.post(LOGIN).json(&json!({"email": "ada@example.com", "password": PASSWORD})).send().await;
    assert_eq!(bearer.header("set-cookie"), None);
}

async fn without_tls_cookies_go_without_prefix(backend: Backend) {
    let server = Server::with(backend, &[("PUBLIC_URL", "http://localhost:8080")]).await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "transport": "cookie"});
    let registered = server.post(REGISTER).json(&body).send().await;
    assert_cookies(registered.assert_status(201), "keyturn_access", "keyturn_refresh");
}

async fn cookies_alone_carry_a_whole_session(server: Server) {
    let cookies = Cookies::of_new_account(&server).await;
    let all = format!("theme=dark; {}; {}; other=\"x\"", cookies.access, cookies.refresh);
    let me = server.get(ME).header("cookie", &all).send().await.assert_status(200).json();
    let answer = server.post(REFRESH).header("cookie", &all).header("origin", PUBLIC_URL).send().await;
    assert_eq!(answer.assert_status(200).json()["session_id"], me["session_id"]);
    let next = Cookies::set_by(&answer);
    assert!(next.access != cookies.access && next.refresh != cookies.refresh);
    server.get(ME).header("cookie", &next.access).send().await.assert_status(200);

    // The refresh token's cookie is no access token, and the access token's no refresh token.
    let swapped = next.refresh.replace(REFRESH_COOKIE, ACCESS_COOKIE);
    server.get(ME).header("cookie", &swapped).send().await.assert_problem(401, "invalid_token");
    let swapped = next.access.replace(ACCESS_COOKIE, REFRESH_COOKIE);
    let request = server.post(REFRESH).header("cookie", &swapped).header("origin", PUBLIC_URL);
    request.send().await.assert_problem(401, "invalid_refresh_token");
}

async fn a_refresh_by_cookie_may_announce_json_and_send_nothing(server: Server) {
    let cookies = Cookies::of_new_account(&server).await;
    let request = server.post(REFRESH).header("cookie", &cookies.refresh).header("origin", PUBLIC_URL);
    request.header("content-type", "application/json").send().await.assert_status(200);
    server.post(REFRESH).send().await.assert_problem(401, "invalid_refresh_token");
}

/// Headers of a request, and whether one with cookies is then let through.
fn origins() -> [(Vec<(&'static str, &'static str)>, bool); 11] {
    [
        (vec![], false),
        (vec![("origin", FOREIGN)], false),
        (vec![("origin", "null")], false),
        (vec![("origin", "")], false),
        (vec![("origin", "https://keyturn.example.evil.example")], false),
        (vec![("origin", "http://keyturn.example")], false),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("origin", FOREIGN), ("sec-fetch-site", "same-origin")], false),
        (vec![("origin", PUBLIC_URL)], true),
        (vec![("origin", ALLOWED)], true),
        (vec![("sec-fetch-site", "same-origin")], true),
    ]
}

fn with(request: Request, headers: &[(&str, &str)]) -> Request {
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

async fn only_own_pages_act_with_cookies(backend: Backend) {
    let server = Server::with(backend, &[("ALLOWED_ORIGINS", ALLOWED)]).await;
    let cookies = Cookies::of_new_account(&server).await;
    for (headers, is_allowed) in origins() {
        let patch = server.patch(ME).json(&json!({"name": "Ada"}));
        let unknown = server.delete(&format!("/api/v1/sessions/{}", uuid::Uuid::nil()));
        let revoke = server.post("/api/v1/sessions/revoke").json(&json!({"all": true}));
        for (request, status) in [(patch, 200), (unknown, 404), (revoke, 200)] {
            let answer = with(request.header("cookie", &cookies.access), &headers).send().await;
            if is_allowed {
                answer.assert_status(status);
            } else {
                answer.assert_problem(403, "origin_not_allowed");
            }
        }
        // What changes nothing may be asked from anywhere: the page does not get to read it.
        with(server.get(ME).header("cookie", &cookies.access), &headers).send().await.assert_status(200);
    }
}

async fn only_own_pages_refresh_with_cookies(backend: Backend) {
    let server = Server::with(backend, &[("ALLOWED_ORIGINS", ALLOWED)]).await;
    for (headers, is_allowed) in origins() {
        let cookies = Cookies::of_new_account(&server).await;
        let answer = with(server.post(REFRESH).header("cookie", &cookies.refresh), &headers).send().await;
        if is_allowed {
            answer.assert_status(200);
        } else {
            answer.assert_problem(403, "origin_not_allowed");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
    assert_eq!(server.count("sessions WHERE generation > 0"), 3);
}

async fn a_bearer_token_needs_no_origin(server: Server) {
    let tokens = server.register().await;
    let cookies = Cookies::of_new_account(&server).await;
    for (headers, _) in origins() {
        let patch = server.patch(ME).bearer(&tokens.access).json(&json!({"name": "Ada"}));
        with(patch.header("cookie", &cookies.access), &headers).send().await.assert_status(200);
    }
    let refresh = server.refreshing(&tokens.refresh).header("origin", FOREIGN).send().await;
    refresh.assert_status(200);
}

async fn pages_of_allowed_origins_may_call(backend: Backend) {
    let server = Server::with(backend, &[("ALLOWED_ORIGINS", &format!("{ALLOWED}, https://admin.example:8443"))]).await;
    let tokens = server.register().await;
    for origin in [ALLOWED, "https://admin.example:8443"] {
        let preflight = server
            .request("OPTIONS", ME)
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization, content-type, x-request-id");
        let answer = preflight.send().await;
        answer.assert_status(200);
        assert_eq!(answer.all_headers("access-control-allow-origin"), [origin]);
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(["GET", "POST", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
        let headers = answer.header("access-control-allow-headers").unwrap();
        assert!(["authorization", "content-type"].iter().all(|name| headers.contains(name)), "{headers}");

        for (request, status) in [(server.get(ME).bearer(&tokens.access), 200), (server.get(ME), 401)] {
            let answer = request.header("origin", origin).send().await;
            answer.assert_status(status);
            assert_eq!(answer.all_headers("access-control-allow-origin"), [origin]);
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
            let exposed = answer.header("access-control-expose-headers").unwrap();
            assert!(["x-request-id", "retry-after", "ratelimit-reset"].iter().all(|name| exposed.contains(name)));
            assert!(answer.header("vary").unwrap().to_ascii_lowercase().contains("origin"));
        }
    }
    let unknown =
        server.request("OPTIONS", ME).header("origin", ALLOWED).header("access-control-request-method", "PUT");
    assert!(!unknown.send().await.header("access-control-allow-methods").unwrap().contains("PUT"));
}

async fn pages_of_other_origins_may_not_read(backend: Backend) {
    let closed = ("CORS_BEARER", "allowed_origins");
    for settings in [&[closed, ("ALLOWED_ORIGINS", ALLOWED)][..], &[closed]] {
        let server = Server::with(backend, settings).await;
        let tokens = server.register().await;
        for origin in
            [FOREIGN, "null", "https://app.example.evil.example", "http://app.example", "https://app.example:444"]
        {
            let preflight = server.request("OPTIONS", ME).header("origin", origin);
            let preflight = preflight.header("access-control-request-method", "GET").send().await;
            preflight.assert_problem(403, "origin_not_allowed");
            let answer = server.get(ME).bearer(&tokens.access).header("origin", origin).send().await;
            answer.assert_status(200);
            for answer in [preflight, answer] {
                assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
            }
        }
    }
}
