//! Administrators act for a person in their own browser: they see, and change nothing.

use crate::browser_sessions::Browser;
use crate::console::{console, page};
use crate::openapi::routes;
use crate::support::{Backend, Server};

both_backends! {
    an_administrator_acts_for_a_person_in_their_sight,
    who_acts_for_somebody_changes_nothing,
    acting_ends_with_its_time_and_says_so,
    acting_ends_with_the_session_of_the_administrator,
    reasons_are_required,
    who_authenticates_again_to_act_stays_logged_in,
    who_acts_for_another_person_acts_for_the_first_no_more,
}

const BANNER: &str = "class=\"acting\"";

/// A browser of an administrator who acts for `person`.
async fn acting(server: &Server, person: &crate::support::Tokens) -> Browser {
    let (mut browser, _) = console(server).await;
    let path = format!("/admin/users/{}/act", person.user);
    assert!(page(&browser, &path).await.contains(&person.email));
    let answer = browser.post(&path, &[("reason", "ticket 4711")]).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/account/sessions")), "{}", answer.text());
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-keyturn_acting=ktb_") && cookie.contains("HttpOnly"), "{cookie}");
    browser
}

async fn an_administrator_acts_for_a_person_in_their_sight(server: Server) {
    let person = server.register().await;
    let mut browser = acting(&server, &person).await;
    for path in ["/account", "/account/sessions", "/account/security", "/account/activity"] {
        let shown = page(&browser, path).await;
        assert!(shown.contains(BANNER) && shown.contains("\u{2068}15\u{2069} minutes left"), "{path}: {shown}");
        assert!(shown.contains(&person.email) || path != "/account", "{shown}");
        assert!(!shown.contains("href=\"&#x2f;admin\"") && !shown.contains("action=\"/logout\""), "{path}: {shown}");
    }
    // The console stays the administrator's own.
    assert!(!page(&browser, "/admin/users").await.contains(BANNER));
    // The person reads that it happened, and sees the session.
    let own = Browser::logged_in(&server, &person.email).await;
    assert!(page(&own, "/account/activity").await.contains("acted for you: ticket 4711"));
    let ended = browser.post("/account/acting/end", &[]).await;
    assert_eq!(ended.header("location"), Some(&*format!("/admin/users/{}", person.user)));
    let after = page(&browser, "/account").await;
    assert!(!after.contains(BANNER) && !after.contains(&person.email), "{after}");
    assert_eq!(server.count("sessions WHERE actor_id IS NOT NULL AND revoked_at IS NULL"), 0);
    server.me(&person.access).await.assert_status(200);
}

async fn who_acts_for_somebody_changes_nothing(server: Server) {
    let person = server.register().await;
    let mut browser = acting(&server, &person).await;
    let state = |server: &Server| (server.rows("users"), server.count("revocations"), server.count("audit_log"));
    let before = state(&server);
    let session = person.session.to_string();
    let fields = [
        ("session", &*session),
        ("all", "yes"),
        ("name", "x"),
        ("new_email", "x@example.com"),
        ("language", "de"),
        ("current_password", crate::support::PASSWORD),
        ("confirm_password", crate::support::PASSWORD),
        ("new_password", "copper lantern beneath willows"),
    ];
    let mut refused = 0;
    for (method, path) in routes(&server).await {
        let is_form = method == "POST" && (path == "/logout" || path.starts_with("/account/"));
        let is_open = crate::strangers::OPEN.contains(&(&*method, &*path)) && path != "/logout";
        if !is_form || is_open || path == "/account/acting/end" {
            continue;
        }
        let answer = browser.post(&path, &fields).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
        assert!(answer.text().contains("While you act for somebody, you can change nothing."), "{}", answer.text());
        refused += 1;
    }
    assert!(refused >= 15, "{refused}");
    assert_eq!(state(&server), before);
    server.me(&person.access).await.assert_status(200);
}

async fn acting_ends_with_its_time_and_says_so(server: Server) {
    let person = server.register().await;
    let mut browser = acting(&server, &person).await;
    server.advance(15 * 60);
    // Not a page of the administrator's own, which they could take for the person's.
    let ended = browser.post("/account/name", &[("name", "x")]).await;
    assert!(ended.assert_status(403).text().contains("You act for nobody any more"), "{}", ended.text());
    assert!(
        page(&browser, "/account").await.contains("value=\"\"") || !page(&browser, "/account").await.contains("\"x\"")
    );
}

async fn acting_ends_with_the_session_of_the_administrator(server: Server) {
    let person = server.register().await;
    let mut browser = acting(&server, &person).await;
    let admin = browser.clone();
    let mut own = browser.clone();
    own.forget_acting();
    own.post("/logout", &[]).await.assert_status(303);
    let shown = admin.get("/account").await;
    assert!(shown.assert_status(403).text().contains("You act for nobody any more"), "{}", shown.text());
    browser.post("/account/acting/end", &[]).await;
    assert_eq!(server.count("sessions WHERE actor_id IS NOT NULL AND revoked_at IS NULL"), 0);
}

async fn who_authenticates_again_to_act_stays_logged_in(server: Server) {
    let person = server.register().await;
    let (mut browser, _) = console(&server).await;
    server.advance(601);
    let fields = [("reason", "ticket 4711"), ("confirm_password", crate::support::PASSWORD)];
    let answer = browser.post(&format!("/admin/users/{}/act", person.user), &fields).await;
    assert_eq!(answer.all_headers("set-cookie").len(), 2, "{answer:?}");
    assert!(page(&browser, "/account").await.contains(BANNER));
    assert!(!page(&browser, "/admin").await.contains(BANNER));
}

async fn reasons_are_required(backend: Backend) {
    let server = Server::with(backend, &[]).await;
    let person = server.register().await;
    let (mut browser, admin) = console(&server).await;
    for reason in ["", "x", &"x".repeat(201)] {
        let refused = browser.post(&format!("/admin/users/{}/act", person.user), &[("reason", reason)]).await;
        let shown = refused.assert_status(422).text();
        assert!(shown.contains("id=\"reason-error\"") && refused.header("set-cookie").is_none(), "{shown}");
    }
    let own = browser.post(&format!("/admin/users/{}/act", admin.user), &[("reason", "myself")]).await;
    own.assert_status(409);
    assert_eq!(server.count("sessions WHERE actor_id IS NOT NULL"), 0);
}

async fn who_acts_for_another_person_acts_for_the_first_no_more(server: Server) {
    let (first, second) = (server.register().await, server.register().await);
    let mut browser = acting(&server, &first).await;
    let former = browser.clone();
    // What is refused ends nothing.
    browser.post(&format!("/admin/users/{}/act", second.user), &[("reason", "")]).await.assert_status(422);
    assert!(page(&browser, "/account").await.contains(&first.email));
    let fields = [("reason", "ticket 4712")];
    browser.post(&format!("/admin/users/{}/act", second.user), &fields).await.assert_status(303);
    assert!(page(&browser, "/account").await.contains(&second.email));
    former.get("/account").await.assert_status(403);
    assert_eq!(server.count("sessions WHERE actor_id IS NOT NULL AND revoked_at IS NULL"), 1);
    browser.post("/account/acting/end", &[]).await.assert_status(303);
    assert_eq!(server.count("sessions WHERE actor_id IS NOT NULL AND revoked_at IS NULL"), 0);
    for person in [&first, &second] {
        server.me(&person.access).await.assert_status(200);
    }
}
