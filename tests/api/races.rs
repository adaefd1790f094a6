//! Refreshes that meet each other, lose their answers or their server: a token family never forks and a client never
//! loses it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use keyturn::clock::Clock;
use serde_json::json;

use crate::support::http::at_once;
use crate::support::proxy::Wire;
use crate::support::{
    Backend, Deployment, Endpoint, PASSWORD, Process, Proxy, Response, Server, Servers, Tokens, until,
};

both_backends! {
    a_hundred_copies_of_one_token_at_all_processes_have_one_successor,
    copies_of_many_tokens_at_once_have_one_successor_each,
    refreshes_at_once_do_to_each_session_what_one_alone_does,
    a_client_that_hangs_up_gets_its_answer_by_asking_again,
    a_refresh_and_a_logout_at_once_leave_the_session_ended,
    a_session_that_was_counted_as_ended_amid_logins_is_never_live,
    a_refresh_beside_a_change_of_roles_never_keeps_the_old_ones,
}

embedded_only! {
    a_server_that_is_killed_at_any_moment_leaves_a_chain_that_goes_on,
}

scaled_only! {
    a_server_that_is_killed_between_commit_and_answer_leaves_the_successor_to_be_asked_for_again,
    a_connection_that_breaks_between_commit_and_answer_leaves_the_successor_to_be_asked_for_again,
    a_database_that_does_not_answer_is_not_waited_for_in_vain,
    a_locked_row_does_not_hold_up_the_others,
    a_repetition_that_is_overtaken_on_its_way_is_not_taken_for_theft,
}

async fn a_refresh_beside_a_change_of_roles_never_keeps_the_old_ones(backend: Backend) {
    const PEOPLE: usize = 12;
    let limits = ["LIMIT_REFRESH_SESSION", "LIMIT_REFRESH_ADDRESS", "LIMIT_REGISTER_ADDRESS", "LIMIT_WRITE_ACCOUNT"];
    let server = Server::with(backend, &limits.map(|name| (name, "off"))).await;
    let admin = crate::audit::administrator(&server).await;
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        people.push(server.register().await);
    }
    for round in 0..15 {
        let role = format!("role-{round}");
        let refreshes = people
            .iter()
            .map(|person| server.post("/api/v1/sessions/refresh").json(&json!({"refresh_token": person.refresh})));
        let changes = people.iter().map(|person| {
            let user = server.patch(&format!("/api/v1/admin/users/{}", person.user)).bearer(&admin.access);
            user.json(&json!({"roles": ["user", role]}))
        });
        let answers = at_once(changes.chain(refreshes)).await;
        for (person, answer) in people.iter_mut().zip(&answers[PEOPLE..]) {
            *person = Tokens::of(answer);
            let is_current = person.claims()["roles"] == json!(["user", role]);
            assert!(is_current || server.me(&person.access).await.status == 401, "{role}: {}", person.claims());
        }
    }
}

async fn a_hundred_copies_of_one_token_at_all_processes_have_one_successor(deployment: Arc<Deployment>) {
    let processes = Process::fleet(&deployment, &[]);
    let first = processes[0].register().await;
    let copies = (0..100).map(|n| processes[n % processes.len()].refreshing(&first.refresh));
    let pairs: Vec<Tokens> = at_once(copies).await.iter().map(Tokens::of).collect();
    let distinct = |part: fn(&Tokens) -> String| pairs.iter().map(part).collect::<HashSet<_>>().len();
    assert_eq!(distinct(|tokens| tokens.refresh.clone()), 1);
    assert_eq!(distinct(|tokens| tokens.jti().to_string()), 1);
    let row = deployment.session(first.session);
    assert_eq!((row.generation, row.revoked_at), (1, None));
    assert_eq!((&row.token_digest, row.access_jti), (&pairs[0].digest(), pairs[0].jti()));
    assert_eq!(total(&processes, "rotated").await, 1);
    assert_eq!(total(&processes, "replayed").await, 99);
    until("the replays to be noted", async || (deployment.session(first.session).replays == 99).then_some(())).await;
    for process in &processes {
        process.me(&pairs[0].access).await.assert_status(200);
    }
    processes[processes.len() - 1].refreshed(&pairs[0]).await;
}

