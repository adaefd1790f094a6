//! Guessing passwords: who fails again and again waits, and nobody is locked out by others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::http::at_once;
use crate::support::{Backend, Endpoint, PASSWORD, Request, Response, Server, Servers, hex};

const WRONG: &str = "copper lantern beneath willows";
const HOME: &str = "198.51.100.7";
const NEIGHBOUR: &str = "198.51.100.200";
const ELSEWHERE: &str = "203.0.113.7";
const FURTHER: &str = "192.0.2.7";

both_backends! {
    after_five_failures_each_doubles_the_wait,
    a_wait_is_the_same_on_every_server,
    an_account_that_does_not_exist_is_judged_like_one_that_does,
    a_right_password_makes_failures_forgotten,
    failures_are_forgotten_after_a_day,
    strangers_lock_nobody_out_of_a_network_that_is_known,
    strangers_use_up_nobodys_attempts_in_a_network_that_is_known,
    who_guesses_from_many_networks_waits_in_all_that_are_not_known,
    a_network_of_ipv6_is_one_source,
    a_network_where_a_stolen_session_was_used_is_not_known,
    a_device_that_is_trusted_is_let_in_from_anywhere,
    guesses_with_a_stolen_session_count,
    of_guesses_at_once_no_more_are_looked_at_than_of_guesses_one_after_another,
    right_passwords_at_once_are_no_failures,
    who_is_refused_for_another_reason_than_the_password_has_not_failed,
    no_address_is_kept_in_clear,
    what_hits_a_limit_is_noted_once_a_minute,
}

/// A server whose clock stands still: the first waits last a second or two.
async fn behind_proxy(backend: Backend, settings: &[(&str, &str)]) -> Server {
    let server = Server::with(backend, &[&[("TRUSTED_PROXIES", "127.0.0.1")], settings].concat()).await;
    server.clock.hold();
    server
}

const NO_LIMIT: [(&str, &str); 1] = [("LIMIT_LOGIN_ACCOUNT", "off")];

fn from(server: &Endpoint, address: &str, email: &str, password: &str) -> Request {
    let login = server.post("/api/v1/auth/login").json(&json!({"email": email, "password": password}));
    login.header("x-forwarded-for", address)
}

/// An account whose owner has logged in from [`HOME`].
async fn at_home(server: &Endpoint) -> String {
    let email = server.register().await.email;
    server.sql("UPDATE sessions SET ip = NULL");
    from(server, HOME, &email, PASSWORD).send().await.assert_status(200);
    email
}

async fn fail(server: &Endpoint, address: &str, email: &str, times: usize) {
    for _ in 0..times {
        from(server, address, email, WRONG).send().await.assert_problem(401, "invalid_credentials");
    }
}

/// Asserts that a password is not even looked at; gives the seconds to wait.
#[track_caller]
fn assert_waits(answer: &Response) -> u64 {
    answer.assert_problem(429, "too_many_failures");
    assert_eq!(answer.json()["retryable"], true);
    answer.header("retry-after").expect("is told").parse().unwrap()
}

async fn after_five_failures_each_doubles_the_wait(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let email = at_home(&server).await;
    fail(&server, ELSEWHERE, &email, 5).await;
    for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
        assert_eq!(assert_waits(&from(&server, ELSEWHERE, &email, PASSWORD).send().await), expected);
        server.advance(expected);
        fail(&server, ELSEWHERE, &email, 1).await;
    }
    let guesses = server.audited("event = 'login.failed'");
    assert_eq!(guesses.len(), 5 + 12, "what was not looked at did not fail");
    server.advance(900);
    from(&server, ELSEWHERE, &email, PASSWORD).send().await.assert_status(200);
}

