//! `POST /api/v1/sessions/refresh`: one token for its successor. Each row of the table in `sessions::refresh`.

use diesel::prelude::*;
use keyturn::db::schema::sessions;
use keyturn::types::SessionId;

use crate::support::deployment::SessionRow;
use crate::support::http::at_once;
use crate::support::{Backend, Process, Server, Servers, Tokens, until};

both_backends! {
    the_current_token_is_exchanged_for_a_new_pair,
    the_former_access_token_is_good_for_the_length_of_the_replay_window,
    without_a_replay_window_the_former_access_token_is_refused_at_once,
    the_parent_within_the_window_gives_the_same_pair_again,
    the_parent_later_gives_the_same_successor_and_costs_one_recovery_for_its_generation,
    without_a_replay_window_every_repetition_is_a_recovery,
    a_third_recovery_in_a_row_is_theft,
    each_rotation_pays_back_an_eighth_of_a_recovery,
    the_parent_of_a_token_whose_access_token_was_seen_is_theft,
    an_access_token_from_before_a_recovery_counts_as_seen_too,
    an_access_token_of_an_earlier_generation_counts_for_nothing,
    within_the_window_the_parent_is_good_though_the_access_token_was_seen,
    an_older_token_ends_the_session_on_every_server,
    an_older_token_of_a_session_that_has_ended_changes_nothing,
    a_thief_who_shadows_an_idle_client_is_caught_at_the_third_rotation,
    a_thief_who_shadows_a_client_at_work_is_caught_at_the_first_rotation,
    a_client_that_loses_the_same_answer_twenty_times_in_an_hour_goes_on,
    a_token_that_the_database_has_lost_is_followed,
    a_lost_token_that_is_presented_often_at_once_has_one_successor,
    recoveries_and_thefts_are_told_to_people_without_the_tokens,
}

async fn the_current_token_is_exchanged_for_a_new_pair(server: Server) {
    let first = server.register().await;
    let answer = server.refresh(&first.refresh).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let second = Tokens::of(&answer);
    assert_ne!(first.refresh, second.refresh);
    assert_ne!(first.jti(), second.jti());
    assert_eq!((first.session, first.user), (second.session, second.user));

    let row = server.session(first.session);
    assert_eq!(row.generation, 1);
    assert_eq!((&row.token_digest, row.parent_digest.as_ref()), (&second.digest(), Some(&first.digest())));
    assert_eq!((row.access_jti, row.former_jti), (second.jti(), Some(first.jti())));
    assert_eq!((row.recovery_debt, row.recoveries, row.replays, row.recovered), (0, 0, 0, false));
    assert_eq!((server.count("sessions"), server.count("revocations")), (1, 0));
    assert_eq!(server.refreshes("rotated").await, 1);
    server.me(&second.access).await.assert_status(200);
}

async fn the_former_access_token_is_good_for_the_length_of_the_replay_window(servers: Servers) {
    servers.clock.hold();
    let first = servers.register().await;
    let second = servers.refreshed(&first).await;
    servers.advance(9);
    for server in servers.all() {
        server.me(&first.access).await.assert_status(200);
        server.me(&second.access).await.assert_status(200);
    }
    servers.advance(1);
    for server in servers.all() {
        server.assert_superseded(&first.access).await;
        server.me(&second.access).await.assert_status(200);
    }
}

async fn without_a_replay_window_the_former_access_token_is_refused_at_once(backend: Backend) {
    let servers = Servers::with(backend, &[("REFRESH_REPLAY_WINDOW", "0")]).await;
    let first = servers.register().await;
    for server in servers.all() {
        server.me(&first.access).await.assert_status(200);
    }
    let second = servers.refreshed(&first).await;
    for server in servers.all() {
        server.me(&first.access).await.assert_problem(401, "invalid_token");
        server.me(&second.access).await.assert_status(200);
    }
}

async fn the_parent_within_the_window_gives_the_same_pair_again(servers: Servers) {
    servers.clock.hold();
    let first = servers.register().await;
    let second = servers.refreshed(&first).await;
    let row = servers.session(first.session);
    for server in servers.all() {
        let again = server.refreshed(&first).await;
        assert_eq!((&again.refresh, again.jti()), (&second.refresh, second.jti()));
        server.me(&again.access).await.assert_status(200);
    }

    let replays = i32::try_from(servers.all().len()).unwrap();
    let after = until("the replays to be noted", async || {
        Some(servers.session(first.session)).filter(|row| row.replays == replays && row.access_seen)
    })
    .await;
    let noted = |row: SessionRow| SessionRow { replays: 0, access_seen: false, last_active_at: row.created_at, ..row };
    assert_eq!(noted(after), noted(row), "nothing else has changed");
    assert_eq!((servers.refreshes("rotated").await, servers.refreshes("replayed").await), (1, 1));
}

