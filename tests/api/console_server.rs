//! What administrators see and change of the server in the console: clients, keys and emails.

use crate::browser_sessions::Browser;
use crate::console::{console, page};
use crate::support::{Backend, Server, until};

both_backends! {
    a_client_is_registered_and_its_secret_shown_once,
    a_client_is_changed_and_deleted,
    what_is_wrong_with_a_new_client_is_told_at_its_field,
    keys_are_replaced_and_revoked,
    emails_that_wait_are_tried_again,
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before}: {text}"));
    rest.split_once(after).unwrap().0
}

/// Registers a client. Returns its id and its secret.
async fn register(browser: &mut Browser) -> (String, String) {
    let fields = [("name", "orders"), ("scopes", "introspect orders:read"), ("audiences", "")];
    let shown = browser.post("/admin/clients/new", &fields).await.assert_status(200).text();
    let value =
        |name| between(&shown, &format!("{name}</dt><dd><code translate=\"no\" dir=\"ltr\">"), "</code>").to_owned();
    (value("client_id"), value("client_secret"))
}

/// Whether a client is let in by a secret.
async fn is_let_in(server: &Server, client: &str, secret: &str) -> bool {
    let request = server.post("/oauth/introspect").header("content-type", "application/x-www-form-urlencoded");
    let body = format!("token=x&client_id={client}&client_secret={secret}");
    request.body(body).send().await.status == 200
}

async fn a_client_is_registered_and_its_secret_shown_once(server: Server) {
    let (mut browser, _) = console(&server).await;
    let (client, secret) = register(&mut browser).await;
    assert!(is_let_in(&server, &client, &secret).await);
    let path = format!("/admin/clients/{client}");
    for shown in [page(&browser, "/admin/clients").await, page(&browser, &path).await] {
        assert!(shown.contains("orders:read") && !shown.contains(&secret), "{shown}");
    }
    assert!(page(&browser, "/admin/audit?event_type=client.created").await.contains(&client));
}

async fn a_client_is_changed_and_deleted(server: Server) {
    let (mut browser, _) = console(&server).await;
    let (client, first) = register(&mut browser).await;
    let change = format!("/admin/clients/{client}/change");
    let question = page(&browser, &format!("{change}?change=add_secret")).await;
    assert!(question.contains("orders"), "{question}");
    let shown = browser.post(&change, &[("change", "add_secret")]).await.assert_status(200).text();
    let second = between(&shown, "client_secret</dt><dd><code translate=\"no\" dir=\"ltr\">", "</code>").to_owned();
    assert!(is_let_in(&server, &client, &first).await && is_let_in(&server, &client, &second).await);
    let third = browser.post(&change, &[("change", "add_secret")]).await;
    assert!(third.assert_status(409).text().contains("has two secrets"), "{}", third.text());
    for (fields, is_open) in [
        (&[("change", "delete_secret"), ("number", "1")][..], true),
        (&[("change", "disable")], false),
        (&[("change", "enable")], true),
    ] {
        let done = browser.post(&change, fields).await;
        let shown = page(&browser, done.assert_status(303).header("location").unwrap()).await;
        assert!(shown.contains("Entry in the audit log"), "{fields:?}: {shown}");
        assert_eq!(is_let_in(&server, &client, &second).await, is_open, "{fields:?}");
    }
    assert!(!is_let_in(&server, &client, &first).await);
    for fields in [&[("change", "delete_secret"), ("number", "1")][..], &[("change", "delete_secret")], &[]] {
        browser.post(&change, fields).await.assert_status(404);
    }
    let done = browser.post(&change, &[("change", "delete")]).await;
    assert!(
        page(&browser, done.assert_status(303).header("location").unwrap()).await.contains("No client is registered")
    );
    assert!(!is_let_in(&server, &client, &second).await);
    browser.get(&format!("/admin/clients/{client}")).await.assert_status(404);
}

async fn what_is_wrong_with_a_new_client_is_told_at_its_field(server: Server) {
    let (mut browser, _) = console(&server).await;
    let fields = [("name", "a\u{7}b"), ("scopes", "\"quoted\""), ("audiences", "kept")];
    let refused = browser.post("/admin/clients/new", &fields).await.assert_status(422).text();
    for part in ["A name has up to 100", "These are not scopes.", "value=\"kept\""] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert_eq!(server.count("clients"), 0);
}

