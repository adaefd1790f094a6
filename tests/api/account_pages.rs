//! The pages on which people register, and see and change what belongs to their account, as a browser without script
//! uses them.

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::audit::administrator;
use crate::browser_sessions::Browser;
use crate::mfa::{NEW_PASSWORD, NO_LIMITS, Person, person};
use crate::pages::between;
use crate::recovery::{Post, RESET_LINK, TO_NEW, TO_OLD, VERIFICATION, address};
use crate::support::{Authenticator, Backend, PASSWORD, Response, Server, Tokens, until};

both_backends! {
    people_register_on_a_page,
    a_registration_that_is_refused_keeps_what_was_typed,
    where_registration_is_closed_its_page_says_so,
    where_addresses_are_verified_first_a_registration_says_what_to_do,
    a_forgotten_password_is_told_by_nobody,
    a_profile_is_changed_on_its_page,
    what_needs_a_recent_login_keeps_the_form_and_asks_for_it,
    who_authenticates_again_gets_a_new_secret,
    with_two_step_login_the_password_alone_confirms_nothing,
    a_password_is_changed_and_others_are_logged_out,
    two_step_login_is_turned_on_and_off,
    trusted_devices_and_alerts_are_changed,
    what_happened_is_told_in_sentences,
    a_filter_that_is_not_understood_is_told,
    all_that_is_stored_is_downloaded,
    an_account_is_deleted_by_its_owner,
    a_session_that_is_not_known_is_reported,
    the_page_learns_of_changes_and_of_its_end,
    asking_for_changes_is_no_use,
    a_new_password_is_judged_while_it_is_typed,
    what_people_choose_shows_as_text_on_every_page,
    password_managers_find_the_page,
    a_page_of_another_account_changes_nothing,
    where_a_form_is_sent_to_leads_to_its_page,
}

const PAGES: [&str; 5] = ["/account", "/account/sessions", "/account/security", "/account/activity", "/account/delete"];

/// The location of a redirect.
#[track_caller]
fn to(answer: &Response) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

/// The text of a refusal at a field.
#[track_caller]
fn error(page: &str, field: &str) -> String {
    assert!(page.contains("role=\"alert\""), "{page}");
    between(page, &format!("id=\"{field}-error\">"), "</p>")
}

async fn people_register_on_a_page(server: Server) {
    let mut browser = Browser::new(&server);
    let page = browser.get("/register").await.assert_status(200).text();
    for part in ["autocomplete=\"username\"", "autocomplete=\"new-password\"", "href=\"&#x2f;login\""] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let email = address();
    let fields = [("email", &*email), ("name", " Ada "), ("new_password", PASSWORD), ("return_to", "/account?x=1")];
    assert_eq!(to(&browser.post("/register", &fields).await), "/account?x=1");
    let profile = browser.get("/account").await.assert_status(200).text();
    assert!(profile.contains("value=\"Ada\"") && profile.contains(&email), "{profile}");
    assert!(browser.list().await.contains("This device"));
    let tokens = server.login(&email).await;
    let kinds = server.sessions(&tokens.access).await;
    assert_eq!((&kinds["sessions"][0]["kind"], &kinds["sessions"][1]["kind"]), (&json!("app"), &json!("browser")));
    // Who is logged in needs no other account.
    assert_eq!(to(&browser.get("/register").await), "/account/sessions");
}

async fn a_registration_that_is_refused_keeps_what_was_typed(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::new(&server);
    for (email, name, password, field, status) in [
        ("no address", "Ada", PASSWORD, "email", 422),
        ("ada@example.com", "Ada\u{7}", PASSWORD, "name", 422),
        ("ada@example.com", "Ada", "short", "new_password", 422),
        ("ada@example.com", "Ada", "password", "new_password", 422),
        (&*owner.email, "Ada", NEW_PASSWORD, "email", 409),
    ] {
        let fields = [("email", email), ("name", name), ("new_password", password)];
        let page = browser.post("/register", &fields).await.assert_status(status).text();
        assert!(!error(&page, field).is_empty(), "{page}");
        assert!(page.contains(&format!("value=\"{email}\"")) && page.contains("value=\"Ada"), "{page}");
        assert!(!page.contains(&format!("value=\"{password}\"")), "{page}");
    }
    assert_eq!(server.count("users"), 1);
}

