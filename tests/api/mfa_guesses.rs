//! Guessing codes of the second factor: who fails again and again waits, the owner is told, and nobody is locked out by
//! others.

use std::time::Duration;

use keyturn::clock::Clock;
use serde_json::json;

use crate::mfa::{CONFIRM, MFA, NO_LIMITS, Person, REAUTHENTICATE, challenge, enrol, person};
use crate::support::http::at_once;
use crate::support::{Backend, Endpoint, PASSWORD, Request, Response, Server, Servers, until};

both_backends! {
    after_five_wrong_codes_each_doubles_the_wait_wherever_codes_are_asked_for,
    of_codes_at_once_no_more_are_looked_at_than_of_codes_one_after_another,
    who_guesses_codes_shuts_nobody_out_of_a_network_that_is_known,
    who_guesses_codes_uses_up_nobodys_attempts_in_a_network_that_is_known,
    the_owner_is_told_once_of_ten_wrong_codes,
    the_owners_own_mistakes_are_no_reason_to_tell,
}

const HOME: &str = "127.0.0.1";
const ELSEWHERE: &str = "203.0.113.7";
const FURTHER: &str = "192.0.2.7";

/// Stops a server's clock, since the first waits last a second or two, at the beginning of a step of codes.
fn hold(clock: &Clock) {
    clock.hold();
    let into_step = u64::try_from(clock.now().as_secs() % 30).unwrap();
    clock.advance(Duration::from_secs(30 - into_step));
}

async fn behind_proxy(backend: Backend, settings: &[(&str, &str)]) -> Server {
    let server = Server::with(backend, &[&[("TRUSTED_PROXIES", "127.0.0.1")], settings].concat()).await;
    hold(&server.clock);
    server
}

/// Begins a login, and gives the request that completes it from `address`.
async fn completing(endpoint: &Endpoint, person: &Person, address: &str, code: &str) -> Request {
    let token = challenge(endpoint, &person.tokens.email).await;
    let body = json!({"mfa_token": token, "method": "totp", "code": code});
    endpoint.post(MFA).json(&body).header("x-forwarded-for", address)
}

async fn complete(endpoint: &Endpoint, person: &Person, address: &str, code: &str) -> Response {
    completing(endpoint, person, address, code).await.send().await
}

async fn fail(endpoint: &Endpoint, person: &Person, address: &str, times: usize) {
    for _ in 0..times {
        complete(endpoint, person, address, "abcdef").await.assert_problem(401, "invalid_code");
    }
}

#[track_caller]
fn assert_waits(answer: &Response) -> u64 {
    answer.assert_problem(429, "too_many_failures");
    answer.header("retry-after").expect("is told").parse().unwrap()
}

async fn after_five_wrong_codes_each_doubles_the_wait_wherever_codes_are_asked_for(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMITS).await;
    let person = person(&server, &server.clock).await;
    let reauthenticating = |code: &str| {
        let body = json!({"password": PASSWORD, "code": code});
        server.post(REAUTHENTICATE).bearer(&person.tokens.access).json(&body).send()
    };
    fail(&server, &person, HOME, 3).await;
    for _ in 0..2 {
        reauthenticating("abcdef").await.assert_problem(401, "invalid_code");
    }
    for expected in [1, 2, 4, 8] {
        let right = person.app.code(server.clock.now(), 0);
        for answer in [complete(&server, &person, HOME, &right).await, reauthenticating(&right).await] {
            assert_eq!(assert_waits(&answer), expected);
        }
        server.advance(expected);
        fail(&server, &person, HOME, 1).await;
    }
    assert!(server.count("audit_log WHERE event = 'rate_limit.exceeded'") > 0);
    server.advance(900);
    let right = person.app.code(server.clock.now(), 0);
    complete(&server, &person, HOME, &right).await.assert_status(200);
    // The right one has reset the count.
    fail(&server, &person, HOME, 5).await;

    let other = server.register().await;
    enrol(&server, &other.access).await;
    let confirming = || server.post(CONFIRM).bearer(&other.access).json(&json!({"code": "abcdef"})).send();
    for _ in 0..5 {
        confirming().await.assert_problem(401, "invalid_code");
    }
    assert_waits(&confirming().await);
}

