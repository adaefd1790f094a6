//! Group commit when something is in its way: a locked row, a connection that is killed, sessions that end meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use diesel::connection::SimpleConnection as _;
use serde_json::json;

use crate::support::http::at_once;
use crate::support::{Backend, Endpoint, Response, Server, Tokens, until};

both_backends! {
    a_logout_everywhere_amid_refreshes_ends_every_session,
}

scaled_only! {
    a_locked_row_stalls_nobody_else_however_often_it_is_asked_for,
    connections_that_are_killed_in_mid_traffic_lose_nothing,
}

const UNLIMITED: [(&str, &str); 4] = [
    ("LIMIT_LOGIN_ACCOUNT", "off"),
    ("LIMIT_LOGIN_ADDRESS", "off"),
    ("LIMIT_REFRESH_SESSION", "off"),
    ("LIMIT_REFRESH_ADDRESS", "off"),
];

/// That many sessions of one account.
async fn sessions(server: &Endpoint, count: usize) -> Vec<Tokens> {
    let mut all = vec![server.register().await];
    while all.len() < count {
        all.push(server.login(&all[0].email).await);
    }
    all
}

#[track_caller]
fn assert_retryable(answer: &Response) {
    answer.assert_status(503);
    assert_eq!(answer.json()["retryable"], json!(true), "{answer:?}");
    assert!(answer.header("retry-after").is_some());
}

async fn a_locked_row_stalls_nobody_else_however_often_it_is_asked_for(backend: Backend) {
    // More copies than connections in the pool that each of them could hold.
    const COPIES: usize = 40;
    let server = Server::with(backend, &UNLIMITED).await;
    let others = sessions(&server, 50).await;
    let locked = server.login(&others[0].email).await;
    let mut conn = server.conn();
    conn.batch_execute("BEGIN").unwrap();
    conn.batch_execute(&format!("SELECT FROM sessions WHERE id = '{}' FOR UPDATE", locked.session)).unwrap();

    let copies = (0..COPIES).map(|_| server.refreshing(&locked.refresh));
    let copies: Vec<_> = copies.map(|request| tokio::spawn(request.send())).collect();
    for _ in 0..2 {
        for (tokens, answer) in
            others.iter().zip(at_once(others.iter().map(|tokens| server.refreshing(&tokens.refresh))).await)
        {
            assert_eq!(Tokens::of(&answer).session, tokens.session);
        }
        // Straight from the database.
        server.redis::<()>(&["FLUSHDB"]);
        server.me(&others[0].access).await.assert_status(200);
    }
    assert_eq!(server.session(locked.session).generation, 0);
    conn.batch_execute("COMMIT").unwrap();

    let mut successors = Vec::new();
    for copy in copies {
        let answer = copy.await.unwrap();
        if answer.status == 503 {
            assert_retryable(&answer);
        } else {
            successors.push(Tokens::of(&answer).refresh);
        }
    }
    successors.push(server.refreshed(&locked).await.refresh);
    successors.dedup();
    assert_eq!(successors.len(), 1);
    assert_eq!(server.session(locked.session).generation, 1);
}

async fn connections_that_are_killed_in_mid_traffic_lose_nothing(backend: Backend) {
    const CLIENTS: usize = 10;
    const FAULTS: usize = 10;
    let server = Server::with(backend, &UNLIMITED).await;
    let (over, faults) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = sessions(&server, CLIENTS)
        .await
        .into_iter()
        .map(|mut tokens| {
            let (server, over, faults) = (Endpoint::clone(&server), Arc::clone(&over), Arc::clone(&faults));
            tokio::spawn(async move {
                let mut rotations = 0;
                while !over.load(Ordering::Relaxed) {
                    let (answer, times) = server.refreshing(&tokens.refresh).persist().await;
                    let next = Tokens::of(&answer);
                    faults.fetch_add(times, Ordering::Relaxed);
                    if times > 0 {
                        // Whether or not the first attempt was carried out, there is one successor.
                        let (again, _) = server.refreshing(&tokens.refresh).persist().await;
                        assert_eq!(Tokens::of(&again).refresh, next.refresh);
                    }
                    tokens = next;
                    rotations += 1;
                }
                (tokens, rotations)
            })
        })
        .collect();
    until("connections to be killed at work", async || {
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        );
        (faults.load(Ordering::Relaxed) >= FAULTS).then_some(())
    })
    .await;
    over.store(true, Ordering::Relaxed);
    for client in clients {
        let (tokens, rotations) = client.await.unwrap();
        assert_eq!(server.session(tokens.session).generation, rotations);
        server.get("/api/v1/auth/me").bearer(&tokens.access).persist().await.0.assert_status(200);
        Tokens::of(&server.refreshing(&tokens.refresh).persist().await.0);
    }
    assert_eq!(server.count("revocations"), 0);
}

async fn a_logout_everywhere_amid_refreshes_ends_every_session(backend: Backend) {
    const SESSIONS: usize = 24;
    let server = Server::with(backend, &UNLIMITED).await;
    let bystander = server.register().await;
    for round in 1..=3 {
        let all = sessions(&server, SESSIONS).await;
        let caller = all[0].clone();
        let rotations = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = all[1..]
            .iter()
            .cloned()
            .map(|mut tokens| {
                let (server, rotations) = (Endpoint::clone(&server), Arc::clone(&rotations));
                tokio::spawn(async move {
                    loop {
                        let (answer, _) = server.refreshing(&tokens.refresh).persist().await;
                        if answer.status != 200 {
                            answer.assert_problem(401, "session_revoked");
                            return tokens;
                        }
                        tokens = Tokens::of(&answer);
                        rotations.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        until("refreshes to flow", async || (rotations.load(Ordering::Relaxed) > 3 * SESSIONS).then_some(())).await;
        let answer = server.post("/api/v1/auth/logout-all").bearer(&caller.access).send().await;
        assert_eq!(answer.assert_status(200).json(), json!({"sessions_revoked": SESSIONS}));
        for client in clients {
            let tokens = client.await.unwrap();
            server.me(&tokens.access).await.assert_problem(401, "invalid_token");
            assert!(server.session(tokens.session).revoked_at.is_some());
        }
        assert_eq!(server.count("revocations"), i64::try_from(SESSIONS * round).unwrap());
    }
    server.me(&bystander.access).await.assert_status(200);
}
