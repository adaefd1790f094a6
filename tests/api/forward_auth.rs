//! What a proxy may require of a caller, and where it sends a browser that has to log in.

use serde_json::json;

use crate::support::{Backend, Request, Server};

both_backends! {
    a_proxy_can_require_a_role,
    a_proxy_can_require_scopes_and_an_audience,
    a_proxy_can_require_a_recent_login,
    requirements_that_cannot_be_read_are_refused,
    the_query_of_the_request_that_envoy_holds_requires_nothing,
    a_browser_is_sent_to_the_login_and_a_program_is_not,
}

const VERIFY: &str = "/api/v1/auth/verify";

fn verify(server: &Server, access: &str, query: &str) -> Request {
    server.get(&format!("{VERIFY}?{query}")).bearer(access)
}

async fn a_proxy_can_require_a_role(server: Server) {
    let tokens = server.register().await;
    for (role, is_enough) in
        [("user", true), ("admin", false), ("admin,user", true), ("admin,%20user", true), ("", false)]
    {
        let answer = verify(&server, &tokens.access, &format!("role={role}")).send().await;
        if is_enough {
            answer.assert_status(200);
        } else {
            answer.assert_problem(403, "insufficient_role");
        }
    }
    server.get(&format!("{VERIFY}?role=admin")).send().await.assert_problem(401, "missing_token");
}

async fn a_proxy_can_require_scopes_and_an_audience(server: Server) {
    let tokens = server.register().await;
    let audience = tokens.claims()["aud"].as_str().unwrap().to_owned();
    verify(&server, &tokens.access, &format!("audience={audience}")).send().await.assert_status(200);
    verify(&server, &tokens.access, "audience=other").send().await.assert_problem(403, "wrong_audience");
    verify(&server, &tokens.access, "scope=").send().await.assert_status(200);
    let refused = verify(&server, &tokens.access, "scope=orders.read%20x%22y").send().await;
    refused.assert_problem(403, "insufficient_scope");
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"orders.read xy\"";
    assert_eq!(refused.header("www-authenticate"), Some(challenge));
}

async fn a_proxy_can_require_a_recent_login(server: Server) {
    server.clock.hold();
    let tokens = server.register().await;
    verify(&server, &tokens.access, "max_age=60").send().await.assert_status(200);
    server.advance(61);
    let refused = verify(&server, &tokens.access, "max_age=60").send().await;
    refused.assert_problem(401, "insufficient_user_authentication");
    assert!(refused.header("www-authenticate").unwrap().contains("max_age=60"), "{refused:?}");
    verify(&server, &tokens.access, "max_age=62").send().await.assert_status(200);
    let refreshed = server.refreshed(&tokens).await;
    let refused = verify(&server, &refreshed.access, "max_age=60").send().await;
    refused.assert_problem(401, "insufficient_user_authentication");
}

async fn requirements_that_cannot_be_read_are_refused(server: Server) {
    let tokens = server.register().await;
    for query in ["max_age=x", "max_age=-1", "role=a&role=b", "scope=%00", "impersonation=maybe"] {
        verify(&server, &tokens.access, query).send().await.assert_status(422);
    }
    verify(&server, &tokens.access, "what-a-page-was-asked-with=1").send().await.assert_status(200);
}

async fn the_query_of_the_request_that_envoy_holds_requires_nothing(server: Server) {
    let tokens = server.register().await;
    let target = format!("{VERIFY}/people?role=admin&max_age=old&impersonation=deny");
    server.get(&target).bearer(&tokens.access).send().await.assert_status(200);
}

async fn a_browser_is_sent_to_the_login_and_a_program_is_not(backend: Backend) {
    let settings =
        [("VERIFY_LOGIN_URL", "https://app.example/login?from=proxy"), ("ALLOWED_ORIGINS", "https://app.example")];
    let server = Server::with(backend, &settings).await;
    let opening = |host: &str| {
        let request = server.get(VERIFY).header("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
        let request = request.header("x-forwarded-proto", "https").header("x-forwarded-host", host);
        request.header("x-forwarded-method", "GET").header("x-forwarded-uri", "/a?b=c&d=\u{e9}")
    };
    let sent = opening("app.example").send().await;
    let location =
        "https://app.example/login?from=proxy&return_to=https%3A%2F%2Fapp.example%2Fa%3Fb%3Dc%26d%3D%25C3%25A9";
    assert_eq!(sent.assert_status(302).header("location"), Some(location));
    assert_eq!(sent.header("cache-control"), Some("no-store"));
    let with_old_token = opening("app.example").bearer("e30.e30.e30").send().await;
    with_old_token.assert_status(302);
    for foreign in ["evil.example", "app.example@evil.example", "app.example.evil.example"] {
        let sent = opening(foreign).send().await;
        assert_eq!(
            sent.assert_status(302).header("location"),
            Some("https://app.example/login?from=proxy"),
            "{foreign}"
        );
    }
    server.get(VERIFY).header("accept", "application/json").send().await.assert_problem(401, "missing_token");
    server.get(VERIFY).send().await.assert_problem(401, "missing_token");
    let posting = server.get(VERIFY).header("accept", "text/html").header("x-original-method", "POST");
    posting.send().await.assert_problem(401, "missing_token");
    let tokens = server.register().await;
    opening("app.example").bearer(&tokens.access).send().await.assert_status(200);
    let body = json!({"password": crate::support::PASSWORD});
    server.post("/api/v1/auth/reauthenticate").bearer(&tokens.access).json(&body).send().await.assert_status(200);
}