async fn of_codes_at_once_no_more_are_looked_at_than_of_codes_one_after_another(backend: Backend) {
    let servers = Servers::with(backend, &NO_LIMITS).await;
    hold(&servers.clock);
    let person = person(&servers, &servers.clock).await;
    for (promised, pause) in [(5, 1), (1, 2), (1, 4)] {
        let mut guesses = Vec::new();
        for n in 0..12 {
            guesses.push(completing(&servers.all()[n % servers.all().len()], &person, HOME, "abcdef").await);
        }
        let answers = at_once(guesses).await;
        let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
        assert_eq!(looked_at, promised, "{answers:?}");
        servers.advance(pause);
    }
}

async fn who_guesses_codes_shuts_nobody_out_of_a_network_that_is_known(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMITS).await;
    let person = person(&server, &server.clock).await;
    fail(&server, &person, ELSEWHERE, 5).await;
    let right = person.app.code(server.clock.now(), 0);
    for address in [ELSEWHERE, FURTHER] {
        assert_waits(&complete(&server, &person, address, &right).await);
    }
    complete(&server, &person, HOME, &right).await.assert_status(200);
    // That resets nothing elsewhere.
    let right = person.app.code(server.clock.now(), 1);
    assert_waits(&complete(&server, &person, FURTHER, &right).await);
    server.advance(1);
    complete(&server, &person, FURTHER, &right).await.assert_status(200);
}

async fn who_guesses_codes_uses_up_nobodys_attempts_in_a_network_that_is_known(backend: Backend) {
    let limits = [("LIMIT_MFA_ACCOUNT", "3/3600"), ("LIMIT_LOGIN_ACCOUNT", "off")];
    let server = behind_proxy(backend, &limits).await;
    let person = person(&server, &server.clock).await;
    fail(&server, &person, ELSEWHERE, 3).await;
    let right = person.app.code(server.clock.now(), 0);
    complete(&server, &person, FURTHER, &right).await.assert_problem(429, "too_many_requests");
    complete(&server, &person, HOME, &right).await.assert_status(200);
}

/// Counts the emails of wrong codes that were sent.
fn warnings(server: &Server) -> usize {
    let files = std::fs::read_dir(server.data_dir().join("outbox")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let whole = paths.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    whole.filter(|path| crate::support::smtp::Mail::read(path).subject().starts_with("Somebody may know")).count()
}

async fn the_owner_is_told_once_of_ten_wrong_codes(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMITS).await;
    let person = person(&server, &server.clock).await;
    let guess = async |address: &str| {
        server.advance(900);
        fail(&server, &person, address, 1).await;
    };
    for n in 0..9 {
        guess(if n % 2 == 0 { ELSEWHERE } else { FURTHER }).await;
    }
    // The owner knows nothing of it, and logs in.
    let right = person.app.code(server.clock.now(), 0);
    complete(&server, &person, HOME, &right).await.assert_status(200);
    let queued = || server.count("outbox");
    until("all emails to be delivered", async || (queued() == 0).then_some(())).await;
    assert_eq!(warnings(&server), 0);
    guess(FURTHER).await;
    until("the email", async || (warnings(&server) == 1).then_some(())).await;
    for _ in 0..12 {
        guess(ELSEWHERE).await;
    }
    until("all emails to be delivered", async || (queued() == 0).then_some(())).await;
    assert_eq!(warnings(&server), 1);
    let email = crate::mfa::sent_email(&server, "Somebody may know your password").await;
    assert_eq!(email.header("to"), person.tokens.email);
    assert!(email.link().path().ends_with("/account/not-me"));
}

async fn the_owners_own_mistakes_are_no_reason_to_tell(backend: Backend) {
    let server = behind_proxy(backend, &NO_LIMITS).await;
    let person = person(&server, &server.clock).await;
    for _ in 0..4 {
        server.advance(900);
        fail(&server, &person, HOME, 3).await;
        let right = person.app.code(server.clock.now(), 0);
        complete(&server, &person, HOME, &right).await.assert_status(200);
    }
    until("all emails to be delivered", async || (server.count("outbox") == 0).then_some(())).await;
    assert_eq!(warnings(&server), 0);
}
