//! The pages in each language, and in Chromium as different people have them.

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::account_pages::two_steps;
use crate::browser_sessions::Browser;
use crate::deletion::{NOTICE, deleting};
use crate::pages::{Shown, between};
use crate::recovery::{CHANGE, NEW_PASSWORD, Post, RESET_LINK, TO_NEW, TO_OLD, VERIFICATION, address};
use crate::support::clients::{node, own_address};
use crate::support::{Backend, PASSWORD, Server, variable};

both_backends! {
    a_page_is_in_the_language_that_the_visitor_asks_for,
    the_form_of_a_page_keeps_its_language,
    a_weak_password_is_explained_in_the_language_of_the_page,
    a_server_offers_the_languages_that_it_is_told_to,
}

embedded_only! {
    pages_are_for_everybody,
    pages_of_people_are_for_everybody,
}

/// The languages of the server, with those for tests.
const ALL: (&str, &str) = ("UI_LANGUAGES", "en,de,en-XA,ar-XB");

/// Returns the tag and the direction of a page.
fn language(html: &str) -> (String, String) {
    (between(html, "<html lang=\"", "\""), between(html, "dir=\"", "\""))
}

async fn a_page_is_in_the_language_that_the_visitor_asks_for(backend: Backend) {
    let server = Server::with(backend, &[ALL]).await;
    for (query, accepted, tag, dir, title) in [
        ("", "de-CH,de;q=0.9,en;q=0.8", "de", "ltr", "Dieser Link funktioniert nicht"),
        ("", "fr, en;q=0.1", "en", "ltr", "This link does not work"),
        ("", "*", "en", "ltr", "This link does not work"),
        ("?ui_locales=de", "en", "de", "ltr", "Dieser Link funktioniert nicht"),
        ("?ui_locales=fr%20de-AT", "en", "de", "ltr", "Dieser Link funktioniert nicht"),
        ("?ui_locales=%22%3E%3Cscript%3E", "de", "de", "ltr", "Dieser Link funktioniert nicht"),
        ("?ui_locales=%00", "de", "de", "ltr", "Dieser Link funktioniert nicht"),
        ("", "ar-XB", "ar-XB", "rtl", "\u{202e}This link does not work\u{202c}"),
    ] {
        let target = format!("/account/verify-email{query}");
        let page = server.get(&target).header("accept-language", accepted).send().await;
        let html = page.text();
        assert_eq!(language(&html), (tag.to_owned(), dir.to_owned()), "{query} {accepted}");
        assert_eq!(page.header("content-language"), Some(tag));
        if query != "?ui_locales=%00" {
            assert_eq!(Shown(page).title(), title, "{query} {accepted}");
        }
        assert!(!html.contains("<script"), "{html}");
    }
    let endless = format!("de,{}", "de;q=0.5,".repeat(700));
    for accepted in ["", ",;,", "de;q=nan", "\u{e4}", &endless] {
        let page = server.get("/").header("accept-language", accepted).send().await;
        assert_eq!(language(&page.assert_status(200).text()).0, "en", "{accepted}");
    }
}

async fn the_form_of_a_page_keeps_its_language(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let person = server.register().await;
    let token = post.email(&person.email, VERIFICATION, 1).await.token();
    let target = format!("/account/verify-email?token={token}&ui_locales=de");
    let page = Shown(server.get(&target).send().await.assert_status(200).clone());
    assert_eq!(page.title(), "Haben Sie dieses Konto angelegt?");
    let action = between(&page.0.text(), "<form method=\"post\" action=\"", "\"");
    assert_eq!(action, "verify-email?ui_locales=de");
    let body = format!("token={token}");
    let form = server.post(&format!("/account/{action}")).header("content-type", "application/x-www-form-urlencoded");
    let done = Shown(form.body(body).send().await.assert_status(200).clone());
    assert_eq!(done.title(), "Ihre E-Mail-Adresse ist bestätigt");
}

async fn a_weak_password_is_explained_in_the_language_of_the_page(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let person = server.register().await;
    let token = post.reset_token(&person.email, 1).await;
    for (password, reason) in [
        ("short", "Ein Passwort hat mindestens 8 Zeichen."),
        (
            "password",
            "Dieses Passwort ist leicht zu erraten. Es ist eines der zehn häufigsten Passwörter. Fügen Sie noch",
        ),
        (&person.email, "Dieses Passwort ist leicht zu erraten. Wer rät, probiert zuerst häufige Wörter"),
    ] {
        let body =
            Serializer::new(String::new()).append_pair("token", &token).append_pair("new_password", password).finish();
        let form = server.post("/account/reset-password?ui_locales=de");
        let form = form.header("content-type", "application/x-www-form-urlencoded").body(body);
        let page = Shown(form.send().await.assert_status(422).clone());
        let error = between(&page.text(), "<p class=\"error\" id=\"new_password-error\">", "</p>");
        assert!(error.starts_with(reason), "{password}: {error}");
    }
}

