//! Logins that are unusual for an account, and what its owner is told.

use serde_json::{Value, json};

use crate::support::geoip::cities;
use crate::support::smtp::Received;
use crate::support::{Backend, Endpoint, PASSWORD, Server, SmtpServer, Tokens, until};

const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0";
const NEWER_FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0";
const IPAD: &str = "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                    Version/16.6 Mobile/15E148 Safari/604.1";

const CAMBRIDGE: &str = "131.111.8.1";
const BERLIN: &str = "141.20.1.1";
const SAO_PAULO: &str = "200.160.2.3";

const NEW_LOGIN: &str = "New login to your account at keyturn.example";
const REUSED: &str = "Security alert: a session of your account at keyturn.example was ended";
const LOGGED_OUT: &str = "A device was logged out of your account at keyturn.example";

both_backends! {
    a_login_from_a_new_device_is_told_with_a_link,
    a_first_session_and_a_device_that_is_known_are_not_told,
    a_login_from_a_new_country_and_an_impossible_travel_are_told,
    a_reused_refresh_token_is_told_whatever_the_owner_wants,
    who_wants_no_alerts_gets_none_and_the_log_has_them,
    a_login_that_is_not_committed_is_not_told,
    the_end_of_a_session_by_the_limit_is_told,
    a_device_whose_session_the_owner_ended_is_not_usual,
    who_disables_alerts_has_logged_in_recently_and_the_owner_is_told,
}

async fn server(backend: Backend, smtp: &SmtpServer, settings: &[(&str, &str)]) -> Server {
    let (url, cities) = (smtp.url(), cities());
    let own = [("SMTP_URL", url.as_str()), ("GEOIP_DATABASE", &cities), ("TRUSTED_PROXIES", "127.0.0.1")];
    Server::with(backend, &[&own, settings].concat()).await
}

/// An account whose email address is verified.
async fn register(server: &Endpoint, user_agent: &str, address: &str) -> Tokens {
    let email = format!("person-{}@example.com", crate::support::random_hex::<6>());
    let request = server.post("/api/v1/auth/register").json(&json!({"email": email, "password": PASSWORD}));
    let tokens = Tokens::of(&request.header("user-agent", user_agent).header("x-forwarded-for", address).send().await);
    server.verify_email(&email);
    tokens
}

async fn login(server: &Endpoint, email: &str, user_agent: &str, address: &str) -> Tokens {
    let request = server.post("/api/v1/auth/login").json(&json!({"email": email, "password": PASSWORD}));
    Tokens::of(&request.header("user-agent", user_agent).header("x-forwarded-for", address).send().await)
}

/// Waits for an email of this subject.
async fn told(smtp: &SmtpServer, email: &str, subject: &str) -> Received {
    until(subject, async || smtp.mails_to(email).into_iter().find(|mail| mail.subject() == subject)).await
}

/// Waits until all emails are sent: one that is on its way when the clock is set ahead may be sent twice.
async fn until_sent(server: &Endpoint) {
    until("the outbox to be empty", async || (server.count("outbox") == 0).then_some(())).await;
}

/// The reasons of all suspicious logins, oldest first.
fn suspicious(server: &Endpoint) -> Vec<Value> {
    let rows = server.rows("audit_log");
    let mut rows: Vec<_> = rows.into_iter().filter(|row| row["event"] == "login.unusual").collect();
    rows.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
    let metadata = |row: Value| match &row["metadata"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        other => other.clone(),
    };
    rows.into_iter().map(metadata).map(|metadata| metadata["reasons"].clone()).collect()
}

async fn a_login_from_a_new_device_is_told_with_a_link(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = server(backend, &smtp, &[]).await;
    let own = register(&server, FIREFOX, CAMBRIDGE).await;
    let ipad = login(&server, &own.email, IPAD, CAMBRIDGE).await;
    let mail = told(&smtp, &own.email, NEW_LOGIN).await;
    for part in
        ["Device: Safari on iPad", "Place: Cambridge, United Kingdom", CAMBRIDGE, "device that you have not used"]
    {
        assert!(mail.text().contains(part), "{part}: {}", mail.text());
    }
    assert_eq!(mail.link().path(), "/account/not-me");
    assert!(mail.token().starts_with("kto_"));
    assert_eq!(suspicious(&server), [json!(["new_device"])]);
    let about = server.literal(ipad.session.0);
    assert_eq!(server.count(&format!("opaque_tokens WHERE purpose = 'report_login' AND session_id = {about}")), 1);
    assert_eq!(server.count(&format!("audit_log WHERE event = 'login.unusual' AND session_id = {about}")), 1);
}

