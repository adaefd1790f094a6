//! Limits: who is refused, what is told, and whom it does not concern.

use keyturn::clock::Clock;
use serde_json::json;

use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Request, Response, Server, Servers, Tokens, until};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const REFRESH: &str = "/api/v1/sessions/refresh";

const WRONG: &str = "copper lantern beneath willows";

both_backends! {
    logins_are_limited_per_account,
    logins_are_limited_per_address,
    registrations_are_limited_per_address,
    refreshes_are_limited_per_session,
    refreshes_are_limited_per_address,
    a_limited_refresh_leaves_the_session_as_it_is,
    attempts_return_after_the_time_told,
    a_limit_can_be_off,
    an_address_is_believed_from_trusted_proxies_alone,
    what_stands_left_of_a_stranger_is_not_believed,
    ipv6_counts_per_network,
    an_unknown_account_is_limited_like_a_known_one,
}

embedded_only! {
    attempts_return_one_by_one,
}

scaled_only! {
    servers_with_redis_count_together,
    servers_without_redis_count_for_themselves,
    redis_holds_no_address_and_no_account,
}

fn login(server: &Endpoint, email: &str, password: &str) -> Request {
    server.post(LOGIN).json(&json!({"email": email, "password": password}))
}

fn refresh(server: &Endpoint, tokens: &Tokens) -> Request {
    server.post(REFRESH).json(&json!({"refresh_token": tokens.refresh}))
}

/// Asserts a refusal by a limit of `limit` attempts an hour; gives the seconds to wait.
#[track_caller]
fn assert_limited(answer: &Response, limit: u64) -> u64 {
    answer.assert_problem(429, "too_many_requests");
    let number = |name: &str| -> u64 {
        let value = answer.header(name).unwrap_or_else(|| panic!("no {name}: {answer:?}"));
        value.parse().unwrap_or_else(|_| panic!("{name} is {value}"))
    };
    let (retry_after, reset) = (number("retry-after"), number("ratelimit-reset"));
    assert_eq!((number("ratelimit-limit"), number("ratelimit-remaining")), (limit, 0));
    let interval = 3600 / limit;
    assert!((1..=interval).contains(&retry_after), "{retry_after}");
    assert!((3600 - interval..=3600).contains(&reset), "{reset}");
    assert!(answer.json()["retryable"] == true && answer.header("www-authenticate").is_none());
    retry_after
}

async fn logins_are_limited_per_account(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_LOGIN_ACCOUNT", "3/3600")]).await;
    let (own, other) = (server.register().await, server.register().await);
    for _ in 0..2 {
        login(&server, &own.email, WRONG).send().await.assert_problem(401, "invalid_credentials");
    }
    server.login(&own.email).await;
    for spelling in [own.email.clone(), own.email.to_uppercase(), format!(" {}", own.email)] {
        assert_limited(&login(&server, &spelling, PASSWORD).send().await, 3);
    }
    server.login(&other.email).await;
    server.me(&own.access).await.assert_status(200);
    server.refresh(&own.refresh).await.assert_status(200);
    assert_eq!(server.metric("keyturn_limited_total{limit=\"login-account\"}").await, 3);
}

async fn an_unknown_account_is_limited_like_a_known_one(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_LOGIN_ACCOUNT", "2/3600")]).await;
    for _ in 0..2 {
        login(&server, "nobody@example.com", WRONG).send().await.assert_problem(401, "invalid_credentials");
    }
    assert_limited(&login(&server, "nobody@example.com", WRONG).send().await, 2);
}

async fn logins_are_limited_per_address(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_LOGIN_ADDRESS", "3/3600")]).await;
    let own = server.register().await;
    for n in 0..3 {
        login(&server, &format!("person-{n}@example.com"), WRONG).send().await.assert_status(401);
    }
    assert_limited(&login(&server, &own.email, PASSWORD).send().await, 3);
    server.refresh(&own.refresh).await.assert_status(200);
    server.register().await;
}

async fn registrations_are_limited_per_address(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_REGISTER_ADDRESS", "2/3600")]).await;
    let own = server.register().await;
    server.post(REGISTER).json(&json!({"email": "nobody", "password": "x"})).send().await.assert_status(422);
    let third = server.post(REGISTER).json(&json!({"email": "ada@example.com", "password": PASSWORD}));
    assert_limited(&third.send().await, 2);
    assert_eq!(server.count("users"), 1);
    server.login(&own.email).await;
}

async fn refreshes_are_limited_per_session(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_REFRESH_SESSION", "2/3600")]).await;
    let own = server.register().await;
    let other = server.login(&own.email).await;
    let second = server.refreshed(&own).await;
    let third = server.refreshed(&second).await;
    assert_limited(&server.refresh(&third.refresh).await, 2);
    assert_limited(&server.refresh(&own.refresh).await, 2);
    server.refresh(&other.refresh).await.assert_status(200);
    // A forged token is no attempt on a session.
    server.refresh("ktr_forged").await.assert_problem(401, "invalid_refresh_token");
    assert_eq!(server.metric("keyturn_limited_total{limit=\"refresh-session\"}").await, 2);
}

