//! Pages of other origins: what browsers let them send and read, with cookies and without.

use serde_json::json;

use crate::mfa::person;
use crate::support::deployment::PUBLIC_URL;
use crate::support::{Backend, PASSWORD, Request, Response, Server};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const LOGOUT: &str = "/api/v1/auth/logout";
const ME: &str = "/api/v1/auth/me";
const REFRESH: &str = "/api/v1/sessions/refresh";

const ACCESS_COOKIE: &str = "__Host-keyturn_access";
const REFRESH_COOKIE: &str = "__Secure-keyturn_refresh";

const ALLOWED: &str = "https://app.example";
const FOREIGN: &str = "https://evil.example";

both_backends! {
    pages_of_every_origin_may_call_the_api_without_cookies,
    a_page_may_send_whatever_headers_its_tools_add,
    only_allowed_origins_may_read_answers_to_requests_with_cookies,
    what_is_not_the_api_is_closed_to_pages,
    keys_and_metadata_are_open_to_all,
    apps_and_hosts_of_a_domain_can_be_allowed,
    a_foreign_page_logs_nobody_in_by_cookies,
    a_refused_request_with_cookies_says_that_the_origin_is_not_allowed,
}

fn preflight(server: &Server, target: &str, origin: &str, headers: &str) -> Request {
    let request = server.request("OPTIONS", target).header("origin", origin);
    request.header("access-control-request-method", "POST").header("access-control-request-headers", headers)
}

#[track_caller]
fn assert_granted(answer: &Response, origin: &str, with_cookies: bool) {
    assert_eq!(answer.all_headers("access-control-allow-origin"), [origin], "{answer:?}");
    let credentials = answer.all_headers("access-control-allow-credentials");
    assert_eq!(credentials, if with_cookies { vec!["true"] } else { vec![] }, "{answer:?}");
}

fn varies_by(answer: &Response, name: &str) -> bool {
    answer.all_headers("vary").iter().flat_map(|line| line.split(',')).any(|own| own.trim().eq_ignore_ascii_case(name))
}

async fn pages_of_every_origin_may_call_the_api_without_cookies(server: Server) {
    let tokens = server.register().await;
    for origin in [FOREIGN, "null", "http://localhost:5173", "capacitor://localhost", "chrome-extension://abc"] {
        for target in [LOGIN, REFRESH, "/api/v1/auth/mfa", "/api/v1/sessions/x"] {
            let answer = preflight(&server, target, origin, "authorization,content-type").send().await;
            answer.assert_status(200);
            assert_granted(&answer, "*", false);
            assert!(answer.body.is_empty());
        }
        let refresh = server.refreshing("ktr_x");
        for (request, status) in [
            (server.get(ME).bearer(&tokens.access), 200),
            (server.get(ME), 401),
            (server.post(LOGIN).json(&json!({})), 422),
            (refresh, 401),
            (server.get("/api/v1/nowhere"), 404),
            (server.get("/openapi.json"), 200),
        ] {
            let answer = request.header("origin", origin).send().await;
            answer.assert_status(status);
            assert_granted(&answer, "*", false);
            assert!(varies_by(&answer, "Origin"), "{answer:?}");
            let exposed = answer.header("access-control-expose-headers").unwrap();
            let names = [
                "x-request-id",
                "retry-after",
                "ratelimit-limit",
                "ratelimit-remaining",
                "ratelimit-reset",
                "www-authenticate",
            ];
            assert!(names.iter().all(|name| exposed.contains(name)), "{exposed}");
        }
    }
    // Whoever is no page is told nothing, except that caches have to tell pages apart.
    let answer = server.get(ME).bearer(&tokens.access).send().await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert!(varies_by(&answer, "Origin"));
}

