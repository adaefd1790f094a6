//! Reading the audit log: one's own at `/api/v1/sessions/audit`, everybody's at `/api/v1/admin/audit`, as pages and as
//! a file.

use keyturn::audit::{self, Event};
use keyturn::types::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Backend, Endpoint, PASSWORD, Response, Server, Tokens};

const OWN: &str = "/api/v1/sessions/audit";
const ALL: &str = "/api/v1/admin/audit";

both_backends! {
    people_see_what_happened_to_their_account_newest_first,
    people_see_nothing_of_others,
    an_entry_is_shown_with_all_that_the_contract_names,
    entries_are_found_by_event_status_session_and_period,
    pages_follow_each_other_while_entries_are_added,
    entries_of_one_transaction_stand_in_the_order_of_events,
    a_wrong_parameter_is_named,
    only_administrators_read_everybodys_log,
    administrators_find_entries_of_one_account,
    a_file_holds_what_the_pages_hold,
    a_file_needs_a_recent_login_and_is_noted,
    a_file_with_a_formula_in_it_is_text,
    a_file_has_no_pages,
    entries_are_counted_up_to_two_hundred,
    what_no_index_knows_is_looked_for_in_parts,
    the_oldest_entries_are_deleted_first,
}

async fn get(server: &Endpoint, access: &str, target: &str) -> Value {
    server.get(target).bearer(access).send().await.assert_status(200).json()
}

async fn own(server: &Endpoint, tokens: &Tokens, query: &str) -> Value {
    get(server, &tokens.access, &format!("{OWN}?{query}")).await
}

fn events(page: &Value) -> Vec<&str> {
    page["logs"].as_array().unwrap().iter().map(|entry| entry["event_type"].as_str().unwrap()).collect()
}

fn ids(page: &Value) -> Vec<String> {
    page["logs"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

/// An account that the database names an administrator.
pub async fn administrator(server: &Endpoint) -> Tokens {
    let tokens = server.register().await;
    let condition = format!("id = {}", server.literal(tokens.user.0));
    server.sql(&format!("UPDATE users SET roles = '[\"user\",\"admin\"]' WHERE {condition}"));
    tokens
}

/// All pages of a list of entries, read with this limit.
async fn all_pages(server: &Endpoint, access: &str, target: &str, limit: usize) -> Vec<Value> {
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(server, access, &format!("{target}limit={limit}{cursor}")).await;
        let logs = page["logs"].as_array().unwrap().clone();
        assert!(logs.len() <= limit);
        entries.extend(logs);
        assert_eq!(page["pagination"]["has_more"], json!(page["pagination"]["next_cursor"].is_string()));
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return entries,
        }
    }
}

async fn people_see_what_happened_to_their_account_newest_first(server: Server) {
    let tokens = server.register().await;
    server.try_login(&tokens.email, "not the password").await.assert_problem(401, "invalid_credentials");
    let second = server.login(&tokens.email).await;
    let ended = server.delete(&format!("/api/v1/sessions/{}", second.session)).bearer(&tokens.access).send().await;
    ended.assert_status(204);
    let page = own(&server, &tokens, "").await;
    assert_eq!(events(&page), ["session.revoked", "login.succeeded", "login.failed", "account.registered"]);
    assert_eq!(page["pagination"], json!({"limit": 50, "has_more": false, "next_cursor": null, "total": 4}));
    let statuses: Vec<&Value> = page["logs"].as_array().unwrap().iter().map(|entry| &entry["status"]).collect();
    assert_eq!(statuses, ["success", "success", "failure", "success"]);
}

