//! The set-up of the first administrator, on the first page, with the code in the log.

use serde_json::json;

use crate::browser_sessions::Browser;
use crate::support::clients::{node, own_address};
use crate::support::deployment::PUBLIC_URL;
use crate::support::http::at_once;
use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Process, Request, Response, until, variable};
use url::form_urlencoded::Serializer;

both_backends! {
    the_code_of_the_log_makes_the_first_administrator,
    a_browser_sets_a_server_up_on_one_page,
    of_several_at_once_one_becomes_administrator,
    what_was_typed_wrong_is_told_at_its_field,
    a_code_is_valid_for_an_hour_and_on_all_servers,
    once_there_is_an_administrator_there_is_no_code,
}

/// The codes in the log of a server.
fn codes(process: &Process) -> Vec<String> {
    let log = process.log();
    log.match_indices("kts_").map(|(at, _)| log[at..at + 47].to_owned()).collect()
}

async fn code(process: &Process) -> String {
    until("the code", async || codes(process).pop()).await
}

fn form(server: &Endpoint, code: &str, email: &str, password: &str) -> Request {
    let mut body = Serializer::new(String::new());
    for (name, value) in [("setup_code", code), ("email", email), ("new_password", password)] {
        body.append_pair(name, value);
    }
    let request = server.post("/").header("content-type", "application/x-www-form-urlencoded");
    request.header("origin", PUBLIC_URL).body(body.finish())
}

fn is_open(page: &Response) -> bool {
    page.assert_status(200).text().contains("name=\"setup_code\"")
}

async fn the_code_of_the_log_makes_the_first_administrator(process: Process) {
    let code = code(&process).await;
    assert_eq!(codes(&process).len(), 1);
    let stored = format!("{:?}", process.rows("setup_codes"));
    assert!(!stored.contains(&code) && process.count("setup_codes") == 1, "{stored}");
    let page = process.get("/").send().await;
    assert!(is_open(&page));
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    let mut browser = Browser::new(&process);
    let fields = [("setup_code", &*code), ("email", "root@example.com"), ("new_password", PASSWORD)];
    let made = browser.post("/", &fields).await;
    assert_eq!((made.status, made.header("location")), (303, Some("/admin")), "{}", made.text());
    browser.get("/admin").await.assert_status(200);
    let links =
        |page: &Response| ["&#x2f;admin", "&#x2f;login"].map(|to| page.text().contains(&format!("href=\"{to}\"")));
    assert_eq!(links(&browser.get("/").await), [true, false]);
    assert_eq!(links(&process.get("/").send().await), [false, false]);
    assert!(browser.get("/account/sessions").await.assert_status(200).text().contains("root@example.com"));
    assert!(!is_open(&process.get("/").send().await));
    let tokens = process.login("root@example.com").await;
    process.get("/api/v1/admin/users").bearer(&tokens.access).send().await.assert_status(200);
    let me = process.me(&tokens.access).await.json();
    assert_eq!((&me["user"]["email_verified"], &me["user"]["roles"]), (&json!(true), &json!(["user", "admin"])));
    assert_eq!(process.audited("event = 'account.registered' AND CAST(metadata AS text) LIKE '%admin%'").len(), 1);
    // It was used.
    let fields = [("setup_code", &*code), ("email", "second@example.com"), ("new_password", PASSWORD)];
    let mut late = Browser::new(&process);
    let again = late.post("/", &fields).await;
    assert_eq!((again.status, again.header("location")), (303, Some("/login")));
    assert!(late.get("/login").await.text().contains("Somebody else has set up this server"));
    assert!(!late.get("/login").await.text().contains("Somebody else"));
    assert_eq!((process.count("users"), process.count("setup_codes")), (1, 0));
}

async fn a_browser_sets_a_server_up_on_one_page(backend: Backend) {
    for script in [true, false] {
        let deployment = Deployment::new(backend);
        let (own, url) = own_address();
        let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let process = Process::start(&deployment, &own);
        let code = code(&process).await;
        let chromium = variable("KEYTURN_TEST_CHROMIUM");
        let given = json!({"chromium": chromium, "url": url, "code": code, "password": PASSWORD, "script": script});
        let report = node("set_up.mjs", given).await;
        assert_eq!((&report["path"], &report["wrong"]), (&json!("/admin"), &json!([])), "{report}");
        assert_eq!(report["heading"], "Overview");
    }
}