async fn where_registration_is_closed_its_page_says_so(backend: Backend) {
    let server = Server::with(backend, &[("REGISTRATION", "closed")]).await;
    let mut browser = Browser::new(&server);
    assert!(browser.get("/register").await.assert_status(403).text().contains("Registration is closed"));
    let fields = [("email", "ada@example.com"), ("new_password", PASSWORD)];
    assert!(browser.post("/register", &fields).await.assert_status(403).text().contains("Registration is closed"));
    assert!(!browser.get("/login").await.text().contains("/register"));
    assert_eq!(server.count("users"), 0);
}

async fn where_addresses_are_verified_first_a_registration_says_what_to_do(backend: Backend) {
    let post = Post::with(backend, &[("REQUIRE_VERIFIED_EMAIL", "true")]).await;
    let mut browser = Browser::new(&post.server);
    let email = address();
    let answer = browser.post("/register", &[("email", &email), ("new_password", PASSWORD)]).await;
    assert!(answer.assert_status(200).text().contains("Check your emails"), "{}", answer.text());
    assert!(answer.header("set-cookie").is_none());
    post.email(&email, VERIFICATION, 1).await;
}

async fn a_forgotten_password_is_told_by_nobody(backend: Backend) {
    let post = Post::on(backend).await;
    let owner = post.server.register().await;
    let mut browser = Browser::new(&post.server);
    let mut told = Vec::new();
    for email in [&*owner.email, "nobody@example.com"] {
        let answer = browser.post("/forgot", &[("email", email)]).await;
        told.push(answer.assert_status(200).text().replace(email, "EMAIL"));
    }
    assert_eq!(told[0], told[1]);
    post.email(&owner.email, RESET_LINK, 1).await;
    let refused = browser.post("/forgot", &[("email", "no address")]).await.assert_status(422).text();
    assert!(error(&refused, "email").contains("not an email address") && refused.contains("value=\"no address\""));
}

async fn a_profile_is_changed_on_its_page(backend: Backend) {
    let post = Post::on(backend).await;
    let owner = post.server.register().await;
    let mut browser = Browser::logged_in(&post.server, &owner.email).await;
    assert_eq!(to(&browser.post("/account/name", &[("name", "Ada Lovelace")]).await), "/account");
    let page = browser.get("/account").await.text();
    assert!(page.contains("value=\"Ada Lovelace\"") && page.contains("Your name is saved."), "{page}");
    // It is told once, and to nobody who follows a link.
    for path in ["/account", "/account?done=name"] {
        assert!(!browser.get(path).await.text().contains("role=\"status\""), "{path}");
    }
    let long = "x".repeat(101);
    let refused = browser.post("/account/name", &[("name", &long)]).await.assert_status(422).text();
    assert!(!error(&refused, "name").is_empty() && refused.contains(&long));
    assert_eq!(to(&browser.post("/account/name", &[("name", "")]).await), "/account");
    assert_eq!(post.server.me(&owner.access).await.json()["user"]["name"], Value::Null);

    assert_eq!(to(&browser.post("/account/language", &[("language", "de")]).await), "/account");
    assert!(browser.get("/account").await.text().contains("<html lang=\"de\""));
    browser.post("/account/language", &[("language", "xx")]).await.assert_status(404);
    assert_eq!(to(&browser.post("/account/language", &[("language", "")]).await), "/account");
    post.email(&owner.email, VERIFICATION, 1).await;
    assert_eq!(to(&browser.post("/account/email/resend", &[]).await), "/account");
    post.email(&owner.email, VERIFICATION, 2).await;
    for wrong in ["no address", &owner.email] {
        let refused = browser.post("/account/email", &[("new_email", wrong)]).await.assert_status(422).text();
        assert!(!error(&refused, "new_email").is_empty() && refused.contains(&format!("value=\"{wrong}\"")));
    }
    let new = address();
    assert_eq!(to(&browser.post("/account/email", &[("new_email", &new)]).await), "/account");
    post.email(&owner.email, TO_OLD, 1).await;
    post.email(&new, TO_NEW, 1).await;
    assert!(browser.get("/account").await.text().contains("waits for both addresses"));
    assert_eq!(to(&browser.post("/account/email/cancel", &[]).await), "/account");
    assert!(!browser.get("/account").await.text().contains("waits for both addresses"));
}

