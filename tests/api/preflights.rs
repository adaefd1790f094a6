//! Preflights that a proxy holds: what a browser asks before a page's request to an app behind forward authentication.

use crate::support::deployment::PUBLIC_URL;
use crate::support::{Backend, Request, Response, Server};

const VERIFY: &str = "/api/v1/auth/verify";

const ALLOWED: &str = "https://app.example";
const FOREIGN: &str = "https://evil.example";

both_backends! {
    preflights_of_allowed_origins_pass_in_every_proxys_form,
    a_setting_lets_all_preflights_pass_or_none,
    what_only_looks_like_a_preflight_does_not_pass,
    a_preflight_for_keyturn_itself_is_no_question_of_a_proxy,
}

async fn server(backend: Backend, setting: Option<&str>) -> Server {
    let mut settings = vec![("ALLOWED_ORIGINS", ALLOWED)];
    settings.extend(setting.map(|value| ("VERIFY_PREFLIGHT", value)));
    Server::with(backend, &settings).await
}

/// The forms in which proxies ask about a request with a method: Traefik and Caddy, nginx, nginx with both, Envoy, and
/// one that passes the request on.
fn forms(server: &Server, method: &str) -> [Request; 6] {
    let named = |name: &str| server.get(VERIFY).header(name, method);
    [
        named("x-forwarded-method"),
        named("x-original-method"),
        named("x-forwarded-method").header("x-original-method", method),
        server.request(method, &format!("{VERIFY}/api/things?a=b")),
        server.request(method, &format!("{VERIFY}/")),
        server.request(method, VERIFY),
    ]
}

fn of_page(request: Request, origin: &str) -> Request {
    request.header("origin", origin).header("access-control-request-method", "PUT")
}

#[track_caller]
fn assert_passed(answer: &Response) {
    answer.assert_status(200);
    // The app must not take it for anybody's.
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("x-auth-")), "{answer:?}");
    assert!(answer.body.is_empty() && answer.header("set-cookie").is_none(), "{answer:?}");
}

async fn preflights_of_allowed_origins_pass_in_every_proxys_form(backend: Backend) {
    let server = server(backend, Some("allowed_origins")).await;
    for origin in [ALLOWED, PUBLIC_URL] {
        for form in forms(&server, "OPTIONS") {
            assert_passed(&of_page(form.clone(), origin).send().await);
            let headers = of_page(form, origin).header("access-control-request-headers", "authorization,x-trace");
            assert_passed(&headers.send().await);
        }
    }
    for origin in [FOREIGN, "null", "", "https://app.example.evil.example"] {
        for form in forms(&server, "OPTIONS") {
            of_page(form, origin).send().await.assert_problem(401, "missing_token");
        }
    }
}

async fn a_setting_lets_all_preflights_pass_or_none(backend: Backend) {
    let open = server(backend, Some("any")).await;
    // A proxy that does not name the method would let anything pass.
    let closed = server(backend, None).await;
    for origin in [ALLOWED, FOREIGN, "null"] {
        for form in forms(&open, "OPTIONS") {
            assert_passed(&of_page(form, origin).send().await);
        }
        for form in forms(&closed, "OPTIONS") {
            of_page(form, origin).send().await.assert_problem(401, "missing_token");
        }
    }
    for form in forms(&open, "GET") {
        of_page(form, ALLOWED).send().await.assert_problem(401, "missing_token");
    }
}

async fn what_only_looks_like_a_preflight_does_not_pass(backend: Backend) {
    let server = server(backend, Some("any")).await;
    let tokens = server.register().await;
    for method in ["GET", "POST", "DELETE", "options", "BREW"] {
        for form in forms(&server, method) {
            of_page(form, ALLOWED).send().await.assert_problem(401, "missing_token");
        }
    }
    // The client may send the header that its proxy does not set.
    let named = |name: &str, method: &str| server.get(VERIFY).header(name, method);
    for request in [
        named("x-forwarded-method", "GET").header("x-original-method", "OPTIONS"),
        named("x-original-method", "POST").header("x-forwarded-method", "OPTIONS"),
        named("x-forwarded-method", "OPTIONS").header("x-forwarded-method", "GET"),
        server.get(&format!("{VERIFY}/things")).header("x-forwarded-method", "OPTIONS"),
        server.get(&format!("{VERIFY}/")).header("x-original-method", "OPTIONS"),
        server.request("OPTIONS", &format!("{VERIFY}/things")).header("x-forwarded-method", "DELETE"),
        named("x-forwarded-method", "OPTIONS, GET"),
        server.get(VERIFY),
    ] {
        of_page(request, ALLOWED).send().await.assert_problem(401, "missing_token");
    }
    for form in forms(&server, "OPTIONS") {
        let request = || form.clone();
        for incomplete in [
            request(),
            request().header("origin", ALLOWED),
            request().header("access-control-request-method", "GET"),
            request().header("origin", ALLOWED).header("access-control-request-method", ""),
            request().header("origin", ALLOWED).header("access-control-request-method", "G T"),
            of_page(request(), ALLOWED).header("origin", ALLOWED),
            of_page(request(), ALLOWED).header("access-control-request-method", "GET"),
            of_page(request(), ALLOWED).header("cookie", "a=b"),
            of_page(request(), ALLOWED).header("authorization", "Basic dXNlcjpwYXNz"),
            of_page(request(), ALLOWED).body("x"),
        ] {
            incomplete.send().await.assert_problem(401, "missing_token");
        }
        // Whoever shows a token is somebody, and is refused if it is not valid.
        let somebody = of_page(request(), ALLOWED).bearer(&tokens.access).send().await;
        assert_eq!(somebody.assert_status(200).header("x-auth-user"), Some(&*tokens.user.to_string()));
        of_page(request(), ALLOWED).bearer("nonsense").send().await.assert_problem(401, "invalid_token");
    }
}

async fn a_preflight_for_keyturn_itself_is_no_question_of_a_proxy(backend: Backend) {
    let server = server(backend, Some("refuse")).await;
    for target in ["/api/v1/auth/me", "/api/v1/auth/verification", "/api/v1/sessions"] {
        let answer = of_page(server.request("OPTIONS", target), ALLOWED).send().await;
        assert_eq!(answer.assert_status(200).header("access-control-allow-origin"), Some(ALLOWED));
    }
}