async fn a_first_session_and_a_device_that_is_known_are_not_told(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = server(backend, &smtp, &[]).await;
    let own = register(&server, FIREFOX, CAMBRIDGE).await;
    login(&server, &own.email, NEWER_FIREFOX, CAMBRIDGE).await;
    login(&server, &own.email, IPAD, CAMBRIDGE).await;
    login(&server, &own.email, IPAD, "10.0.0.1").await;
    assert_eq!(suspicious(&server).len(), 1, "the iPad is new once");
    assert_eq!(server.count("opaque_tokens WHERE purpose = 'report_login'"), 1);
}

async fn a_login_from_a_new_country_and_an_impossible_travel_are_told(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = server(backend, &smtp, &[]).await;
    let own = register(&server, FIREFOX, CAMBRIDGE).await;
    server.advance(3600 * 6);
    login(&server, &own.email, FIREFOX, BERLIN).await;
    let mail = told(&smtp, &own.email, NEW_LOGIN).await;
    assert!(mail.text().contains("Place: Berlin, Germany"), "{}", mail.text());
    until_sent(&server).await;
    server.advance(3600);
    login(&server, &own.email, FIREFOX, SAO_PAULO).await;
    until_sent(&server).await;
    server.advance(3600 * 3);
    login(&server, &own.email, FIREFOX, CAMBRIDGE).await;
    until_sent(&server).await;
    server.advance(3600 * 24);
    login(&server, &own.email, FIREFOX, SAO_PAULO).await;
    assert_eq!(
        suspicious(&server),
        [json!(["new_country"]), json!(["new_country", "impossible_travel"]), json!(["impossible_travel"])]
    );
    until_sent(&server).await;
    let mails = smtp.mails_to(&own.email);
    assert_eq!(mails.iter().filter(|mail| mail.subject() == NEW_LOGIN).count(), 3);
}

async fn a_reused_refresh_token_is_told_whatever_the_owner_wants(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = server(backend, &smtp, &[]).await;
    let own = register(&server, FIREFOX, CAMBRIDGE).await;
    server.sql("UPDATE users SET alerts = false");
    let second = server.refreshed(&own).await;
    server.refreshed(&second).await;
    server.advance(60);
    server.assert_reused(&own.refresh).await;
    server.refresh(&own.refresh).await.assert_problem(401, "refresh_token_reused");
    let mail = told(&smtp, &own.email, REUSED).await;
    assert!(mail.text().contains("Device: Firefox on Windows"), "{}", mail.text());
    assert_eq!(mail.link().path(), "/account/not-me");
    assert_eq!(server.count("opaque_tokens WHERE purpose = 'report_login' AND session_id IS NULL"), 1, "told once");
}

async fn who_wants_no_alerts_gets_none_and_the_log_has_them(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = server(backend, &smtp, &[]).await;
    let own = register(&server, FIREFOX, CAMBRIDGE).await;
    server.sql("UPDATE users SET alerts = false");
    login(&server, &own.email, IPAD, BERLIN).await;
    assert_eq!(suspicious(&server), [json!(["new_device", "new_country", "impossible_travel"])]);
    assert_eq!(server.count("opaque_tokens WHERE purpose = 'report_login'"), 0);
    assert_eq!(server.count("outbox WHERE kind = 'new_login'"), 0);
}

async fn a_login_that_is_not_committed_is_not_told(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = server(backend, &smtp, &[]).await;
    let own = register(&server, FIREFOX, CAMBRIDGE).await;
    // The email is the last that a login writes.
    server.sql("ALTER TABLE outbox RENAME TO gone");
    let request = server.post("/api/v1/auth/login").json(&json!({"email": own.email, "password": PASSWORD}));
    request.header("user-agent", IPAD).send().await.assert_status(503);
    assert_eq!((server.count("sessions"), suspicious(&server).len()), (1, 0));
    assert_eq!(server.count("opaque_tokens WHERE purpose = 'report_login'"), 0);
    server.sql("ALTER TABLE gone RENAME TO outbox");
    login(&server, &own.email, IPAD, CAMBRIDGE).await;
    told(&smtp, &own.email, NEW_LOGIN).await;
}

