//! Signing keys over time: published before they sign, replaced by one of many servers, and kept until their last token
//! has expired.

use std::collections::BTreeSet;
use std::sync::Arc;

use keyturn::clock::Clock;
use keyturn::keys::{KeyRing, lifecycle};
use keyturn::secret::MasterSecret;
use keyturn::types::Algorithm;
use serde_json::{Value, json};

use crate::audit::administrator;
use crate::clients::{assert_error, register};
use crate::oauth_token::{access_token, exchange, own_token};
use crate::support::http::at_once;
use crate::support::tokens::jwt_part;
use crate::support::{Backend, Deployment, Endpoint, Server, Servers, Tokens, until};

const JWKS: &str = "/.well-known/jwks.json";
const METADATA: &str = "/.well-known/oauth-authorization-server";
pub const KEYS: &str = "/api/v1/admin/keys";
const ROTATE: &str = "/api/v1/admin/keys/rotate";

/// Twice the default of `JWKS_MAX_AGE`.
const LEAD: u64 = 600;

/// A month, the default of `KEY_ROTATION_INTERVAL`.
const INTERVAL: u64 = 2_592_000;

both_backends! {
    the_first_key_signs_at_once,
    a_key_is_published_before_it_signs_and_until_its_last_token_has_expired,
    a_key_is_replaced_once_in_time,
    keys_are_left_to_operators_if_so_set,
    who_rotates_at_once_makes_one_key,
    a_server_that_was_away_knows_the_keys_of_now,
    an_algorithm_is_changed_in_a_rolling_restart,
    an_algorithm_that_a_server_still_wants_is_not_retired,
    a_longer_lifetime_of_tokens_keeps_a_retired_key_longer,
    a_further_algorithm_has_a_key_of_its_own,
    a_further_algorithm_is_published_before_it_signs,
    a_client_gets_tokens_of_the_algorithm_that_it_can_verify,
    verifiers_are_told_how_long_to_keep_the_keys,
    keys_are_for_administrators_with_a_recent_login,
    the_life_of_keys_is_audited,
}

/// The ids of the published keys. None has a private member.
pub async fn published(server: &Endpoint) -> Vec<String> {
    let body = server.get(JWKS).send().await.assert_status(200).json();
    let keys = body["keys"].as_array().unwrap();
    for key in keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert_eq!(key.get(private), None);
        }
        assert_eq!(key["use"], "sig");
    }
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The id of the key that has signed an access token.
pub fn kid(tokens: &Tokens) -> String {
    jwt_part(&tokens.access, 0)["kid"].as_str().unwrap().to_owned()
}

fn algorithm(tokens: &Tokens) -> String {
    jwt_part(&tokens.access, 0)["alg"].as_str().unwrap().to_owned()
}

/// The keys as an administrator sees them, who logs in for that.
pub async fn listed(server: &Endpoint, admin: &Tokens) -> Vec<Value> {
    let admin = server.login(&admin.email).await;
    let body = server.get(KEYS).bearer(&admin.access).send().await.assert_status(200).json();
    body["keys"].as_array().unwrap().clone()
}

pub async fn rotate(server: &Endpoint, admin: &Tokens) -> Value {
    let admin = server.login(&admin.email).await;
    server.post(ROTATE).bearer(&admin.access).send().await.assert_status(200).json()
}

fn states(keys: &[Value]) -> Vec<&str> {
    keys.iter().map(|key| key["state"].as_str().unwrap()).collect()
}

async fn until_published(server: &Endpoint, count: usize) -> Vec<String> {
    until("the keys of another server", async || Some(published(server).await).filter(|keys| keys.len() == count)).await
}

async fn the_first_key_signs_at_once(server: Server) {
    let admin = administrator(&server).await;
    let keys = listed(&server, &admin).await;
    let [key] = &keys[..] else { panic!("{keys:?}") };
    assert_eq!((&key["use"], &key["algorithm"], &key["state"]), (&json!("access"), &json!("ES256"), &json!("active")));
    assert_eq!(key["active_from"], key["created_at"]);
    for time in ["retired_at", "remove_after", "revoked_at"] {
        assert_eq!(key[time], Value::Null);
    }
    assert_eq!(published(&server).await, [kid(&admin)]);
    assert_eq!(key["kid"], kid(&admin));
}

