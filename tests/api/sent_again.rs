//! Forms that are sent again: twice at once, by a page that is loaded again, later, or in another window.

use serde_json::json;

use crate::audit::administrator;
use crate::browser_sessions::Browser;
use crate::console::console;
use crate::mfa::{NO_LIMITS, Person, person};
use crate::pages::between;
use crate::recovery::address;
use crate::support::{Authenticator, Backend, PASSWORD, Response, Server, Tokens};

both_backends! {
    two_confirmations_at_once_leave_the_browser_logged_in,
    a_page_that_shows_a_secret_is_loaded_again_without_effect,
    an_app_is_enrolled_in_one_window_of_two,
    a_form_that_comes_too_often_is_kept,
    a_form_that_lacks_a_field_changes_nothing,
    what_is_typed_wrong_is_told_before_the_password_is_asked_for,
    the_question_names_what_is_done,
    a_download_that_was_confirmed_has_a_page_of_its_own,
    a_session_that_is_not_ones_own_cannot_be_ended,
    a_login_over_another_ends_that,
    a_second_login_of_a_person_leaves_apps_alone,
    strangers_keep_their_language_and_their_way,
}

const TOTP_SECRET: &str = "<code translate=\"no\" dir=\"ltr\">";

/// Returns the value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    between(page, &format!("name=\"{name}\" value=\""), "\"")
}

/// Returns how many secrets of sessions an answer sets.
fn secrets(answer: &Response) -> usize {
    answer.all_headers("set-cookie").iter().filter(|cookie| cookie.contains("=ktb_")).count()
}

async fn two_confirmations_at_once_leave_the_browser_logged_in(backend: Backend) {
    let server = Server::with(backend, &NO_LIMITS).await;
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    for _ in 0..5 {
        server.advance(601);
        let (mut one, mut other) = (browser.clone(), browser.clone());
        let fields = [("confirm_password", PASSWORD)];
        let (first, second) = tokio::join!(
            one.post("/account/security/alerts", &fields),
            other.post("/account/security/alerts", &fields),
        );
        // The later one may find the secret replaced before it begins.
        assert!(first.status == 303 && second.status == 303, "{} {}", first.text(), second.text());
        assert_eq!(secrets(&first) + secrets(&second), 1);
        browser = if secrets(&first) == 1 { one } else { other };
        browser.get("/account").await.assert_status(200);
    }
}

async fn a_page_that_shows_a_secret_is_loaded_again_without_effect(server: Server) {
    let (mut browser, _) = console(&server).await;
    let form = browser.get("/admin/clients/new").await.assert_status(200).text();
    let mark = hidden(&form, "form");
    let fields = [("form", &*mark), ("name", "Shop")];
    browser.post("/admin/clients/new", &[("form", &*mark), ("name", "")]).await.assert_status(422);
    browser.post("/admin/clients/new", &fields).await.assert_status(200);
    let again = browser.post("/admin/clients/new", &fields).await.assert_status(409).text();
    assert!(again.contains("This was done already"), "{again}");
    assert_eq!(server.count("clients"), 1);

    let list = browser.get("/admin/clients").await.text().replace("&#x2f;", "/");
    let client = between(&list, "href=\"/admin/clients/0", "\"");
    let path = format!("/admin/clients/0{client}/change");
    let question = browser.get(&format!("{path}?change=add_secret")).await.assert_status(200).text();
    let fields = [("form", &*hidden(&question, "form")), ("change", "add_secret")];
    browser.post(&path, &fields).await.assert_status(200);
    browser.post(&path, &[("change", "delete_secret"), ("number", "1")]).await.assert_status(303);
    browser.post(&path, &fields).await.assert_status(409);
    assert_eq!(server.count("client_secrets"), 1);

    let enrolment = browser.post("/account/two-step/begin", &[]).await.assert_status(200).text();
    let app = Authenticator::new(&between(&enrolment, TOTP_SECRET, "</code>").replace(' ', ""));
    let code = app.code(server.clock.now(), 0);
    browser.post("/account/two-step/confirm", &[("code", &*code)]).await.assert_status(200);
    let again = browser.post("/account/two-step/confirm", &[("code", &*code)]).await.assert_status(409).text();
    assert!(again.contains("Two-step login is on"), "{again}");
    let mark = hidden(&browser.get("/account/security").await.text(), "form");
    browser.post("/account/two-step/codes", &[("form", &*mark)]).await.assert_status(200);
    let codes = server.rows("recovery_codes");
    browser.post("/account/two-step/codes", &[("form", &*mark)]).await.assert_status(409);
    assert_eq!(format!("{:?}", server.rows("recovery_codes")), format!("{codes:?}"));
}