async fn a_wait_is_the_same_on_every_server(backend: Backend) {
    let servers = Servers::with(backend, &[&[("TRUSTED_PROXIES", "127.0.0.1")], &NO_LIMIT[..]].concat()).await;
    servers.clock.hold();
    let email = at_home(&servers).await;
    for attempt in 0..9 {
        let server = &servers.all()[attempt % servers.all().len()];
        fail(server, ELSEWHERE, &email, 1).await;
        server.advance(if attempt < 4 { 0 } else { 1 << (attempt - 4) });
    }
    fail(&servers, ELSEWHERE, &email, 1).await;
    for server in servers.all() {
        assert_waits(&from(server, ELSEWHERE, &email, PASSWORD).send().await);
    }
}

async fn an_account_that_does_not_exist_is_judged_like_one_that_does(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let email = at_home(&server).await;
    let mut told = Vec::new();
    for email in [email.as_str(), "nobody@example.com", "NOBODY@example.com "] {
        server.advance(86_401);
        fail(&server, ELSEWHERE, email, 8 - 3).await;
        server.advance(1);
        fail(&server, ELSEWHERE, email, 1).await;
        server.advance(2);
        fail(&server, ELSEWHERE, email, 1).await;
        let answer = from(&server, ELSEWHERE, email, WRONG).send().await;
        assert_waits(&answer);
        let mut body = answer.json();
        body["request_id"].take();
        told.push(body);
    }
    assert!(told.iter().all(|body| *body == told[0]), "{told:?}");
}

async fn a_right_password_makes_failures_forgotten(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let email = at_home(&server).await;
    for address in [HOME, ELSEWHERE] {
        for _ in 0..3 {
            fail(&server, address, &email, 4).await;
            from(&server, address, &email, PASSWORD).send().await.assert_status(200);
        }
    }
    assert_eq!(server.count("login_failures"), 0);
}

async fn failures_are_forgotten_after_a_day(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let email = at_home(&server).await;
    fail(&server, ELSEWHERE, &email, 5).await;
    server.advance(86_400);
    fail(&server, ELSEWHERE, &email, 5).await;
    assert_waits(&from(&server, ELSEWHERE, &email, WRONG).send().await);
}

async fn strangers_lock_nobody_out_of_a_network_that_is_known(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let email = at_home(&server).await;
    for address in [ELSEWHERE, FURTHER] {
        server.advance(60);
        fail(&server, address, &email, if address == ELSEWHERE { 5 } else { 1 }).await;
    }
    assert_waits(&from(&server, FURTHER, &email, PASSWORD).send().await);
    for address in [HOME, NEIGHBOUR] {
        from(&server, address, &email, PASSWORD).send().await.assert_status(200);
    }
    assert_waits(&from(&server, FURTHER, &email, PASSWORD).send().await);
    // Who fails at home waits at home.
    fail(&server, NEIGHBOUR, &email, 5).await;
    assert_waits(&from(&server, HOME, &email, PASSWORD).send().await);
}

async fn strangers_use_up_nobodys_attempts_in_a_network_that_is_known(backend: Backend) {
    let server = behind_proxy(backend, &[("LIMIT_LOGIN_ACCOUNT", "3/3600")]).await;
    // One of three, from where nobody was known yet.
    let email = at_home(&server).await;
    fail(&server, ELSEWHERE, &email, 2).await;
    for address in [ELSEWHERE, FURTHER] {
        from(&server, address, &email, PASSWORD).send().await.assert_problem(429, "too_many_requests");
    }
    from(&server, HOME, &email, PASSWORD).send().await.assert_status(200);
    fail(&server, HOME, &email, 2).await;
    from(&server, HOME, &email, PASSWORD).send().await.assert_problem(429, "too_many_requests");
}

async fn who_guesses_from_many_networks_waits_in_all_that_are_not_known(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let email = at_home(&server).await;
    for network in 0..5 {
        fail(&server, &format!("10.0.{network}.1"), &email, 1).await;
    }
    assert_waits(&from(&server, "10.0.9.1", &email, PASSWORD).send().await);
    from(&server, HOME, &email, PASSWORD).send().await.assert_status(200);
}