async fn copies_of_many_tokens_at_once_have_one_successor_each(deployment: Arc<Deployment>) {
    const SESSIONS: usize = 20;
    const COPIES: usize = 10;
    let off = [("LIMIT_LOGIN_ACCOUNT", "off")];
    let processes = Process::fleet(&deployment, &off);
    let mut current = vec![processes[0].register().await];
    for _ in 1..SESSIONS {
        current.push(processes[0].login(&current[0].email).await);
    }
    for generation in 1..=3 {
        let copies =
            (0..SESSIONS * COPIES).map(|n| processes[n % processes.len()].refreshing(&current[n / COPIES].refresh));
        let pairs: Vec<Tokens> = at_once(copies).await.iter().map(Tokens::of).collect();
        let successors: HashSet<&str> = pairs.iter().map(|tokens| tokens.refresh.as_str()).collect();
        assert_eq!(successors.len(), SESSIONS);
        current = pairs.into_iter().step_by(COPIES).collect();
        for tokens in &current {
            let row = deployment.session(tokens.session);
            assert_eq!((row.generation, row.token_digest), (generation, tokens.digest()));
        }
    }
    assert_eq!(total(&processes, "rotated").await, 3 * u64::try_from(SESSIONS).unwrap());
}

async fn refreshes_at_once_do_to_each_session_what_one_alone_does(backend: Backend) {
    const SESSIONS: usize = 60;
    let server = Server::with(backend, &[("LIMIT_LOGIN_ACCOUNT", "off")]).await;
    let mut current = vec![server.register().await];
    for _ in 1..SESSIONS {
        current.push(server.login(&current[0].email).await);
    }
    // Refused, in the midst of the others.
    let (revoked, expired, disabled) = (&current[10], &current[20], server.register().await);
    server.logout(&revoked.access).await.assert_status(204);
    server.sql(&format!(
        "UPDATE sessions SET access_seen = true, recovered = true, recovery_debt = 5; \
         UPDATE sessions SET expires_at = created_at WHERE id = {}; \
         UPDATE users SET disabled_at = created_at WHERE id = {};",
        server.literal(expired.session.0),
        server.literal(disabled.user.0),
    ));
    let batches = server.metric("keyturn_rotation_batch_count").await;
    let all = current.iter().chain([&disabled]);
    let answers = at_once(all.clone().map(|tokens| server.refreshing(&tokens.refresh))).await;
    let batches = server.metric("keyturn_rotation_batch_count").await - batches;
    assert!(batches < u64::try_from(answers.len()).unwrap(), "{batches} batches: none held more than one");

    for (tokens, answer) in all.zip(&answers) {
        let row = server.session(tokens.session);
        if [revoked.session, expired.session, disabled.session].contains(&tokens.session) {
            let code = if tokens.session == expired.session { "session_expired" } else { "session_revoked" };
            answer.assert_problem(401, code);
            assert_eq!((row.generation, row.token_digest, row.recovery_debt), (0, tokens.digest(), 5));
            continue;
        }
        let next = Tokens::of(answer);
        assert_eq!((next.session, next.user, &next.email), (tokens.session, tokens.user, &tokens.email));
        assert_eq!((row.generation, row.revision, row.recovery_debt), (1, 1, 4));
        assert_eq!((row.access_seen, row.recovered, row.revoked_at), (false, false, None));
        assert_eq!((&row.token_digest, row.parent_digest), (&next.digest(), Some(tokens.digest())));
        assert_eq!((row.access_jti, row.former_jti), (next.jti(), Some(tokens.jti())));
        assert_eq!(row.ip.map(|address| address.0), Some(server.address.ip()));
        assert!(row.issued_at > row.created_at && row.last_active_at == row.issued_at);
        assert_eq!(row.expires_at, row.issued_at.plus(Duration::from_secs(604_800)));
    }
    for (tokens, answer) in current.iter().zip(&answers).filter(|(_, answer)| answer.status == 200) {
        assert_eq!(server.refreshed(tokens).await.refresh, Tokens::of(answer).refresh, "each salt is at its row");
    }
}

async fn a_client_that_hangs_up_gets_its_answer_by_asking_again(server: Server) {
    for _ in 0..30 {
        let first = server.register().await;
        drop(server.refreshing(&first.refresh).begin().await.unwrap());
        let second = server.refreshed(&first).await;
        let row = server.session(first.session);
        assert_eq!((row.generation, row.token_digest, row.recoveries), (1, second.digest(), 0));
    }
}

async fn a_refresh_and_a_logout_at_once_leave_the_session_ended(server: Server) {
    for _ in 0..20 {
        let tokens = server.register().await;
        let logout = server.post("/api/v1/auth/logout").bearer(&tokens.access);
        let answers = at_once([server.refreshing(&tokens.refresh), logout]).await;
        answers[1].assert_status(204);
        // The refresh came first or too late; in either case what it gave is worth nothing now.
        match answers[0].status {
            200 => {
                let next = Tokens::of(&answers[0]);
                server.me(&next.access).await.assert_problem(401, "invalid_token");
                server.refresh(&next.refresh).await.assert_problem(401, "session_revoked");
            }
            _ => drop(answers[0].assert_problem(401, "session_revoked").clone()),
        }
        assert_eq!(server.session(tokens.session).revoked_reason.as_deref(), Some("logout"));
    }
}