async fn of_several_at_once_one_becomes_administrator(backend: Backend) {
    let deployment = Deployment::new(backend);
    let servers = match backend {
        Backend::Embedded => vec![Process::start(&deployment, &[])],
        Backend::Scaled => Process::fleet(&deployment, &[]),
    };
    let mut requests = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let code = code(server).await;
        for other in &servers {
            requests.push(form(other, &code, &format!("root{index}-{}@example.com", requests.len()), PASSWORD));
            requests.push(form(other, &code, &format!("root{index}-{}@example.com", requests.len()), PASSWORD));
        }
    }
    let answers = at_once(requests).await;
    let made = answers.iter().filter(|answer| answer.header("location") == Some("/admin")).count();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!((made, deployment.count("users"), deployment.count("setup_codes")), (1, 1, 0), "{statuses:?}");
    assert!(statuses.iter().all(|status| *status < 500), "{statuses:?}");
}

async fn what_was_typed_wrong_is_told_at_its_field(process: Process) {
    let code = code(&process).await;
    let other = format!("kts_{}", "A".repeat(43));
    let taken = process.register().await.email;
    for (given, email, password, status, field) in [
        (&*other, "root@example.com", PASSWORD, 403, "setup_code"),
        ("kts_short", "root@example.com", PASSWORD, 422, "setup_code"),
        ("", "root@example.com", PASSWORD, 422, "setup_code"),
        (&code, "root", PASSWORD, 422, "email"),
        (&code, &taken, PASSWORD, 409, "email"),
        (&code, "root@example.com", "short", 422, "new_password"),
        (&code, "root@example.com", "password1234", 422, "new_password"),
    ] {
        let page = form(&process, given, email, password).send().await.assert_status(status).text();
        assert!(page.contains(&format!("id=\"{field}-error\"")) && page.contains("role=\"alert\""), "{page}");
        assert!(page.contains(&format!("value=\"{email}\"")) && !page.contains(password), "{page}");
    }
    let foreign = form(&process, &code, "root@example.com", PASSWORD).header("origin", "https://evil.example");
    foreign.send().await.assert_status(403);
    assert_eq!(process.count("users"), 1);
    let padded = form(&process, &format!("  {code}\n"), "root@example.com", PASSWORD).send().await;
    assert_eq!(padded.header("location"), Some("/admin"));
}

async fn a_code_is_valid_for_an_hour_and_on_all_servers(backend: Backend) {
    let deployment = Deployment::new(backend);
    let mut first = Process::start(&deployment, &[]);
    let old = code(&first).await;
    let past = match backend {
        Backend::Embedded => "expires_at - 3600000",
        Backend::Scaled => "expires_at - interval '1 hour'",
    };
    deployment.sql(&format!("UPDATE setup_codes SET expires_at = {past}"));
    form(&first, &old, "root@example.com", PASSWORD).send().await.assert_status(403);
    first.kill();
    // A restart makes a new one.
    let second = Process::start(&deployment, &[]);
    let new = code(&second).await;
    assert_ne!(old, new);
    form(&second, &old, "root@example.com", PASSWORD).send().await.assert_status(403);
    let made = form(&second, &new, "root@example.com", PASSWORD).send().await;
    assert_eq!(made.header("location"), Some("/admin"));
}

async fn once_there_is_an_administrator_there_is_no_code(backend: Backend) {
    let deployment = Deployment::new(backend);
    let mut first = Process::start(&deployment, &[]);
    let old = code(&first).await;
    let person = first.register().await;
    assert!(is_open(&first.get("/").send().await));
    // One that commands or an import have made counts, in whatever state.
    first.sql("UPDATE users SET roles = '[\"user\",\"admin\"]', password_hash = '!'");
    assert!(!is_open(&first.get("/").send().await));
    let late = form(&first, &old, "root@example.com", PASSWORD).send().await;
    assert_eq!(late.header("location"), Some("/login"), "{}", person.email);
    assert_eq!(deployment.count("users"), 1);
    first.kill();
    let second = Process::start(&deployment, &[]);
    second.get("/").send().await.assert_status(200);
    assert_eq!(codes(&second), Vec::<String>::new());
}
