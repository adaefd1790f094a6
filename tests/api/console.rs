//! The console for operators: what it shows, and to whom.

use serde_json::json;

use crate::audit::administrator;
use crate::browser_sessions::Browser;
use crate::support::{Backend, PASSWORD, Server, Tokens};

both_backends! {
    the_console_is_for_administrators,
    an_administrator_who_is_none_any_more_sees_nothing,
    people_are_found_and_filtered,
    lists_go_on_page_by_page,
    a_person_is_shown_with_sessions_devices_and_entries,
    sessions_of_all_are_listed_and_filtered,
    the_audit_log_is_filtered_and_its_entries_are_shown,
    the_overview_plots_what_was_counted_and_tells_the_health,
    what_people_choose_shows_as_text_in_the_console,
}

/// The pages of the console, without those of one person or entry.
pub const PAGES: [&str; 7] =
    ["/admin", "/admin/users", "/admin/sessions", "/admin/audit", "/admin/clients", "/admin/keys", "/admin/outbox"];

/// A browser in which an administrator has logged in.
pub async fn console(server: &Server) -> (Browser, Tokens) {
    let admin = administrator(server).await;
    (Browser::logged_in(server, &admin.email).await, admin)
}

/// A login with a user agent of its own.
async fn login_from(server: &Server, email: &str, agent: &str) -> Tokens {
    let login = server.post("/api/v1/auth/login").header("user-agent", agent);
    Tokens::of(login.json(&json!({"email": email, "password": PASSWORD})).send().await.assert_status(200))
}

/// A page of the console as text.
pub async fn page(browser: &Browser, path: &str) -> String {
    browser.get(path).await.assert_status(200).text().replace("&#x2f;", "/")
}

async fn the_console_is_for_administrators(server: Server) {
    let person = server.register().await;
    let stranger = Browser::new(&server);
    let nobody = Browser::logged_in(&server, &person.email).await;
    let (browser, admin) = console(&server).await;
    let user = format!("/admin/users/{}", person.user);
    for path in PAGES.into_iter().chain([&*user]) {
        let sent = stranger.get(path).await;
        let target = format!("/login?return_to={}", path.replace('/', "%2F").replace('-', "%2D"));
        assert_eq!((sent.status, sent.header("location")), (303, Some(&*target)));
        let refused = nobody.get(path).await;
        let told = refused.assert_status(403).text();
        assert!(told.contains("Only administrators") && !told.contains(&admin.email), "{path}: {told}");
        let shown = browser.get(path).await;
        shown.assert_status(200);
        assert_eq!(shown.header("cache-control"), Some("no-store"), "{path}");
    }
    browser.get("/admin/users/x").await.assert_status(404);
    browser.get("/admin/users/00000000-0000-0000-0000-000000000000").await.assert_status(404);
    browser.get("/admin/audit/00000000-0000-0000-0000-000000000000").await.assert_status(404);
}

async fn an_administrator_who_is_none_any_more_sees_nothing(server: Server) {
    let (browser, admin) = console(&server).await;
    page(&browser, "/admin/users").await;
    let condition = format!("id = {}", server.literal(admin.user.0));
    server.sql(&format!("UPDATE users SET roles = '[\"user\"]' WHERE {condition}"));
    browser.get("/admin/users").await.assert_status(403);
}

async fn people_are_found_and_filtered(server: Server) {
    let people = [server.register().await, server.register().await];
    let (browser, admin) = console(&server).await;
    let all = page(&browser, "/admin/users").await;
    for person in people.iter().chain([&admin]) {
        assert!(all.contains(&person.email) && all.contains(&format!("/admin/users/{}\"", person.user)), "{all}");
    }
    let found = page(&browser, &format!("/admin/users?q={}&role=&state=", people[0].email.replace('+', "%2B"))).await;
    assert!(found.contains(&format!("/admin/users/{}\"", people[0].user)), "{found}");
    assert!(!found.contains(&people[1].email), "{found}");
    let administrators = page(&browser, "/admin/users?role=admin").await;
    assert!(administrators.contains(&admin.email) && !administrators.contains(&people[0].email), "{administrators}");
    for impossible in ["role=nobody-has-this", "q=nobody-has-this", "state=disabled"] {
        let none = page(&browser, &format!("/admin/users?{impossible}")).await;
        assert!(none.contains("Nobody was found") && !none.contains(&people[0].email), "{impossible}: {none}");
    }
    browser.get("/admin/users?cursor=x").await.assert_status(422);
}

/// The link to the next page, if there is one.
fn next(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("rel=\"next\" href=\"")?;
    Some(rest.split_once('"').unwrap().0.replace("&amp;", "&"))
}

async fn lists_go_on_page_by_page(server: Server) {
    let (browser, _) = console(&server).await;
    let mut people = Vec::new();
    for _ in 0..30 {
        people.push(server.register().await);
    }
    for (path, marks) in [
        ("/admin/users?state=active", people.iter().map(|person| format!("/admin/users/{}\"", person.user)).collect()),
        ("/admin/sessions?state=live", people.iter().map(|person| person.email.clone()).collect::<Vec<_>>()),
        ("/admin/audit?event_type=account.registered", people.iter().map(|person| person.email.clone()).collect()),
    ] {
        let first = page(&browser, path).await;
        let link = next(&first).unwrap_or_else(|| panic!("{path}: {first}"));
        assert!(link.starts_with(path.split_once('?').unwrap().0), "{link}");
        let second = page(&browser, &link).await;
        assert_eq!(next(&second), None, "{path}");
        for mark in marks {
            assert!(first.contains(&mark) != second.contains(&mark), "{path}: {mark} is on one of the pages");
        }
    }
}

