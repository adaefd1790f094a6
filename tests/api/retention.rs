//! Removing what was kept for long enough: nothing too early, everything in the end, once, and nobody waits for it.

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use keyturn::clock::Clock;
use keyturn::db::schema::sessions;
use keyturn::types::{SessionId, Timestamp};

use crate::audit::administrator;
use crate::support::process::command;
use crate::support::{Backend, Deployment, Server, Servers, Tokens, until};

both_backends! {
    a_session_is_removed_once_it_has_ended_for_as_long_as_it_is_kept,
    the_refresh_token_of_a_session_that_was_removed_has_expired,
    what_nobody_can_use_any_more_is_removed,
    events_are_removed_when_they_are_too_old_and_never_if_they_are_kept_for_ever,
    one_server_at_a_time_deletes_and_another_takes_its_place,
    many_sessions_are_removed_once_while_refreshes_go_on,
    where_deleting_is_left_to_operators_no_server_does,
    administrators_delete_by_hand,
}

const DAY: u64 = 86_400;

/// Kept for ten days after their end.
const RETENTION: [(&str, &str); 2] = [("SESSION_RETENTION", "864000"), ("SWEEP_INTERVAL", "0")];

/// Runs `keyturn session cleanup` and gives how many sessions and other rows it deleted.
pub fn cleanup(deployment: &Deployment, settings: &[(&str, &str)]) -> (u64, u64) {
    cleanup_by("cleanup", deployment, settings)
}