async fn the_parent_later_gives_the_same_successor_and_costs_one_recovery_for_its_generation(server: Server) {
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    server.advance(11);
    let recovered = server.refreshed(&first).await;
    assert_eq!(recovered.refresh, second.refresh);
    assert_ne!(recovered.jti(), second.jti());
    let row = server.session(first.session);
    assert_eq!((row.generation, row.recovery_debt, row.recoveries, row.recovered), (1, 8, 1, true));
    assert_eq!((row.access_jti, row.former_jti), (recovered.jti(), Some(second.jti())));
    assert_eq!((&row.token_digest, row.parent_digest.as_ref()), (&second.digest(), Some(&first.digest())));

    // A window of its own, in which the fresh access token is handed out again.
    let replayed = server.refreshed(&first).await;
    assert_eq!((&replayed.refresh, replayed.jti()), (&second.refresh, recovered.jti()));

    // The same generation costs one recovery, however often it is asked for.
    for _ in 0..3 {
        server.advance(11);
        let again = server.refreshed(&first).await;
        assert_eq!(again.refresh, second.refresh);
        assert!(![second.jti(), recovered.jti()].contains(&again.jti()));
        let row = server.session(first.session);
        assert_eq!((row.generation, row.recovery_debt, row.recoveries), (1, 8, 1));
        assert_eq!(row.access_jti, again.jti());
    }
    assert_eq!((server.refreshes("recovered").await, server.refreshes("replayed").await), (4, 1));

    let third = server.refreshed(&second).await;
    let row = server.session(first.session);
    assert_eq!((row.generation, row.recovery_debt, row.recoveries, row.recovered), (2, 7, 1, false));
    server.me(&third.access).await.assert_status(200);
    server.me(&second.access).await.assert_problem(401, "invalid_token");
}

async fn without_a_replay_window_every_repetition_is_a_recovery(backend: Backend) {
    let server = Server::with(backend, &[("REFRESH_REPLAY_WINDOW", "0")]).await;
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    let again = server.refreshed(&first).await;
    assert_eq!(again.refresh, second.refresh);
    assert_ne!(again.jti(), second.jti());
    assert_eq!(server.session(first.session).recoveries, 1);
    server.me(&again.access).await.assert_status(200);
    server.assert_reused(&first.refresh).await;
}

async fn a_third_recovery_in_a_row_is_theft(server: Server) {
    let mut current = server.register().await;
    for debt in [8, 15] {
        current = recover_and_go_on(&server, &current).await;
        assert_eq!(server.session(current.session).recovery_debt, debt);
    }
    let next = server.refreshed(&current).await;
    server.advance(11);
    server.assert_reused(&current.refresh).await;
    assert_ended_by_theft(&server, &next).await;
}

async fn each_rotation_pays_back_an_eighth_of_a_recovery(server: Server) {
    // Two recoveries, with one rotation between them: a debt of 15, of which a third leaves room for 8.
    for (rotations, debt, answer) in [(6, 9, 503), (7, 8, 200)] {
        let mut current = server.register().await;
        for _ in 0..2 {
            current = recover_and_go_on(&server, &current).await;
        }
        let mut parent = current.clone();
        for _ in 0..rotations {
            parent = current;
            current = server.refreshed(&parent).await;
        }
        assert_eq!(server.session(current.session).recovery_debt, debt);
        server.advance(11);
        server.refresh(&parent.refresh).await.assert_status(answer);
    }
}

async fn the_parent_of_a_token_whose_access_token_was_seen_is_theft(server: Server) {
    // The server that saw it is the one that is asked: nothing to wait for.
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    server.me(&second.access).await.assert_status(200);
    server.advance(11);
    server.assert_reused(&first.refresh).await;
    assert_ended_by_theft(&server, &second).await;

    // Another server saw it.
    let other = server.another().await;
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    other.verify(&second.access).await.assert_status(200);
    until("the other server's note", async || server.session(first.session).access_seen.then_some(())).await;
    server.advance(11);
    server.assert_reused(&first.refresh).await;
}

async fn an_access_token_from_before_a_recovery_counts_as_seen_too(server: Server) {
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    server.advance(11);
    assert_eq!(server.refreshed(&first).await.refresh, second.refresh);
    server.me(&second.access).await.assert_status(200);
    server.advance(11);
    server.assert_reused(&first.refresh).await;
}

async fn an_access_token_of_an_earlier_generation_counts_for_nothing(server: Server) {
    let first = server.register().await;
    server.me(&first.access).await.assert_status(200);
    let lost = server.refreshed(&first).await;
    // Still good for a while, so a client at work goes on to use it.
    server.verify(&first.access).await.assert_status(200);
    server.advance(11);
    assert_eq!(server.refreshed(&first).await.refresh, lost.refresh);
}