async fn people_see_nothing_of_others(server: Server) {
    let (one, other) = (server.register().await, server.register().await);
    let page = own(&server, &one, "").await;
    assert_eq!(events(&page), ["account.registered"]);
    assert_eq!(page["logs"][0]["user_id"], json!(one.user));
    // Not by the session of somebody else either, nor by a cursor that leads there.
    let foreign = own(&server, &one, &format!("session_id={}", other.session)).await;
    assert_eq!((events(&foreign), &foreign["pagination"]["total"]), (vec![], &json!(0)));
    server.login(&other.email).await;
    let cursor = own(&server, &other, "limit=1").await["pagination"]["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(events(&own(&server, &one, &format!("cursor={cursor}")).await), ["account.registered"]);
    // The account is the caller's, whatever is asked.
    let asked = server.get(&format!("{OWN}?user_id={}", other.user)).bearer(&one.access).send().await;
    asked.assert_problem(422, "invalid_input");
}

async fn an_entry_is_shown_with_all_that_the_contract_names(server: Server) {
    let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0";
    let tokens = server.register().await;
    let body = json!({"email": tokens.email, "password": "not the password"});
    let request = server.post("/api/v1/auth/login").json(&body).header("user-agent", agent);
    request.header("x-request-id", "the-request").send().await.assert_status(401);
    let entry = own(&server, &tokens, "limit=1").await["logs"][0].clone();
    let at: Timestamp = serde_json::from_value(entry["at"].clone()).unwrap();
    assert!(at <= server.clock.now());
    let id: Uuid = entry["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let expected = json!({
        "id": id, "at": at, "event_type": "login.failed", "status": "failure", "user_id": tokens.user,
        "actor_id": null, "session_id": null, "ip_address": "127.0.0.1",
        "device": {"type": "desktop", "os": "Windows", "browser": "Firefox", "label": "Firefox on Windows"},
        "user_agent": agent, "metadata": {"reason": "invalid_credentials"}, "request_id": "the-request",
    });
    assert_eq!(entry, expected);
    let first = own(&server, &tokens, "event_type=account.registered").await["logs"][0].clone();
    assert_eq!((&first["device"], &first["session_id"]), (&Value::Null, &json!(tokens.session)));
}

async fn entries_are_found_by_event_status_session_and_period(server: Server) {
    let tokens = server.register().await;
    server.advance(3600);
    server.try_login(&tokens.email, "not the password").await.assert_status(401);
    server.advance(3600);
    let second = server.login(&tokens.email).await;
    server.logout(&second.access).await.assert_status(204);
    // The first session's token has expired by now.
    let tokens = server.refreshed(&tokens).await;
    let own = async |query: String| own(&server, &tokens, &query).await;
    let all = own(String::new()).await;
    assert_eq!(events(&all), ["session.logged_out", "login.succeeded", "login.failed", "account.registered"]);
    let at = |index: usize| all["logs"][index]["at"].as_str().unwrap().to_owned();
    for (query, expected) in [
        ("event_type=login.failed".to_owned(), vec!["login.failed"]),
        ("status=failure".to_owned(), vec!["login.failed"]),
        ("status=success".to_owned(), vec!["session.logged_out", "login.succeeded", "account.registered"]),
        ("event_type=login.failed&status=success".to_owned(), vec![]),
        ("event_type=login.failed&status=failure".to_owned(), vec!["login.failed"]),
        (format!("session_id={}", second.session), vec!["session.logged_out", "login.succeeded"]),
        (format!("session_id={}&event_type=session.logged_out", second.session), vec!["session.logged_out"]),
        (format!("session_id={}&status=failure", second.session), vec![]),
        (format!("session_id={}", Uuid::nil()), vec![]),
        (format!("from={}", at(2)), vec!["session.logged_out", "login.succeeded", "login.failed"]),
        (format!("to={}", at(2)), vec!["login.failed", "account.registered"]),
        (format!("from={}&to={}", at(2), at(2)), vec!["login.failed"]),
        (format!("from={}&to={}", at(2), at(3)), vec![]),
        (format!("from={}&status=success&limit=1", at(2)), vec!["session.logged_out"]),
    ] {
        let page = own(query.clone()).await;
        assert_eq!(events(&page), expected, "{query}");
        if !query.contains("limit") {
            assert_eq!(page["pagination"]["total"], expected.len(), "{query}");
        }
    }
}