async fn what_needs_a_recent_login_keeps_the_form_and_asks_for_it(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    server.advance(601);
    let new = address();
    let own = owner.user.to_string();
    let fields = [("shown_to", &*own), ("new_email", &*new)];
    let asked = browser.post("/account/email", &fields).await.assert_status(200).text();
    let sent = asked.split_once("action=\"&#x2f;account&#x2f;email\"").map_or("", |(_, form)| form);
    assert_eq!(sent.matches("name=\"shown_to\"").count(), 1, "{asked}");
    assert!(asked.contains(&format!("name=\"new_email\" value=\"{new}\"")), "{asked}");
    assert!(asked.contains("name=\"confirm_password\"") && !asked.contains("name=\"confirm_code\""), "{asked}");
    assert_eq!(server.count("email_changes"), 0);
    let fields = [("new_email", &*new), ("confirm_password", "not the password")];
    let again = browser.post("/account/email", &fields).await.assert_status(401).text();
    assert!(between(&again, "id=\"confirm_password-error\">", "</p>").contains("wrong"), "{again}");
    assert!(again.contains(&format!("name=\"new_email\" value=\"{new}\"")) && !again.contains("not the password"));
    assert_eq!(server.count("email_changes"), 0);
    let fields = [("new_email", &*new), ("confirm_password", PASSWORD)];
    assert_eq!(to(&browser.post("/account/email", &fields).await), "/account");
    assert_eq!(server.count("email_changes"), 1);
    // It counts for ten minutes more.
    assert_eq!(to(&browser.post("/account/email", &[("new_email", &address())]).await), "/account");
}

async fn who_authenticates_again_gets_a_new_secret(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    let copied = browser.clone();
    server.advance(601);
    let answer = browser.post("/account/security/alerts", &[("confirm_password", PASSWORD)]).await;
    assert_eq!(to(&answer), "/account/security");
    assert!(answer.header("set-cookie").unwrap().starts_with("__Host-keyturn_session=ktb_"));
    assert_eq!((copied.get("/account").await.status, browser.get("/account").await.status), (303, 200));
    let sessions = server.sessions(&server.login(&owner.email).await.access).await;
    let browsers = sessions["sessions"].as_array().unwrap().iter().filter(|session| session["kind"] == "browser");
    assert_eq!(browsers.count(), 1, "{sessions}");
}

async fn with_two_step_login_the_password_alone_confirms_nothing(server: Server) {
    let Person { tokens: owner, app, recovery_codes: codes } = person(&server, &server.clock).await;
    let mut browser = two_steps(&server, &owner, &codes[0]).await;
    server.advance(601);
    let asked = browser.post("/account/two-step/off", &[]).await.assert_status(200).text();
    assert!(asked.contains("name=\"confirm_code\""), "{asked}");
    for code in ["", "000000"] {
        let fields = [("confirm_password", PASSWORD), ("confirm_code", code)];
        let again = browser.post("/account/two-step/off", &fields).await.assert_status(401).text();
        assert!(!between(&again, "id=\"confirm_code-error\">", "</p>").is_empty(), "{again}");
    }
    let code = app.code(server.clock.now(), 0);
    let fields = [("confirm_password", PASSWORD), ("confirm_code", &*code)];
    assert_eq!(to(&browser.post("/account/two-step/off", &fields).await), "/account/security");
    server.try_login(&owner.email, PASSWORD).await.assert_status(200).json()["access_token"].as_str().unwrap();
}

/// A browser that has logged in with a recovery code.
pub async fn two_steps(server: &Server, owner: &Tokens, code: &str) -> Browser {
    let mut browser = Browser::new(server);
    let page = browser.post("/login", &[("email", &owner.email), ("password", PASSWORD)]).await.text();
    let token = between(&page, "name=\"mfa_token\" value=\"", "\"");
    let fields = [("mfa_token", &*token), ("code", code), ("remember_device", "yes")];
    to(&browser.post("/login", &fields).await);
    browser
}