async fn refreshes_are_limited_per_address(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_REFRESH_ADDRESS", "2/3600")]).await;
    let sessions = [server.register().await, server.register().await, server.register().await];
    for tokens in &sessions[..2] {
        server.refresh(&tokens.refresh).await.assert_status(200);
    }
    assert_limited(&server.refresh(&sessions[2].refresh).await, 2);
    server.me(&sessions[2].access).await.assert_status(200);
}

async fn a_limited_refresh_leaves_the_session_as_it_is(backend: Backend) {
    let deployment = Deployment::new(backend);
    let server = Server::start(&deployment, &[("LIMIT_REFRESH_SESSION", "1/3600")], Clock::default()).await;
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    let before = server.session(first.session);
    for token in [&second.refresh, &first.refresh] {
        assert_limited(&server.refresh(token).await, 1);
    }
    assert_eq!(server.session(first.session), before);
    server.me(&second.access).await.assert_status(200);

    // Even one that would be theft waits: what a limit refuses was not looked at.
    let unlimited = Server::start(&deployment, &[("LIMIT_REFRESH_SESSION", "off")], server.clock.clone()).await;
    let third = unlimited.refreshed(&second).await;
    assert_limited(&server.refresh(&first.refresh).await, 1);
    unlimited.me(&third.access).await.assert_status(200);
}

async fn attempts_return_after_the_time_told(backend: Backend) {
    // Redis counts by its own clock, so this one waits.
    let server = Server::with(backend, &[("LIMIT_REFRESH_SESSION", "2/2")]).await;
    let mut tokens = server.register().await;
    let refused = loop {
        let answer = refresh(&server, &tokens).send().await;
        if answer.status == 429 {
            break answer;
        }
        tokens = Tokens::of(&answer);
    };
    assert_eq!(refused.header("retry-after"), Some("1"));
    let answer = until("another attempt", async || {
        let answer = refresh(&server, &tokens).send().await;
        if answer.status != 429 {
            return Some(answer);
        }
        assert_eq!(answer.header("retry-after"), Some("1"), "attempts that are refused do not count");
        None
    })
    .await;
    answer.assert_status(200);
}

async fn attempts_return_one_by_one(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_LOGIN_ACCOUNT", "3/3600")]).await;
    let own = server.register().await;
    for _ in 0..3 {
        server.login(&own.email).await;
    }
    let wait = assert_limited(&login(&server, &own.email, PASSWORD).send().await, 3);
    server.advance(wait / 2);
    assert_limited(&login(&server, &own.email, PASSWORD).send().await, 3);
    server.advance(wait - wait / 2);
    server.login(&own.email).await;
    assert_limited(&login(&server, &own.email, PASSWORD).send().await, 3);
    server.advance(3600);
    for _ in 0..3 {
        server.login(&own.email).await;
    }
    assert_limited(&login(&server, &own.email, PASSWORD).send().await, 3);
}

async fn a_limit_can_be_off(backend: Backend) {
    let names = ["LOGIN_ACCOUNT", "LOGIN_ADDRESS", "REGISTER_ADDRESS", "REFRESH_SESSION", "REFRESH_ADDRESS"];
    let names = names.map(|name| format!("LIMIT_{name}"));
    let settings: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "off")).collect();
    let server = Server::with(backend, &settings).await;
    let mut tokens = server.register().await;
    // Over the default of ten logins to one account.
    for _ in 0..15 {
        tokens = server.refreshed(&server.login(&tokens.email).await).await;
    }
    if backend == Backend::Scaled {
        assert!(server.redis_keys("*limit*").is_empty());
    }
}

/// What becomes of a login that comes through these hops.
async fn login_through(server: &Server, forwarded_for: &str) -> Response {
    login(server, "nobody@example.com", WRONG).header("x-forwarded-for", forwarded_for).send().await
}

const BY_ADDRESS: [(&str, &str); 2] = [("LIMIT_LOGIN_ADDRESS", "1/3600"), ("LIMIT_LOGIN_ACCOUNT", "off")];