async fn an_app_is_enrolled_in_one_window_of_two(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    let first = browser.post("/account/two-step/begin", &[]).await.assert_status(200).text();
    browser.post("/account/two-step/begin", &[]).await.assert_status(200);
    let app = Authenticator::new(&between(&first, TOTP_SECRET, "</code>").replace(' ', ""));
    let code = app.code(server.clock.now(), 0);
    let fields = [("shown", &*hidden(&first, "shown")), ("code", &*code)];
    let told = browser.post("/account/two-step/confirm", &fields).await.assert_status(422).text();
    assert!(told.contains("The picture was replaced") && !told.contains("This code is wrong"), "{told}");
    let app = Authenticator::new(&between(&told, TOTP_SECRET, "</code>").replace(' ', ""));
    let fields = [("shown", &*hidden(&told, "shown")), ("code", "000000")];
    let wrong = browser.post("/account/two-step/confirm", &fields).await.assert_status(422).text();
    assert_eq!(wrong.matches("This code is wrong").count(), 1, "{wrong}");
    let code = app.code(server.clock.now(), 0);
    browser.post("/account/two-step/confirm", &[("code", &*code)]).await.assert_status(200);
}

async fn a_form_that_comes_too_often_is_kept(backend: Backend) {
    let limits = [("LIMIT_WRITE_ACCOUNT", "3/60"), ("LIMIT_LOGIN_ADDRESS", "3/300")];
    let server = Server::with(backend, &limits).await;
    server.clock.hold();
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    let mut answer = browser.post("/account/name", &[("name", "Ada")]).await;
    while answer.status == 303 {
        answer = browser.post("/account/name", &[("name", "Ada <3")]).await;
    }
    let page = answer.assert_status(429).text();
    assert!(answer.header("retry-after").is_some());
    assert!(page.contains("name=\"name\" value=\"Ada &lt;3\"") && page.contains("in one minute"), "{page}");
    assert!(page.contains("action=\"&#x2f;account&#x2f;name\"") && page.contains("name=\"shown_to\""), "{page}");
    // A secret is typed again.
    let fields = [("current_password", PASSWORD), ("new_password", "another one of them")];
    let page = browser.post("/account/security/password", &fields).await.assert_status(429).text();
    assert!(!page.contains(PASSWORD) && !page.contains("another one of them"), "{page}");

    let mut stranger = Browser::new(&server);
    let email = address();
    let mut answer = stranger.post("/login", &[("email", &*email), ("password", "wrong")]).await;
    while answer.status == 401 {
        answer = stranger.post("/login", &[("email", &*email), ("password", "wrong")]).await;
    }
    let page = answer.assert_status(429).text();
    assert!(page.contains(&format!("value=\"{email}\"")) && page.contains("name=\"password\""), "{page}");
    assert!(page.contains("role=\"alert\"") && answer.header("retry-after").is_some(), "{page}");
}

async fn a_form_that_lacks_a_field_changes_nothing(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    let session = server.sessions(&owner.access).await["sessions"][0]["id"].as_str().unwrap().to_owned();
    let full = [("/account/name", "name", "Ada"), ("/account/language", "language", "de")];
    for (path, field, value) in full {
        assert_eq!(browser.post(path, &[(field, value)]).await.status, 303, "{path}");
    }
    let fields = [("session", &*session), ("name", "Mine")];
    assert_eq!(browser.post("/account/sessions/name", &fields).await.status, 303);
    for (path, fields) in
        [("/account/name", &[][..]), ("/account/language", &[]), ("/account/sessions/name", &fields[..1])]
    {
        browser.post(path, fields).await.assert_status(422);
    }
    let me = server.me(&owner.access).await.json();
    assert_eq!((&me["user"]["name"], &me["language"]), (&json!("Ada"), &json!("de")), "{me}");
    assert!(browser.list().await.contains("Mine"));
}

async fn what_is_typed_wrong_is_told_before_the_password_is_asked_for(server: Server) {
    let (mut browser, admin) = console(&server).await;
    server.advance(601);
    for (path, field, value, status) in [
        ("/account/email", "new_email", "no address", 422),
        ("/account/security/devices", "device", "x", 404),
        ("/admin/clients/new", "name", "", 422),
        ("/admin/users/new", "email", "no address", 422),
        ("/admin/outbox/retry", "email", "x", 404),
        (&format!("/admin/users/{}/act", admin.user), "reason", "", 422),
    ] {
        let page = browser.post(path, &[(field, value)]).await.assert_status(status).text();
        assert!(!page.contains("confirm_password"), "{path}: {page}");
    }
}

async fn the_question_names_what_is_done(server: Server) {
    let (mut browser, _) = console(&server).await;
    server.advance(601);
    for (path, fields, title) in [
        ("/account/email", &[("new_email", "ada@example.com")][..], "Change the email address"),
        ("/account/delete", &[], "Delete my account"),
        ("/account/two-step/begin", &[], "Turn on two-step login"),
        ("/admin/clients/new", &[("name", "Shop")], "Register a client"),
        ("/admin/keys/change", &[("change", "rotate")], "Replace the keys"),
    ] {
        let page = browser.post(path, fields).await.assert_status(200).text();
        assert!(page.contains("name=\"confirm_password\""), "{path}: {page}");
        let heading = between(&page, "<h1 tabindex=\"-1\" autofocus>", "</h1>");
        assert!(heading.starts_with(title), "{path}: {heading}");
    }
}