async fn within_the_window_the_parent_is_good_though_the_access_token_was_seen(server: Server) {
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    server.me(&second.access).await.assert_status(200);
    let again = server.refreshed(&first).await;
    assert_eq!((again.refresh.as_str(), again.jti()), (second.refresh.as_str(), second.jti()));
}

async fn an_older_token_ends_the_session_on_every_server(servers: Servers) {
    let first = servers.register().await;
    let second = servers.refreshed(&first).await;
    let third = servers.refreshed(&second).await;
    let bystander = servers.login(&first.email).await;
    for server in servers.all() {
        server.me(&third.access).await.assert_status(200);
    }
    servers.assert_reused(&first.refresh).await;
    for server in servers.all() {
        server.me(&third.access).await.assert_problem(401, "invalid_token");
        server.me(&second.access).await.assert_problem(401, "invalid_token");
        server.me(&bystander.access).await.assert_status(200);
    }
    assert_ended_by_theft(&servers, &third).await;
    // A server that starts afterwards remembers nothing but what the database says.
    servers.another().await.me(&third.access).await.assert_problem(401, "invalid_token");
}

async fn an_older_token_of_a_session_that_has_ended_changes_nothing(server: Server) {
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    let third = server.refreshed(&second).await;
    server.logout(&third.access).await.assert_status(204);
    let row = settled(&server, first.session).await;
    assert_eq!(row.revoked_reason.as_deref(), Some("logout"));
    server.refresh(&first.refresh).await.assert_problem(401, "refresh_token_reused");
    assert_eq!(server.session(first.session), row);
    assert_eq!(server.count("revocations"), 1);

    let first = server.register().await;
    let second = server.refreshed(&first).await;
    server.refreshed(&second).await;
    server.advance(604_801);
    let row = server.session(first.session);
    server.refresh(&first.refresh).await.assert_problem(401, "refresh_token_reused");
    assert_eq!(server.session(first.session), row);
}

async fn a_thief_who_shadows_an_idle_client_is_caught_at_the_third_rotation(server: Server) {
    let mut client = server.register().await;
    for caught in [false, false, true] {
        let stolen = client;
        client = server.refreshed(&stolen).await;
        server.advance(11);
        if caught {
            server.assert_reused(&stolen.refresh).await;
        } else {
            assert_eq!(server.refreshed(&stolen).await.refresh, client.refresh, "a token family never forks");
        }
    }
    assert_ended_by_theft(&server, &client).await;
}

async fn a_thief_who_shadows_a_client_at_work_is_caught_at_the_first_rotation(server: Server) {
    let stolen = server.register().await;
    let client = server.refreshed(&stolen).await;
    server.me(&client.access).await.assert_status(200);
    server.advance(11);
    server.assert_reused(&stolen.refresh).await;
    assert_ended_by_theft(&server, &client).await;
}

async fn a_client_that_loses_the_same_answer_twenty_times_in_an_hour_goes_on(backend: Backend) {
    // Redis counts attempts by its own clock, for which this hour is a second.
    let no_limits = [("LIMIT_REFRESH_SESSION", "off"), ("LIMIT_REFRESH_ADDRESS", "off")];
    let server = Server::with(backend, &no_limits).await;
    let first = server.register().await;
    let lost = server.refreshed(&first).await;
    for _ in 1..20 {
        server.advance(180);
        assert_eq!(server.refreshed(&first).await.refresh, lost.refresh);
    }
    server.advance(180);
    let arrived = server.refreshed(&first).await;
    assert_eq!(arrived.refresh, lost.refresh);
    assert_eq!(server.session(first.session).recoveries, 1);
    server.me(&arrived.access).await.assert_status(200);
    let next = server.refreshed(&arrived).await;
    server.me(&next.access).await.assert_status(200);
}

async fn a_token_that_the_database_has_lost_is_followed(server: Server) {
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    let backup = settled(&server, first.session).await;
    let third = server.refreshed(&second).await;
    let fourth = server.refreshed(&third).await;
    restore(&server, &backup);

    let fifth = server.refreshed(&fourth).await;
    let row = server.session(first.session);
    assert_eq!(row.generation, 4);
    assert_eq!((&row.token_digest, row.parent_digest.as_ref()), (&fifth.digest(), Some(&fourth.digest())));
    assert_eq!((row.revoked_at, row.access_jti), (None, fifth.jti()));
    assert_eq!((server.refreshes("caught_up").await, server.refreshes("rotated").await), (1, 3));
    server.me(&fifth.access).await.assert_status(200);

    // From then on it is a token family as any other.
    assert_eq!(server.refreshed(&fourth).await.refresh, fifth.refresh);
    server.refreshed(&fifth).await;
    server.assert_reused(&second.refresh).await;
}

