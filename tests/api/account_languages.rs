//! The language of an account: chosen at the registration or later, and used by pages.

use serde_json::{Value, json};

use crate::browser_sessions::Browser;
use crate::pages::between;
use crate::recovery::{Post, VERIFICATION};
use crate::support::{Backend, Endpoint, PASSWORD, Response, Server, random_hex};

both_backends! {
    the_language_of_a_new_account_is_the_one_that_was_asked_for,
    an_owner_changes_the_language_to_one_that_is_offered,
    pages_are_in_the_language_of_whoever_is_logged_in,
    whoever_proves_an_address_brings_the_language,
}

const ME: &str = "/api/v1/auth/me";

/// Registers with a query and a header, and returns the answer.
async fn register(server: &Endpoint, email: &str, query: &str, accepted: Option<&str>) -> Response {
    let request = server.post(&format!("/api/v1/auth/register{query}"));
    let request = request.json(&json!({"email": email, "password": PASSWORD}));
    match accepted {
        Some(accepted) => request.header("accept-language", accepted).send().await,
        None => request.send().await,
    }
}

fn address() -> String {
    format!("{}@example.com", random_hex::<8>())
}

async fn language(server: &Endpoint, access: &str) -> Value {
    server.me(access).await.assert_status(200).json()["language"].clone()
}

async fn the_language_of_a_new_account_is_the_one_that_was_asked_for(server: Server) {
    for (query, accepted, chosen) in [
        ("", Some("de-AT, en;q=0.5"), json!("de")),
        ("?ui_locales=fr%20de", Some("en"), json!("de")),
        ("?ui_locales=fr", Some("en-GB"), json!("en")),
        ("?ui_locales=fr", Some("*"), Value::Null),
        ("", Some("fr"), Value::Null),
        ("", None, Value::Null),
    ] {
        let tokens = register(&server, &address(), query, accepted).await.assert_status(201).json();
        let access = tokens["access_token"].as_str().unwrap();
        assert_eq!(language(&server, access).await, chosen, "{query} {accepted:?}");
    }
    register(&server, &address(), "?locale=de", None).await.assert_problem(422, "invalid_input");
}

async fn an_owner_changes_the_language_to_one_that_is_offered(server: Server) {
    let own = server.register().await;
    let patch = |language: Value| server.patch(ME).bearer(&own.access).json(&json!({"language": language})).send();
    for (given, chosen) in [("de", "de"), ("EN", "en"), ("en", "en")] {
        assert_eq!(patch(json!(given)).await.assert_status(200).json()["language"], json!(chosen));
        assert_eq!(language(&server, &own.access).await, json!(chosen));
    }
    for refused in ["fr", "de-AT", "en-XA", "", "en,de"] {
        let problem = patch(json!(refused)).await.assert_problem(422, "invalid_input").json();
        let error = &problem["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!("language"), &json!("not_offered")), "{refused}");
        assert_eq!(error["message"], "is not a language of this server, which has en, de");
    }
    patch(json!(7)).await.assert_problem(422, "invalid_input");
    assert_eq!(language(&server, &own.access).await, json!("en"));
    let exported = server.get("/api/v1/auth/me/export").bearer(&own.access).send().await.assert_status(200).json();
    assert_eq!(exported["account"]["language"], json!("en"));
    assert_eq!(patch(Value::Null).await.assert_status(200).json()["language"], Value::Null);
    let other = server.patch(ME).bearer(&own.access).json(&json!({"name": "Ada"})).send().await;
    assert_eq!(other.assert_status(200).json()["language"], Value::Null);
    // What changes nothing is not audited.
    assert_eq!(server.count("audit_log WHERE event = 'account.profile_changed'"), 4);
}

async fn pages_are_in_the_language_of_whoever_is_logged_in(server: Server) {
    let own = server.register().await;
    let mut browser = Browser::logged_in(&server, &own.email).await;
    let tag = |page: &Response| between(&page.text(), "<html lang=\"", "\"");
    let sessions = "/account/sessions";
    assert_eq!(tag(browser.get(sessions).await.assert_status(200)), "en");
    let chosen = json!({"language": "de"});
    server.patch(ME).bearer(&own.access).json(&chosen).send().await.assert_status(200);
    assert_eq!(tag(browser.get(sessions).await.assert_status(200)), "de");
    assert_eq!(tag(browser.get(&format!("{sessions}?ui_locales=en")).await.assert_status(200)), "en");
    // One of an import, without texts here.
    server.sql("UPDATE users SET language = 'fr-CA'");
    assert_eq!(tag(browser.get(sessions).await.assert_status(200)), "en");
    server.sql("UPDATE users SET language = 'de-AT'");
    assert_eq!(tag(browser.get(sessions).await.assert_status(200)), "de");
    browser.post("/logout", &[]).await.assert_status(303);
    assert_eq!(tag(browser.get("/login").await.assert_status(200)), "en");
}

async fn whoever_proves_an_address_brings_the_language(backend: Backend) {
    let post = Post::on(backend).await;
    for (accepted, chosen) in [("de", json!("de")), ("fr", Value::Null)] {
        let email = address();
        let tokens = register(&post.server, &email, "?ui_locales=en", None).await.assert_status(201).json();
        let access = tokens["access_token"].as_str().unwrap();
        let token = post.email(&email, VERIFICATION, 1).await.token();
        let body = json!({"token": token});
        let verifying = post.server.post("/api/v1/auth/email/verify").header("accept-language", accepted).json(&body);
        verifying.send().await.assert_status(204);
        assert_eq!(language(&post.server, access).await, chosen, "{accepted}");
    }
}
