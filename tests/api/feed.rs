//! The feed of revocations: every reader knows all that was revoked, and how old its knowledge is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use keyturn::clock::Clock;
use serde_json::{Value, json};

use crate::audit::administrator;
use crate::clients::introspecting;
use crate::support::feed::{FEED, Reader};
use crate::support::proxy::{Proxy, Wire};
use crate::support::servers::Postgres;
use crate::support::{
    Backend, Deployment, Endpoint, Process, Request, Response, Server, Servers, Tokens, until, variable,
};

both_backends! {
    a_reader_is_told_what_was_revoked_before_and_what_is_revoked_then,
    new_claims_end_the_tokens_of_a_session_and_not_the_session,
    a_reader_goes_on_with_its_cursor_where_it_was,
    a_cursor_that_means_nothing_here_leads_to_a_reset,
    a_long_poll_waits_for_something_new_and_no_longer,
    a_server_that_ends_says_so,
    the_wait_of_a_long_poll_is_checked,
    only_clients_with_the_scope_read_the_feed,
    a_client_that_is_disabled_is_cut_off,
}

scaled_only! {
    a_revocation_of_one_server_reaches_readers_of_another_without_redis,
    a_transaction_that_commits_late_is_not_left_out,
    a_server_that_cannot_read_the_log_sends_no_sync,
    a_database_that_was_restored_leads_to_a_reset,
    readers_know_all_though_servers_are_killed,
}

/// Sends a long poll.
fn poll(server: &Endpoint, reader: &str, cursor: Option<&str>, wait: u64) -> Request {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    server.get(&format!("{FEED}?wait={wait}{cursor}")).header("authorization", reader)
}

fn page(answer: &Response) -> Value {
    answer.assert_status(200).json()
}

fn cursor(page: &Value) -> &str {
    page["cursor"].as_str().unwrap()
}

fn sids(page: &Value) -> Vec<&str> {
    page["revocations"].as_array().unwrap().iter().map(|entry| entry["sid"].as_str().unwrap()).collect()
}

async fn until_told(reader: &Reader, session: &str) -> Value {
    until("the reader to be told", async || reader.told(|told| told.sessions.get(session).cloned())).await
}

async fn until_synced(reader: &Reader) {
    let before = reader.told(|told| told.syncs);
    until("a sync", async || reader.told(|told| (told.syncs > before).then_some(()))).await;
}

async fn a_reader_is_told_what_was_revoked_before_and_what_is_revoked_then(server: Server) {
    let client = server.reader().await;
    let first = server.register().await;
    let second = server.register().await;
    server.logout(&first.access).await.assert_status(204);
    let reader = Reader::start(vec![server.address], &client, None);
    let entry = until_told(&reader, &first.session.0.to_string()).await;
    assert_eq!(entry["jti"], Value::Null);
    assert_eq!(entry["reason"], "logout");
    assert!(entry["revoked_at"].as_str() < entry["expires_at"].as_str(), "{entry}");
    until_synced(&reader).await;
    assert_eq!(reader.told(|told| told.resets), 1);
    assert!(reader.told(|told| !told.sessions.contains_key(&second.session.0.to_string())));
    server.logout(&second.access).await.assert_status(204);
    until_told(&reader, &second.session.0.to_string()).await;
    until_synced(&reader).await;
    let sync = reader.told(|told| told.last_sync.clone().unwrap().1);
    assert!(sync["age_ms"].as_u64().unwrap() < 10_000, "{sync}");
    assert!(sync["server_time"].is_string(), "{sync}");
    assert_eq!(reader.told(|told| (told.resets, told.connections)), (1, 1));
}