async fn a_page_may_send_whatever_headers_its_tools_add(backend: Backend) {
    let server = Server::with(backend, &[("ALLOWED_ORIGINS", ALLOWED)]).await;
    for (origin, granted, with_cookies) in [(ALLOWED, ALLOWED, true), (FOREIGN, "*", false)] {
        for headers in [
            "authorization,content-type",
            "baggage,content-type,sentry-trace",
            "authorization, traceparent, tracestate",
            "x-requested-with",
            "cache-control,pragma",
            "idempotency-key,ngsw-bypass,x-b3-traceid",
            &"a".repeat(2048),
        ] {
            let answer = preflight(&server, LOGIN, origin, headers).send().await;
            answer.assert_status(200);
            assert_granted(&answer, granted, with_cookies);
            assert_eq!(answer.header("access-control-allow-headers"), Some(headers));
            assert_eq!(answer.header("access-control-max-age"), Some("3600"));
            for name in ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"] {
                assert!(varies_by(&answer, name), "{answer:?}");
            }
        }
        for no_names in ["", "a b", "a,,b", "<script>", &"a".repeat(2049)] {
            let answer = preflight(&server, LOGIN, origin, no_names).send().await;
            assert_eq!(answer.assert_status(200).header("access-control-allow-headers"), None, "{no_names}");
        }
    }
    // One without these headers is no preflight.
    let options = server.request("OPTIONS", LOGIN).header("origin", ALLOWED).send().await;
    options.assert_problem(405, "method_not_allowed");
    let options = server.request("OPTIONS", LOGIN).header("access-control-request-method", "POST").send().await;
    options.assert_problem(405, "method_not_allowed");
}

async fn only_allowed_origins_may_read_answers_to_requests_with_cookies(backend: Backend) {
    let server = Server::with(backend, &[("ALLOWED_ORIGINS", ALLOWED)]).await;
    let tokens = server.register().await;
    let cookie = format!("{ACCESS_COOKIE}={}", tokens.access);
    for (origin, granted) in
        [(ALLOWED, ALLOWED), (FOREIGN, "*"), ("https://app.example.evil.example", "*"), ("null", "*")]
    {
        let answer = server.get(ME).header("cookie", &cookie).header("origin", origin).send().await;
        assert_granted(answer.assert_status(200), granted, granted == ALLOWED);
    }
}

async fn what_is_not_the_api_is_closed_to_pages(backend: Backend) {
    let server = Server::with(backend, &[("ALLOWED_ORIGINS", ALLOWED)]).await;
    for target in ["/metrics", "/health/live", "/health/ready", "/account/reset-password?token=x", "/nowhere", "/api"] {
        let answer = server.get(target).header("origin", FOREIGN).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{target}");
        let asked = preflight(&server, target, FOREIGN, "authorization").send().await;
        asked.assert_problem(403, "origin_not_allowed");
        assert_eq!(asked.header("access-control-allow-origin"), None, "{target}");
    }
}

async fn keys_and_metadata_are_open_to_all(backend: Backend) {
    for settings in [&[("CORS_BEARER", "allowed_origins"), ("ALLOWED_ORIGINS", ALLOWED)][..], &[]] {
        let server = Server::with(backend, settings).await;
        for target in ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server"] {
            for origin in [Some(FOREIGN), Some(ALLOWED), Some("null"), None] {
                let request = server.get(target);
                let request = origin.map_or(request.clone(), |origin| request.header("origin", origin));
                let answer = request.send().await;
                assert_granted(answer.assert_status(200), "*", false);
                // A shared cache may hand one answer to all.
                assert!(!varies_by(&answer, "Origin"), "{answer:?}");
                assert!(answer.header("cache-control").unwrap().starts_with("public"), "{answer:?}");
            }
            let asked = preflight(&server, target, FOREIGN, "cache-control").send().await;
            assert_granted(asked.assert_status(200), "*", false);
        }
    }
}

async fn apps_and_hosts_of_a_domain_can_be_allowed(backend: Backend) {
    let allowed = "capacitor://localhost, tauri://localhost, http://tauri.localhost, https://*.preview.example";
    let server = Server::with(backend, &[("ALLOWED_ORIGINS", allowed), ("CORS_BEARER", "allowed_origins")]).await;
    let cookie = format!("{ACCESS_COOKIE}={}", server.register().await.access);
    for (origin, is_allowed) in [
        ("capacitor://localhost", true),
        ("tauri://localhost", true),
        ("http://tauri.localhost", true),
        ("https://pr-12.preview.example", true),
        ("https://preview.example", false),
        ("https://a.b.preview.example", false),
        ("https://evilpreview.example", false),
        ("https://pr-12.preview.example.evil.example", false),
        ("http://pr-12.preview.example", false),
        ("ionic://localhost", false),
        ("capacitor://localhost.evil.example", false),
        ("null", false),
    ] {
        let asked = preflight(&server, ME, origin, "content-type").send().await;
        let request = server.patch(ME).json(&json!({"name": "Ada"})).header("cookie", &cookie);
        let answer = request.header("origin", origin).send().await;
        if is_allowed {
            assert_granted(asked.assert_status(200), origin, true);
            assert_granted(answer.assert_status(200), origin, true);
        } else {
            asked.assert_problem(403, "origin_not_allowed");
            answer.assert_problem(403, "origin_not_allowed");
        }
    }
}

