//! A proof is accepted once, whichever server it comes to and whatever is away.

use serde_json::json;

use crate::degraded::{World, until_cache_is};
use crate::retention::cleanup;
use crate::support::dpop::{claims, presents};
use crate::support::http::at_once;
use crate::support::{Backend, ProofKey, Request, Server, Servers, Tokens};

both_backends! {
    a_proof_is_accepted_once_by_all_servers,
    of_one_proof_at_once_on_all_servers_one_is_accepted,
    the_same_id_is_another_proof_with_another_key,
    a_proof_at_a_login_is_used_up_too,
}

scaled_only! {
    a_proof_is_accepted_once_while_redis_is_away,
    a_proof_that_was_used_before_redis_was_lost_stays_used_where_it_was_used,
    servers_without_redis_share_proofs_by_the_database,
    a_proof_is_forgotten_once_it_has_expired,
}

const WITHOUT_REDIS: [(&str, &str); 2] = [("REDIS_URL", ""), ("SWEEP_INTERVAL", "0")];

/// A request with a proof of its own, to be sent to any server.
fn proven(server: &Server, key: &ProofKey, tokens: &Tokens) -> impl Fn(&Server) -> Request {
    let request = |server: &Server| server.get("/api/v1/auth/me");
    let proof = key.prove(&claims(server.clock.now(), &request(server), Some(&tokens.access)));
    let access = tokens.access.clone();
    move |server| presents(request(server), Some(&access)).header("dpop", &proof)
}

async fn assert_once(servers: &[&Server], request: impl Fn(&Server) -> Request) {
    request(servers[0]).send().await.assert_status(200);
    for server in servers.iter().rev() {
        let again = request(server).send().await;
        again.assert_problem(401, "invalid_dpop_proof");
        assert!(again.text().contains("used before"), "{again:?}");
    }
}

async fn a_proof_is_accepted_once_by_all_servers(servers: Servers) {
    servers.clock.hold();
    let key = ProofKey::new();
    let tokens = key.register(&servers).await;
    let all: Vec<&Server> = servers.all().iter().collect();
    assert_once(&all, proven(&servers, &key, &tokens)).await;
    // Until it has expired.
    let request = proven(&servers, &key, &tokens);
    request(&servers).send().await.assert_status(200);
    servers.advance(59);
    for server in servers.all() {
        assert!(request(server).send().await.text().contains("used before"));
    }
    servers.advance(2);
    for server in servers.all() {
        assert!(request(server).send().await.text().contains("iat"));
    }
}

async fn of_one_proof_at_once_on_all_servers_one_is_accepted(servers: Servers) {
    let key = ProofKey::new();
    let tokens = key.register(&servers).await;
    for _ in 0..5 {
        let request = proven(&servers, &key, &tokens);
        let answers = at_once(servers.all().iter().cycle().take(20).map(&request)).await;
        let accepted = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(accepted, 1, "{answers:?}");
    }
}

async fn the_same_id_is_another_proof_with_another_key(server: Server) {
    for _ in 0..2 {
        let key = ProofKey::new();
        let tokens = key.register(&server).await;
        let mut claims = claims(server.clock.now(), &server.get("/api/v1/auth/me"), Some(&tokens.access));
        claims["jti"] = json!("1");
        let request = presents(server.get("/api/v1/auth/me"), Some(&tokens.access));
        request.clone().header("dpop", &key.prove(&claims)).send().await.assert_status(200);
        // Also for another request of the same key.
        claims["iat"] = json!(server.clock.now().as_secs() - 1);
        let refused = request.header("dpop", &key.prove(&claims)).send().await;
        refused.assert_problem(401, "invalid_dpop_proof");
    }
}

async fn a_proof_at_a_login_is_used_up_too(servers: Servers) {
    let key = ProofKey::new();
    let tokens = key.register(&servers).await;
    let proof = key.prove(&claims(servers.clock.now(), &servers.refreshing(""), None));
    let refreshing = |server: &Server| server.refreshing(&tokens.refresh).header("dpop", &proof);
    refreshing(&servers).send().await.assert_status(200);
    for server in servers.all() {
        refreshing(server).send().await.assert_problem(400, "invalid_dpop_proof");
    }
}

async fn a_proof_is_accepted_once_while_redis_is_away(_: Backend) {
    let mut world = World::with_redis();
    let servers = [world.server().await, world.server().await];
    let key = ProofKey::new();
    let tokens = key.register(&servers[0]).await;
    world.redis.stop();
    let [one, two] = &servers;
    for _ in 0..3 {
        assert_once(&[one, two], proven(one, &key, &tokens)).await;
    }
    let request = proven(one, &key, &tokens);
    let answers = at_once(servers.iter().cycle().take(10).map(&request)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
}

async fn a_proof_that_was_used_before_redis_was_lost_stays_used_where_it_was_used(_: Backend) {
    let mut world = World::with_redis();
    let server = world.server().await;
    let key = ProofKey::new();
    let tokens = key.register(&server).await;
    let request = proven(&server, &key, &tokens);
    request(&server).send().await.assert_status(200);
    world.redis.stop();
    request(&server).send().await.assert_problem(401, "invalid_dpop_proof");
    world.redis.start_again();
    until_cache_is(&server, "redis").await;
    request(&server).send().await.assert_problem(401, "invalid_dpop_proof");
}

async fn servers_without_redis_share_proofs_by_the_database(backend: Backend) {
    let one = Server::with(backend, &WITHOUT_REDIS).await;
    let two = one.another().await;
    let key = ProofKey::new();
    let tokens = key.register(&one).await;
    assert_once(&[&one, &two], proven(&one, &key, &tokens)).await;
    assert_eq!(one.count("dpop_proofs"), 2);
}

async fn a_proof_is_forgotten_once_it_has_expired(backend: Backend) {
    let server = Server::with(backend, &WITHOUT_REDIS).await;
    let key = ProofKey::new();
    let tokens = key.register(&server).await;
    key.me(&server, &tokens.access).await.assert_status(200);
    assert_eq!(server.count("dpop_proofs"), 2);
    let one = "digest = (SELECT digest FROM dpop_proofs LIMIT 1)";
    server.sql(&format!("UPDATE dpop_proofs SET expires_at = now() - interval '1 second' WHERE {one}"));
    assert_eq!(cleanup(&server, &WITHOUT_REDIS), (0, 1));
    assert_eq!(server.count("dpop_proofs"), 1);
}