async fn an_address_is_believed_from_trusted_proxies_alone(backend: Backend) {
    let server = Server::with(backend, &BY_ADDRESS).await;
    login_through(&server, "198.51.100.1").await.assert_status(401);
    for made_up in ["198.51.100.2", "2001:db8::1", "127.0.0.2"] {
        assert_limited(&login_through(&server, made_up).await, 1);
    }

    let proxied = [&BY_ADDRESS[..], &[("TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.0/8")]].concat();
    let server = Server::with(backend, &proxied).await;
    for client in ["198.51.100.1", "198.51.100.2"] {
        login_through(&server, client).await.assert_status(401);
        assert_limited(&login_through(&server, client).await, 1);
        assert_limited(&login_through(&server, &format!("{client}, 10.0.0.7")).await, 1);
        assert_limited(&login_through(&server, &format!("{client}:4711")).await, 1);
    }
    let own = login(&server, "nobody@example.com", WRONG).send().await;
    own.assert_status(401);

    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let tokens = Tokens::of(&server.post(REGISTER).json(&body).header("x-forwarded-for", "198.51.100.9").send().await);
    assert_eq!(server.sessions(&tokens.access).await["sessions"][0]["ip_address"], "198.51.100.9");
}

async fn what_stands_left_of_a_stranger_is_not_believed(backend: Backend) {
    let server = Server::with(backend, &[&BY_ADDRESS[..], &[("TRUSTED_PROXIES", "127.0.0.1")]].concat()).await;
    login_through(&server, "198.51.100.1").await.assert_status(401);
    for made_up in ["192.0.2.1, 198.51.100.1", "127.0.0.1, 198.51.100.1", "garbage, 198.51.100.1", ",198.51.100.1"] {
        assert_limited(&login_through(&server, made_up).await, 1);
    }
    // Two lines are one list.
    let request = login(&server, "nobody@example.com", WRONG);
    let request = request.header("x-forwarded-for", "192.0.2.7").header("x-forwarded-for", "198.51.100.1");
    assert_limited(&request.send().await, 1);
}

async fn ipv6_counts_per_network(backend: Backend) {
    let server = Server::with(backend, &[&BY_ADDRESS[..], &[("TRUSTED_PROXIES", "127.0.0.1")]].concat()).await;
    login_through(&server, "2001:db8:1:2::1").await.assert_status(401);
    for neighbour in ["2001:db8:1:2::2", "2001:db8:1:2:ffff:ffff:ffff:ffff", "[2001:db8:1:2::3]:443"] {
        assert_limited(&login_through(&server, neighbour).await, 1);
    }
    login_through(&server, "2001:db8:1:3::1").await.assert_status(401);
    login_through(&server, "198.51.100.1").await.assert_status(401);
    assert_limited(&login_through(&server, "::ffff:198.51.100.1").await, 1);
}

async fn servers_with_redis_count_together(backend: Backend) {
    let servers =
        Servers::with(backend, &[("LIMIT_LOGIN_ACCOUNT", "4/3600"), ("LIMIT_REFRESH_SESSION", "4/3600")]).await;
    let tokens = servers.register().await;
    for _ in 0..2 {
        for server in servers.all() {
            server.login(&tokens.email).await;
            server.refresh(&tokens.refresh).await.assert_status(200);
        }
    }
    for server in servers.all() {
        assert_limited(&login(server, &tokens.email, PASSWORD).send().await, 4);
        assert_limited(&server.refresh(&tokens.refresh).await, 4);
    }
    let third = servers.another().await;
    assert_limited(&login(&third, &tokens.email, PASSWORD).send().await, 4);
}

async fn servers_without_redis_count_for_themselves(backend: Backend) {
    let deployment = Deployment::new(backend);
    let settings = [("REDIS_URL", ""), ("LIMIT_LOGIN_ACCOUNT", "1/3600")];
    let first = Server::start(&deployment, &settings, Clock::default()).await;
    let second = first.another().await;
    let tokens = first.register().await;
    for server in [&*first, &*second] {
        server.login(&tokens.email).await;
        assert_limited(&login(server, &tokens.email, PASSWORD).send().await, 1);
    }
}

async fn redis_holds_no_address_and_no_account(server: Server) {
    let tokens = server.register_as("ada.lovelace@example.com").await;
    server.login(&tokens.email).await;
    // A count that is full again after a few seconds leaves no key.
    let mut tokens = tokens;
    let keys = until("all keys", async || {
        tokens = server.refreshed(&tokens).await;
        Some(server.redis_keys("*limit*")).filter(|keys| keys.len() >= 5)
    })
    .await;
    assert_eq!(keys.len(), 5, "{keys:?}");
    for key in keys {
        let lifetime: i64 = server.redis(&["PTTL", &key]);
        assert!((1..=3_600_000).contains(&lifetime), "{key} lives {lifetime} ms");
        let name = key.strip_prefix("keyturn:limit:{").and_then(|rest| rest.strip_suffix('}')).unwrap();
        let (_, mac) = name.split_once(':').unwrap();
        assert!(mac.len() == 32 && mac.bytes().all(|digit| digit.is_ascii_hexdigit()), "{key}");
        let plain = [tokens.session.0.simple().to_string(), "7f000001".to_owned()];
        assert!(plain.iter().all(|plain| !mac.contains(plain.as_str())), "{key}");
    }
}
