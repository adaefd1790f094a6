//! The lists of the console: in the language of the page, with times of one form, and with filters that are understood
//! or refused.

use keyturn::audit::Event;

use crate::browser_sessions::Browser;
use crate::console::{PAGES, console, page};
use crate::pages::between;
use crate::support::{Backend, PASSWORD, Server};

both_backends! {
    what_the_console_tells_is_in_the_language_of_the_page,
    times_have_one_form_on_all_pages,
    a_filter_that_is_not_understood_is_refused_at_its_field,
    a_page_of_a_list_that_is_not_there_leads_to_the_first,
    the_audit_log_is_downloaded_as_it_is_filtered,
}

/// What a page shows, without its tags and what is marked as code.
fn shown(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let is_code = after.starts_with("code");
        let (_, behind) = after.split_once('>').unwrap();
        rest = if is_code { behind.split_once("</code>").unwrap().1 } else { behind };
    }
    text + rest
}

/// Does what leaves rows of every kind. Returns the browser of an administrator, and the pages that show them.
async fn busy(server: &Server) -> (Browser, Vec<String>) {
    let person = server.register().await;
    server.try_login(&person.email, "not the password").await.assert_status(401);
    let (browser, admin) = console(server).await;
    let sessions = format!("/api/v1/admin/users/{}/sessions", person.user);
    server.delete(&sessions).bearer(&admin.access).send().await.assert_status(200);
    let hour = server.clock.now().as_secs() / 3600 * 3600;
    let hour = match server.backend {
        Backend::Embedded => (hour * 1000).to_string(),
        Backend::Scaled => format!("to_timestamp({hour})"),
    };
    for name in ["login.succeeded", "refresh.rotated", "limit.login-account"] {
        server.sql(&format!("INSERT INTO hourly_counts (hour, name, count) VALUES ({hour}, '{name}', 7)"));
    }
    let pages = PAGES.map(str::to_owned).into_iter().chain([format!("/admin/users/{}", person.user)]);
    (browser, pages.chain(["/account/sessions", "/account/activity"].map(str::to_owned)).collect())
}

async fn what_the_console_tells_is_in_the_language_of_the_page(server: Server) {
    let (browser, pages) = busy(&server).await;
    let names = ["succeeded", "rotated", "login-account", "desktop", "unknown", "ended_by_operator"];
    let mut all = String::new();
    for path in &pages {
        let text = shown(&page(&browser, &format!("{path}?ui_locales=de")).await);
        for name in Event::ALL.iter().map(|event| event.name()).chain(names) {
            assert!(!text.contains(name), "{path}: {name}: {text}");
        }
        all.push_str(&text);
    }
    for words in ["Gelungen", "Neue Tokens", "Anmeldungen an einem Konto", "von den Betreibern beendet"] {
        assert!(all.contains(words), "{words}");
    }
    for event in ["Eine Anmeldung ist gescheitert", "Ein Administrator hat für diese Person gehandelt"] {
        assert!(all.contains(event), "{event}");
    }
}

async fn times_have_one_form_on_all_pages(server: Server) {
    let (browser, pages) = busy(&server).await;
    for path in &pages {
        let html = page(&browser, path).await;
        let mut without = String::new();
        let mut rest = html.as_str();
        while let Some((before, after)) = rest.split_once("<time datetime=\"") {
            without.push_str(before);
            let (machine, after) = after.split_once("\">").unwrap();
            let (words, after) = after.split_once("</time>").unwrap();
            assert!(machine.ends_with('Z') && machine.starts_with("20"), "{path}: {machine}");
            assert!(words.ends_with(" UTC"), "{path}: {words}");
            rest = after;
        }
        let text = shown(&(without + rest));
        let year = server.clock.now().to_string()[..4].to_owned();
        assert!(!text.contains(" UTC") && !text.contains(&format!("{year}-")), "{path}: {text}");
    }
}