async fn new_claims_end_the_tokens_of_a_session_and_not_the_session(server: Server) {
    let client = server.reader().await;
    let tokens = server.register().await;
    let administrator = administrator(&server).await;
    let before = page(&poll(&server, &client, None, 0).send().await);
    let user = server.patch(&format!("/api/v1/admin/users/{}", tokens.user.0));
    user.bearer(&administrator.access).json(&json!({"roles": ["user", "editor"]})).send().await.assert_status(200);
    let told = page(&poll(&server, &client, Some(cursor(&before)), 5).send().await);
    let entry = &told["revocations"][0];
    assert_eq!(entry["sid"], tokens.session.0.to_string());
    assert_eq!(entry["reason"], "account_changed");
    let claims = tokens.claims();
    assert_eq!(entry["jti"], claims["jti"]);
    assert_eq!(entry["before_rev"], claims["rev"].as_i64().unwrap_or_default() + 1);
    let refreshed = server.refreshed(&tokens).await.claims();
    assert!(refreshed["rev"].as_i64() >= entry["before_rev"].as_i64(), "{refreshed} {entry}");
}

async fn a_reader_goes_on_with_its_cursor_where_it_was(servers: Servers) {
    let one = servers.all().first().unwrap();
    let client = one.reader().await;
    let other = servers.all().last().unwrap();
    let first = one.register().await;
    let second = one.register().await;
    one.logout(&first.access).await.assert_status(204);
    let begin = page(&poll(one, &client, None, 0).send().await);
    assert_eq!((begin["reset"].as_bool(), sids(&begin)), (Some(true), vec![&*first.session.0.to_string()]));
    let nothing = page(&poll(one, &client, Some(cursor(&begin)), 0).send().await);
    assert_eq!((nothing["reset"].as_bool(), sids(&nothing).len()), (Some(false), 0));
    one.logout(&second.access).await.assert_status(204);
    let rest = page(&poll(one, &client, Some(cursor(&nothing)), 0).send().await);
    assert_eq!(sids(&rest), [second.session.0.to_string()]);
    // The other server has a count of its own. It may repeat what was told, and leaves nothing out.
    let elsewhere = until("the other server to know", async || {
        let told = page(&poll(other, &client, Some(cursor(&nothing)), 0).send().await);
        sids(&told).contains(&&*second.session.0.to_string()).then_some(told)
    })
    .await;
    assert_eq!(elsewhere["reset"], false);
}

async fn a_cursor_that_means_nothing_here_leads_to_a_reset(server: Server) {
    let client = server.reader().await;
    let tokens = server.register().await;
    server.logout(&tokens.access).await.assert_status(204);
    let own = cursor(&page(&poll(&server, &client, None, 0).send().await)).to_owned();
    let other = own.replace(|symbol: char| symbol.is_ascii_lowercase(), "z");
    for foreign in ["0", "what", &*other, &own[1..]] {
        let told = page(&poll(&server, &client, Some(foreign), 30).send().await);
        assert_eq!((told["reset"].as_bool(), sids(&told).len()), (Some(true), 1), "{foreign}");
        let reader = Reader::start(vec![server.address], &client, Some(foreign.to_owned()));
        until_told(&reader, &tokens.session.0.to_string()).await;
        assert_eq!(reader.told(|told| told.resets), 1);
    }
}

async fn a_long_poll_waits_for_something_new_and_no_longer(server: Server) {
    let client = server.reader().await;
    let tokens = server.register().await;
    let begin = page(&poll(&server, &client, None, 30).send().await);
    let waiting = poll(&server, &client, Some(cursor(&begin)), 30).begin().await.unwrap();
    server.logout(&tokens.access).await.assert_status(204);
    let told = page(&waiting.answer().await.unwrap());
    assert_eq!(sids(&told), [tokens.session.0.to_string()]);
    let begun = Instant::now();
    let nothing = page(&poll(&server, &client, Some(cursor(&told)), 1).send().await);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!((sids(&nothing).len(), &nothing["has_more"]), (0, &json!(false)));
}

async fn the_wait_of_a_long_poll_is_checked(server: Server) {
    let client = server.reader().await;
    for wait in ["31", "-1", "1.5", "x", ""] {
        let request = server.get(&format!("{FEED}?wait={wait}")).header("authorization", &client);
        request.send().await.assert_invalid("wait");
    }
}

