//! Every route refuses those who have no good access token, unless it is named here.

use serde_json::Value;

use crate::openapi::{Route, routes};
use crate::support::deployment::PUBLIC_URL;
use crate::support::{Request, Response, Server, Tokens};

both_backends! {
    routes_that_are_open_exist,
    without_a_token_nothing_is_open,
    what_is_no_token_opens_nothing,
    the_token_of_an_ended_session_opens_nothing,
    a_token_that_has_expired_opens_nothing,
    a_refresh_token_opens_nothing,
    strangers_are_refused_before_anything_else_is_said,
    pages_send_strangers_to_the_login,
}

/// The routes that are open to strangers. This list may only shrink: a route that is added to it has to take
/// credentials of its own, or to tell nothing about anybody.
pub const OPEN: [(&str, &str); 44] = [
    ("POST", "/"),
    ("POST", "/api/v1/auth/register"),
    ("POST", "/api/v1/auth/login"),
    ("POST", "/api/v1/auth/mfa"),
    ("POST", "/api/v1/sessions/refresh"),
    // These take an address and tell nothing of it, or a token from an email.
    ("POST", "/api/v1/auth/password/forgot"),
    ("POST", "/api/v1/auth/password/reset"),
    ("POST", "/api/v1/auth/not-me"),
    ("POST", "/api/v1/auth/email/verify"),
    ("POST", "/api/v1/auth/deletion/cancel"),
    ("POST", "/api/v1/auth/email/change/confirm"),
    // The same for everybody.
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/assets/{name}"),
    // The pages for strangers.
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/register"),
    ("POST", "/register"),
    ("GET", "/forgot"),
    ("POST", "/forgot"),
    ("POST", "/account/new-password"),
    ("GET", "/.well-known/change-password"),
    // The pages that these emails lead to, with their tokens.
    ("GET", "/account/verify-email"),
    ("POST", "/account/verify-email"),
    ("GET", "/account/reset-password"),
    ("POST", "/account/reset-password"),
    ("GET", "/account/confirm-email-change"),
    ("POST", "/account/confirm-email-change"),
    ("GET", "/account/not-me"),
    ("POST", "/account/not-me"),
    ("GET", "/account/cancel-deletion"),
    ("POST", "/account/cancel-deletion"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/openid-configuration"),
    // These take the credentials of a client, or a token of which they tell its holder nothing.
    ("POST", "/oauth/token"),
    ("POST", "/oauth/introspect"),
    ("POST", "/oauth/revoke"),
    ("GET", "/api/v1/revocations"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
];

/// Whether a route is a page that asks for a login in this browser.
pub fn is_page(method: &str, path: &str) -> bool {
    let is_below = |root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    (is_below("/account") || is_below("/admin")) && !OPEN.contains(&(method, path))
}

/// The routes that are not open.
pub async fn closed(server: &Server) -> Vec<Route> {
    let is_open = |(method, path): &Route| OPEN.contains(&(method, path)) || is_page(method, path);
    let closed: Vec<Route> = routes(server).await.into_iter().filter(|route| !is_open(route)).collect();
    assert!(closed.len() >= 13, "{closed:?}");
    closed
}

/// Calls every closed route, on sessions that exist, as `stranger` makes of a request; asserts that each refuses with
/// `code` and that nothing has changed.
pub async fn assert_refused(server: &Server, victim: &Tokens, code: &str, stranger: impl Fn(Request) -> Request) {
    let state = |server: &Server| (server.rows("users"), sessions(server), server.count("revocations"));
    let before = state(server);
    let body = serde_json::json!({});
    for (method, path) in closed(server).await {
        let target = path.replace("{id}", &victim.session.to_string());
        let request = server.request(&method, &target);
        let requests =
            [request.clone(), request.clone().json(&body), request.body("{"), with_query(server, &method, &target)];
        for request in requests {
            let answer: Response = stranger(request).send().await;
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
            answer.assert_problem(401, code);
            assert!(answer.header("www-authenticate").is_some(), "{method} {path}");
            let told = answer.text();
            assert!(!told.contains(&victim.email) && !told.contains(&victim.user.to_string()), "{method} {path}");
        }
    }
    assert_eq!(state(server), before);
}

fn with_query(server: &Server, method: &str, target: &str) -> Request {
    server.request(method, &format!("{target}?nonsense=1"))
}

/// The sessions' rows without what the use of a good token changes later.
fn sessions(server: &Server) -> Vec<Value> {
    let mut rows = server.rows("sessions");
    for row in &mut rows {
        row["access_seen"].take();
        row["last_active_at"].take();
    }
    rows
}

pub fn bearer(token: &str) -> impl Fn(Request) -> Request {
    move |request| request.bearer(token)
}

fn cookie(token: &str) -> impl Fn(Request) -> Request {
    let cookie = format!("__Host-keyturn_access={token}");
    move |request| request.header("cookie", &cookie).header("origin", PUBLIC_URL)
}

async fn routes_that_are_open_exist(server: Server) {
    let routes = routes(&server).await;
    for (method, path) in OPEN {
        assert!(
            routes.contains(&(method.to_owned(), path.to_owned())),
            "{method} {path} is gone: take it off the list"
        );
        let answer = server.request(method, path).send().await;
        // A client's credentials are another matter.
        let asks_for_token = answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer"));
        assert!(answer.status < 500 && !asks_for_token, "{method} {path}: {answer:?}");
    }
}

async fn pages_send_strangers_to_the_login(server: Server) {
    let victim = server.register().await;
    let state = |server: &Server| (server.rows("users"), sessions(server));
    let before = state(&server);
    let pages: Vec<Route> = routes(&server).await.into_iter().filter(|(method, path)| is_page(method, path)).collect();
    assert!(pages.len() >= 20, "{pages:?}");
    for (method, path) in pages {
        let target = path.replace("{id}", &victim.session.to_string());
        let form = [("content-type", "application/x-www-form-urlencoded"), ("origin", PUBLIC_URL)];
        let request = form.iter().fold(server.request(&method, &target), |request, (name, value)| {
            if method == "GET" { request } else { request.header(name, value) }
        });
        let all = format!("all=yes&session={}&code=1&confirm_password={}", victim.session, crate::support::PASSWORD);
        let request = if method == "GET" { request } else { request.body(all) };
        let cookie = format!("__Host-keyturn_session={}", victim.refresh);
        for stranger in [request.clone(), request.clone().bearer(&victim.access), request.header("cookie", &cookie)] {
            let answer = stranger.send().await;
            let location = answer.header("location").unwrap_or_default();
            let is_sent = answer.status == 303 && location.starts_with("/login?return_to=%2F");
            // What scripts ask for is told in JSON.
            assert!(is_sent || answer.status == 401, "{method} {path}: {answer:?}");
            assert!(!answer.text().contains(&victim.email), "{method} {path}");
        }
    }
    assert_eq!(state(&server), before);
}

async fn without_a_token_nothing_is_open(server: Server) {
    let victim = server.register().await;
    assert_refused(&server, &victim, "missing_token", |request| request).await;
    assert_refused(&server, &victim, "missing_token", |request| request.header("origin", PUBLIC_URL)).await;
    assert_refused(&server, &victim, "missing_token", |request| request.header("x-auth-user", "admin")).await;
}

async fn what_is_no_token_opens_nothing(server: Server) {
    let victim = server.register().await;
    let cut = &victim.access[..victim.access.len() - 4];
    for garbage in ["garbage", "null", "e30.e30.e30", cut] {
        assert_refused(&server, &victim, "invalid_token", bearer(garbage)).await;
        assert_refused(&server, &victim, "invalid_token", cookie(garbage)).await;
    }
}

async fn the_token_of_an_ended_session_opens_nothing(server: Server) {
    let victim = server.register().await;
    let ended = server.login(&victim.email).await;
    server.logout(&ended.access).await.assert_status(204);
    for server in [&server, &server.another().await] {
        assert_refused(server, &victim, "invalid_token", bearer(&ended.access)).await;
        assert_refused(server, &victim, "invalid_token", cookie(&ended.access)).await;
    }
}

async fn a_token_that_has_expired_opens_nothing(server: Server) {
    let victim = server.register().await;
    server.advance(901);
    assert_refused(&server, &victim, "invalid_token", bearer(&victim.access)).await;
    assert_refused(&server, &victim, "invalid_token", cookie(&victim.access)).await;
    server.refreshed(&victim).await;
}

async fn a_refresh_token_opens_nothing(server: Server) {
    let victim = server.register().await;
    assert_refused(&server, &victim, "invalid_token", bearer(&victim.refresh)).await;
    assert_refused(&server, &victim, "invalid_token", cookie(&victim.refresh)).await;
    server.refreshed(&victim).await;
}

/// Whoever has to be looked up in the database first is no better off than one who is refused at once.
async fn strangers_are_refused_before_anything_else_is_said(server: Server) {
    let victim = server.register().await;
    let ended = server.login(&victim.email).await;
    // Nobody has noted this end but the row: every check has to ask for it.
    let condition = format!("id = {}", server.literal(ended.session.0));
    server.sql(&format!("UPDATE sessions SET revoked_at = created_at WHERE {condition}"));
    let other = server.another().await;
    if server.backend == crate::support::Backend::Scaled {
        server.redis::<()>(&["FLUSHDB"]);
    }
    assert_refused(&other, &victim, "invalid_token", bearer(&ended.access)).await;
}