async fn a_server_that_is_killed_at_any_moment_leaves_a_chain_that_goes_on(deployment: Arc<Deployment>) {
    let mut process = Process::start(&deployment, &[]);
    let mut tokens = process.register().await;
    for round in 0..20 {
        let pending = process.refreshing(&tokens.refresh).begin().await.unwrap();
        // From before the request was read until after it was answered.
        tokio::time::sleep(Duration::from_micros(200) * round).await;
        process.kill();
        drop(pending);
        let left = deployment.session(tokens.session);
        process = Process::start(&deployment, &[]);
        let before = tokens.digest();
        tokens = process.refreshed(&tokens).await;
        let row = deployment.session(tokens.session);
        assert_eq!((row.generation, &row.token_digest), (i64::from(round) + 1, &tokens.digest()));
        if left.token_digest != before {
            assert_eq!(left.token_digest, tokens.digest(), "what was committed is what is answered");
        }
    }
    process.me(&tokens.access).await.assert_status(200);
}

async fn a_server_that_is_killed_between_commit_and_answer_leaves_the_successor_to_be_asked_for_again(
    deployment: Arc<Deployment>,
) {
    let (proxy, url) = Proxy::before(&deployment.database_url()).await;
    // A start may take a busy machine longer than the usual window.
    let settings = [("DATABASE_URL", url.as_str()), ("REFRESH_REPLAY_WINDOW", "60")];
    let mut process = Process::start(&deployment, &settings);
    let mut tokens = process.register().await;
    for generation in [2, 4] {
        tokens = process.refreshed(&tokens).await;
        proxy.set(Wire::AnswersHeld);
        let pending = process.refreshing(&tokens.refresh).begin().await.unwrap();
        let committed = until("the commit", async || {
            Some(deployment.session(tokens.session)).filter(|row| row.generation == generation)
        })
        .await;
        process.kill();
        assert!(pending.answer().await.is_err(), "nothing was answered");
        proxy.set(Wire::Open);

        if generation == 2 {
            // Soon after: the same pair.
            process = Process::start(&deployment, &settings);
            tokens = process.refreshed(&tokens).await;
            assert_eq!((tokens.digest(), tokens.jti()), (committed.token_digest, committed.access_jti));
        } else {
            // An hour later: the same successor.
            let clock = Clock::default();
            clock.advance(Duration::from_secs(3600));
            let server = Server::start(&deployment, &[], clock).await;
            tokens = server.refreshed(&tokens).await;
            assert_eq!(tokens.digest(), committed.token_digest);
            assert_ne!(tokens.jti(), committed.access_jti);
            server.me(&tokens.access).await.assert_status(200);
            server.refreshed(&tokens).await;
        }
    }
}

async fn a_connection_that_breaks_between_commit_and_answer_leaves_the_successor_to_be_asked_for_again(
    deployment: Arc<Deployment>,
) {
    let (proxy, url) = Proxy::before(&deployment.database_url()).await;
    let server = Server::start(&deployment, &[("DATABASE_URL", &url)], Clock::default()).await;
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    proxy.set(Wire::AnswersHeld);
    let pending = server.refreshing(&second.refresh).begin().await.unwrap();
    let committed =
        until("the commit", async || Some(server.session(first.session)).filter(|row| row.generation == 2)).await;
    proxy.set(Wire::Cut);
    pending.answer().await.unwrap().assert_problem(503, "database_unavailable");
    proxy.set(Wire::Open);
    let third = after_503(&server, &second).await;
    assert_eq!((third.digest(), third.jti()), (committed.token_digest, committed.access_jti));
}

async fn a_database_that_does_not_answer_is_not_waited_for_in_vain(deployment: Arc<Deployment>) {
    let (proxy, url) = Proxy::before(&deployment.database_url()).await;
    let server = Server::start(&deployment, &[("DATABASE_URL", &url)], Clock::default()).await;
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    proxy.set(Wire::AnswersHeld);
    server.refresh(&second.refresh).await.assert_problem(503, "database_unavailable");
    proxy.set(Wire::Open);
    let third = after_503(&server, &second).await;
    let row = server.session(first.session);
    assert_eq!((row.generation, row.token_digest), (2, third.digest()));
}