/// Runs the command by one of its names.
fn cleanup_by(name: &str, deployment: &Deployment, settings: &[(&str, &str)]) -> (u64, u64) {
    let output = command(deployment, settings).args(["session", name]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = printed.lines().map(|line| line.rsplit_once(": ").unwrap().1.parse().unwrap()).collect();
    (numbers[0], numbers[1])
}

/// Moves a session into the past, its id included: programs have no clock that a test could set.
fn age(deployment: &Deployment, tokens: &Tokens, days: u64) -> SessionId {
    let ago = Duration::from_secs(days * DAY);
    let row = deployment.session(tokens.session);
    let millis = u64::try_from(row.created_at.minus(ago).as_millis()).unwrap();
    let id = SessionId(uuid::Builder::from_unix_timestamp_millis(millis, &keyturn::random::Random.bytes()).into_uuid());
    diesel::update(sessions::table.find(row.id))
        .set((
            sessions::id.eq(id),
            sessions::created_at.eq(row.created_at.minus(ago)),
            sessions::expires_at.eq(row.expires_at.minus(ago)),
            sessions::ends_at.eq(row.ends_at.minus(ago)),
            sessions::revoked_at.eq(row.revoked_at.map(|at| at.minus(ago))),
        ))
        .execute(&mut deployment.conn())
        .unwrap();
    id
}

async fn a_session_is_removed_once_it_has_ended_for_as_long_as_it_is_kept(backend: Backend) {
    let server = Server::with(backend, &RETENTION).await;
    let own = server.register().await;
    let mut aged = Vec::new();
    // Seven days unused end a session.
    for (revoked, days) in [(false, 16), (false, 18), (true, 9), (true, 11), (false, 100)] {
        let session = server.login(&own.email).await;
        if revoked {
            server.logout(&session.access).await.assert_status(204);
        }
        aged.push(age(&server, &session, days));
    }
    // Old, and in use.
    let used = age(&server, &server.login(&own.email).await, 20);
    let until = server.clock.now().plus(Duration::from_secs(DAY));
    diesel::update(sessions::table.find(used))
        .set((sessions::expires_at.eq(until), sessions::ends_at.eq(until)))
        .execute(&mut server.conn())
        .unwrap();
    assert_eq!(cleanup(&server, &RETENTION).0, 3);
    let left: Vec<SessionId> = sessions::table.select(sessions::id).load(&mut server.conn()).unwrap();
    let expected = [aged[0], aged[2], used, own.session];
    assert!(left.len() == 4 && expected.iter().all(|id| left.contains(id)), "{left:?}");
    // The former name of the command still works.
    assert_eq!(cleanup_by("sweep", &server, &RETENTION), (0, 0));
    server.me(&own.access).await.assert_status(200);
}

async fn the_refresh_token_of_a_session_that_was_removed_has_expired(backend: Backend) {
    let settings = [("SESSION_RETENTION", "60"), ("SWEEP_INTERVAL", "1")];
    let server = Server::with(backend, &settings).await;
    let (own, ended) = (server.register().await, server.register().await);
    server.logout(&ended.access).await.assert_status(204);
    server.advance(8 * DAY);
    until("the sessions to be removed", async || (server.count("sessions") == 0).then_some(())).await;
    for tokens in [&own, &ended] {
        server.refresh(&tokens.refresh).await.assert_problem(401, "session_expired");
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    }
}

async fn what_nobody_can_use_any_more_is_removed(backend: Backend) {
    let deployment = Deployment::new(backend);
    let server = Server::start(&deployment, &[("SWEEP_INTERVAL", "0")], Clock::default()).await;
    let own = server.register().await;
    server.sql("DELETE FROM opaque_tokens");
    let (now, user) = (server.clock.now(), server.literal(own.user.0));
    let time = |at: Timestamp| match backend {
        Backend::Embedded => at.as_millis().to_string(),
        Backend::Scaled => format!("'{at}'"),
    };
    let blob = |text: &str| match backend {
        Backend::Embedded => format!("X'{text}'"),
        Backend::Scaled => format!("'\\x{text}'"),
    };
    let (past, future) = (now.minus(Duration::from_secs(60)), now.plus(Duration::from_secs(60)));
    let tables = ["opaque_tokens", "mfa_challenges", "trusted_devices", "login_failures", "hourly_counts"];
    for (digest, old) in [("aa", true), ("bb", false)] {
        let (digest, expires) = (blob(digest), time(if old { past } else { future }));
        let day_ago = time(now.minus(Duration::from_secs(if old { DAY + 1 } else { DAY - 60 })));
        let days_ago = time(now.minus(Duration::from_secs(if old { 91 * DAY } else { 89 * DAY })));
        let (created, id) = (time(past), server.literal(keyturn::random::Random.id(now)));
        server.sql(&format!(
            "INSERT INTO opaque_tokens (digest, user_id, purpose, created_at, expires_at) \
               VALUES ({digest}, {user}, 'report_login', {created}, {expires}); \
             INSERT INTO mfa_challenges (digest, transport) VALUES ({digest}, 'bearer'); \
             INSERT INTO trusted_devices (id, digest, device, last_used_at) \
               VALUES ({id}, {digest}, '{{}}', {created}); \
             INSERT INTO login_failures (source, failures, last_failed_at) VALUES ({digest}, 1, {day_ago}); \
             INSERT INTO hourly_counts (hour, name, count) VALUES ({days_ago}, 'logins', 1);"
        ));
    }
    server.sql(&format!(
        "INSERT INTO email_changes (user_id, email, email_normalized, created_at, expires_at) \
         VALUES ({user}, 'a@example.com', 'a@example.com', {0}, {0})",
        time(past)
    ));
    // The rows about a challenge and a device go with their token.
    assert_eq!(cleanup(&deployment, &[]), (0, 4));
    for table in tables {
        assert_eq!(server.count(table), 1, "{table}");
    }
    assert_eq!(server.count("email_changes"), 0);
    server.me(&own.access).await.assert_status(200);
}

async fn events_are_removed_when_they_are_too_old_and_never_if_they_are_kept_for_ever(backend: Backend) {
    let deployment = Deployment::new(backend);
    let settings = |kept| [("AUDIT_RETENTION", kept), ("SWEEP_INTERVAL", "1"), ("LIMIT_LOGIN_ACCOUNT", "off")];
    let clock = Clock::default();
    let server = Server::start(&deployment, &settings("3600"), clock.clone()).await;
    let own = server.register().await;
    let before = server.count("audit_log");
    server.advance(3601);
    server.login(&own.email).await;
    until("old events to be removed", async || {
        (server.count("audit_log WHERE event = 'account.registered'") == 0).then_some(())
    })
    .await;
    assert!(before >= 1 && server.count("audit_log WHERE event = 'login.succeeded'") == 1);
    drop(server);
    clock.advance(Duration::from_secs(3650 * DAY));
    let server = Server::start(&deployment, &settings("0"), clock).await;
    until("the sessions to be removed", async || (server.count("sessions") == 0).then_some(())).await;
    assert_eq!(server.count("audit_log WHERE event = 'login.succeeded'"), 1);
}

fn holder(deployment: &Deployment) -> String {
    let leases = deployment.rows("leases");
    let lease = leases.iter().find(|lease| lease["name"] == "retention").unwrap();
    lease["holder"].as_str().unwrap().to_owned()
}

async fn one_server_at_a_time_deletes_and_another_takes_its_place(backend: Backend) {
    let servers = Servers::with(backend, &[("SWEEP_INTERVAL", "1"), ("SESSION_RETENTION", "60")]).await;
    let first =
        until("a server to take the lease", async || Some(holder(&servers)).filter(|name| name.len() > 4)).await;
    let another = servers.all()[0].another().await;
    // The lease lasts for half a minute of a clock that hardly moves: nobody else gets it.
    let own = servers.register().await;
    servers.advance(8 * DAY);
    until("the session to be removed", async || (servers.count("sessions") == 0).then_some(())).await;
    drop(servers);
    let own = another.register_as(&format!("other-{}", own.email)).await;
    until("another server to take the lease", async || {
        another.advance(60);
        Some(holder(&another)).filter(|name| *name != first)
    })
    .await;
    another.advance(40 * DAY);
    until("the session to be removed", async || (another.count("sessions") == 0).then_some(())).await;
    another.refresh(&own.refresh).await.assert_problem(401, "session_expired");
}

async fn many_sessions_are_removed_once_while_refreshes_go_on(deployment: Arc<Deployment>) {
    const OLD: usize = 2500;
    let settings = [("SESSION_RETENTION", "864000"), ("SWEEP_INTERVAL", "0"), ("LIMIT_REFRESH_SESSION", "off")];
    let server = Server::start(&deployment, &settings, Clock::default()).await;
    let old = age(&server, &server.register().await, 100);
    let row = deployment.literal(old.0);
    let columns = "user_id, created_at, authenticated_at, last_active_at, expires_at, ends_at, generation, revision, \
                   token_digest, issued_at, access_expires_at, access_jti, device, amr, client_id";
    // Ids of the same time, made of their number.
    let id = match deployment.backend {
        Backend::Embedded => "CAST(substr(id, 1, 6) || X'7000' || X'8000' || randomblob(6) AS BLOB)",
        Backend::Scaled => "(substr(id::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid",
    };
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)";
    deployment.sql(&format!(
        "{numbers} INSERT INTO sessions (id, {columns}) SELECT {id}, {columns} FROM sessions, n WHERE id = {row}"
    ));
    assert_eq!(deployment.count("sessions"), i64::try_from(OLD).unwrap() + 1);
    let mut live = server.register().await;
    let cleanups = [0; 2].map(|_| {
        let deployment = Arc::clone(&deployment);
        std::thread::spawn(move || cleanup(&deployment, &settings).0)
    });
    while cleanups.iter().any(|cleanup| !cleanup.is_finished()) {
        live = Tokens::of(&server.refreshing(&live.refresh).persist().await.0);
        server.me(&live.access).await.assert_status(200);
        tokio::task::yield_now().await;
    }
    let removed: u64 = cleanups.into_iter().map(|cleanup| cleanup.join().unwrap()).sum();
    assert_eq!(removed, u64::try_from(OLD).unwrap() + 1, "each by one of the two");
    assert_eq!(deployment.count("sessions"), 1);
}

