//! Revoked signing keys: none of their tokens is accepted any more, another key signs, and nobody is logged out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::audit::administrator;
use crate::keys::{KEYS, kid, listed, published, rotate};
use crate::support::{Endpoint, Response, Server, Servers, Tokens, until};

both_backends! {
    no_token_of_a_revoked_key_is_accepted_and_nobody_is_logged_out,
    a_revoked_key_is_out_under_load,
    a_key_that_was_to_follow_signs_at_once,
    a_key_goes_on_when_its_successor_is_revoked,
    a_retired_key_is_revoked_alone,
    a_revoked_key_stays_revoked_after_a_restart,
    who_revokes_and_rotates_at_once_leaves_one_key_that_signs,
    what_cannot_be_revoked_is_told,
}

async fn revoke(server: &Endpoint, admin: &Tokens, key: &str) -> Response {
    server.post(&format!("{KEYS}/{key}/revoke")).bearer(&admin.access).send().await
}

/// Servers on one deployment: two at least.
async fn several(servers: &Servers) -> Vec<Server> {
    vec![servers.another().await, servers.another().await]
}

/// Waits until a server has learned that a token is not valid any more.
async fn until_refused(server: &Server, tokens: &Tokens) {
    until("a server to learn of the revocation", async || {
        (server.me(&tokens.access).await.status == 401).then_some(())
    })
    .await;
}

async fn no_token_of_a_revoked_key_is_accepted_and_nobody_is_logged_out(servers: Servers) {
    let others = several(&servers).await;
    let admin = administrator(&servers).await;
    let mut people = Vec::new();
    for _ in 0..5 {
        people.push(servers.register().await);
    }
    // All servers have verified all signatures.
    for server in servers.all().iter().chain(&others) {
        for tokens in &people {
            server.me(&tokens.access).await.assert_status(200);
        }
    }
    let old = kid(&admin);
    revoke(&servers, &admin, &old).await.assert_status(204);
    for tokens in people.iter().chain([&admin]) {
        servers.me(&tokens.access).await.assert_problem(401, "invalid_token");
    }
    let keys = published(&servers).await;
    assert!(keys.len() == 1 && keys[0] != old, "{keys:?}");
    for server in servers.all()[1..].iter().chain(&others) {
        // One who was refused: the whole key is known as revoked.
        until_refused(server, &people[0]).await;
        for tokens in &people {
            server.me(&tokens.access).await.assert_problem(401, "invalid_token");
        }
        assert_eq!(published(server).await, keys, "the fresh key is known with the end of the other");
    }
    let all: Vec<&Server> = servers.all().iter().chain(&others).collect();
    for (n, tokens) in people.iter().enumerate() {
        let next = all[n % all.len()].refreshed(tokens).await;
        assert_eq!(kid(&next), keys[0]);
        for server in &all {
            server.me(&next.access).await.assert_status(200);
        }
    }
    assert_eq!(servers.count("sessions WHERE revoked_at IS NOT NULL"), 0);
    assert_eq!(servers.audited("event LIKE 'key.%'"), ["key.created", "key.revoked", "key.created"]);
}

/// A client that uses its access token, and refreshes when it is refused, until it is told to stop. Returns its tokens,
/// and how often it has refreshed.
async fn client(servers: Vec<Endpoint>, mut tokens: Tokens, stop: Arc<AtomicBool>) -> (Tokens, u32) {
    let mut refreshed = 0;
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let server = &servers[turn % servers.len()];
        match server.me(&tokens.access).await.status {
            200 => {}
            401 => {
                tokens = server.refreshed(&tokens).await;
                refreshed += 1;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            status => panic!("{status}"),
        }
    }
    (tokens, refreshed)
}

async fn a_revoked_key_is_out_under_load(servers: Servers) {
    let others = several(&servers).await;
    let admin = administrator(&servers).await;
    let endpoints: Vec<Endpoint> =
        [&*servers, &others[0], &others[1]].into_iter().map(|server| (**server).clone()).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for _ in 0..8 {
        let tokens = servers.register().await;
        clients.push(tokio::spawn(client(endpoints.clone(), tokens, Arc::clone(&stop))));
    }
    let probe = servers.register().await;
    let old = kid(&probe);
    revoke(&servers, &admin, &old).await.assert_status(204);
    servers.me(&probe.access).await.assert_problem(401, "invalid_token");
    for server in &others {
        until_refused(server, &probe).await;
        server.me(&probe.access).await.assert_problem(401, "invalid_token");
    }
    let fresh = published(&servers).await;
    for server in &others {
        until("the fresh key", async || (published(server).await == fresh).then_some(())).await;
    }
    for _ in 0..20 {
        servers.me(&probe.access).await.assert_problem(401, "invalid_token");
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        // It would have panicked if it had been logged out.
        let (tokens, refreshed) = client.await.unwrap();
        let tokens = if kid(&tokens) == old { servers.refreshed(&tokens).await } else { tokens };
        assert_eq!(kid(&tokens), fresh[0], "after {refreshed} refreshes");
        servers.me(&tokens.access).await.assert_status(200);
    }
}

