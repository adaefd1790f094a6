//! Names, at every door: what cannot be seen is not stored, so that nobody can turn a text around.

use serde_json::{Value, json};

use crate::audit::administrator;
use crate::browser_sessions::Browser;
use crate::support::{PASSWORD, Server};

both_backends! {
    no_name_has_a_character_that_cannot_be_seen,
}

/// A name with all that changes directions or is drawn as nothing, and an emoji that is joined.
const TYPED: &str = "A\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}\
                     d\u{200b}\u{2060}\u{feff}\u{ad}a 👩\u{200d}💻";

/// The same as it is seen.
const SEEN: &str = "Ada 👩\u{200d}💻";

async fn no_name_has_a_character_that_cannot_be_seen(server: Server) {
    let admin = administrator(&server).await;
    let account = json!({"email": "ada@example.com", "password": PASSWORD, "name": TYPED, "device_name": TYPED});
    let registered = server.post("/api/v1/auth/register").json(&account).send().await.json();
    assert_eq!(registered["user"]["name"], SEEN, "{registered}");
    let person = server.login("ada@example.com").await;
    let (me, named) = ("/api/v1/auth/me", json!({"name": TYPED}));
    let changed = server.patch(me).bearer(&person.access).json(&named).send().await.json();
    assert_eq!(changed["user"]["name"], SEEN, "{changed}");
    let session = format!("/api/v1/sessions/{}", person.session);
    let renamed = server.patch(&session).bearer(&person.access).json(&named).send().await.json();
    assert_eq!(renamed["name"], SEEN, "{renamed}");
    let client = json!({"name": TYPED, "scopes": ["introspect"]});
    let client = server.post("/api/v1/admin/clients").bearer(&admin.access).json(&client).send().await.json();
    assert_eq!(client["name"], SEEN, "{client}");

    let mut browser = Browser::logged_in(&server, &admin.email).await;
    let invited = [("email", "new@example.com"), ("name", TYPED)];
    browser.post("/admin/users/new", &invited).await.assert_status(303);
    browser.post("/admin/clients/new", &[("name", TYPED)]).await.assert_status(200);
    let own = server.sessions(&admin.access).await["sessions"][0]["id"].as_str().unwrap().to_owned();
    browser.post("/account/sessions/name", &[("session", &own), ("name", TYPED)]).await.assert_status(303);
    let reason = format!("ticket {TYPED}");
    let act = format!("/admin/users/{}/act", person.user);
    browser.post(&act, &[("reason", &reason)]).await.assert_status(303);
    for table in ["users", "sessions", "clients", "audit_log"] {
        for row in server.rows(table) {
            assert_seen(&row, table);
        }
    }
    assert_eq!(server.rows("users").iter().filter(|row| row["name"] == SEEN).count(), 2);
}

/// Fails if a text in a row has a character that turns others around.
fn assert_seen(row: &Value, table: &str) {
    let text = row.to_string();
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let marks = ['\u{200b}', '\u{200e}', '\u{200f}', '\u{61c}'];
    assert!(!text.contains(turns) && !text.contains(marks), "{table}: {text:?}");
}