async fn keys_are_replaced_and_revoked(server: Server) {
    let (mut browser, admin) = console(&server).await;
    let keys = page(&browser, "/admin/keys").await;
    let key = between(&keys, "<td><code translate=\"no\" dir=\"ltr\">", "</code>").to_owned();
    assert!(page(&browser, "/admin/keys/change?change=rotate").await.contains("Nobody is logged out."));
    let done = browser.post("/admin/keys/change", &[("change", "rotate")]).await;
    let shown = page(&browser, done.assert_status(303).header("location").unwrap()).await;
    assert!(shown.contains("New keys are published.") && shown.contains("Signs later"), "{shown}");
    let question = page(&browser, &format!("/admin/keys/change?change=revoke&key={key}")).await;
    assert!(question.contains(&key), "{question}");
    let done = browser.post("/admin/keys/change", &[("change", "revoke"), ("key", &key)]).await;
    let shown = page(&browser, done.assert_status(303).header("location").unwrap()).await;
    assert!(shown.contains("The key is revoked.") && shown.contains("Revoked"), "{shown}");
    server.me(&admin.access).await.assert_problem(401, "invalid_token");
    for fields in [&[("change", "revoke"), ("key", "x")][..], &[("change", "revoke")], &[]] {
        browser.post("/admin/keys/change", fields).await.assert_status(404);
    }
}

async fn emails_that_wait_are_tried_again(server: Server) {
    let (mut browser, _) = console(&server).await;
    until("the outbox to be empty", async || (server.count("outbox") == 0).then_some(())).await;
    assert!(page(&browser, "/admin/outbox").await.contains("There are no such emails"));
    let now = server.clock.now().as_secs();
    let time = |secs: i64| match server.backend {
        Backend::Embedded => (secs * 1000).to_string(),
        Backend::Scaled => format!("to_timestamp({secs})"),
    };
    let message = match server.backend {
        Backend::Embedded => "X'00'",
        Backend::Scaled => "'\\x00'",
    };
    // One that waits for hours, one that is tried soon, one that was given up.
    let mut ids = Vec::new();
    for (recipient, next) in [
        ("late@example.com", time(now + 7200)),
        ("soon@example.com", time(now + 100)),
        ("gone@example.com", "NULL".to_owned()),
    ] {
        let id = keyturn::random::Random.id(server.clock.now());
        ids.push((id, server.literal(id)));
        let (id, created) = (server.literal(id), time(now));
        server.sql(&format!(
            "INSERT INTO outbox (id, kind, recipient, sealed_message, created_at, next_attempt_at, attempts, last_error) \
             VALUES ({id}, 'verify_email', '{recipient}', {message}, {created}, {next}, 3, 'no <b>route</b>')"
        ));
    }
    let waiting = page(&browser, "/admin/outbox").await;
    assert!(waiting.contains("late@example.com") && waiting.contains("soon@example.com"), "{waiting}");
    assert!(!waiting.contains("gone@example.com") && !waiting.contains("<b>"), "{waiting}");
    let failed = page(&browser, "/admin/outbox?state=failed").await;
    assert!(failed.contains("gone@example.com") && !failed.contains("late@example.com"), "{failed}");
    assert!(page(&browser, "/admin/outbox/retry").await.contains("All emails that wait"));
    browser.post("/admin/outbox/retry", &[]).await.assert_status(404);
    let done = browser.post("/admin/outbox/retry", &[("all", "yes")]).await;
    let shown = page(&browser, done.assert_status(303).header("location").unwrap()).await;
    assert!(shown.contains("The emails are tried now."), "{shown}");
    // Nobody can open its message, so it waits for the next attempt.
    let attempts = |id: &str| server.count(&format!("outbox WHERE id = {id} AND attempts = 4"));
    until("the attempt", async || (attempts(&ids[0].1) == 1).then_some(())).await;
    assert_eq!((attempts(&ids[1].1), attempts(&ids[2].1)), (0, 0));
    let entries = server.rows("audit_log");
    assert_eq!(entries.iter().filter(|entry| entry["event"] == "emails.retried").count(), 1);
    // It may be on its way at this moment.
    let soon = ids[1].0.to_string();
    let again = browser.post("/admin/outbox/retry", &[("email", &soon)]).await;
    let shown = page(&browser, again.assert_status(303).header("location").unwrap()).await;
    assert!(shown.contains("Nothing had to be changed."), "{shown}");
}