async fn a_key_is_published_before_it_signs_and_until_its_last_token_has_expired(servers: Servers) {
    servers.clock.hold();
    let admin = administrator(&servers).await;
    let old = kid(&admin);
    rotate(&servers, &admin).await;
    let keys = listed(&servers, &admin).await;
    assert_eq!(states(&keys), ["active", "next"]);
    let new = keys[1]["kid"].as_str().unwrap().to_owned();
    assert_eq!(keys[0]["retired_at"], keys[1]["active_from"]);
    for server in servers.all() {
        assert_eq!(until_published(server, 2).await, [old.clone(), new.clone()]);
    }
    servers.advance(LEAD - 30);
    for server in servers.all() {
        assert_eq!(kid(&server.login(&admin.email).await), old, "verifiers may have the keys of before");
    }
    let last = servers.login(&admin.email).await;
    servers.advance(30);
    for server in servers.all() {
        assert_eq!(kid(&server.login(&admin.email).await), new);
        server.me(&last.access).await.assert_status(200);
    }
    assert_eq!(states(&listed(&servers, &admin).await), ["retired", "active"]);
    servers.advance(860);
    for server in servers.all() {
        server.me(&last.access).await.assert_status(200);
        assert_eq!(published(server).await.len(), 2, "a token of the old key can still be valid");
    }
    servers.advance(100);
    for server in servers.all() {
        assert_eq!(published(server).await, std::slice::from_ref(&new));
        server.me(&last.access).await.assert_problem(401, "invalid_token");
    }
    assert_eq!(states(&listed(&servers, &admin).await), ["removed", "active"]);
    // Nobody needs its private half any more.
    let erased = "signing_keys WHERE length(sealed_private_key) = 0";
    until("the private half to be erased", async || (servers.count(erased) == 1).then_some(())).await;
}

async fn a_key_is_replaced_once_in_time(servers: Servers) {
    let tokens = servers.register().await;
    servers.advance(INTERVAL - 60);
    let before = servers.login(&tokens.email).await;
    assert_eq!(published(&servers).await, [kid(&before)]);
    servers.advance(60);
    let mut both = BTreeSet::new();
    for server in servers.all() {
        both.insert(until_published(server, 2).await);
    }
    assert_eq!(both.len(), 1, "all servers have the same two");
    assert_eq!(servers.count("signing_keys"), 2);
    assert_eq!(kid(&servers.login(&tokens.email).await), kid(&before));
    servers.advance(LEAD);
    assert_ne!(kid(&servers.login(&tokens.email).await), kid(&before));
    servers.me(&before.access).await.assert_status(200);
    // The next one is due an interval later, and not before.
    servers.advance(INTERVAL - 60);
    servers.register().await;
    assert_eq!(servers.count("signing_keys"), 2);
    servers.advance(60);
    until("the third key", async || (servers.count("signing_keys") == 3).then_some(())).await;
}

async fn keys_are_left_to_operators_if_so_set(backend: Backend) {
    let off = Server::with(backend, &[("KEY_ROTATION_INTERVAL", "off")]).await;
    let on = Server::with(backend, &[]).await;
    for server in [&off, &on] {
        server.advance(2 * INTERVAL);
    }
    until("the server that rotates", async || (on.count("signing_keys") == 2).then_some(())).await;
    assert_eq!(off.count("signing_keys"), 1);
}

async fn who_rotates_at_once_makes_one_key(servers: Servers) {
    let admin = administrator(&servers).await;
    let other = servers.another().await;
    let all: Vec<&Server> = servers.all().iter().chain([&other]).collect();
    let requests: Vec<_> = (0..12).map(|n| all[n % all.len()].post(ROTATE).bearer(&admin.access)).collect();
    for answer in at_once(requests).await {
        answer.assert_status(200);
    }
    assert_eq!(states(&listed(&servers, &admin).await), ["active", "next"]);
    for server in &all {
        assert_eq!(until_published(server, 2).await, published(&servers).await);
    }
    assert_eq!(servers.audited("event = 'key.rotated'").len(), 1);
    // Two that are due at once, by time.
    servers.advance(LEAD + INTERVAL);
    until("the third key", async || (servers.count("signing_keys") == 3).then_some(())).await;
    for server in &all {
        assert_eq!(until_published(server, 2).await, published(&servers).await);
    }
    assert_eq!(servers.count("signing_keys"), 3);
}

async fn a_server_that_was_away_knows_the_keys_of_now(server: Server) {
    let admin = administrator(&server).await;
    let away = server.another().await;
    drop(away);
    rotate(&server, &admin).await;
    server.advance(LEAD);
    let new = kid(&server.login(&admin.email).await);
    let back = server.another().await;
    assert_eq!(kid(&back.login(&admin.email).await), new);
    assert_eq!(published(&back).await, published(&server).await);
    // All were away, for longer than anything is valid.
    let deployment = Arc::clone(&server.deployment);
    let clock = server.clock.clone();
    drop((server, back));
    clock.advance(std::time::Duration::from_secs(3 * INTERVAL));
    let server = Server::start(&deployment, &[], clock).await;
    let tokens = server.login(&admin.email).await;
    server.me(&tokens.access).await.assert_status(200);
    assert!(published(&server).await.contains(&kid(&tokens)));
    until("the key that is due", async || (server.count("signing_keys") == 3).then_some(())).await;
}