async fn a_password_is_changed_and_others_are_logged_out(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    const PATH: &str = "/account/security/password";
    for (current, new, field) in [
        ("not it", NEW_PASSWORD, "current_password"),
        (PASSWORD, "short", "new_password"),
        (PASSWORD, &owner.email, "new_password"),
    ] {
        let fields = [("current_password", current), ("new_password", new)];
        let page = browser.post(PATH, &fields).await.assert_status(422).text();
        assert!(!error(&page, field).is_empty() && !page.contains(NEW_PASSWORD), "{page}");
    }
    server.me(&owner.access).await.assert_status(200);
    let fields = [("current_password", PASSWORD), ("new_password", NEW_PASSWORD)];
    let copied = browser.clone();
    assert_eq!(to(&browser.post(PATH, &fields).await), "/account/security");
    assert_eq!(copied.get("/account").await.status, 303, "the secret is a new one");
    server.me(&owner.access).await.assert_problem(401, "invalid_token");
    browser.get("/account").await.assert_status(200);
    server.try_login(&owner.email, NEW_PASSWORD).await.assert_status(200);
}

async fn two_step_login_is_turned_on_and_off(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    let page = browser.post("/account/two-step/begin", &[]).await.assert_status(200).text();
    assert!(page.contains("<svg") && page.contains("otpauth:"), "{page}");
    let secret = |page: &str| between(page, "<code translate=\"no\" dir=\"ltr\">", "</code>").replace(' ', "");
    let app = Authenticator::new(&secret(&page));
    let wrong = browser.post("/account/two-step/confirm", &[("code", "000000")]).await.assert_status(422).text();
    assert_eq!(secret(&wrong), secret(&page), "the app knows this one");
    assert!(!error(&wrong, "code").is_empty());
    let code = app.code(server.clock.now(), 0);
    let fields = [("code", &*code), ("end_others", "yes")];
    let done = browser.post("/account/two-step/confirm", &fields).await.assert_status(200).text();
    assert_eq!(done.matches("<li><code dir=\"ltr\">").count(), 10, "{done}");
    server.me(&owner.access).await.assert_problem(401, "invalid_token");
    assert!(browser.get("/account/security").await.text().contains("\u{2068}10\u{2069} recovery codes left"));
    let again = browser.post("/account/two-step/begin", &[]).await;
    assert_eq!(again.status, 409, "{}", again.text());

    let codes = browser.post("/account/two-step/codes", &[]).await.assert_status(200).text();
    let code = between(&codes, "<li><code dir=\"ltr\">", "</code>");
    assert!(!done.contains(&code), "new ones");
    two_steps(&server, &owner, &code).await;
    assert_eq!(to(&browser.post("/account/two-step/off", &[]).await), "/account/security");
    assert!(browser.get("/account/security").await.text().contains("Turn on"));
}

async fn trusted_devices_and_alerts_are_changed(server: Server) {
    let Person { tokens: owner, recovery_codes: codes, .. } = person(&server, &server.clock).await;
    let mut browser = two_steps(&server, &owner, &codes[0]).await;
    two_steps(&server, &owner, &codes[1]).await;
    let page = browser.get("/account/security").await.text();
    let device = between(&page, "name=\"device\" value=\"", "\"");
    for (fields, left) in [([("device", &*device)], 1), ([("all", "yes")], 0)] {
        assert_eq!(to(&browser.post("/account/security/devices", &fields).await), "/account/security");
        assert_eq!(server.count("trusted_devices"), left);
    }
    browser.post("/account/security/devices", &[]).await.assert_status(404);
    for (fields, wanted) in [(&[][..], false), (&[("alerts", "yes")], true)] {
        assert_eq!(to(&browser.post("/account/security/alerts", fields).await), "/account/security");
        assert_eq!(server.me(&owner.access).await.json()["alerts"], wanted);
    }
}