async fn a_network_of_ipv6_is_one_source(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let email = at_home(&server).await;
    from(&server, "2001:db8:1:2::1", &email, PASSWORD).send().await.assert_status(200);
    for host in 0..5 {
        fail(&server, &format!("2001:db8:1:2::{host}"), &email, 1).await;
    }
    assert_waits(&from(&server, "2001:db8:1:2:ffff::1", &email, PASSWORD).send().await);
    from(&server, "2001:db8:1:3::1", &email, PASSWORD).send().await.assert_status(200);
}

async fn a_network_where_a_stolen_session_was_used_is_not_known(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let own = server.register().await;
    let second = server.refreshed(&own).await;
    server.refreshing(&second.refresh).header("x-forwarded-for", ELSEWHERE).send().await.assert_status(200);
    server.advance(60);
    server.assert_reused(&own.refresh).await;
    fail(&server, FURTHER, &own.email, 5).await;
    assert_waits(&from(&server, ELSEWHERE, &own.email, PASSWORD).send().await);
}

async fn guesses_with_a_stolen_session_count(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let own = server.register().await;
    let guess = |path: &str, body: &serde_json::Value| {
        let request = server.post(&format!("/api/v1/auth/{path}")).bearer(&own.access).json(body);
        request.header("x-forwarded-for", ELSEWHERE).send()
    };
    let change = json!({"current_password": WRONG, "new_password": "eleven geese under the bridge"});
    for _ in 0..3 {
        guess("password/change", &change).await.assert_problem(401, "invalid_credentials");
    }
    for _ in 0..2 {
        guess("reauthenticate", &json!({"password": WRONG})).await.assert_problem(401, "invalid_credentials");
    }
    assert_waits(&guess("reauthenticate", &json!({"password": PASSWORD})).await);
    assert_waits(&guess("password/change", &change).await);
    assert_waits(&from(&server, ELSEWHERE, &own.email, PASSWORD).send().await);
    server.me(&own.access).await.assert_status(200);
    server.login(&own.email).await;
}

async fn of_guesses_at_once_no_more_are_looked_at_than_of_guesses_one_after_another(backend: Backend) {
    let settings = [("TRUSTED_PROXIES", "127.0.0.1"), ("LIMIT_LOGIN_ACCOUNT", "off"), ("LIMIT_LOGIN_ADDRESS", "off")];
    let servers = Servers::with(backend, &settings).await;
    servers.clock.hold();
    let known = at_home(&servers).await;
    for email in [known.as_str(), "nobody@example.com"] {
        for (promised, pause) in [(5, 1), (1, 2), (1, 4), (1, 8)] {
            let all = servers.all();
            let guesses = (0..12).map(|n| from(&all[n % all.len()], ELSEWHERE, email, WRONG));
            let answers = at_once(guesses.collect::<Vec<_>>()).await;
            let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
            assert_eq!(looked_at, promised, "{answers:?}");
            for answer in answers.iter().filter(|answer| answer.status != 401) {
                assert_waits(answer);
            }
            servers.advance(pause);
        }
    }
}

async fn right_passwords_at_once_are_no_failures(backend: Backend) {
    let servers = Servers::with(backend, &[&[("TRUSTED_PROXIES", "127.0.0.1")], &NO_LIMIT[..]].concat()).await;
    servers.clock.hold();
    let email = at_home(&servers).await;
    fail(&servers, ELSEWHERE, &email, 4).await;
    let all = servers.all();
    let logins = (0..16).map(|n| from(&all[n % all.len()], ELSEWHERE, &email, PASSWORD));
    let logins: Vec<Request> = logins.collect();
    for (answer, login) in at_once(logins.clone()).await.iter().zip(logins) {
        // One that has waited for the others for too long comes again.
        let again = if answer.status == 429 { Some(login.send().await) } else { None };
        again.as_ref().unwrap_or(answer).assert_status(200);
    }
    assert_eq!(servers.count("login_failures"), 0);
}