async fn a_person_is_shown_with_sessions_devices_and_entries(server: Server) {
    let person = server.register().await;
    server.try_login(&person.email, "not the password").await.assert_status(401);
    let phone = login_from(&server, &person.email, "Keyturn/1 (iPhone)").await;
    let (browser, _) = console(&server).await;
    let shown = page(&browser, &format!("/admin/users/{}", person.user)).await;
    for part in
        [&*person.email, "A login failed", "The account was created", "Live sessions", "No device logs in without"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for session in [person.session, phone.session] {
        assert!(shown.contains(&format!("id=\"s-{session}\"")), "{shown}");
    }
    // What is stored of sessions opens nothing.
    for secret in [&phone.refresh, &phone.access] {
        assert!(!shown.contains(&secret[4..20]), "{shown}");
    }
}

async fn sessions_of_all_are_listed_and_filtered(server: Server) {
    let (person, other) = (server.register().await, server.register().await);
    server.logout(&other.access).await.assert_status(204);
    let (browser, admin) = console(&server).await;
    for (query, seen, unseen) in [
        ("", vec![&person, &other, &admin], vec![]),
        ("state=live", vec![&person, &admin], vec![&other]),
        ("state=ended", vec![&other], vec![&person, &admin]),
        ("kind=browser", vec![&admin], vec![&person, &other]),
        (&*format!("user={}&state=&kind=", person.email), vec![&person], vec![&other, &admin]),
        (&*format!("user={}", other.user), vec![&other], vec![&person, &admin]),
        ("user=nobody@example.com", vec![], vec![&person, &other, &admin]),
    ] {
        let list = page(&browser, &format!("/admin/sessions?{query}")).await;
        let (_, list) = list.split_once("</form>").unwrap();
        for (people, is_seen) in [(seen, true), (unseen, false)] {
            for person in people {
                let link = format!("/admin/users/{}\"", person.user);
                assert_eq!(list.contains(&link), is_seen, "{query}: {}: {list}", person.email);
            }
        }
    }
}

async fn the_audit_log_is_filtered_and_its_entries_are_shown(server: Server) {
    let (person, other) = (server.register().await, server.register().await);
    server.try_login(&person.email, "not the password").await.assert_status(401);
    server.login(&other.email).await;
    let (browser, _) = console(&server).await;
    let failed = page(&browser, &format!("/admin/audit?status=failure&event_type=&user={}", person.email)).await;
    let (_, failed) = failed.split_once("<tbody>").unwrap();
    assert!(failed.contains("A login failed") && !failed.contains("The account was created"), "{failed}");
    let (_, id) = failed.split_once("/admin/audit/").unwrap();
    let entry = page(&browser, &format!("/admin/audit/{}", id.split_once('"').unwrap().0)).await;
    for part in ["login.failed", &*person.email, "reason", "Request"] {
        assert!(entry.contains(part), "{part}: {entry}");
    }
    let none = page(&browser, "/admin/audit?user=nobody@example.com").await;
    assert!(none.contains("No entry was found"), "{none}");
    let none = page(&browser, "/admin/audit?to=2001-01-01").await;
    assert!(none.contains("No entry was found"), "{none}");
    let some = page(&browser, "/admin/audit?from=2001-01-01&to=2999-12-31").await;
    assert!(some.contains(&other.email), "{some}");
}

async fn the_overview_plots_what_was_counted_and_tells_the_health(server: Server) {
    let (browser, _) = console(&server).await;
    let now = server.clock.now().as_secs();
    for (hours_ago, name, count) in [
        (0, "login.succeeded", 30),
        (0, "login.refused", 10),
        (5, "login.succeeded", 20),
        (60, "limit.login-account", 7),
    ] {
        let hour = (now / 3600 - hours_ago) * 3600;
        let hour = match server.backend {
            Backend::Embedded => (hour * 1000).to_string(),
            Backend::Scaled => format!("to_timestamp({hour})"),
        };
        server.sql(&format!("INSERT INTO hourly_counts (hour, name, count) VALUES ({hour}, '{name}', {count})"));
    }
    let day = page(&browser, "/admin").await;
    for part in ["<rect class=\"c0\"", "Succeeded</span> 50", "Refused</span> 10", "answers and can be written to"] {
        assert!(day.contains(part), "{part}: {day}");
    }
    assert!(!day.contains("Logins to one account"), "{day}");
    let week = page(&browser, "/admin?hours=168").await;
    assert!(week.contains("Logins to one account</span> 7"), "{week}");
    page(&browser, "/admin?hours=744").await;
}

async fn what_people_choose_shows_as_text_in_the_console(server: Server) {
    let evil = "<script>alert(1)</script>";
    let person = server.register().await;
    login_from(&server, &person.email, evil).await;
    let condition = format!("id = {}", server.literal(person.user.0));
    server.sql(&format!("UPDATE users SET name = '{evil}' WHERE {condition}"));
    let (browser, _) = console(&server).await;
    let user = format!("/admin/users/{}", person.user);
    let query = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let typed = format!("/admin/users?q={query}&role={query}");
    let filters = format!("/admin/audit?user={query}&session_id={query}&from={query}");
    let sessions = format!("/admin/sessions?user={query}");
    for path in PAGES.into_iter().chain([&*user, &*typed, &*filters, &*sessions]) {
        let html = browser.get(path).await.text();
        assert!(html.contains("<main") && !html.contains("<script>"), "{path}: {html}");
    }
}