async fn a_locked_row_does_not_hold_up_the_others(server: Server) {
    let locked = server.register().await;
    let free = server.login(&locked.email).await;
    let mut conn = server.conn();
    conn.batch_execute("BEGIN").unwrap();
    conn.batch_execute(&format!("SELECT FROM sessions WHERE id = '{}' FOR UPDATE", locked.session)).unwrap();
    let waiting = server.refreshing(&locked.refresh).begin().await.unwrap();
    let mut free = free;
    for _ in 0..20 {
        free = server.refreshed(&free).await;
    }
    assert_eq!(server.session(locked.session).generation, 0);
    conn.batch_execute("COMMIT").unwrap();
    let answer = waiting.answer().await.unwrap();
    let next = if answer.status == 503 { after_503(&server, &locked).await } else { Tokens::of(&answer) };
    let row = server.session(locked.session);
    assert_eq!((row.generation, row.token_digest), (1, next.digest()));
}

async fn a_repetition_that_is_overtaken_on_its_way_is_not_taken_for_theft(deployment: Arc<Deployment>) {
    let (proxy, url) = Proxy::before(&deployment.database_url()).await;
    let slow = Server::start(&deployment, &[("DATABASE_URL", &url)], Clock::default()).await;
    let fast = Server::start(&deployment, &[], Clock::default()).await;
    let first = slow.register().await;
    let second = slow.refreshed(&first).await;
    let third = fast.refreshed(&second).await;

    // A repetition when it arrives, two generations old when the server gets to see the row.
    let before = deployment.texts("SELECT clock_timestamp()::text AS text").remove(0);
    proxy.set(Wire::AnswersHeld);
    let late = slow.refreshing(&second.refresh).begin().await.unwrap();
    until("the statement to be carried out", async || {
        let activity = format!(
            "SELECT query AS text FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' \
             AND query LIKE 'UPDATE sessions SET generation%' AND query_start > '{before}'"
        );
        (!deployment.texts(&activity).is_empty()).then_some(())
    })
    .await;
    let fourth = fast.refreshed(&third).await;
    proxy.set(Wire::Open);
    late.answer().await.unwrap().assert_problem(503, "refresh_token_replaced");
    assert_eq!(deployment.session(first.session).revoked_at, None);
    fast.me(&fourth.access).await.assert_status(200);

    // Whoever presents it twice now is a thief.
    slow.assert_reused(&second.refresh).await;
    fast.refresh(&fourth.refresh).await.assert_problem(401, "session_revoked");
}

/// Refreshes until the server has found its database again.
async fn after_503(server: &Server, tokens: &Tokens) -> Tokens {
    until("the database to be found again", async || {
        let answer = server.refresh(&tokens.refresh).await;
        (answer.status != 503).then(|| Tokens::of(&answer))
    })
    .await
}

async fn total(endpoints: &[impl std::ops::Deref<Target = Endpoint>], outcome: &str) -> u64 {
    let mut total = 0;
    for endpoint in endpoints {
        total += endpoint.refreshes(outcome).await;
    }
    total
}

async fn a_session_that_was_counted_as_ended_amid_logins_is_never_live(backend: Backend) {
    const LOGINS: usize = 12;
    let unlimited = [("LIMIT_LOGIN_ACCOUNT", "off"), ("LIMIT_LOGIN_ADDRESS", "off")];
    let servers = Servers::with(backend, &unlimited).await;
    let own = servers.register().await;
    let before = [servers.login(&own.email).await, servers.login(&own.email).await];
    for round in 0..3 {
        let body = json!({"email": own.email, "password": PASSWORD});
        let logins = (0..LOGINS).map(|n| servers.all()[n % servers.all().len()].post("/api/v1/auth/login").json(&body));
        let end_all = (0..2).map(|_| servers.delete("/api/v1/sessions").bearer(&own.access));
        let mut answers = at_once(logins.chain(end_all)).await;
        let ended: i64 = answers.split_off(LOGINS).iter().map(ended_by).sum();
        let opened: Vec<Tokens> = answers.iter().map(Tokens::of).collect();

        let revoked = |tokens: &&Tokens| servers.session(tokens.session).revoked_at.is_some();
        let all = || before.iter().chain(&opened);
        let of_before = if round == 0 { before.len() } else { 0 };
        assert_eq!(ended, i64::try_from(of_before + opened.iter().filter(revoked).count()).unwrap());
        for tokens in all() {
            let status = if revoked(&tokens) { 401 } else { 200 };
            for server in servers.all() {
                server.me(&tokens.access).await.assert_status(status);
            }
        }
        assert!(before.iter().all(|tokens| revoked(&tokens)), "those of before are ended in any case");
        // The rest is ended by a call that has nobody beside it.
        let live = opened.iter().filter(|tokens| !revoked(tokens)).count();
        let answer = servers.delete("/api/v1/sessions").bearer(&own.access).send().await;
        assert_eq!(ended_by(&answer), i64::try_from(live).unwrap());
    }
}

fn ended_by(answer: &Response) -> i64 {
    answer.assert_status(200).json()["sessions_revoked"].as_i64().unwrap()
}