async fn who_is_refused_for_another_reason_than_the_password_has_not_failed(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let email = at_home(&server).await;
    fail(&server, ELSEWHERE, &email, 4).await;
    server.sql("UPDATE users SET disabled_at = created_at");
    for _ in 0..6 {
        from(&server, ELSEWHERE, &email, PASSWORD).send().await.assert_problem(403, "account_disabled");
    }
    assert_eq!(server.count("login_failures WHERE failures = 4 AND pending = 0"), 2);
    fail(&server, ELSEWHERE, &email, 1).await;
    assert_waits(&from(&server, ELSEWHERE, &email, WRONG).send().await);
}

async fn no_address_is_kept_in_clear(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    fail(&server, ELSEWHERE, "nobody@example.com", 2).await;
    let rows = server.rows("login_failures");
    assert_eq!(rows.len(), 2);
    for row in rows {
        let source = row["source"].as_str().unwrap().trim_start_matches("\\x").to_lowercase();
        assert!(source.len() == 32 && !source.contains("cb007107"), "{source}");
        assert_eq!((&row["failures"], &row["pending"]), (&json!(2), &json!(0)));
    }
}

async fn what_hits_a_limit_is_noted_once_a_minute(backend: Backend) {
    let server = behind_proxy(backend, &[("LIMIT_LOGIN_ACCOUNT", "1/3600"), ("LIMIT_REFRESH_SESSION", "1/3600")]).await;
    let own = server.register().await;
    server.refreshed(&own).await;
    server.login(&own.email).await;
    let noted = || server.count("audit_log WHERE event = 'rate_limit.exceeded' AND outcome = 'failure'");
    for expected in [2, 4] {
        for _ in 0..5 {
            server.try_login(&own.email, PASSWORD).await.assert_problem(429, "too_many_requests");
            server.refresh(&own.refresh).await.assert_problem(429, "too_many_requests");
        }
        assert_eq!(noted(), expected);
        server.advance(61);
    }
    let rows = server.rows("audit_log");
    let hit = |limit: &str| {
        rows.iter()
            .find(|row| row["event"] == "rate_limit.exceeded" && row["metadata"].to_string().contains(limit))
            .unwrap()
    };
    assert!(hit("login-account")["user_id"].is_string() && hit("login-account")["ip"].is_string());
    assert!(hit("refresh-session")["session_id"].is_string());
}

async fn a_device_that_is_trusted_is_let_in_from_anywhere(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMIT).await;
    let own = server.register().await;
    server.sql("UPDATE sessions SET ip = NULL");
    let token = format!("ktd_{}", URL_SAFE_NO_PAD.encode([7; 32]));
    let digest = hex(&Sha256::digest(token.as_bytes()));
    let (digest, time, later) = match backend {
        Backend::Embedded => (format!("X'{digest}'"), "0".to_owned(), "99999999999999".to_owned()),
        Backend::Scaled => (format!("'\\x{digest}'"), "now()".to_owned(), "now() + interval '1 year'".to_owned()),
    };
    let (id, user) = (server.literal(own.session.0), server.literal(own.user.0));
    server.sql(&format!(
        "INSERT INTO opaque_tokens (digest, purpose, user_id, created_at, expires_at) \
         VALUES ({digest}, 'trusted_device', {user}, {time}, {later}); \
         INSERT INTO trusted_devices (id, digest, device, last_used_at) VALUES ({id}, {digest}, '{{}}', {time})"
    ));
    let login = |password: &str| {
        let body = json!({"email": own.email, "password": password, "trusted_device": token});
        server.post("/api/v1/auth/login").json(&body).header("x-forwarded-for", ELSEWHERE).send()
    };
    fail(&server, ELSEWHERE, &own.email, 5).await;
    assert_waits(&from(&server, ELSEWHERE, &own.email, PASSWORD).send().await);
    for _ in 0..5 {
        login(WRONG).await.assert_problem(401, "invalid_credentials");
    }
    // Who fails on it waits on it, too.
    assert_waits(&login(PASSWORD).await);
    server.advance(1);
    login(PASSWORD).await.assert_status(200);
}
