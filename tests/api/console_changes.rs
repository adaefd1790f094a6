//! What administrators change in the console: each asked for, done once, and in the audit log.

use url::form_urlencoded::Serializer;

use crate::audit::administrator;
use crate::browser_sessions::Browser;
use crate::console::{console, page};
use crate::mfa::person;
use crate::support::{PASSWORD, Response, Server, Tokens};

both_backends! {
    each_change_is_asked_for_done_and_recorded,
    a_change_that_changes_nothing_says_so,
    a_person_is_deleted_at_once,
    roles_are_given_and_taken_one_by_one,
    a_role_that_is_none_is_refused_at_its_field,
    a_session_of_somebody_else_is_not_ended_by_the_way,
    a_change_needs_a_recent_login_and_keeps_its_form,
    a_change_needs_the_second_factor_of_the_administrator,
    changes_are_for_administrators_and_their_own_pages,
    administrators_do_not_lock_themselves_out,
    a_message_is_only_of_ones_own_changes,
    people_are_invited,
}

/// The path of the page of a person.
fn path(person: &Tokens) -> String {
    format!("/admin/users/{}", person.user)
}

/// Asks for a change, answers yes, and returns the page that follows.
async fn change(browser: &mut Browser, person: &Tokens, fields: &[(&str, &str)]) -> String {
    let query: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let question = page(browser, &format!("{}/change?{}", path(person), query.join("&"))).await;
    assert!(question.contains(&person.email) && question.contains("Yes, do it"), "{fields:?}: {question}");
    for (name, value) in fields {
        assert!(question.contains(&format!("name=\"{name}\" value=\"{value}\"")), "{fields:?}: {question}");
    }
    let answer = browser.post(&format!("{}/change", path(person)), fields).await;
    assert_eq!(answer.status, 303, "{fields:?}: {}", answer.text());
    page(browser, answer.header("location").unwrap()).await
}

/// The entry of the audit log that a page links to.
async fn entry(browser: &Browser, shown: &str) -> String {
    let (_, rest) = shown.split_once("role=\"status\"").unwrap_or_else(|| panic!("{shown}"));
    let (_, rest) = rest.split_once("href=\"").unwrap();
    page(browser, rest.split_once('"').unwrap().0).await
}

async fn each_change_is_asked_for_done_and_recorded(server: Server) {
    let owner = person(&server, &server.clock).await.tokens;
    let (mut browser, admin) = console(&server).await;
    let session = owner.session.to_string();
    let one = [("change", "end_session"), ("session", session.as_str())];
    for (fields, event, message) in [
        (&one[..], "session.revoked", "The sessions are ended."),
        (&[("change", "reset_mfa")], "mfa.disabled", "Two-step login is reset."),
        (&[("change", "reset_password")], "password.reset_requested", "An email is on its way."),
        (&[("change", "give_role"), ("role", "editor")], "account.roles_changed", "The roles are changed."),
        (&[("change", "disable")], "account.disabled", "The account is disabled."),
        (&[("change", "enable")], "account.enabled", "The account is enabled."),
        (&[("change", "delete")], "account.deletion_requested", "The account will be deleted on"),
        (&[("change", "cancel_deletion")], "account.deletion_cancelled", "The account is kept."),
    ] {
        let shown = change(&mut browser, &owner, fields).await;
        assert!(shown.contains(message), "{fields:?}: {shown}");
        let entry = entry(&browser, &shown).await;
        assert!(entry.contains(event) && entry.contains(&owner.email) && entry.contains(&admin.email), "{entry}");
    }
    server.me(&owner.access).await.assert_problem(401, "invalid_token");
    // Without the second factor, and with the same password.
    let again = server.login(&owner.email).await;
    let shown = change(&mut browser, &owner, &[("change", "end_sessions")]).await;
    assert!(shown.contains("The sessions are ended."), "{shown}");
    server.me(&again.access).await.assert_problem(401, "invalid_token");
}

async fn a_change_that_changes_nothing_says_so(server: Server) {
    let owner = server.register().await;
    let (mut browser, _) = console(&server).await;
    for name in ["enable", "delete_devices"] {
        let shown = change(&mut browser, &owner, &[("change", name)]).await;
        assert!(shown.contains("Nothing had to be changed."), "{name}: {shown}");
    }
    for (name, text) in [
        ("reset_mfa", "Two-step login is not enabled."),
        ("cancel_deletion", "too late to keep it"),
        ("invite", "has a password already"),
    ] {
        let refused = browser.post(&format!("{}/change", path(&owner)), &[("change", name)]).await;
        assert!(refused.assert_status(409).text().contains(text), "{name}: {}", refused.text());
    }
    for name in ["", "explode", "end_session"] {
        browser.post(&format!("{}/change", path(&owner)), &[("change", name)]).await.assert_status(404);
        browser.get(&format!("{}/change?change={name}", path(&owner))).await.assert_status(404);
    }
    browser
        .post(&format!("{}/change", path(&owner)), &[("change", "give_role"), ("role", "!")])
        .await
        .assert_status(422);
}