async fn what_happened_is_told_in_sentences(server: Server) {
    let owner = server.register().await;
    server.try_login(&owner.email, "not the password").await.assert_status(401);
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    browser.post("/account/sessions/end", &[("all", "yes")]).await;
    let page = browser.get("/account/activity").await.assert_status(200).text();
    for sentence in ["The account was created", "A login failed", "Logged in", "A session was ended: ended by you"] {
        assert!(page.contains(sentence), "{sentence}: {page}");
    }
    let german = browser.get("/account/activity?ui_locales=de").await.text();
    assert!(german.contains("Eine Anmeldung ist gescheitert") && !german.contains("A login failed"), "{german}");
    let refused = browser.get("/account/activity?status=failure&from=2020-01-01").await.text();
    assert!(refused.contains("A login failed") && !refused.contains("The account was created</p>"), "{refused}");
    let one = browser.get("/account/activity?event=account.registered").await.text();
    assert_eq!(one.matches("class=\"event\"").count(), 1, "{one}");
    assert!(browser.get("/account/activity?to=2020-01-01").await.text().contains("There is nothing to show."));
    let lost = browser.get("/account/activity?cursor=zzz").await.assert_status(422).text();
    assert!(lost.contains("This page of the list does not exist any more"), "{lost}");
    assert!(lost.contains("href=\"&#x2f;account&#x2f;activity\""), "{lost}");
    for _ in 0..30 {
        let fields = [("session", &*owner.session.0.to_string()), ("name", "")];
        browser.post("/account/sessions/name", &fields).await;
        browser.post("/account/name", &[("name", &address())]).await;
    }
    let first = browser.get("/account/activity").await.text();
    assert_eq!(first.matches("class=\"event\"").count(), 25);
    let next = between(&first, "rel=\"next\" href=\"", "\"").replace("&#x2f;", "/");
    let second = browser.get(&next).await.assert_status(200).text();
    assert!(second.contains("The account was created") && !second.contains("rel=\"next\""), "{second}");
    let file = browser.get("/account/activity/export").await;
    assert!(file.assert_status(200).header("content-type").unwrap().starts_with("text/csv"));
    assert!(file.text().contains("account.registered") && file.text().contains("event_type"));
    // What the list shows.
    let (failed, days) = ("/account/activity?status=failure&from=2020-01-01", "from=2020-01-01");
    assert!(browser.get(failed).await.text().contains("activity&#x2f;export?status=failure&amp;from=2020-01-01"));
    let file = browser.get(&format!("/account/activity/export?status=failure&{days}")).await.assert_status(200).text();
    assert_eq!((file.matches("login.failed").count(), file.trim_end().lines().count()), (1, 2), "{file}");
    let refused = browser.get("/account/activity/export?from=yesterday").await.assert_status(422).text();
    assert!(refused.contains("Enter a day such as"), "{refused}");
}

async fn a_filter_that_is_not_understood_is_told(server: Server) {
    let owner = server.register().await;
    let browser = Browser::logged_in(&server, &owner.email).await;
    for (field, typed, told) in [
        ("event", "nonsense", "Choose one from the list."),
        ("status", "nonsense", "Choose one from the list."),
        ("from", "yesterday", "Enter a day such as 2026-12-31."),
        ("to", "2026-02-30", "Enter a day such as 2026-12-31."),
        ("to", "2019-12-31", "The last day is before the first."),
    ] {
        let other = if field == "to" { "from=2020-01-01" } else { "to=2999-12-31" };
        let query = format!("/account/activity?{other}&{field}={typed}");
        let refused = browser.get(&query).await.assert_status(422).text();
        assert_eq!(error(&refused, field), told, "{query}");
        assert!(refused.contains(&format!("value=\"{typed}\"")), "{query}: {refused}");
        assert!(!refused.contains("class=\"event\"") && !refused.contains("There is nothing to show."), "{refused}");
    }
}

async fn all_that_is_stored_is_downloaded(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    server.advance(601);
    assert!(browser.post("/account/export", &[]).await.assert_status(200).text().contains("confirm_password"));
    let confirmed = browser.post("/account/export", &[("confirm_password", PASSWORD)]).await;
    assert!(confirmed.assert_status(200).header("set-cookie").is_some(), "the session has a new secret");
    let file = browser.post("/account/export", &[]).await;
    assert!(file.assert_status(200).header("content-disposition").unwrap().starts_with("attachment"));
    let data = file.json();
    assert_eq!((&data["account"]["email"], data["sessions"].as_array().unwrap().len()), (&json!(owner.email), 2));
    browser.get("/account").await.assert_status(200);
}