async fn a_download_that_was_confirmed_has_a_page_of_its_own(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    server.advance(601);
    browser.post("/account/export", &[]).await.assert_status(200);
    let page = browser.post("/account/export", &[("confirm_password", PASSWORD)]).await;
    assert_eq!(page.header("content-disposition"), None);
    assert!(page.assert_status(200).text().contains("action=\"&#x2f;account&#x2f;export\""), "{}", page.text());
    let file = browser.post("/account/export", &[]).await;
    assert!(file.assert_status(200).header("content-disposition").unwrap().starts_with("attachment"));
}

async fn a_session_that_is_not_ones_own_cannot_be_ended(server: Server) {
    let owner = server.register().await;
    let other = server.register().await;
    let session = server.sessions(&other.access).await["sessions"][0]["id"].as_str().unwrap().to_owned();
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    browser.post("/account/sessions/end", &[("session", &session)]).await.assert_status(404);
    server.me(&other.access).await.assert_status(200);
}

async fn a_login_over_another_ends_that(server: Server) {
    let (one, other) = (server.register().await, server.register().await);
    let mut browser = Browser::logged_in(&server, &one.email).await;
    let former = browser.clone();
    let fields = [("email", &*other.email), ("password", PASSWORD)];
    assert_eq!(browser.post("/login", &fields).await.status, 303);
    assert!(browser.list().await.contains(&other.email));
    assert_eq!(former.get("/account").await.status, 303);
    // Registration and a second login of the same person do the same.
    let former = browser.clone();
    let email = address();
    let fields = [("email", &*email), ("new_password", PASSWORD)];
    assert_eq!(browser.post("/register", &fields).await.status, 303);
    assert_eq!(former.get("/account").await.status, 303);
    let former = browser.clone();
    assert_eq!(browser.post("/login", &[("email", &*email), ("password", PASSWORD)]).await.status, 303);
    assert_eq!((former.get("/account").await.status, browser.get("/account").await.status), (303, 200));
}

async fn a_second_login_of_a_person_leaves_apps_alone(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    let sessions = server.sessions(&owner.access).await;
    let parent =
        &sessions["sessions"].as_array().unwrap().iter().find(|session| session["kind"] == "browser").unwrap()["id"];
    let login = json!({"email": owner.email, "password": PASSWORD, "parent_id": parent});
    let app = Tokens::of(server.post("/api/v1/auth/login").json(&login).send().await.assert_status(200));
    let fields = [("email", &*owner.email), ("password", PASSWORD)];
    assert_eq!(browser.post("/login", &fields).await.status, 303);
    server.me(&app.access).await.assert_status(200);
    // Somebody else's login is another matter.
    let other = administrator(&server).await;
    let fields = [("email", &*other.email), ("password", PASSWORD)];
    assert_eq!(browser.post("/login", &fields).await.status, 303);
    assert!(browser.list().await.contains(&other.email));
}

async fn strangers_keep_their_language_and_their_way(server: Server) {
    let Person { tokens: owner, app, .. } = person(&server, &server.clock).await;
    let mut browser = Browser::new(&server);
    let query = "?return_to=%2Faccount%3Fx%3D1&ui_locales=de";
    for (page, links) in
        [("/login", &["/forgot", "/register"][..]), ("/register", &["/login"]), ("/forgot", &["/login"])]
    {
        let shown = browser.get(&format!("{page}{query}")).await.assert_status(200).text();
        let shown = shown.replace("&#x2f;", "/").replace("&amp;", "&");
        for link in links {
            assert!(shown.contains(&format!("href=\"{link}{query}\"")), "{page} {link}: {shown}");
        }
        let action = format!("action=\"{page}?ui_locales=de\"");
        assert!(shown.contains(&action) && shown.contains("name=\"return_to\" value=\"/account?x=1\""), "{shown}");
    }
    let fields = [("email", &*owner.email), ("password", PASSWORD), ("return_to", "/account?x=1")];
    let code = browser.post("/login?ui_locales=de", &fields).await.assert_status(200).text();
    assert!(code.contains("lang=\"de\"") && code.contains("login?ui_locales=de"), "{code}");
    let token = hidden(&code, "mfa_token");
    let none = [("mfa_token", &*token), ("code", ""), ("recovery_code", " "), ("return_to", "/account?x=1")];
    let told = browser.post("/login?ui_locales=de", &none).await.assert_status(422).text();
    assert!(told.contains("Geben Sie einen Code ein."), "{told}");
    let shown = app.code(server.clock.now(), 0);
    let fields = [("mfa_token", &*token), ("code", &*shown), ("return_to", "/account?x=1")];
    let done = browser.post("/login?ui_locales=de", &fields).await;
    assert_eq!((done.status, done.header("location")), (303, Some("/account?x=1")), "{}", done.text());
}