async fn an_algorithm_is_changed_in_a_rolling_restart(backend: Backend) {
    let deployment = Deployment::new(backend);
    let clock = Clock::default();
    let old = Server::start(&deployment, &[], clock.clone()).await;
    let admin = administrator(&old).await;
    let new = Server::start(&deployment, &[("JWT_ALGORITHM", "EdDSA")], clock).await;
    assert_eq!(until_published(&old, 2).await, published(&new).await);
    let early = new.login(&admin.email).await;
    assert_eq!(algorithm(&early), "ES256", "verifiers may not know the new key");
    old.me(&early.access).await.assert_status(200);
    new.advance(LEAD);
    let (by_old, by_new) = (old.login(&admin.email).await, new.login(&admin.email).await);
    assert_eq!((&*algorithm(&by_old), &*algorithm(&by_new)), ("ES256", "EdDSA"));
    for server in [&old, &new] {
        for tokens in [&by_old, &by_new] {
            server.me(&tokens.access).await.assert_status(200);
        }
        let metadata = server.get(METADATA).send().await.json();
        assert_eq!(metadata["access_token_signing_alg_values_supported"], json!(["ES256", "EdDSA"]));
    }
    // No server wants the old algorithm any more.
    drop(old);
    new.advance(3700);
    let ended = "signing_keys WHERE retired_at IS NOT NULL";
    let retired = async || (new.count(ended) == 1).then_some(());
    until("the key of the old algorithm to be retired", retired).await;
    assert_eq!(states(&listed(&new, &admin).await), ["retired", "active"]);
    new.advance(960);
    assert_eq!(published(&new).await, [kid(&new.login(&admin.email).await)]);
}

async fn an_algorithm_that_a_server_still_wants_is_not_retired(backend: Backend) {
    let deployment = Deployment::new(backend);
    let clock = Clock::default();
    let old = Server::start(&deployment, &[], clock.clone()).await;
    let new = Server::start(&deployment, &[("JWT_ALGORITHM", "EdDSA")], clock).await;
    let admin = administrator(&old).await;
    until_published(&old, 2).await;
    for _ in 0..4 {
        new.advance(1900);
        let wanted = format!("signing_keys WHERE algorithm = 'ES256' AND {}", later(&new, 3000));
        until("the announcement", async || (new.count(&wanted) == 1).then_some(())).await;
    }
    assert_eq!(states(&listed(&new, &admin).await), ["active", "active"]);
    assert_eq!(algorithm(&old.login(&admin.email).await), "ES256");
}

/// The condition that a key is wanted for these seconds at least.
fn later(server: &Server, seconds: i64) -> String {
    let millis = server.clock.now().as_millis() + seconds * 1000;
    match server.backend {
        Backend::Embedded => format!("wanted_until > {millis}"),
        Backend::Scaled => format!("wanted_until > to_timestamp({millis} / 1000.0)"),
    }
}

async fn a_longer_lifetime_of_tokens_keeps_a_retired_key_longer(backend: Backend) {
    let deployment = Deployment::new(backend);
    let clock = Clock::default();
    let short = Server::start(&deployment, &[], clock.clone()).await;
    let long = Server::start(&deployment, &[("ACCESS_TOKEN_TTL", "7200")], clock).await;
    let admin = administrator(&long).await;
    until("the longer lifetime", async || (long.count("signing_keys WHERE token_ttl = 7200") == 1).then_some(())).await;
    rotate(&short, &admin).await;
    short.advance(LEAD - 10);
    let last = long.login(&admin.email).await;
    short.advance(7100);
    for server in [&short, &long] {
        until_published(server, 2).await;
        server.me(&last.access).await.assert_status(200);
    }
}

/// The deployment's keys as a server with these algorithms opens them.
fn keys(server: &Server, algorithms: &[Algorithm]) -> KeyRing {
    let rows = lifecycle::load(&mut server.conn()).unwrap();
    let secret = MasterSecret::parse(&server.secret).unwrap();
    KeyRing::open(&rows, algorithms, &secret.signing_key_seal(), &server.clock).unwrap()
}

async fn a_further_algorithm_has_a_key_of_its_own(backend: Backend) {
    let server = Server::with(backend, &[("JWT_ADDITIONAL_ALGORITHMS", "RS256")]).await;
    let tokens = server.register().await;
    assert_eq!(algorithm(&tokens), "ES256");
    let key_ring = keys(&server, &[Algorithm::Es256, Algorithm::Rs256]);
    let key = key_ring.signing_for(Algorithm::Rs256).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Rs256);
    assert!(published(&server).await.contains(&key.id.to_string()));
    assert_eq!(published(&server).await.len(), 2);
    assert_eq!(key_ring.signing().algorithm(), Algorithm::Es256);
    assert!(key_ring.signing_for(Algorithm::EdDsa).is_none());
    // Both are replaced in time.
    server.advance(INTERVAL);
    until_published(&server, 4).await;
}