async fn pages_follow_each_other_while_entries_are_added(server: Server) {
    let tokens = server.register().await;
    for _ in 0..6 {
        server.login(&tokens.email).await;
    }
    let whole = ids(&own(&server, &tokens, "").await);
    assert_eq!(whole.len(), 7);
    let (mut read, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = own(&server, &tokens, &format!("limit=3{cursor}")).await;
        read.extend(ids(&page));
        server.login(&tokens.email).await;
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(read, whole, "what came later is on no page that was begun before");
}

async fn entries_of_one_transaction_stand_in_the_order_of_events(server: Server) {
    let tokens = server.register().await;
    for _ in 0..5 {
        server.login(&tokens.email).await;
    }
    let body = json!({"current_password": PASSWORD, "new_password": "nine herons under the bridge"});
    let changed = server.post("/api/v1/auth/password/change").bearer(&tokens.access).json(&body).send().await;
    assert_eq!(changed.assert_status(200).json()["sessions_revoked"], 5);
    let page = own(&server, &tokens, "limit=6").await;
    assert_eq!(events(&page)[..5], ["session.revoked"; 5]);
    assert_eq!(events(&page)[5], "password.changed", "what caused the others came before them");
    let mut sorted = ids(&page);
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(sorted, ids(&page));
}

async fn a_wrong_parameter_is_named(server: Server) {
    let (tokens, admin) = (server.register().await, administrator(&server).await);
    for (query, field) in [
        ("event_type=nothing_known", "event_type"),
        ("event_type=", "event_type"),
        ("status=unknown", "status"),
        ("session_id=not-a-uuid", "session_id"),
        ("from=yesterday", "from"),
        ("to=2026-13-01T00:00:00Z", "to"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("cursor=not-a-cursor", "cursor"),
        ("cursor=", "cursor"),
        ("nonsense=1", "query"),
    ] {
        for (path, tokens) in [(OWN, &tokens), (ALL, &admin)] {
            server.get(&format!("{path}?{query}")).bearer(&tokens.access).send().await.assert_invalid(field);
        }
    }
    for (query, field) in [("user_id=nobody", "user_id"), ("format=xml", "format")] {
        server.get(&format!("{ALL}?{query}")).bearer(&admin.access).send().await.assert_invalid(field);
    }
}

async fn only_administrators_read_everybodys_log(server: Server) {
    let (person, admin) = (server.register().await, administrator(&server).await);
    for query in ["", "?format=csv", "?user_id=nonsense"] {
        let refused = server.get(&format!("{ALL}{query}")).bearer(&person.access).send().await;
        refused.assert_problem(403, "forbidden");
    }
    server.get(ALL).send().await.assert_problem(401, "missing_token");
    let all = get(&server, &admin.access, ALL).await;
    let users: Vec<&Value> = all["logs"].as_array().unwrap().iter().map(|entry| &entry["user_id"]).collect();
    // The first signing key was created by nobody.
    assert_eq!(users, [&json!(admin.user), &json!(person.user), &Value::Null]);
}

async fn administrators_find_entries_of_one_account(server: Server) {
    let (person, admin) = (server.register().await, administrator(&server).await);
    server.try_login(&person.email, "not the password").await.assert_status(401);
    server.try_login("nobody@example.com", "not the password").await.assert_status(401);
    let of = |query: String| {
        let (server, access) = (&server, &admin.access);
        async move { get(server, access, &format!("{ALL}?{query}")).await }
    };
    assert_eq!(events(&of(format!("user_id={}", person.user)).await), ["login.failed", "account.registered"]);
    assert_eq!(events(&of(format!("user_id={}&status=failure", person.user)).await), ["login.failed"]);
    let failed = of("event_type=login.failed".to_owned()).await;
    assert_eq!(failed["logs"][0]["user_id"], Value::Null, "there is no such account");
    assert_eq!((events(&failed).len(), &failed["pagination"]["total"]), (2, &json!(2)));
    assert_eq!(events(&of("status=failure".to_owned()).await).len(), 2);
    assert_eq!(events(&of(format!("session_id={}", person.session)).await), ["account.registered"]);
    let wrong_owner = of(format!("session_id={}&user_id={}", person.session, admin.user)).await;
    assert_eq!(events(&wrong_owner), Vec::<&str>::new());
}

async fn export(server: &Endpoint, access: &str, query: &str) -> Response {
    let answer = server.get(&format!("{ALL}?{query}")).bearer(access).send().await;
    answer.assert_status(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer
}

async fn a_file_holds_what_the_pages_hold(server: Server) {
    let admin = administrator(&server).await;
    fill(&server, &admin, 1200, 7);
    for query in ["", &format!("user_id={}", admin.user), "status=failure", "event_type=session.logged_out"] {
        let target = format!("{ALL}?{query}&").replace("?&", "?");
        let file = export(&server, &admin.access, &format!("format=ndjson&{query}")).await;
        // The export is the newest entry of both.
        let pages = all_pages(&server, &admin.access, &target, 100).await;
        assert!(!pages.is_empty(), "{query}");
        assert_eq!(file.header("content-type"), Some("application/x-ndjson"));
        let disposition = file.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; filename=\"audit-") && disposition.ends_with(".ndjson\""));
        let lines: Vec<Value> = file.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, pages, "{query}");

        let file = export(&server, &admin.access, &format!("format=csv&{query}")).await;
        let pages = all_pages(&server, &admin.access, &target, 100).await;
        assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        let text = file.text();
        let (head, rows) = text.split_once("\r\n").unwrap();
        assert!(head.starts_with("\"id\",\"at\",\"event_type\",\"status\",\"user_id\""), "{head}");
        let first_cells: Vec<&str> = rows.lines().map(|row| row.split('"').nth(1).unwrap()).collect();
        let ids: Vec<&str> = pages.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
        assert_eq!(first_cells, ids, "{query}");
    }
}