async fn a_person_is_deleted_at_once(server: Server) {
    let owner = server.register().await;
    let (mut browser, _) = console(&server).await;
    let shown = change(&mut browser, &owner, &[("change", "delete_at_once")]).await;
    assert!(shown.contains("The account and its data are deleted."), "{shown}");
    assert!(entry(&browser, &shown).await.contains("account.deletion_requested"));
    assert_eq!(server.count(&format!("users WHERE email = '{}'", owner.email)), 0);
    browser.get(&path(&owner)).await.assert_status(404);
}

async fn roles_are_given_and_taken_one_by_one(server: Server) {
    let owner = server.register().await;
    let (mut browser, _) = console(&server).await;
    for role in ["editor", "billing"] {
        change(&mut browser, &owner, &[("change", "give_role"), ("role", role)]).await;
    }
    let shown = change(&mut browser, &owner, &[("change", "take_role"), ("role", "editor")]).await;
    assert!(shown.contains("billing") && !shown.contains("role=editor"), "{shown}");
    // Everybody has this one.
    change(&mut browser, &owner, &[("change", "take_role"), ("role", "user")]).await;
    let roles = server.rows("users").into_iter().find(|row| row["email"] == owner.email.as_str()).unwrap();
    assert!(roles["roles"].to_string().contains("user") && roles["roles"].to_string().contains("billing"), "{roles}");
}

async fn a_role_that_is_none_is_refused_at_its_field(server: Server) {
    let owner = server.register().await;
    let (mut browser, _) = console(&server).await;
    let change = format!("{}/change", path(&owner));
    let refused = |answer: &Response, typed: &str| {
        let shown = answer.assert_status(422).text();
        assert!(shown.contains("id=\"role-error\">A role has up to 64 letters"), "{typed}: {shown}");
        assert!(shown.contains(&format!("value=\"{typed}\"")) && shown.contains("role=\"alert\""), "{shown}");
    };
    for typed in ["two words", "ro\u{200b}le", "!"] {
        let query = Serializer::new(String::new()).append_pair("role", typed).finish();
        refused(&browser.get(&format!("{change}?change=give_role&{query}")).await, typed);
        refused(&browser.post(&change, &[("change", "give_role"), ("role", typed)]).await, typed);
    }
    let roles: String = (0..31).map(|number| format!(",\"role{number}\"")).collect();
    let condition = format!("id = {}", server.literal(owner.user.0));
    server.sql(&format!("UPDATE users SET roles = '[\"user\"{roles}]' WHERE {condition}"));
    refused(&browser.post(&change, &[("change", "give_role"), ("role", "one-more")]).await, "one-more");
}

async fn a_session_of_somebody_else_is_not_ended_by_the_way(server: Server) {
    let (owner, other) = (server.register().await, server.register().await);
    let (mut browser, _) = console(&server).await;
    let session = other.session.to_string();
    let fields = [("change", "end_session"), ("session", session.as_str())];
    browser.post(&format!("{}/change", path(&owner)), &fields).await.assert_status(404);
    browser.get(&format!("{}/change?change=end_session&session={session}", path(&owner))).await.assert_status(404);
    server.me(&other.access).await.assert_status(200);
}

async fn a_change_needs_a_recent_login_and_keeps_its_form(server: Server) {
    let owner = server.register().await;
    let (mut browser, _) = console(&server).await;
    server.advance(601);
    let fields = [("change", "give_role"), ("role", "editor")];
    let asked = browser.post(&format!("{}/change", path(&owner)), &fields).await;
    let asked = asked.assert_status(200).text();
    for part in ["name=\"confirm_password\"", "name=\"change\" value=\"give_role\"", "name=\"role\" value=\"editor\""] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    let with = |password| [&fields[..], &[("confirm_password", password)]].concat();
    browser.post(&format!("{}/change", path(&owner)), &with("not the password")).await.assert_status(401);
    let unchanged = page(&browser, &path(&owner)).await;
    assert!(!unchanged.contains("role=editor"), "{unchanged}");
    let done = browser.post(&format!("{}/change", path(&owner)), &with(PASSWORD)).await;
    assert_eq!(done.status, 303, "{}", done.text());
    let shown = page(&browser, done.header("location").unwrap()).await;
    assert!(shown.contains("The roles are changed.") && shown.contains("role=editor"), "{shown}");
}