async fn a_lost_token_that_is_presented_often_at_once_has_one_successor(server: Server) {
    let first = server.register().await;
    let backup = server.session(first.session);
    let second = server.refreshed(&first).await;
    let third = server.refreshed(&second).await;
    restore(&server, &backup);
    let other = server.another().await;
    let answers = at_once((0..20).map(|n| if n % 2 == 0 { &server } else { &other }.refreshing(&third.refresh))).await;
    let mut successors: Vec<String> = answers.iter().map(|answer| Tokens::of(answer).refresh).collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    assert_eq!(server.session(first.session).generation, 3);
}

async fn recoveries_and_thefts_are_told_to_people_without_the_tokens(backend: Backend) {
    let settings = [("REFRESH_REPLAY_WINDOW", "0"), ("LOG", "debug"), ("LIMIT_REFRESH_SESSION", "off")];
    let process = Process::with(backend, &settings);
    let first = process.register().await;
    let second = process.refreshed(&first).await;
    let recovered = process.refreshed(&first).await;
    let third = process.refreshed(&second).await;
    process.refresh(&first.refresh).await.assert_problem(503, "refresh_token_replaced");
    let again = until("the doubt to count", async || {
        Some(process.refresh(&first.refresh).await).filter(|answer| answer.status != 503)
    });
    again.await.assert_problem(401, "refresh_token_reused");
    process.refresh(&first.refresh.replace("ktr_A", "ktr_B")).await.assert_problem(401, "invalid_refresh_token");
    process.me(&third.access).await.assert_problem(401, "invalid_token");
    let about =
        format!("session_id = {} AND user_id = {}", process.literal(first.session.0), process.literal(first.user.0));
    let mut audited = process.audited(&about);
    audited.sort();
    let events = [
        "account.registered",
        "refresh_token.doubted",
        "refresh_token.recovered",
        "refresh_token.reused",
        "session.revoked",
    ];
    assert_eq!(audited, events);
    let told = process.log() + &serde_json::to_string(&process.rows("audit_log")).unwrap();
    for tokens in [&first, &second, &recovered, &third] {
        let signature = tokens.access.rsplit_once('.').unwrap().1;
        assert!(!told.contains(&tokens.refresh[32..]) && !told.contains(signature));
    }
    assert!(!told.contains(&first.email));
}

/// Rotates `parent`, recovers the successor after the window, and gives that.
async fn recover_and_go_on(server: &Server, parent: &Tokens) -> Tokens {
    let lost = server.refreshed(parent).await;
    server.advance(11);
    let recovered = server.refreshed(parent).await;
    assert_eq!(recovered.refresh, lost.refresh);
    recovered
}

async fn assert_ended_by_theft(server: &Server, current: &Tokens) {
    let row = server.session(current.session);
    assert_eq!(row.revoked_reason.as_deref(), Some("refresh_token_reused"));
    assert!(row.revoked_at.is_some());
    assert_eq!(server.count(&format!("revocations WHERE session_id = {}", server.literal(current.session.0))), 1);
    assert_eq!(server.refreshes("reused").await, 1);
    assert_eq!(server.metric("keyturn_revocations_total").await, 1);
    server.refresh(&current.refresh).await.assert_problem(401, "session_revoked");
    server.me(&current.access).await.assert_problem(401, "invalid_token");
}

/// A session's row after the notes that were on their way.
pub async fn settled(server: &Server, session: SessionId) -> SessionRow {
    // Notes are written in the order in which they were left: once this refresh's note is there, so are all before.
    let tokens = server.register().await;
    server.me(&tokens.access).await.assert_status(200);
    until("notes to be written", async || server.session(tokens.session).access_seen.then_some(())).await;
    server.session(session)
}

/// Brings a session's row back to what it once was, as the restore of a backup would.
fn restore(server: &Server, row: &SessionRow) {
    let restored = diesel::update(sessions::table.find(row.id))
        .set((
            sessions::generation.eq(row.generation),
            sessions::revision.eq(row.revision),
            sessions::token_digest.eq(&row.token_digest),
            sessions::parent_digest.eq(&row.parent_digest),
            sessions::rotation_salt.eq(&row.rotation_salt),
            sessions::issued_at.eq(row.issued_at),
            sessions::access_jti.eq(row.access_jti),
            sessions::former_jti.eq(row.former_jti),
            sessions::access_seen.eq(row.access_seen),
            sessions::last_active_at.eq(row.last_active_at),
            sessions::expires_at.eq(row.expires_at),
        ))
        .execute(&mut server.conn());
    assert_eq!(restored.unwrap(), 1);
    assert_eq!(server.session(row.id), *row);
}