async fn a_filter_that_is_not_understood_is_refused_at_its_field(server: Server) {
    let (browser, _) = busy(&server).await;
    let long = "x".repeat(255);
    for (path, field, typed, error) in [
        ("/admin/users?state=active", "role", "!", "A role has up to 64"),
        ("/admin/users?role=admin", "state", "asleep", "Choose one"),
        ("/admin/users?state=active", "q", &*long, "Enter up to 254 characters."),
        ("/admin/sessions?kind=app", "state", "asleep", "Choose one"),
        ("/admin/sessions?state=live", "kind", "fridge", "Choose one"),
        ("/admin/sessions?state=live", "user", "somebody", "This is neither"),
        ("/admin/audit?status=failure", "event_type", "login.nonsense", "Choose one"),
        ("/admin/audit?event_type=login.failed", "status", "maybe", "Choose one"),
        ("/admin/audit?status=failure", "user", "somebody", "This is neither"),
        ("/admin/audit?status=failure", "session_id", "1", "This is not the id"),
        ("/admin/audit?status=failure", "from", "yesterday", "Enter a day"),
        ("/admin/audit?status=failure", "to", "2026-02-30", "Enter a day"),
        ("/admin/audit?from=2026-02-02", "to", "2026-02-01", "The last day is before the first."),
    ] {
        let query = format!("{path}&{field}={typed}");
        let html = browser.get(&query).await.assert_status(422).text();
        assert!(html.contains("role=\"alert\""), "{query}: {html}");
        assert!(between(&html, &format!("id=\"{field}-error\">"), "</p>").starts_with(error), "{query}: {html}");
        assert!(html.contains(&format!("value=\"{typed}\"")), "{query}: {html}");
        assert!(!html.contains("<tbody>") && !html.contains("class=\"empty\""), "{query}: {html}");
    }
    for unknown in ["/admin?hours=5", "/admin/outbox?state=maybe"] {
        browser.get(unknown).await.assert_status(404);
    }
}

async fn a_page_of_a_list_that_is_not_there_leads_to_the_first(server: Server) {
    let (browser, _) = console(&server).await;
    for path in ["/admin/users", "/admin/sessions", "/admin/audit", "/admin/clients", "/admin/outbox"] {
        let html = browser.get(&format!("{path}?cursor=zzz")).await.assert_status(422).text().replace("&#x2f;", "/");
        assert!(html.contains("This page of the list does not exist any more"), "{path}: {html}");
        assert!(html.contains(&format!("href=\"{path}\"")), "{path}: {html}");
    }
}

async fn the_audit_log_is_downloaded_as_it_is_filtered(server: Server) {
    let (mut browser, _) = busy(&server).await;
    let html = page(&browser, "/admin/audit?event_type=login.failed&status=failure").await;
    assert!(html.contains("action=\"/admin/audit/export\"") && html.contains("value=\"login.failed\""), "{html}");
    let fields = [("event_type", "login.failed"), ("status", "failure")];
    let file = browser.post("/admin/audit/export", &fields).await;
    assert!(file.assert_status(200).header("content-type").unwrap().starts_with("text/csv"));
    let text = file.text();
    assert!(text.contains("login.failed") && !text.contains("account.registered"), "{text}");
    browser.post("/admin/audit/export", &[("status", "maybe")]).await.assert_status(422);
    // It needs a recent login, as in the API.
    server.advance(601);
    assert!(browser.post("/admin/audit/export", &fields).await.text().contains("confirm_password"));
    let confirmed = [&fields[..], &[("confirm_password", PASSWORD)]].concat();
    let offered = browser.post("/admin/audit/export", &confirmed).await.assert_status(200).text();
    assert!(offered.contains("name=\"event_type\" value=\"login.failed\"") && offered.contains("<h1"), "{offered}");
    let person = server.register().await;
    let mut nobody = Browser::logged_in(&server, &person.email).await;
    nobody.post("/admin/audit/export", &fields).await.assert_status(403);
    assert_eq!(server.audited("event = 'audit_log.exported'").len(), 1);
}