async fn a_server_that_ends_says_so(backend: Backend) {
    let mut process = Process::with(backend, &[]);
    let client = process.reader().await;
    let reader = Reader::start(vec![process.address], &client, None);
    until_synced(&reader).await;
    let poll = poll(&process, &client, Some(&reader.told(|told| told.cursor.clone().unwrap())), 30);
    let mut waiting = poll.header("expect", "100-continue").begin().await.unwrap();
    waiting.under_way().await;
    process.terminate();
    until("a bye", async || reader.told(|told| (told.byes >= 1).then_some(()))).await;
    assert_eq!(sids(&page(&waiting.answer().await.unwrap())).len(), 0);
    until("the server to end", async || process.ended()).await;
}

async fn a_revocation_of_one_server_reaches_readers_of_another_without_redis(backend: Backend) {
    let deployment = Deployment::new(backend);
    let settings = [("REDIS_URL", "")];
    let one = Server::start(&deployment, &settings, Clock::default()).await;
    let client = one.reader().await;
    let other = Server::start(&deployment, &settings, Clock::default()).await;
    let reader = Reader::start(vec![other.address], &client, None);
    until_synced(&reader).await;
    let tokens = one.register().await;
    one.logout(&tokens.access).await.assert_status(204);
    until_told(&reader, &tokens.session.0.to_string()).await;
    other.me(&tokens.access).await.assert_status(401);
}

/// Inserts an entry about a session that does not exist, in a transaction that stays open.
fn append(session: &str) -> String {
    format!(
        "INSERT INTO revocations (session_id, user_id, reason, revoked_at, expires_at)
         VALUES ('{session}', '{session}', 'logout', now(), now() + interval '10 minutes')"
    )
}

async fn a_transaction_that_commits_late_is_not_left_out(server: Server) {
    let client = server.reader().await;
    let reader = Reader::start(vec![server.address], &client, None);
    until_synced(&reader).await;
    let late = "01000000-0000-7000-8000-000000000001";
    let early = "01000000-0000-7000-8000-000000000002";
    let mut transaction = server.conn();
    transaction.batch_execute("BEGIN").unwrap();
    transaction.batch_execute(&append(late)).unwrap();
    server.sql(&append(early));
    until_told(&reader, early).await;
    until_synced(&reader).await;
    let cursor = reader.told(|told| told.cursor.clone());
    let resumed = Reader::start(vec![server.address], &client, cursor.clone());
    until_synced(&resumed).await;
    transaction.batch_execute("COMMIT").unwrap();
    until_told(&reader, late).await;
    until_told(&resumed, late).await;
    // Neither is it for one who comes back to another server with the cursor from before the commit.
    let another = server.another().await;
    let elsewhere = Reader::start(vec![another.address], &client, cursor);
    until_told(&elsewhere, late).await;
    assert_eq!(elsewhere.told(|told| told.resets), 0);
}

async fn a_server_that_cannot_read_the_log_sends_no_sync(backend: Backend) {
    let deployment = Deployment::new(backend);
    let (proxy, url) = Proxy::before(&deployment.database_url()).await;
    let server = Server::start(&deployment, &[("DATABASE_URL", &url)], Clock::default()).await;
    let client = server.reader().await;
    let reader = Reader::start(vec![server.address], &client, None);
    until_synced(&reader).await;
    proxy.set(Wire::AnswersHeld);
    // One read may have been answered before.
    until("syncs to stop", async || {
        reader.told(|told| (told.last_sync.as_ref().unwrap().0.elapsed() > Duration::from_millis(1500)).then_some(()))
    })
    .await;
    assert_eq!(reader.told(|told| told.connections), 1);
    proxy.set(Wire::Open);
    until_synced(&reader).await;
    assert_eq!(reader.told(|told| (told.connections, told.resets)), (1, 1));
}

