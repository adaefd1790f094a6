//! What an account may cost: a rate of requests, and rows only for what changes something.

use serde_json::{Value, json};

use crate::audit::administrator;
use crate::recovery::VERIFY;
use crate::support::{Backend, Endpoint, Request, Server, Tokens, until};

both_backends! {
    requests_that_change_something_are_limited_by_account_and_those_that_end_sessions_are_not,
    requests_that_look_something_up_are_limited_by_account,
    requests_of_administrators_are_limited_too,
    what_changes_nothing_is_neither_written_nor_audited,
}

const ME: &str = "/api/v1/auth/me";

fn rename(server: &Endpoint, tokens: &Tokens, name: &str) -> Request {
    server.patch(&format!("/api/v1/sessions/{}", tokens.session)).bearer(&tokens.access).json(&json!({"name": name}))
}

fn profile(server: &Endpoint, tokens: &Tokens, change: &Value) -> Request {
    server.patch(ME).bearer(&tokens.access).json(change)
}

async fn requests_that_change_something_are_limited_by_account_and_those_that_end_sessions_are_not(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_WRITE_ACCOUNT", "4/60")]).await;
    server.clock.hold();
    let own = server.register().await;
    let other = server.login(&own.email).await;
    let stranger = server.register().await;
    for number in 0..2 {
        rename(&server, &own, &format!("name {number}")).send().await.assert_status(200);
        profile(&server, &other, &json!({"name": format!("name {number}")})).send().await.assert_status(200);
    }
    for request in [
        rename(&server, &own, "another"),
        profile(&server, &other, &json!({"name": "another"})),
        server.post("/api/v1/auth/mfa/totp").bearer(&own.access),
        server.delete("/api/v1/auth/trusted-devices").bearer(&other.access),
    ] {
        let refused = request.send().await;
        refused.assert_problem(429, "too_many_requests");
        assert_eq!((refused.header("ratelimit-limit"), refused.header("retry-after")), (Some("4"), Some("15")));
    }
    let condition = format!("event = 'rate_limit.exceeded' AND user_id = {}", server.literal(own.user.0));
    assert_eq!(server.audited(&condition).len(), 1);
    assert_eq!(server.metric("keyturn_limited_total{limit=\"write-account\"}").await, 4);

    // Others may go on, and the owner can do what keeps an account.
    profile(&server, &stranger, &json!({"name": "stranger"})).send().await.assert_status(200);
    server.me(&own.access).await.assert_status(200);
    let own = server.refreshed(&own).await;
    let one = format!("/api/v1/sessions/{}", other.session);
    server.delete(&one).bearer(&own.access).send().await.assert_status(204);
    server.delete("/api/v1/sessions").bearer(&own.access).send().await.assert_status(200);
    server.post("/api/v1/auth/logout-all").bearer(&own.access).send().await.assert_status(200);
    server.me(&own.access).await.assert_problem(401, "invalid_token");
}

async fn requests_that_look_something_up_are_limited_by_account(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_SEARCH_ACCOUNT", "4/60")]).await;
    let own = server.register().await;
    let get = |path: &str, tokens: &Tokens| server.get(path).bearer(&tokens.access);
    for path in
        ["/api/v1/sessions", "/api/v1/sessions/summary", "/api/v1/sessions/audit", "/api/v1/auth/trusted-devices"]
    {
        get(path, &own).send().await.assert_status(200);
    }
    for path in ["/api/v1/sessions/", "/api/v1/sessions/summary", "/api/v1/sessions/audit"] {
        get(path, &own).send().await.assert_problem(429, "too_many_requests");
    }
    let head = server.request("HEAD", "/api/v1/sessions").bearer(&own.access).send().await;
    assert_eq!(head.status, 429);
    for _ in 0..6 {
        server.me(&own.access).await.assert_status(200);
        server.verify(&own.access).await.assert_status(200);
    }
    get("/api/v1/sessions", &server.register().await).send().await.assert_status(200);
}

async fn requests_of_administrators_are_limited_too(backend: Backend) {
    let settings = [("LIMIT_WRITE_ACCOUNT", "1/60"), ("LIMIT_SEARCH_ACCOUNT", "1/60")];
    let server = Server::with(backend, &settings).await;
    let admin = administrator(&server).await;
    let person = server.register().await;
    let user = format!("/api/v1/admin/users/{}", person.user);
    for status in [200, 429] {
        server.get("/api/v1/admin/users").bearer(&admin.access).send().await.assert_status(status);
        let change = json!({"name": status.to_string()});
        server.patch(&user).bearer(&admin.access).json(&change).send().await.assert_status(status);
    }
    server.delete(&format!("{user}/sessions")).bearer(&admin.access).send().await.assert_status(429);
    server.get("/api/v1/sessions").bearer(&person.access).send().await.assert_status(200);
}

async fn what_changes_nothing_is_neither_written_nor_audited(backend: Backend) {
    let smtp = crate::support::SmtpServer::start();
    let server = Server::with(backend, &[("SMTP_URL", &smtp.url())]).await;
    let admin = administrator(&server).await;
    let own = server.register().await;
    let user = format!("/api/v1/admin/users/{}", own.user);
    let link = async |number: usize| {
        until("the link", async || (smtp.mails_to(&own.email).len() > number).then_some(())).await;
        smtp.mails_to(&own.email)[number].token()
    };
    let first = link(0).await;
    server.sql(&format!("UPDATE users SET email_verified_at = created_at WHERE id = {}", server.literal(own.user.0)));
    let of_admin = |change: Value| server.patch(&user).bearer(&admin.access).json(&change);
    let verify = || server.post(VERIFY).json(&json!({"token": first}));
    rename(&server, &own, "Laptop").send().await.assert_status(200);
    profile(&server, &own, &json!({"name": "Ada", "alerts": false})).send().await.assert_status(200);
    of_admin(json!({"roles": ["user", "editor"]})).send().await.assert_status(200);
    let own = server.refreshed(&own).await;

    let before = (server.count("audit_log"), server.rows("users"), server.rows("sessions"));
    for request in [
        rename(&server, &own, "Laptop"),
        profile(&server, &own, &json!({"name": "Ada", "alerts": false})),
        profile(&server, &own, &json!({"name": "Ada"})),
        profile(&server, &own, &json!({"alerts": false})),
        of_admin(json!({"roles": ["user", "editor"], "name": "Ada", "disabled": false})),
    ] {
        request.send().await.assert_status(200);
    }
    verify().send().await.assert_status(204);
    let after = (server.count("audit_log"), server.rows("users"), server.rows("sessions"));
    assert_eq!((before.0, &before.1), (after.0, &after.1));
    let names = |rows: &[Value]| rows.iter().map(|row| row["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&before.2), names(&after.2));

    // What does change something is.
    rename(&server, &own, "Desktop").send().await.assert_status(200);
    profile(&server, &own, &json!({"name": "Ada", "alerts": true})).send().await.assert_status(200);
    assert_eq!(server.count("audit_log"), before.0 + 2);
}
