//! The pages of the console in Chromium, as different people have them.

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::audit::administrator;
use crate::support::clients::{node, own_address};
use crate::support::{Backend, PASSWORD, Server, variable};

embedded_only! {
    the_console_is_for_everybody,
    people_are_found_while_one_types,
}

/// The cookie of a login of an administrator.
async fn logged_in(server: &Server, url: &str, email: &str) -> Value {
    let body = Serializer::new(String::new()).extend_pairs([("email", email), ("password", PASSWORD)]).finish();
    let login = server.post("/login").header("origin", url).body(body);
    let login = login.header("content-type", "application/x-www-form-urlencoded").send().await;
    let cookie = login.assert_status(303).header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let (name, value) = cookie.split_once('=').unwrap();
    json!([{"name": name, "value": value, "url": url}])
}

async fn people_are_found_while_one_types(backend: Backend) {
    let (own, url) = own_address();
    let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Server::with(backend, &own).await;
    let (admin, person, _) = (administrator(&server).await, server.register().await, server.register().await);
    let given = json!({
        "chromium": variable("KEYTURN_TEST_CHROMIUM"),
        "url": format!("{url}/admin/users"),
        "cookies": logged_in(&server, &url, &admin.email).await,
        "text": person.email,
    });
    let report = node("console_search.mjs", given).await;
    assert_eq!((&report["wrong"], &report["before"]), (&json!([]), &json!(3)), "{report}");
    assert_eq!((&report["found"], &report["typed"]), (&json!(person.email), &json!("q")), "{report}");
    assert!(report["address"].as_str().unwrap().starts_with("?q=") && report["announced"] == "One row", "{report}");
}

async fn the_console_is_for_everybody(backend: Backend) {
    let (own, url) = own_address();
    let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let settings = [("UI_LANGUAGES", "en,de,en-XA,ar-XB"), ("LIMIT_SEARCH_ACCOUNT", "off")];
    let server = Server::with(backend, &[&own[..], &settings].concat()).await;
    let (admin, person, disabled) = (administrator(&server).await, server.register().await, server.register().await);
    for _ in 0..24 {
        server.register().await;
    }
    let path = format!("/api/v1/admin/users/{}", disabled.user);
    server.patch(&path).bearer(&admin.access).json(&json!({"disabled": true})).send().await.assert_status(200);
    let path = format!("/api/v1/admin/users/{}", person.user);
    let change = json!({"name": "Ada", "roles": ["user", "editor"]});
    server.patch(&path).bearer(&admin.access).json(&change).send().await.assert_status(200);
    let client = json!({"name": "orders", "scopes": ["introspect"]});
    let client = server.post("/api/v1/admin/clients").bearer(&admin.access).json(&client).send().await.json();
    let now = server.clock.now().as_secs() / 3600;
    for (ago, name) in
        [(0, "login.succeeded"), (3, "login.refused"), (4, "refresh.rotated"), (5, "limit.login-account")]
    {
        let hour = (now - ago) * 3_600_000;
        server.sql(&format!("INSERT INTO hourly_counts (hour, name, count) VALUES ({hour}, '{name}', 7)"));
    }
    let id = server.literal(keyturn::random::Random.id(server.clock.now()));
    server.sql(&format!(
        "INSERT INTO outbox (id, kind, recipient, sealed_message, created_at, attempts, last_error) \
         VALUES ({id}, 'verify_email', 'gone@example.com', X'', {}, 3, 'refused')",
        server.clock.now().as_millis()
    ));
    let cookies = logged_in(&server, &url, &admin.email).await;
    let log = server.rows("audit_log");
    let entry = uuid::Uuid::parse_str(log.last().unwrap()["id"].as_str().unwrap()).unwrap();
    let (user, client) = (format!("/admin/users/{}", person.user), client["client_id"].as_str().unwrap().to_owned());
    let pages: Vec<_> = [
        "/admin?hours=168",
        "/admin/users",
        "/admin/users/new",
        &user,
        &format!("{user}/change?change=delete"),
        "/admin/sessions",
        "/admin/audit",
        &format!("/admin/audit/{entry}"),
        &format!("/admin/clients/{client}"),
        "/admin/keys",
        "/admin/outbox?state=failed",
    ]
    .map(|path| json!({"url": format!("{url}{path}")}))
    .into();
    let given = json!({"chromium": variable("KEYTURN_TEST_CHROMIUM"), "pages": pages, "cookies": cookies});
    let report = node("accessible_pages.mjs", given).await;
    assert_eq!(report["wrong"], json!([]), "{report:#}");
    assert_eq!(report["pages"], json!(77), "{report}");
}