async fn a_server_offers_the_languages_that_it_is_told_to(backend: Backend) {
    let server = Server::with(backend, &[("UI_LANGUAGES", "de")]).await;
    for accepted in ["en", "de", "en-XA", ""] {
        let page = server.get("/").header("accept-language", accepted).send().await;
        assert_eq!(language(&page.text()).0, "de");
    }
    // The languages for tests are there for nobody who does not name them.
    let server = Server::with(backend, &[]).await;
    let page = server.get("/?ui_locales=en-XA").send().await;
    assert_eq!(language(&page.text()).0, "en");
}

async fn pages_are_for_everybody(backend: Backend) {
    let (own, local) = own_address();
    let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let _developer = Server::with(backend, &[&own[..], &[ALL]].concat()).await;
    let unlimited = [("LIMIT_LOGIN_ADDRESS", "off"), ("LIMIT_EMAIL_UNVERIFIED", "off")];
    let post = Post::with(backend, &[&[ALL], &unlimited[..]].concat()).await;
    let server = &post.server;
    let url = format!("http://{}", server.address);
    let person = server.register().await;
    let new = address();
    let body = json!({"new_email": new});
    server.post(CHANGE).bearer(&person.access).json(&body).send().await.assert_status(202);
    let leaving = server.register().await;
    let changed = server.register().await;
    let reset = post.reset_token(&changed.email, 1).await;
    crate::recovery::reset(server, &reset, NEW_PASSWORD).send().await.assert_status(204);
    deleting(server, &leaving).send().await;
    post.reset_token(&person.email, 1).await;
    let mut pages =
        vec![json!({"url": local}), json!({"url": url}), json!({"url": format!("{url}/account/verify-email")})];
    for (email, subject) in [
        (&person.email, VERIFICATION),
        (&person.email, RESET_LINK),
        (&person.email, TO_OLD),
        (&new, TO_NEW),
        (&changed.email, crate::recovery::CHANGED),
        (&leaving.email, NOTICE),
    ] {
        let link = post.email(email, subject, 1).await.link();
        let link = format!("{url}{}?{}", link.path(), link.query().unwrap());
        pages.push(json!({"url": link}));
        if subject == RESET_LINK {
            pages.push(json!({"url": link, "typed": {"new_password": PASSWORD.get(..4)}}));
            pages.push(json!({"url": link, "typed": {"new_password": "password1234"}}));
        }
    }
    assert_for_everybody(pages).await;
}

async fn pages_of_people_are_for_everybody(backend: Backend) {
    let server = Server::with(backend, &[ALL, ("LIMIT_LOGIN_ADDRESS", "off")]).await;
    let url = format!("http://{}", server.address);
    let mut pages = Vec::new();
    for path in ["/login", "/register", "/forgot"] {
        pages.push(json!({"url": format!("{url}{path}")}));
    }
    let cookie = of_somebody(&server).await;
    for path in [
        "/account",
        "/account/sessions",
        "/account/sessions/end",
        "/account/security",
        "/account/activity?status=failure",
        "/account/delete",
    ] {
        pages.push(json!({"url": format!("{url}{path}"), "cookie": cookie}));
    }
    assert_for_everybody(pages).await;
}

/// Asserts that nothing is wrong with pages in any of seven ways to see them.
async fn assert_for_everybody(pages: Vec<Value>) {
    let count = pages.len() * 7;
    let given = json!({"chromium": variable("KEYTURN_TEST_CHROMIUM"), "pages": pages});
    let report = node("accessible_pages.mjs", given).await;
    assert_eq!(report["wrong"], json!([]), "{report:#}");
    assert_eq!(report["pages"], count, "{report}");
}

/// The cookie of somebody with two-step login, a trusted device, and other sessions.
async fn of_somebody(server: &Server) -> String {
    let person = crate::mfa::person(server, &server.clock).await;
    server.try_login(&person.tokens.email, "not the password").await.assert_status(401);
    let mut browser = Browser::new(server);
    for code in &person.recovery_codes[..2] {
        browser = two_steps(server, &person.tokens, code).await;
    }
    browser.cookie()
}