async fn an_account_is_deleted_by_its_owner(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    server.advance(601);
    assert!(browser.get("/account/delete").await.assert_status(200).text().contains(&owner.email));
    assert!(browser.post("/account/delete", &[]).await.assert_status(200).text().contains("confirm_password"));
    server.refreshed(&owner).await;
    let done = browser.post("/account/delete", &[("confirm_password", PASSWORD)]).await;
    assert!(done.assert_status(200).text().contains("Your account is to be deleted"), "{}", done.text());
    assert_eq!(browser.get("/account").await.status, 303);
    let refused = server.try_login(&owner.email, PASSWORD).await;
    refused.assert_problem(403, "account_deletion_pending");
    let page = browser.post("/login", &[("email", &owner.email), ("password", PASSWORD)]).await;
    assert!(page.assert_status(403).text().contains("This account is to be deleted"));

    let admin = administrator(&server).await;
    let mut browser = Browser::logged_in(&server, &admin.email).await;
    let refused = browser.post("/account/delete", &[]).await.assert_status(409).text();
    assert!(refused.contains("last administrator"), "{refused}");
}

async fn a_session_that_is_not_known_is_reported(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let owner = server.register().await;
    let mut browser = Browser::logged_in(server, &owner.email).await;
    let session = owner.session.0.to_string();
    let asked = browser.get(&format!("/account/sessions/not-me?session={session}")).await.assert_status(200).text();
    assert!(asked.contains("Was this not you?") && asked.contains(&session), "{asked}");
    server.me(&owner.access).await.assert_status(200);
    let answer = browser.post("/account/sessions/not-me", &[("session", &session)]).await;
    assert_eq!(to(&answer), "/account/security");
    server.me(&owner.access).await.assert_problem(401, "invalid_token");
    assert!(browser.list().await.contains("you reported it"));
    post.email(&owner.email, RESET_LINK, 1).await;
    let others = server.register().await;
    let own = server.sessions(&server.login(&owner.email).await.access).await;
    let own =
        own["sessions"].as_array().unwrap().iter().find(|session| session["kind"] == "browser").unwrap()["id"].clone();
    for id in [&*others.session.0.to_string(), "x", "", &session, own.as_str().unwrap()] {
        browser.post("/account/sessions/not-me", &[("session", id)]).await.assert_status(404);
    }
    server.me(&others.access).await.assert_status(200);
}

async fn the_page_learns_of_changes_and_of_its_end(server: Server) {
    let owner = server.register().await;
    let browser = Browser::logged_in(&server, &owner.email).await;
    let version = async || browser.get("/account/sessions/live").await.assert_status(200).json()["version"].clone();
    let first = version().await;
    assert!(browser.list().await.contains(&format!("data-version=\"{}\"", first.as_str().unwrap())));
    let other = server.login(&owner.email).await;
    let second = version().await;
    assert!(first != second && version().await == second);
    let path = format!("/api/v1/sessions/{}", other.session);
    server.patch(&path).bearer(&owner.access).json(&json!({"name": "Phone"})).send().await.assert_status(200);
    assert_ne!(version().await, second);
    let sessions = server.sessions(&owner.access).await;
    let sessions = sessions["sessions"].as_array().unwrap();
    let own = sessions.iter().find(|session| session["kind"] == "browser").unwrap();
    let path = format!("/api/v1/sessions/{}", own["id"].as_str().unwrap());
    server.delete(&path).bearer(&owner.access).send().await.assert_status(204);
    let ended = browser.get("/account/sessions/live").await.assert_status(401).json();
    let text = ended["text"].as_str().unwrap();
    assert!(text.contains("Firefox on Windows") && text.contains("ended by you"), "{ended}");
    // Without a script, the login says it.
    assert!(browser.get("/login").await.assert_status(200).text().contains("Firefox on Windows"));
    let stranger = Browser::new(&server).get("/account/sessions/live").await.assert_status(401).json();
    assert!(!stranger["text"].as_str().unwrap().contains("Firefox"), "{stranger}");
}

async fn asking_for_changes_is_no_use(server: Server) {
    let owner = server.register().await;
    let browser = Browser::logged_in(&server, &owner.email).await;
    let rows = |server: &Server| server.rows("sessions");
    let before = rows(&server);
    server.advance(3600);
    for _ in 0..3 {
        browser.get("/account/sessions/live").await.assert_status(200);
    }
    assert_eq!(rows(&server), before);
    // A page is a use, so the test would see one.
    browser.get("/account").await.assert_status(200);
    until("the use to be recorded", async || (rows(&server) != before).then_some(())).await;
}