async fn a_key_that_was_to_follow_signs_at_once(server: Server) {
    let admin = administrator(&server).await;
    rotate(&server, &admin).await;
    let keys = published(&server).await;
    revoke(&server, &admin, &keys[0]).await.assert_status(204);
    assert_eq!(published(&server).await, [keys[1].clone()]);
    let next = server.refreshed(&admin).await;
    assert_eq!(kid(&next), keys[1]);
    server.me(&next.access).await.assert_status(200);
}

async fn a_key_goes_on_when_its_successor_is_revoked(server: Server) {
    let admin = administrator(&server).await;
    rotate(&server, &admin).await;
    let keys = published(&server).await;
    revoke(&server, &admin, &keys[1]).await.assert_status(204);
    server.me(&admin.access).await.assert_status(200);
    assert_eq!(published(&server).await, [keys[0].clone()]);
    server.advance(2000);
    let later = server.login(&admin.email).await;
    assert_eq!(kid(&later), keys[0]);
    let keys = listed(&server, &later).await;
    assert_eq!((&keys[0]["state"], &keys[0]["retired_at"]), (&"active".into(), &serde_json::Value::Null));
}

async fn a_retired_key_is_revoked_alone(server: Server) {
    let admin = administrator(&server).await;
    rotate(&server, &admin).await;
    server.advance(600);
    let after = server.login(&admin.email).await;
    server.me(&admin.access).await.assert_status(200);
    revoke(&server, &after, &kid(&admin)).await.assert_status(204);
    server.me(&admin.access).await.assert_problem(401, "invalid_token");
    server.me(&after.access).await.assert_status(200);
    assert_eq!(published(&server).await, [kid(&after)]);
    assert_eq!(server.count("signing_keys"), 2);
}

async fn a_revoked_key_stays_revoked_after_a_restart(server: Server) {
    let admin = administrator(&server).await;
    revoke(&server, &admin, &kid(&admin)).await.assert_status(204);
    let keys = published(&server).await;
    let again = server.another().await;
    drop(server);
    again.me(&admin.access).await.assert_problem(401, "invalid_token");
    assert_eq!(published(&again).await, keys);
    assert_eq!(kid(&again.refreshed(&admin).await), keys[0]);
    assert_eq!(again.count("signing_keys WHERE revoked_at IS NOT NULL AND length(sealed_private_key) = 0"), 1);
}

async fn who_revokes_and_rotates_at_once_leaves_one_key_that_signs(servers: Servers) {
    let other = servers.another().await;
    let admin = administrator(&servers).await;
    let old = kid(&admin);
    let requests = (0..6).map(|n| {
        let server: &Server = if n % 2 == 0 { &servers } else { &other };
        let target = if n % 3 == 0 { format!("{KEYS}/rotate") } else { format!("{KEYS}/{old}/revoke") };
        server.post(&target).bearer(&admin.access)
    });
    for answer in crate::support::http::at_once(requests).await {
        // The caller's own token is revoked by one of them.
        assert!([200, 204, 401].contains(&answer.status), "{answer:?}");
    }
    let open = "signing_keys WHERE retired_at IS NULL AND revoked_at IS NULL";
    assert_eq!(servers.count(open), 1);
    for server in [&*servers, &other] {
        until_refused(server, &admin).await;
        // Its keys are read after the log that names the revocation.
        let tokens =
            until("another key", async || Some(server.login(&admin.email).await).filter(|tokens| kid(tokens) != old))
                .await;
        server.me(&tokens.access).await.assert_status(200);
    }
}

async fn what_cannot_be_revoked_is_told(server: Server) {
    let admin = administrator(&server).await;
    revoke(&server, &admin, &uuid::Uuid::from_u128(7).to_string()).await.assert_problem(404, "not_found");
    revoke(&server, &admin, "rsa1").await.assert_problem(404, "not_found");
    let person = server.register().await;
    revoke(&server, &person, &kid(&admin)).await.assert_problem(403, "forbidden");
    revoke(&server, &admin, &kid(&admin)).await.assert_status(204);
    let again = server.refreshed(&admin).await;
    revoke(&server, &again, &kid(&admin)).await.assert_status(204);
    server.me(&again.access).await.assert_status(200);
    server.advance(601);
    let late = server.refreshed(&again).await;
    let refused = revoke(&server, &late, &kid(&late)).await;
    refused.assert_problem(401, "insufficient_user_authentication");
    assert_eq!(server.audited("event = 'key.revoked'").len(), 1);
}