async fn a_foreign_page_logs_nobody_in_by_cookies(backend: Backend) {
    let server = Server::with(backend, &[("ALLOWED_ORIGINS", ALLOWED)]).await;
    let own = person(&server, &server.clock).await;
    let other = server.register().await;
    let login =
        |email: &str| server.post(LOGIN).json(&json!({"email": email, "password": PASSWORD, "transport": "cookie"}));
    let register = || {
        let email = format!("{}@example.com", crate::support::random_hex::<6>());
        server.post(REGISTER).json(&json!({"email": email, "password": PASSWORD, "transport": "cookie"}))
    };
    let before = (server.count("sessions"), server.count("users"));
    for (name, value) in
        [("origin", FOREIGN), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")]
    {
        for request in [login(&other.email), register()] {
            let answer = request.header(name, value).send().await;
            answer.assert_problem(403, "origin_not_allowed");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
    assert_eq!((server.count("sessions"), server.count("users")), before);
    // The second step is judged like the first.
    let waiting = login(&own.tokens.email).header("origin", ALLOWED).send().await.assert_status(200).json();
    let code = own.app.code(server.clock.now(), 0);
    let complete = || {
        server
            .post("/api/v1/auth/mfa")
            .json(&json!({"mfa_token": waiting["mfa_token"], "method": "totp", "code": code}))
    };
    let foreign = complete().header("origin", FOREIGN).send().await;
    foreign.assert_problem(403, "origin_not_allowed");
    assert_eq!(foreign.header("set-cookie"), None);
    let completed = complete().header("origin", ALLOWED).send().await;
    assert_eq!(completed.assert_status(200).set_cookies(ACCESS_COOKIE).len(), 1);

    // Pages of allowed origins and programs without any log in, and so does a foreign page that gets no cookie.
    for (name, value) in
        [("origin", ALLOWED), ("origin", PUBLIC_URL), ("sec-fetch-site", "same-origin"), ("accept", "*/*")]
    {
        let answer = login(&other.email).header(name, value).send().await;
        assert_eq!(answer.assert_status(200).set_cookies(ACCESS_COOKIE).len(), 1, "{name}: {value}");
    }
    let bearer = server.post(LOGIN).json(&json!({"email": other.email, "password": PASSWORD}));
    let answer = bearer.header("origin", FOREIGN).send().await;
    assert_granted(answer.assert_status(200), "*", false);
    assert_eq!(answer.header("set-cookie"), None);
}

async fn a_refused_request_with_cookies_says_that_the_origin_is_not_allowed(server: Server) {
    let tokens = server.register().await;
    let body = json!({"email": tokens.email, "password": PASSWORD, "transport": "cookie"});
    let answer = server.post(LOGIN).json(&body).send().await;
    let cookie = |name: &str| format!("{name}={}", answer.set_cookies(name)[0].0);
    let (access, refresh) = (cookie(ACCESS_COOKIE), cookie(REFRESH_COOKIE));
    for origin in [FOREIGN, "null", "http://keyturn.example", "https://keyturn.example:444"] {
        for (request, cookie) in [
            (server.post(LOGOUT), &access),
            (server.post(LOGOUT), &refresh),
            (server.post(REFRESH), &refresh),
            (server.delete("/api/v1/sessions"), &access),
            (server.post("/api/v1/auth/logout-all"), &access),
        ] {
            let answer = request.header("cookie", cookie).header("origin", origin).send().await;
            answer.assert_problem(403, "origin_not_allowed");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
    server.post(REFRESH).header("cookie", &refresh).header("origin", PUBLIC_URL).send().await.assert_status(200);
}