async fn a_new_password_is_judged_while_it_is_typed(server: Server) {
    let mut browser = Browser::new(&server);
    for (password, accepted) in
        [("short", false), ("password", false), ("gracehopper1906", false), (NEW_PASSWORD, true)]
    {
        let fields = [("new_password", password), ("email", "gracehopper1906@example.com")];
        let told = browser.post("/account/new-password", &fields).await.assert_status(200).json();
        assert_eq!(told["is_accepted"], accepted, "{password}: {told}");
        assert!(told["text"].as_str().unwrap().len() > 10, "{told}");
    }
}

async fn what_people_choose_shows_as_text_on_every_page(backend: Backend) {
    let server = Server::with(backend, &NO_LIMITS).await;
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    for text in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onfocus='alert(1)' autofocus='",
        "{{ 7 * 7 }} {% include 'docs.html' %}",
        "&lt;b&gt;",
        "javascript:alert(1)",
    ] {
        browser.post("/account/name", &[("name", text)]).await.assert_status(303);
        let login = json!({"email": owner.email, "password": PASSWORD});
        server.post("/api/v1/auth/login").header("user-agent", text).json(&login).send().await.assert_status(200);
        let mut pages = Vec::new();
        for path in PAGES {
            let query = ["done", "event", "from", "ui_locales"].map(|name| (name, text));
            let query = Serializer::new(String::new()).extend_pairs(query).finish();
            // The filter of the activity is refused.
            let status = if path == "/account/activity" { 422 } else { 200 };
            pages.push(browser.get(&format!("{path}?{query}")).await.assert_status(status).text());
        }
        for (path, field) in [("/register", "name"), ("/forgot", "email"), ("/register", "email")] {
            pages.push(browser.post(path, &[(field, text)]).await.text());
        }
        server.advance(601);
        let refused = browser.post("/account/email", &[("new_email", text)]).await;
        pages.push(refused.assert_status(422).text());
        let kept = browser.post("/account/email", &[("new_email", "ada@example.com"), (text, "x")]).await;
        pages.push(kept.assert_status(200).text());
        for page in pages {
            for markup in ["<script>", "<img", " onfocus='", "<b>", "href=\"javascript"] {
                assert!(!page.contains(markup), "{markup}: {page}");
            }
        }
    }
}

async fn a_page_of_another_account_changes_nothing(server: Server) {
    let (first, second) = (server.register().await, server.register().await);
    let mut browser = Browser::logged_in(&server, &first.email).await;
    let shown = browser.get("/account/delete").await.text();
    let shown = between(&shown, "name=\"shown_to\" value=\"", "\"");
    assert_eq!(shown, first.user.to_string());
    browser.post("/logout", &[]).await;
    to(&browser.post("/login", &[("email", &second.email), ("password", PASSWORD)]).await);
    let before = (server.rows("users"), server.count("sessions WHERE revoked_at IS NULL"));
    for (path, field) in [
        ("/account/delete", ("confirm_password", PASSWORD)),
        ("/account/name", ("name", "Ada")),
        ("/account/sessions/end", ("all", "yes")),
        ("/account/two-step/begin", ("x", "y")),
    ] {
        let refused = browser.post(path, &[("shown_to", &*shown), field]).await;
        assert!(refused.assert_status(409).text().contains("Another account is logged in now"), "{path}");
    }
    assert_eq!((server.rows("users"), server.count("sessions WHERE revoked_at IS NULL")), before);
    let own = second.user.to_string();
    to(&browser.post("/account/name", &[("shown_to", &own), ("name", "Ada")]).await);
}

async fn where_a_form_is_sent_to_leads_to_its_page(server: Server) {
    for (form, page) in [
        ("/account/security/password", "/account/security"),
        ("/account/two-step/confirm", "/account/security"),
        ("/account/name", "/account"),
        ("/account/sessions/name", "/account/sessions"),
        ("/logout", "/login"),
    ] {
        let loaded = server.get(form).header("accept", "text/html,*/*;q=0.8").send().await;
        assert_eq!(loaded.header("location"), Some(&*format!("https://keyturn.example{page}")), "{form}");
        server.get(form).send().await.assert_problem(405, "method_not_allowed");
    }
}

async fn password_managers_find_the_page(server: Server) {
    let browser = Browser::new(&server);
    assert_eq!(to(&browser.get("/.well-known/change-password").await), "/account/security");
    let probe = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200";
    browser.get(probe).await.assert_status(404);
}