async fn where_deleting_is_left_to_operators_no_server_does(backend: Backend) {
    let server = Server::with(backend, &[("SWEEP_INTERVAL", "0"), ("SESSION_RETENTION", "0")]).await;
    let own = server.register().await;
    server.logout(&own.access).await.assert_status(204);
    let row = age(&server, &own, 1);
    assert!(holder(&server).len() <= 4);
    assert_eq!(server.session(row).revoked_reason.as_deref(), Some("logout"));
    // The command shows that there is something to be deleted.
    assert_eq!(cleanup(&server, &[("SESSION_RETENTION", "0")]).0, 1);
    assert_eq!(server.count("sessions"), 0);
}

async fn administrators_delete_by_hand(server: Server) {
    let (own, admin) = (server.register().await, administrator(&server).await);
    let cleanup = |access: &str| server.post("/api/v1/sessions/cleanup").bearer(access).send();
    for _ in 0..3 {
        let ended = server.login(&own.email).await;
        server.logout(&ended.access).await.assert_status(204);
        age(&server, &ended, 20);
    }
    let older = server.login(&own.email).await;
    server.logout(&older.access).await.assert_status(204);
    let older = age(&server, &older, 31);
    cleanup(&own.access).await.assert_problem(403, "forbidden");
    assert_eq!(server.session(older).revoked_reason.as_deref(), Some("logout"));
    for deleted in [1, 0] {
        let told = cleanup(&admin.access).await.assert_status(200).json();
        assert_eq!(told, serde_json::json!({"expired": 3, "deleted": deleted}));
    }
    server.advance(601);
    cleanup(&admin.access).await.assert_problem(401, "insufficient_user_authentication");
}