async fn a_change_needs_the_second_factor_of_the_administrator(server: Server) {
    let owner = server.register().await;
    let admin = person(&server, &server.clock).await;
    let condition = format!("id = {}", server.literal(admin.tokens.user.0));
    server.sql(&format!("UPDATE users SET roles = '[\"user\",\"admin\"]' WHERE {condition}"));
    let mut browser = Browser::new(&server);
    let answer = browser.post("/login", &[("email", &admin.tokens.email), ("password", PASSWORD)]).await;
    let waiting = answer.assert_status(200).text();
    let (_, rest) = waiting.split_once("name=\"mfa_token\" value=\"").unwrap();
    let token = rest.split_once('"').unwrap().0;
    let codes = &admin.recovery_codes;
    browser.post("/login", &[("mfa_token", token), ("code", &codes[0])]).await.assert_status(303);
    server.advance(601);
    let change = format!("{}/change", path(&owner));
    let asked = browser.post(&change, &[("change", "disable"), ("confirm_password", PASSWORD)]).await;
    assert!(asked.assert_status(401).text().contains("name=\"confirm_code\""));
    let with_code = [("change", "disable"), ("confirm_password", PASSWORD), ("confirm_code", codes[1].as_str())];
    browser.post(&change, &with_code).await.assert_status(303);
    server.me(&owner.access).await.assert_problem(401, "invalid_token");
}

async fn changes_are_for_administrators_and_their_own_pages(server: Server) {
    let (owner, nobody) = (server.register().await, server.register().await);
    let change = format!("{}/change", path(&owner));
    let fields = [("change", "disable")];
    assert_eq!(Browser::new(&server).post(&change, &fields).await.status, 303);
    // Nobody else is asked for a password first.
    let mut person = Browser::logged_in(&server, &nobody.email).await;
    server.advance(601);
    person.post(&change, &fields).await.assert_status(403);
    person.get(&format!("{change}?change=disable")).await.assert_status(403);
    person.post("/admin/users/new", &[("email", "new@example.com")]).await.assert_status(403);
    let admin = administrator(&server).await;
    let browser = Browser::logged_in(&server, &admin.email).await;
    for origin in ["null", "https://evil.example"] {
        browser.post_from(&change, &fields, origin).await.assert_status(403);
    }
    let refreshed = server.refreshed(&owner).await;
    server.me(&refreshed.access).await.assert_status(200);
    assert_eq!(server.count("users WHERE email = 'new@example.com'"), 0);
}

async fn administrators_do_not_lock_themselves_out(server: Server) {
    let (mut browser, admin) = console(&server).await;
    for fields in [
        &[("change", "disable")][..],
        &[("change", "take_role"), ("role", "admin")],
        &[("change", "delete")],
        &[("change", "delete_at_once")],
    ] {
        let refused = browser.post(&format!("{}/change", path(&admin)), fields).await;
        assert!(refused.assert_status(409).text().contains("your own account"), "{fields:?}");
    }
    page(&browser, "/admin").await;
}

async fn a_message_is_only_of_ones_own_changes(server: Server) {
    let owner = server.register().await;
    let (mut browser, _) = console(&server).await;
    let done = browser.post(&format!("{}/change", path(&owner)), &[("change", "disable")]).await;
    let location = done.header("location").unwrap().to_owned();
    let cookie =
        done.all_headers("set-cookie").into_iter().find(|set| set.starts_with("__Host-keyturn_notice=")).unwrap();
    let (other, _) = console(&server).await;
    // Neither a link nor the cookie of another administrator makes a page say something.
    let (_, entry) = cookie.split(';').next().unwrap().split_once("entry:").unwrap();
    let links = [location.clone(), format!("{location}?entry={entry}"), format!("{location}?done=entry:{entry}")];
    for link in links {
        let shown = page(&other, &link).await;
        assert!(!shown.contains("role=\"status\""), "{link}: {shown}");
    }
    let cookies = format!("{}; {}", other.cookie(), cookie.split(';').next().unwrap());
    let shown = server.get(&location).header("cookie", &cookies).send().await.assert_status(200).text();
    assert!(!shown.contains("role=\"status\""), "{shown}");
    // It is told once.
    assert!(page(&browser, &location).await.contains("The account is disabled."));
    assert!(!page(&browser, &location).await.contains("role=\"status\""));
}

async fn people_are_invited(server: Server) {
    let (mut browser, admin) = console(&server).await;
    for (email, roles, error) in [
        ("no address", "", "This is not an email address."),
        ("new@example.com", "!", "A role has up to 64 letters"),
        (&*admin.email, "", "Another account has this email address."),
    ] {
        let refused = browser.post("/admin/users/new", &[("email", email), ("name", "Ada"), ("roles", roles)]).await;
        let shown = refused.assert_status(422).text();
        assert!(shown.contains(error) && shown.contains("value=\"Ada\""), "{email}: {shown}");
    }
    let fields = [("email", "new@example.com"), ("name", "Ada"), ("roles", "editor, billing")];
    let done = browser.post("/admin/users/new", &fields).await;
    let shown = page(&browser, done.assert_status(303).header("location").unwrap()).await;
    for part in ["An email is on its way.", "new@example.com", "editor", "billing", "Without a password"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(entry(&browser, &shown).await.contains("account.invited"));
}