async fn a_database_that_was_restored_leads_to_a_reset(_: Backend) {
    let mut postgres = Postgres::start(&[]);
    let deployment = Deployment::on(&postgres.url(), &variable("KEYTURN_TEST_REDIS_URL"));
    let (proxy, url) = Proxy::before(&deployment.database_url()).await;
    let server = Server::start(&deployment, &[("DATABASE_URL", &url)], Clock::default()).await;
    let client = server.reader().await;
    let reader = Reader::start(vec![server.address], &client, None);
    let tokens = server.register().await;
    server.logout(&tokens.access).await.assert_status(204);
    until_told(&reader, &tokens.session.0.to_string()).await;
    until_synced(&reader).await;
    let cursor = reader.told(|told| told.cursor.clone());
    // The backup has nothing of the revocation.
    proxy.set(Wire::Cut);
    postgres.stop();
    postgres.start_again();
    server.sql("DELETE FROM revocations; UPDATE sessions SET revoked_at = NULL, revoked_reason = NULL");
    proxy.set(Wire::Open);
    until("a reset", async || reader.told(|told| (told.resets == 2).then_some(()))).await;
    // What this server knows is written again, and told.
    until_told(&reader, &tokens.session.0.to_string()).await;
    until_synced(&reader).await;
    let resumed = Reader::start(vec![server.address], &client, cursor);
    until_told(&resumed, &tokens.session.0.to_string()).await;
    assert_eq!(resumed.told(|told| told.resets), 1);
}

async fn readers_know_all_though_servers_are_killed(backend: Backend) {
    let deployment: Arc<Deployment> = Deployment::new(backend);
    let off = ["LIMIT_REGISTER_ADDRESS", "LIMIT_LOGIN_ADDRESS", "LIMIT_LOGIN_ACCOUNT"].map(|limit| (limit, "off"));
    let settings = [&off[..], &[("MAX_CONNECTIONS_PER_ADDRESS", "0")]].concat();
    let mut fleet = Process::fleet(&deployment, &settings);
    let addresses: Vec<_> = fleet.iter().map(|process| process.address).collect();
    let authorization = fleet[0].reader().await;
    let readers: Vec<Reader> = (0..20)
        .map(|n| Reader::start([&addresses[n % 2..], &addresses[..n % 2]].concat(), &authorization, None))
        .collect();
    let people: Vec<Tokens> = {
        let mut people = Vec::new();
        for _ in 0..30 {
            people.push(fleet[0].register().await);
        }
        people
    };
    for (n, person) in people.iter().enumerate() {
        // A third of the revocations each on either server and after a kill.
        if n == 10 || n == 20 {
            let killed = n / 10 - 1;
            fleet[killed].kill();
            let bind = addresses[killed].to_string();
            fleet[killed] = Process::start(&deployment, &[&settings[..], &[("BIND", &bind)]].concat());
        }
        fleet[n % 2].logout(&person.access).await.assert_status(204);
    }
    for reader in &readers {
        for person in &people {
            until_told(reader, &person.session.0.to_string()).await;
        }
    }
}

async fn only_clients_with_the_scope_read_the_feed(server: Server) {
    let client = server.reader().await;
    let tokens = server.register().await;
    let (_, other) = introspecting(&server).await;
    let feed = || server.get(FEED);
    let refused = feed().send().await;
    refused.assert_problem(401, "invalid_client");
    assert!(refused.header("www-authenticate").unwrap().starts_with("Basic "), "{refused:?}");
    feed().header("authorization", &other.basic()).send().await.assert_problem(403, "insufficient_scope");
    let wrong = format!("{}AAAA", &client[..client.len() - 4]);
    feed().header("authorization", &wrong).send().await.assert_problem(401, "invalid_client");
    feed().bearer(&tokens.access).send().await.assert_problem(401, "invalid_token");
    // Nobody else learns even what is wrong with a request.
    server.get(&format!("{FEED}?wait=x")).send().await.assert_problem(401, "invalid_client");
}

async fn a_client_that_is_disabled_is_cut_off(server: Server) {
    let client = server.reader().await;
    let reader = Reader::start(vec![server.address], &client, None);
    until_synced(&reader).await;
    server.sql("UPDATE clients SET disabled_at = created_at");
    until("the reader to be cut off", async || {
        let syncs = reader.told(|told| told.syncs);
        tokio::time::sleep(Duration::from_secs(1)).await;
        reader.told(|told| (told.syncs == syncs).then_some(()))
    })
    .await;
    assert_eq!(reader.told(|told| told.connections), 1);
}
