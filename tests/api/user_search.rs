//! `GET /api/v1/admin/users`: accounts are listed, searched and filtered, page by page.

use serde_json::{Value, json};

use crate::admin::USERS;
use crate::audit::administrator;
use crate::support::{Backend, Endpoint, Server, Tokens};

both_backends! {
    accounts_are_listed_newest_first_page_by_page,
    accounts_are_found_by_any_part_of_address_or_name,
    case_does_not_count_in_any_script,
    those_that_begin_with_the_text_come_first,
    a_search_is_read_page_by_page,
    accounts_are_filtered_by_role,
    accounts_are_filtered_by_state,
    filters_and_searches_are_combined,
    a_page_looks_through_so_many_accounts_and_the_next_ones_go_on,
    new_accounts_and_changes_between_pages_repeat_nobody,
}

async fn list(server: &Endpoint, by: &Tokens, query: &str) -> Value {
    server.get(&format!("{USERS}?{query}")).bearer(&by.access).send().await.assert_status(200).json()
}

fn emails(list: &Value) -> Vec<&str> {
    list["users"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap()).collect()
}

/// The addresses of all pages of a list.
async fn all_emails(server: &Endpoint, by: &Tokens, query: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(server, by, &format!("{query}{cursor}")).await;
        found.extend(emails(&page).into_iter().map(str::to_owned));
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

async fn name(server: &Endpoint, tokens: &Tokens, name: &str) {
    let body = json!({"name": name});
    server.patch("/api/v1/auth/me").bearer(&tokens.access).json(&body).send().await.assert_status(200);
}

async fn accounts_are_listed_newest_first_page_by_page(server: Server) {
    let admin = administrator(&server).await;
    let mut registered = vec![admin.email.clone()];
    for _ in 0..4 {
        server.advance(1);
        registered.insert(0, server.register().await.email);
    }
    let first = list(&server, &admin, "limit=2").await;
    assert_eq!(emails(&first), registered[..2]);
    assert_eq!((&first["pagination"]["limit"], &first["pagination"]["has_more"]), (&json!(2), &json!(true)));
    server.advance(1);
    let late = server.register().await;
    let cursor = first["pagination"]["next_cursor"].as_str().unwrap();
    assert_eq!(emails(&list(&server, &admin, &format!("limit=2&cursor={cursor}")).await), registered[2..4]);
    assert_eq!(all_emails(&server, &admin, "limit=2").await[1..], registered);
    assert_eq!(emails(&list(&server, &admin, "").await)[0], late.email);
}

/// Finds accounts, with `q` as text.
async fn found(server: &Endpoint, by: &Tokens, q: &str) -> Vec<String> {
    let q: String = url::form_urlencoded::byte_serialize(q.as_bytes()).collect();
    all_emails(server, by, &format!("q={q}")).await
}

async fn accounts_are_found_by_any_part_of_address_or_name(server: Server) {
    let admin = administrator(&server).await;
    for (email, shown) in [
        ("ada@example.com", "Countess of Lovelace"),
        ("Adam.B@example.com", "\u{c4}nne_"),
        ("grace@example.org", "Adalbert 100%"),
        ("hans@m\u{fc}ller.example", "Hans \\ O'Hara"),
    ] {
        name(&server, &server.register_as(email).await, shown).await;
        server.advance(1);
    }
    let all = ["hans@m\u{fc}ller.example", "grace@example.org", "Adam.B@example.com", "ada@example.com"];
    for (q, expected) in [
        ("ada", vec![all[3], all[2], all[1]]),
        ("dam.b@ex", vec![all[2]]),
        ("ce@example", vec![all[1]]),
        ("lovelace", vec![all[3]]),
        ("of love", vec![all[3]]),
        ("0%", vec![all[1]]),
        ("%", vec![all[1]]),
        ("_", vec![all[2]]),
        ("\\", vec![all[0]]),
        ("o'hara", vec![all[0]]),
        ("m\u{fc}ller", vec![all[0]]),
        ("@m\u{fc}ller.ex", vec![all[0]]),
        ("xn--mller", vec![all[0]]),
        (".org", vec![all[1]]),
        ("nobody", vec![]),
        ("' OR ''='", vec![]),
    ] {
        assert_eq!(found(&server, &admin, q).await, expected, "{q}");
    }
    // White space alone is no text.
    assert_eq!(found(&server, &admin, " \u{200b}").await.len(), 5);
}

async fn case_does_not_count_in_any_script(server: Server) {
    let admin = administrator(&server).await;
    let person = server.register_as("\u{e5}sa.STR\u{d6}M@example.com").await;
    for (shown, part) in [
        ("\u{c5}sa Str\u{f6}m", "SA STR\u{d6}"),
        ("A\u{30a}sa", "\u{e5}SA"),
        ("\u{395}\u{3bb}\u{3ad}\u{3bd}\u{3b7}", "\u{3bb}\u{388}\u{39d}"),
        ("\u{418}\u{432}\u{430}\u{43d}", "\u{432}\u{410}\u{41d}"),
        ("M\u{dc}LLER", "u\u{308}ller"),
    ] {
        name(&server, &person, shown).await;
        for q in [part.to_owned(), part.to_uppercase(), part.to_lowercase(), shown.to_owned(), shown.to_uppercase()] {
            assert_eq!(found(&server, &admin, &q).await, [&*person.email], "{shown}: {q}");
        }
    }
    for q in ["\u{c5}SA.", "str\u{f6}m@", "TRO\u{308}M"] {
        assert_eq!(found(&server, &admin, q).await, [&*person.email], "{q}");
    }
    let me = json!({"name": null});
    server.patch("/api/v1/auth/me").bearer(&person.access).json(&me).send().await.assert_status(200);
    assert!(found(&server, &admin, "m\u{fc}ller").await.is_empty());
}

async fn those_that_begin_with_the_text_come_first(server: Server) {
    let admin = administrator(&server).await;
    for (email, shown) in [
        ("zoe@example.com", Some("Samantha")),
        ("sam.b@example.com", Some("Samuel")),
        ("noSAM@example.com", None),
        ("sam.a@example.com", None),
        ("yan@example.com", Some("Sam")),
        ("flotsam@example.com", Some("Sammy")),
        ("uncle@example.com", Some("Uncle Sam")),
    ] {
        let tokens = server.register_as(email).await;
        if let Some(shown) = shown {
            name(&server, &tokens, shown).await;
        }
        server.advance(1);
    }
    let expected = ["sam.a@", "sam.b@", "yan@", "zoe@", "flotsam@", "uncle@", "noSAM@"];
    let expected = expected.map(|name| format!("{name}example.com"));
    assert_eq!(found(&server, &admin, "Sam").await, expected);
    for limit in 1..=8 {
        let pages = all_emails(&server, &admin, &format!("q=sam&limit={limit}")).await;
        assert_eq!(pages, expected, "{limit}");
    }
}

async fn a_search_is_read_page_by_page(server: Server) {
    let admin = administrator(&server).await;
    let mut expected = Vec::new();
    for number in 0..9 {
        let email = format!("{}{number}@example.com", if number % 2 == 0 { "sam" } else { "other" });
        let tokens = server.register_as(&email).await;
        // Every other one is found by the name alone; three have the same one.
        let shown = if number % 2 == 0 { format!("Sam {number}") } else { format!("SAM {}", number % 3 / 2) };
        name(&server, &tokens, &shown).await;
        let key = if number % 2 == 0 { email.clone() } else { shown.to_ascii_lowercase() };
        expected.push((number % 2, key, tokens.user, email));
    }
    expected.sort();
    let expected: Vec<String> = expected.into_iter().map(|(_, _, _, email)| email).collect();
    for limit in [1, 2, 4, 5, 9, 100] {
        assert_eq!(all_emails(&server, &admin, &format!("q=sam&limit={limit}")).await, expected, "{limit}");
    }
    let page = list(&server, &admin, "q=sam&limit=9").await;
    assert_eq!((emails(&page).len(), &page["pagination"]["has_more"]), (9, &json!(false)));
}

/// Registers accounts and sets what their rows say.
async fn accounts_with(server: &Server, rows: &[(&str, &str)]) {
    for (email, change) in rows {
        server.register_as(email).await;
        server.sql(&format!("UPDATE users SET {change} WHERE email = '{email}'"));
        server.advance(1);
    }
}

async fn accounts_are_filtered_by_role(server: Server) {
    let admin = administrator(&server).await;
    accounts_with(
        &server,
        &[
            ("one@example.com", "roles = '[\"user\",\"editor\"]'"),
            ("two@example.com", "roles = '[\"user\",\"Editor\"]'"),
            ("three@example.com", "roles = '[\"user\",\"editor.chief\",\"editor\"]'"),
            ("four@example.com", "roles = '[\"user\"]'"),
        ],
    )
    .await;
    for (role, expected) in [
        ("editor", vec!["three@example.com", "one@example.com"]),
        ("Editor", vec!["two@example.com"]),
        ("editor.chief", vec!["three@example.com"]),
        ("edit", vec![]),
        ("admin", vec![&*admin.email]),
        ("user", vec!["four@example.com", "three@example.com", "two@example.com", "one@example.com", &*admin.email]),
    ] {
        for limit in [1, 50] {
            let listed = all_emails(&server, &admin, &format!("role={role}&limit={limit}")).await;
            assert_eq!(listed, expected, "{role}");
        }
    }
}

async fn accounts_are_filtered_by_state(server: Server) {
    let admin = administrator(&server).await;
    let verified = "email_verified_at = created_at";
    accounts_with(
        &server,
        &[
            ("plain@example.com", verified),
            ("off@example.com", "email_verified_at = created_at, disabled_at = created_at"),
            ("going@example.com", "email_verified_at = created_at, deletes_at = created_at"),
            ("bare@example.com", "password_hash = '!'"),
        ],
    )
    .await;
    server.verify_email(&admin.email);
    for (state, expected) in [
        ("active", vec!["bare@example.com", "plain@example.com", &*admin.email]),
        ("disabled", vec!["off@example.com"]),
        ("deletion_pending", vec!["going@example.com"]),
        ("unverified", vec!["bare@example.com"]),
        ("without_password", vec!["bare@example.com"]),
    ] {
        for limit in [1, 50] {
            let listed = all_emails(&server, &admin, &format!("state={state}&limit={limit}")).await;
            assert_eq!(listed, expected, "{state}");
        }
    }
}

async fn filters_and_searches_are_combined(server: Server) {
    let admin = administrator(&server).await;
    let editor = "roles = '[\"user\",\"editor\"]'";
    accounts_with(
        &server,
        &[
            ("sam1@example.com", editor),
            ("sam2@example.com", "disabled_at = created_at"),
            ("flotsam@example.com", &format!("{editor}, disabled_at = created_at")),
            ("jetsam@example.com", editor),
            ("other@example.com", &format!("{editor}, name = 'Sam', name_normalized = 'sam'")),
        ],
    )
    .await;
    for (query, expected) in [
        ("q=sam&role=editor", vec!["sam1", "other", "jetsam", "flotsam"]),
        ("q=sam&role=editor&state=active", vec!["sam1", "other", "jetsam"]),
        ("q=sam&state=disabled", vec!["sam2", "flotsam"]),
        ("role=editor&state=disabled", vec!["flotsam"]),
        ("q=sam&role=admin", vec![]),
        ("role=user&state=unverified&q=jet", vec!["jetsam"]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(|name| format!("{name}@example.com")).collect();
        for limit in [1, 50] {
            let listed = all_emails(&server, &admin, &format!("{query}&limit={limit}")).await;
            assert_eq!(listed, expected, "{query}");
        }
    }
}

/// Adds `count` accounts whose addresses all begin with the same letters.
fn crowd(server: &Server, count: u32) {
    let (numbers, id, now) = match server.backend {
        Backend::Embedded => (
            format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"),
            "CAST(printf('%016d', i) AS blob)",
            "1700000000000",
        ),
        Backend::Scaled => (
            format!("WITH n (i) AS (SELECT generate_series(1, {count}))"),
            "CAST(lpad(to_hex(i), 32, '0') AS uuid)",
            "CAST('2023-11-14' AS timestamptz)",
        ),
    };
    server.sql(&format!(
        "INSERT INTO users (id, email, email_normalized, password_hash, roles, created_at, password_changed_at) {numbers} \
         SELECT {id}, 'crowd' || i || '@example.com', 'crowd' || i || '@example.com', 'x', '[\"user\"]', {now}, {now} \
         FROM n"
    ));
}

async fn a_page_looks_through_so_many_accounts_and_the_next_ones_go_on(server: Server) {
    crowd(&server, 60_000);
    let admin = administrator(&server).await;
    // What is looked for is behind all of them: as the oldest, or as the last in the order of addresses.
    let oldest = "CAST('0000000000000000' AS blob)";
    let nil = "'00000000-0000-0000-0000-000000000000'";
    let oldest = if server.backend == Backend::Embedded { oldest } else { nil };
    let last = server.register_as("crowd~needle@example.com").await;
    let disabled = "disabled_at = created_at";
    server.sql(&format!("UPDATE users SET {disabled} WHERE id = {}", server.literal(last.user.0)));
    server.sql("DELETE FROM opaque_tokens");
    server.sql("DELETE FROM sessions WHERE user_id NOT IN (SELECT id FROM users WHERE roles <> '[\"user\"]')");
    server.sql(&format!("UPDATE users SET id = {oldest} WHERE email = 'crowd~needle@example.com'"));
    for query in ["q=needle", "q=crowd&state=disabled", "q=needle&role=user"] {
        let first = list(&server, &admin, query).await;
        assert_eq!((emails(&first), &first["pagination"]["has_more"]), (vec![], &json!(true)), "{query}");
        assert_eq!(all_emails(&server, &admin, query).await, ["crowd~needle@example.com"], "{query}");
    }
    // Whole addresses, their beginnings and what few accounts have are found at once.
    for query in ["q=crowd~", "state=disabled", "role=user&state=disabled"] {
        let first = list(&server, &admin, query).await;
        assert_eq!(emails(&first), ["crowd~needle@example.com"], "{query}");
    }
    assert_eq!(emails(&list(&server, &admin, "role=admin").await), [&*admin.email]);
    assert_eq!(emails(&list(&server, &admin, "q=crowd&limit=100").await).len(), 100);
}

async fn new_accounts_and_changes_between_pages_repeat_nobody(server: Server) {
    let admin = administrator(&server).await;
    for number in 0..6 {
        server.register_as(&format!("a-sam{number}@example.com")).await;
        server.advance(1);
    }
    let first = list(&server, &admin, "q=sam&limit=3").await;
    assert_eq!(emails(&first), ["a-sam5@example.com", "a-sam4@example.com", "a-sam3@example.com"]);
    server.register_as("late-sam@example.com").await;
    server.sql("UPDATE users SET disabled_at = created_at WHERE email = 'a-sam3@example.com'");
    server.sql("DELETE FROM users WHERE email = 'a-sam2@example.com'");
    let cursor = first["pagination"]["next_cursor"].as_str().unwrap();
    let second = list(&server, &admin, &format!("q=sam&limit=3&cursor={cursor}")).await;
    assert_eq!(emails(&second), ["a-sam1@example.com", "a-sam0@example.com"]);
    assert_eq!(second["pagination"]["next_cursor"], Value::Null);
}