async fn a_file_needs_a_recent_login_and_is_noted(server: Server) {
    let admin = administrator(&server).await;
    let exported = || server.rows("audit_log").into_iter().filter(|row| row["event"] == "audit_log.exported");
    export(&server, &admin.access, "format=csv").await;
    let noted: Vec<Value> = exported().collect();
    assert!(noted.len() == 1 && noted[0]["metadata"].to_string().contains("csv"), "{noted:?}");
    assert!(noted[0]["session_id"].is_string() && noted[0]["user_id"].is_string(), "{noted:?}");
    server.advance(601);
    let refused = server.get(&format!("{ALL}?format=ndjson")).bearer(&admin.access).send().await;
    refused.assert_problem(401, "insufficient_user_authentication");
    get(&server, &admin.access, ALL).await;
    assert_eq!(exported().count(), 1);
}

async fn a_file_with_a_formula_in_it_is_text(server: Server) {
    let admin = administrator(&server).await;
    let body = json!({"email": admin.email, "password": "not the password"});
    let agent = "=HYPERLINK(\"https://example.com\",\"x\")";
    let request = server.post("/api/v1/auth/login").json(&body).header("user-agent", agent);
    request.header("x-request-id", "-1").send().await.assert_status(401);
    let text = export(&server, &admin.access, "format=csv&event_type=login.failed").await.text();
    assert!(text.contains(r#""'=HYPERLINK(""https://example.com"",""x"")""#), "{text}");
    assert!(text.ends_with("\"'-1\"\r\n"), "{text}");
}

async fn a_file_has_no_pages(server: Server) {
    let admin = administrator(&server).await;
    let cursor = {
        server.login(&admin.email).await;
        get(&server, &admin.access, &format!("{ALL}?limit=1")).await["pagination"]["next_cursor"].clone()
    };
    for (query, field) in [
        ("format=csv&limit=5".to_owned(), "limit"),
        (format!("format=csv&cursor={}", cursor.as_str().unwrap()), "cursor"),
    ] {
        server.get(&format!("{ALL}?{query}")).bearer(&admin.access).send().await.assert_invalid(field);
    }
}

/// Puts further entries into the log, all older than those that are there: logouts of the account, and of each `nth`
/// another event, which failed.
fn fill(server: &Endpoint, tokens: &Tokens, entries: u32, nth: u32) {
    let user = server.literal(tokens.user.0);
    let statement = match server.backend {
        Backend::Embedded => format!(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {entries}) \
             INSERT INTO audit_log (id, at, event, outcome, user_id, metadata) \
             SELECT unhex(printf('%012x7000800000000000%04x', 1000000 + i / 60000, i % 60000)), 1000000 + i / 60000, \
             CASE WHEN i % {nth} = 0 THEN 'refresh_token.reused' ELSE 'session.logged_out' END, \
             CASE WHEN i % {nth} = 0 THEN 'failure' ELSE 'success' END, {user}, '{{}}' FROM n"
        ),
        Backend::Scaled => format!(
            "INSERT INTO audit_log (id, at, event, outcome, user_id, metadata) \
             SELECT (lpad(to_hex(1000000 + i / 60000), 12, '0') || '7000800000000000' || \
             lpad(to_hex(i % 60000), 4, '0'))::uuid, \
             to_timestamp((1000000 + i / 60000) / 1000.0), \
             CASE WHEN i % {nth} = 0 THEN 'refresh_token.reused' ELSE 'session.logged_out' END, \
             CASE WHEN i % {nth} = 0 THEN 'failure' ELSE 'success' END, {user}, '{{}}' \
             FROM generate_series(0, {entries} - 1) AS n (i)"
        ),
    };
    server.sql(&statement);
}

async fn entries_are_counted_up_to_two_hundred(server: Server) {
    let tokens = server.register().await;
    fill(&server, &tokens, 199, 200);
    let total = async |query: &str| own(&server, &tokens, query).await["pagination"]["total"].clone();
    assert_eq!(total("limit=10").await, 200);
    assert_eq!(total("limit=10&event_type=session.logged_out").await, 198);
    server.login(&tokens.email).await;
    assert_eq!(total("limit=10").await, Value::Null);
    assert_eq!(total("limit=10&event_type=session.logged_out").await, 198);
}

async fn what_no_index_knows_is_looked_for_in_parts(server: Server) {
    let tokens = server.register().await;
    // The one that is looked for is the oldest.
    fill(&server, &tokens, 41_000, 100_000);
    let first = own(&server, &tokens, "status=failure&limit=5").await;
    assert_eq!(events(&first), Vec::<&str>::new());
    let pagination = &first["pagination"];
    assert_eq!((&pagination["has_more"], &pagination["total"]), (&json!(true), &Value::Null));
    let found = all_pages(&server, &tokens.access, &format!("{OWN}?status=failure&"), 5).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["event_type"], "refresh_token.reused");
    let found = all_pages(&server, &tokens.access, &format!("{OWN}?event_type=refresh_token.reused&"), 5).await;
    assert_eq!(found.len(), 1);
}

async fn the_oldest_entries_are_deleted_first(server: Server) {
    let tokens = server.register().await;
    fill(&server, &tokens, 10, 100);
    assert_eq!(server.count("audit_log WHERE user_id IS NOT NULL"), 11);
    let before = server.clock.now().minus(std::time::Duration::from_secs(3600));
    let oldest = ids(&own(&server, &tokens, "").await).pop().unwrap();
    let deleted: Vec<usize> =
        (0..4).map(|_| server.conn().write(|conn| audit::expire(conn, before, 4)).unwrap()).collect();
    assert_eq!(deleted, [4, 4, 2, 0]);
    let left = own(&server, &tokens, "").await;
    assert_eq!(events(&left), [Event::AccountRegistered.name()]);
    assert!(!ids(&left).contains(&oldest));
}