async fn a_further_algorithm_is_published_before_it_signs(backend: Backend) {
    let deployment = Deployment::new(backend);
    let clock = Clock::default();
    drop(Server::start(&deployment, &[], clock.clone()).await);
    let server = Server::start(&deployment, &[("JWT_ADDITIONAL_ALGORITHMS", "RS256")], clock).await;
    assert_eq!(published(&server).await.len(), 2);
    let both = [Algorithm::Es256, Algorithm::Rs256];
    assert!(keys(&server, &both).signing_for(Algorithm::Rs256).is_none());
    server.advance(LEAD);
    assert!(keys(&server, &both).signing_for(Algorithm::Rs256).is_some());
    assert_eq!(algorithm(&server.register().await), "ES256");
}

async fn a_client_gets_tokens_of_the_algorithm_that_it_can_verify(backend: Backend) {
    let deployment = Deployment::new(backend);
    let clock = Clock::default();
    drop(Server::start(&deployment, &[], clock.clone()).await);
    let server = Server::start(&deployment, &[("JWT_ADDITIONAL_ALGORITHMS", "RS256")], clock).await;
    let admin = administrator(&server).await;
    let body = json!({"name": "old", "scopes": ["token-exchange"], "signing_algorithm": "rs256"});
    let client = register(&server, &admin, &body).await;
    // The new key is not yet in every verifier's copy of the key set.
    assert_error(&own_token(&server, &client, &[]).await, 503, "temporarily_unavailable");
    server.advance(LEAD);
    let admin = server.login(&admin.email).await;
    let own = access_token(&own_token(&server, &client, &[]).await);
    let exchanged = access_token(&exchange(&server, &client, &admin.access, &[]).await);
    for (token, expected) in [(&own, "RS256"), (&exchanged, "RS256"), (&admin.access, "ES256")] {
        assert_eq!(jwt_part(token, 0)["alg"], expected);
    }
    let change = async |to: Value| {
        let change = server.patch(&client.path()).bearer(&admin.access).json(&json!({"signing_algorithm": to}));
        change.send().await
    };
    for wrong in ["EdDSA", "HS256", "none", ""] {
        change(json!(wrong)).await.assert_invalid("signing_algorithm");
    }
    assert_eq!(change(Value::Null).await.assert_status(200).json()["signing_algorithm"], Value::Null);
    let own = access_token(&own_token(&server, &client, &[]).await);
    assert_eq!(jwt_part(&own, 0)["alg"], "ES256");
}

async fn verifiers_are_told_how_long_to_keep_the_keys(backend: Backend) {
    let server = Server::with(backend, &[("JWKS_MAX_AGE", "60")]).await;
    let admin = administrator(&server).await;
    server.clock.hold();
    let first = server.get(JWKS).send().await;
    assert_eq!(first.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(server.get(METADATA).send().await.header("cache-control"), Some("public, max-age=60"));
    rotate(&server, &admin).await;
    let second = server.get(JWKS).header("if-none-match", first.header("etag").unwrap()).send().await;
    assert_eq!(second.status, 200, "the keys have changed");
    assert_ne!(second.header("etag"), first.header("etag"));
    server.advance(119);
    assert_eq!(kid(&server.login(&admin.email).await), kid(&admin));
    server.advance(1);
    assert_ne!(kid(&server.login(&admin.email).await), kid(&admin));
}

async fn keys_are_for_administrators_with_a_recent_login(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    for request in [server.get(KEYS), server.post(ROTATE)] {
        request.bearer(&person.access).send().await.assert_problem(403, "forbidden");
    }
    server.advance(601);
    server.get(KEYS).bearer(&admin.access).send().await.assert_status(200);
    let refused = server.post(ROTATE).bearer(&admin.access).send().await;
    refused.assert_problem(401, "insufficient_user_authentication");
    assert_eq!(server.count("signing_keys"), 1);
}

async fn the_life_of_keys_is_audited(server: Server) {
    let admin = administrator(&server).await;
    rotate(&server, &admin).await;
    let events = server.audited("event LIKE 'key.%'");
    assert_eq!(events, ["key.created", "key.rotated"]);
    let keys = listed(&server, &admin).await;
    let rows = server.rows("audit_log");
    let rotated = rows.iter().find(|row| row["event"] == "key.rotated").unwrap();
    let details = match &rotated["metadata"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        details => details.clone(),
    };
    let expected = json!({"kid": keys[0]["kid"], "successor": keys[1]["kid"], "algorithm": "ES256"});
    assert_eq!(details, expected);
}