async fn the_end_of_a_session_by_the_limit_is_told(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = server(backend, &smtp, &[("MAX_SESSIONS_PER_USER", "1")]).await;
    let (own, quiet) = (register(&server, FIREFOX, CAMBRIDGE).await, register(&server, FIREFOX, CAMBRIDGE).await);
    server.sql(&format!("UPDATE users SET alerts = false WHERE id = {}", server.literal(quiet.user.0)));
    for email in [&quiet.email, &own.email] {
        server.advance(1);
        login(&server, email, NEWER_FIREFOX, BERLIN).await;
    }
    let mail = told(&smtp, &own.email, LOGGED_OUT).await;
    for part in ["one used least recently: Firefox on Windows, last used on", "Place: Berlin, Germany"] {
        assert!(mail.text().contains(part), "{part}: {}", mail.text());
    }
    // The new login can be reported as somebody else's.
    assert_eq!(mail.link().path(), "/account/not-me");
    let report = json!({"token": mail.token()});
    server.post("/api/v1/auth/not-me").json(&report).send().await.assert_status(204);
    assert_eq!(server.count("sessions WHERE revoked_reason = 'reported_by_owner'"), 1);
    until_sent(&server).await;
    assert!(smtp.mails_to(&quiet.email).iter().all(|mail| mail.subject() != LOGGED_OUT));
}

async fn a_device_whose_session_the_owner_ended_is_not_usual(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = server(backend, &smtp, &[("LIMIT_LOGIN_ACCOUNT", "off")]).await;
    let own = register(&server, FIREFOX, CAMBRIDGE).await;
    let thief = login(&server, &own.email, IPAD, BERLIN).await;
    login(&server, &own.email, IPAD, BERLIN).await;
    assert_eq!(suspicious(&server).len(), 1, "the second was like the first");
    let others = server.delete("/api/v1/sessions").bearer(&own.access).send().await;
    others.assert_status(200);
    assert_eq!(server.session(thief.session).revoked_reason.as_deref(), Some("ended_by_owner"));
    server.advance(86_400);
    login(&server, &own.email, IPAD, BERLIN).await;
    assert_eq!(suspicious(&server).len(), 2);
    server.advance(86_400);
    login(&server, &own.email, NEWER_FIREFOX, CAMBRIDGE).await;
    assert_eq!(suspicious(&server).len(), 2);

    // Nor is a login usual because all others were reported.
    let other = register(&server, FIREFOX, CAMBRIDGE).await;
    login(&server, &other.email, IPAD, CAMBRIDGE).await;
    server.sql(&format!(
        "UPDATE sessions SET revoked_at = created_at, revoked_reason = 'reported_by_owner' WHERE user_id = {}",
        server.literal(other.user.0)
    ));
    login(&server, &other.email, IPAD, CAMBRIDGE).await;
    assert_eq!(suspicious(&server).len(), 4);
}

async fn who_disables_alerts_has_logged_in_recently_and_the_owner_is_told(backend: Backend) {
    const DISABLED: &str = "Emails about unusual logins were disabled at keyturn.example";
    let smtp = SmtpServer::start();
    let server = server(backend, &smtp, &[]).await;
    let own = register(&server, FIREFOX, CAMBRIDGE).await;
    let patch = |body: Value| server.patch("/api/v1/auth/me").bearer(&own.access).json(&body).send();
    server.advance(601);
    patch(json!({"alerts": false, "name": "Eve"})).await.assert_problem(401, "insufficient_user_authentication");
    let kept = patch(json!({"alerts": true, "name": "Ada"})).await;
    assert_eq!((&kept.json()["alerts"], &kept.json()["user"]["name"]), (&json!(true), &json!("Ada")));
    let body = json!({"password": PASSWORD});
    server.post("/api/v1/auth/reauthenticate").bearer(&own.access).json(&body).send().await.assert_status(200);
    for _ in 0..2 {
        assert_eq!(patch(json!({"alerts": false})).await.assert_status(200).json()["alerts"], false);
    }
    until_sent(&server).await;
    assert!(told(&smtp, &own.email, DISABLED).await.link().path().ends_with("/account/not-me"));
    assert_eq!(smtp.mails_to(&own.email).iter().filter(|mail| mail.subject() == DISABLED).count(), 1);
}
