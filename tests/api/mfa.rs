//! The second factor: codes of an app, recovery codes, logins that wait for either, trusted devices, and what of it
//! needs a recent login.

use std::collections::HashSet;
use std::sync::Arc;

use keyturn::clock::Clock;
use serde_json::{Value, json};

use crate::support::deployment::PUBLIC_URL;
use crate::support::http::at_once;
use crate::support::tokens::jwt_part;
use crate::support::{
    Authenticator, Backend, Deployment, Endpoint, PASSWORD, Process, Request, Response, Server, Servers, Tokens, smtp,
    until,
};
use crate::trusted_devices::{DEVICE_COOKIE, trust};

pub const LOGIN: &str = "/api/v1/auth/login";
pub const MFA: &str = "/api/v1/auth/mfa";
pub const TOTP: &str = "/api/v1/auth/mfa/totp";
pub const CONFIRM: &str = "/api/v1/auth/mfa/totp/confirm";
pub const RECOVERY_CODES: &str = "/api/v1/auth/mfa/recovery-codes";
pub const REAUTHENTICATE: &str = "/api/v1/auth/reauthenticate";
pub const CHANGE: &str = "/api/v1/auth/password/change";
pub const ACCESS_COOKIE: &str = "__Host-keyturn_access";
pub const NEW_PASSWORD: &str = "copper lantern beneath willows";

pub const DAY: u64 = 24 * 60 * 60;

both_backends! {
    a_secret_counts_once_a_code_of_it_was_shown,
    beginning_again_takes_the_place_of_a_secret_that_was_not_confirmed,
    a_login_waits_for_a_code_of_the_app,
    a_browser_completes_its_login_with_cookies,
    a_code_is_accepted_once_and_so_is_all_that_came_before_it,
    a_code_is_right_for_a_minute_and_a_half,
    a_recovery_code_is_good_once_however_it_is_typed,
    new_recovery_codes_void_the_old_ones,
    a_login_that_waits_takes_five_tries,
    a_login_that_waits_is_completed_once_and_within_five_minutes,
    whatever_changes_meanwhile_ends_a_login_that_waits,
    guesses_are_limited_for_each_account,
    without_the_second_factor_all_is_as_before,
    what_concerns_the_second_factor_needs_a_recent_login,
    authenticating_again_takes_a_code_and_counts_for_the_token_in_hand_everywhere,
    what_is_wrong_with_a_request_is_told,
    of_twenty_uses_of_one_code_at_all_processes_one_succeeds,
    of_twenty_uses_of_one_recovery_code_at_all_processes_one_succeeds,
    of_twenty_confirmations_at_once_one_gets_the_recovery_codes,
    nothing_of_a_second_factor_is_at_rest_in_clear,
}

/// Without limits, for tests that try often.
pub const NO_LIMITS: [(&str, &str); 3] =
    [("LIMIT_MFA_ACCOUNT", "off"), ("LIMIT_LOGIN_ACCOUNT", "off"), ("LIMIT_LOGIN_ADDRESS", "off")];

/// An account with a second factor.
pub struct Person {
    pub tokens: Tokens,
    pub app: Authenticator,
    pub recovery_codes: Vec<String>,
}

/// Begins to enrol.
pub async fn enrol(endpoint: &Endpoint, access_token: &str) -> Authenticator {
    let answer = endpoint.post(TOTP).bearer(access_token).send().await;
    Authenticator::new(answer.assert_status(201).json()["secret"].as_str().unwrap())
}

pub fn confirming(endpoint: &Endpoint, access_token: &str, code: &str) -> Request {
    endpoint.post(CONFIRM).bearer(access_token).json(&json!({"code": code}))
}

#[track_caller]
pub fn recovery_codes(answer: &Response) -> Vec<String> {
    let body = answer.assert_status(200).json();
    body["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// A new account that has shown the code of the step before `clock`'s.
pub async fn person(endpoint: &Endpoint, clock: &Clock) -> Person {
    let tokens = endpoint.register().await;
    let app = enrol(endpoint, &tokens.access).await;
    let answer = confirming(endpoint, &tokens.access, &app.former_code(clock).await).send().await;
    Person { tokens, app, recovery_codes: recovery_codes(&answer) }
}

pub fn login(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD})
}

/// Begins a login that has to wait, and gives its token.
pub async fn challenge(endpoint: &Endpoint, email: &str) -> String {
    let answer = endpoint.post(LOGIN).json(&login(email)).send().await;
    mfa_token(&answer)
}

#[track_caller]
pub fn mfa_token(answer: &Response) -> String {
    let body = answer.assert_status(200).json();
    assert_eq!(body["mfa_required"], true, "{body}");
    assert!(body.get("access_token").is_none() && answer.set_cookies(ACCESS_COOKIE).is_empty(), "{body}");
    body["mfa_token"].as_str().unwrap().to_owned()
}

pub fn completing(endpoint: &Endpoint, mfa_token: &str, method: &str, code: &str) -> Request {
    endpoint.post(MFA).json(&json!({"mfa_token": mfa_token, "method": method, "code": code}))
}

/// Logs in with a code of the app.
async fn log_in(server: &Server, person: &Person, steps: i64) -> Response {
    let token = challenge(server, &person.tokens.email).await;
    completing(server, &token, "totp", &person.app.code(server.clock.now(), steps)).send().await
}

pub const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0";

async fn mfa_enabled(server: &Server, access_token: &str) -> bool {
    server.me(access_token).await.assert_status(200).json()["mfa_enabled"].as_bool().unwrap()
}

/// The condition of the events that concern second factors.
pub const OF_MFA: &str = "event LIKE 'mfa.%' OR event LIKE 'recovery_code%' OR event LIKE 'trusted_device.%'";

/// Waits for the email with this subject and gives it.
pub async fn sent_email(server: &Server, subject: &str) -> smtp::Mail {
    until(subject, async || {
        let files = std::fs::read_dir(server.data_dir().join("outbox")).ok()?;
        // Files that are not whole yet are hidden.
        let paths = files.filter_map(|file| Some(file.ok()?.path()));
        let whole = paths.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
        let mut mails = whole.map(|path| smtp::Mail::read(&path));
        mails.find(|mail| mail.subject().starts_with(subject))
    })
    .await
}

async fn a_secret_counts_once_a_code_of_it_was_shown(server: Server) {
    let tokens = server.register_as("ada@example.com").await;
    let answer = server.post(TOTP).bearer(&tokens.access).send().await;
    let body = answer.assert_status(201).json();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (secret, uri) = (body["secret"].as_str().unwrap(), body["otpauth_uri"].as_str().unwrap());
    assert!(secret.len() == 32 && uri.contains(&format!("secret={secret}")), "{uri}");
    assert!(uri.starts_with("otpauth://totp/keyturn.example:ada%40example.com?"), "{uri}");
    assert!(body["qr_svg"].as_str().unwrap().starts_with("<svg "));
    let app = Authenticator::new(secret);
    assert!(!mfa_enabled(&server, &tokens.access).await);
    server.login(&tokens.email).await;

    let wrong = app.code(server.clock.now(), 10);
    confirming(&server, &tokens.access, &wrong).send().await.assert_problem(401, "invalid_code");
    server.login(&tokens.email).await;
    let answer = confirming(&server, &tokens.access, &app.code(server.clock.now(), 0)).send().await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let codes = recovery_codes(&answer);
    assert_eq!(codes.iter().collect::<HashSet<_>>().len(), 10);
    for code in &codes {
        assert!(code.len() == 19 && code.split('-').all(|group| group.len() == 4), "{code}");
    }
    assert!(mfa_enabled(&server, &tokens.access).await);
    challenge(&server, &tokens.email).await;

    server.post(TOTP).bearer(&tokens.access).send().await.assert_problem(409, "mfa_already_enabled");
    let again = confirming(&server, &tokens.access, &app.code(server.clock.now(), 1)).send().await;
    again.assert_problem(409, "mfa_already_enabled");
    assert_eq!(server.audited(OF_MFA), ["mfa.enabled"]);
    let email = sent_email(&server, "Two-step login was enabled").await;
    assert_eq!(email.header("to"), "ada@example.com");
    assert!(email.link().as_str().starts_with(&format!("{PUBLIC_URL}/account/not-me?token=kto_")));
}

async fn beginning_again_takes_the_place_of_a_secret_that_was_not_confirmed(server: Server) {
    let tokens = server.register().await;
    let nothing = confirming(&server, &tokens.access, "123456").send().await;
    nothing.assert_problem(409, "mfa_not_started");
    let first = enrol(&server, &tokens.access).await;
    let second = enrol(&server, &tokens.access).await;
    let now = server.clock.now();
    assert_ne!(first.code(now, 0), second.code(now, 0));
    confirming(&server, &tokens.access, &first.code(now, 0)).send().await.assert_problem(401, "invalid_code");
    recovery_codes(&confirming(&server, &tokens.access, &second.code(now, 0)).send().await);

    // What was never confirmed goes without a word.
    let other = server.register().await;
    enrol(&server, &other.access).await;
    server.delete(TOTP).bearer(&other.access).send().await.assert_status(204);
    server.delete(TOTP).bearer(&other.access).send().await.assert_problem(409, "mfa_not_enabled");
    assert_eq!(server.audited(OF_MFA), ["mfa.enabled"]);
}

async fn a_login_waits_for_a_code_of_the_app(server: Server) {
    let person = person(&server, &server.clock).await;
    let sessions = server.count("sessions");
    let body = json!({"email": person.tokens.email, "password": PASSWORD, "device_name": "Kitchen phone"});
    let answer = server.post(LOGIN).json(&body).send().await;
    let told = answer.assert_status(200).json();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!((&told["methods"], &told["expires_in"]), (&json!(["totp", "recovery_code"]), &json!(300)));
    assert_eq!(server.count("sessions"), sessions);
    let mfa_token = mfa_token(&answer);

    let wrong = completing(&server, &mfa_token, "totp", &person.app.code(server.clock.now(), 10)).send().await;
    assert!(wrong.assert_problem(401, "invalid_code").header("www-authenticate").is_none());
    let code = person.app.code(server.clock.now(), 0);
    let code = format!("{} {}", &code[..3], &code[3..]);
    let answer = completing(&server, &mfa_token, "totp", &code).send().await;
    let tokens = Tokens::of(&answer);
    assert!(answer.json().get("trusted_device").is_none());
    assert_eq!(tokens.claims()["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!(server.session(tokens.session).name.as_deref(), Some("Kitchen phone"));
    server.me(&tokens.access).await.assert_status(200);
    assert_eq!(server.refreshed(&tokens).await.claims()["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!(server.audited(OF_MFA), ["mfa.enabled", "mfa.failed", "mfa.succeeded"]);

    // The password is asked for first, and says nothing of a second factor while it is wrong.
    server.try_login(&person.tokens.email, "not the password").await.assert_problem(401, "invalid_credentials");
}

async fn a_browser_completes_its_login_with_cookies(server: Server) {
    let person = person(&server, &server.clock).await;
    let body = json!({"email": person.tokens.email, "password": PASSWORD, "transport": "cookie"});
    let mfa_token = mfa_token(&server.post(LOGIN).json(&body).send().await);
    let code = person.app.code(server.clock.now(), 0);
    let answer = completing(&server, &mfa_token, "totp", &code).send().await;
    let told = answer.assert_status(200).json();
    assert!(told.get("access_token").is_none() && told.get("refresh_token").is_none(), "{told}");
    assert_eq!(answer.set_cookies("__Secure-keyturn_refresh").len(), 2);
    assert!(answer.set_cookies(DEVICE_COOKIE).is_empty());
    let cookie = format!("{ACCESS_COOKIE}={}", answer.set_cookies(ACCESS_COOKIE)[0].0);
    server.get("/api/v1/auth/me").header("cookie", &cookie).send().await.assert_status(200);
}

async fn a_code_is_accepted_once_and_so_is_all_that_came_before_it(server: Server) {
    server.clock.hold();
    let person = person(&server, &server.clock).await;
    // That of the confirmation, too.
    log_in(&server, &person, -1).await.assert_problem(401, "invalid_code");
    Tokens::of(&log_in(&server, &person, 0).await);
    log_in(&server, &person, 0).await.assert_problem(401, "invalid_code");
    Tokens::of(&log_in(&server, &person, 1).await);
    log_in(&server, &person, 0).await.assert_problem(401, "invalid_code");
    server.advance(60);
    Tokens::of(&log_in(&server, &person, 0).await);

    // Nor is one accepted here that was used there.
    let code = person.app.code(server.clock.now(), 0);
    let body = json!({"password": PASSWORD, "code": code});
    let again = server.post(REAUTHENTICATE).bearer(&person.tokens.access).json(&body).send().await;
    again.assert_problem(401, "invalid_code");
}

async fn a_code_is_right_for_a_minute_and_a_half(server: Server) {
    server.clock.hold();
    let person = person(&server, &server.clock).await;
    server.advance(120);
    for steps in [-2, 2] {
        log_in(&server, &person, steps).await.assert_problem(401, "invalid_code");
    }
    for steps in [-1, 0, 1] {
        Tokens::of(&log_in(&server, &person, steps).await);
    }
}

async fn a_recovery_code_is_good_once_however_it_is_typed(server: Server) {
    let person = person(&server, &server.clock).await;
    let email = &person.tokens.email;
    let typed = [
        person.recovery_codes[0].clone(),
        person.recovery_codes[1].to_lowercase().replace('-', " "),
        person.recovery_codes[2].replace('-', "").replace('0', "O").replace('1', "l"),
    ];
    for code in &typed {
        let token = challenge(&server, email).await;
        let tokens = Tokens::of(&completing(&server, &token, "recovery_code", code).send().await);
        assert_eq!(tokens.claims()["amr"], json!(["pwd", "mfa"]));
        let token = challenge(&server, email).await;
        completing(&server, &token, "recovery_code", code).send().await.assert_problem(401, "invalid_code");
    }
    assert_eq!(server.count("recovery_codes"), 7);
    // Neither is taken for the other.
    let token = challenge(&server, email).await;
    let totp = person.app.code(server.clock.now(), 0);
    completing(&server, &token, "recovery_code", &totp).send().await.assert_problem(401, "invalid_code");
    completing(&server, &token, "totp", &person.recovery_codes[3]).send().await.assert_problem(401, "invalid_code");
    assert_eq!(server.audited(OF_MFA).iter().filter(|event| *event == "recovery_code.used").count(), 3);
    sent_email(&server, "A recovery code of your account").await;
}

async fn new_recovery_codes_void_the_old_ones(server: Server) {
    let person = person(&server, &server.clock).await;
    let answer = server.post(RECOVERY_CODES).bearer(&person.tokens.access).send().await;
    let codes = recovery_codes(&answer);
    assert_eq!((codes.len(), server.count("recovery_codes")), (10, 10));
    let token = challenge(&server, &person.tokens.email).await;
    let old = completing(&server, &token, "recovery_code", &person.recovery_codes[0]).send().await;
    old.assert_problem(401, "invalid_code");
    Tokens::of(&completing(&server, &token, "recovery_code", &codes[9]).send().await);
    sent_email(&server, "New recovery codes").await;

    let other = server.register().await;
    server.post(RECOVERY_CODES).bearer(&other.access).send().await.assert_problem(409, "mfa_not_enabled");
}

async fn a_login_that_waits_takes_five_tries(backend: Backend) {
    let server = Server::with(backend, &NO_LIMITS).await;
    let person = person(&server, &server.clock).await;
    let right = || person.app.code(server.clock.now(), 0);
    for (wrong, is_alive) in [(4, true), (5, false)] {
        let token = challenge(&server, &person.tokens.email).await;
        for _ in 0..wrong {
            completing(&server, &token, "totp", "abcdef").send().await.assert_problem(401, "invalid_code");
        }
        let answer = completing(&server, &token, "totp", &right()).send().await;
        match is_alive {
            true => drop(Tokens::of(&answer)),
            false => drop(answer.assert_problem(401, "invalid_mfa_token").clone()),
        }
        server.advance(30);
    }
    assert_eq!(server.audited(OF_MFA).iter().filter(|event| *event == "mfa.failed").count(), 9);
}

async fn a_login_that_waits_is_completed_once_and_within_five_minutes(server: Server) {
    let person = person(&server, &server.clock).await;
    let code = |steps| person.app.code(server.clock.now(), steps);
    let token = challenge(&server, &person.tokens.email).await;
    Tokens::of(&completing(&server, &token, "totp", &code(0)).send().await);
    completing(&server, &token, "totp", &code(1)).send().await.assert_problem(401, "invalid_mfa_token");
    let token = challenge(&server, &person.tokens.email).await;
    server.advance(290);
    Tokens::of(&completing(&server, &token, "totp", &code(0)).send().await);
    let token = challenge(&server, &person.tokens.email).await;
    server.advance(300);
    completing(&server, &token, "totp", &code(0)).send().await.assert_problem(401, "invalid_mfa_token");

    for stranger in ["", "ktm_", "nonsense", &format!("ktm_{}", "A".repeat(43)), &token.replace("ktm_", "ktd_")] {
        completing(&server, stranger, "totp", &code(0)).send().await.assert_problem(401, "invalid_mfa_token");
    }
}

async fn whatever_changes_meanwhile_ends_a_login_that_waits(server: Server) {
    let dead = async |person: &Person, token: &str| {
        let code = person.app.code(server.clock.now(), 0);
        completing(&server, token, "totp", &code).send().await.assert_problem(401, "invalid_mfa_token");
    };
    let changed = person(&server, &server.clock).await;
    let token = challenge(&server, &changed.tokens.email).await;
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    server.post(CHANGE).bearer(&changed.tokens.access).json(&body).send().await.assert_status(200);
    dead(&changed, &token).await;

    let removed = person(&server, &server.clock).await;
    let token = challenge(&server, &removed.tokens.email).await;
    server.delete(TOTP).bearer(&removed.tokens.access).send().await.assert_status(204);
    dead(&removed, &token).await;

    let disabled = person(&server, &server.clock).await;
    let token = challenge(&server, &disabled.tokens.email).await;
    let id = server.literal(disabled.tokens.user.0);
    server.sql(&format!("UPDATE users SET disabled_at = created_at WHERE id = {id}"));
    dead(&disabled, &token).await;
}

async fn guesses_are_limited_for_each_account(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_MFA_ACCOUNT", "6/900")]).await;
    let victim = person(&server, &server.clock).await;
    // The confirmation was one.
    for _ in 0..5 {
        let token = challenge(&server, &victim.tokens.email).await;
        completing(&server, &token, "totp", "abcdef").send().await.assert_problem(401, "invalid_code");
    }
    let token = challenge(&server, &victim.tokens.email).await;
    let refused = completing(&server, &token, "totp", &victim.app.code(server.clock.now(), 0)).send().await;
    assert!(refused.assert_problem(429, "too_many_requests").header("retry-after").is_some());
    let body = json!({"password": PASSWORD, "code": "123456"});
    let refused = server.post(REAUTHENTICATE).bearer(&victim.tokens.access).json(&body).send().await;
    refused.assert_problem(429, "too_many_requests");
    let other = person(&server, &server.clock).await;
    Tokens::of(&log_in(&server, &other, 0).await);
}

async fn without_the_second_factor_all_is_as_before(server: Server) {
    let person = person(&server, &server.clock).await;
    server.delete(TOTP).bearer(&person.tokens.access).send().await.assert_status(204);
    assert!(!mfa_enabled(&server, &person.tokens.access).await);
    assert_eq!((server.count("totp_secrets"), server.count("recovery_codes")), (0, 0));
    assert_eq!(server.login(&person.tokens.email).await.claims()["amr"], json!(["pwd"]));
    server.delete(TOTP).bearer(&person.tokens.access).send().await.assert_problem(409, "mfa_not_enabled");
    assert_eq!(server.audited(OF_MFA), ["mfa.enabled", "mfa.disabled"]);
    sent_email(&server, "Two-step login was disabled").await;

    let app = enrol(&server, &person.tokens.access).await;
    recovery_codes(&confirming(&server, &person.tokens.access, &app.code(server.clock.now(), 0)).send().await);
}

async fn what_concerns_the_second_factor_needs_a_recent_login(server: Server) {
    server.clock.hold();
    let tokens = server.register().await;
    let sensitive = |access: &str| {
        [server.post(TOTP), server.delete(TOTP), server.post(RECOVERY_CODES)].map(|request| request.bearer(access))
    };
    server.advance(595);
    for request in sensitive(&tokens.access) {
        assert_ne!(request.send().await.status, 401);
    }
    server.advance(6);
    // A new token is no new login.
    for access in [&tokens.access, &server.refreshed(&tokens).await.access] {
        for request in sensitive(access) {
            let answer = request.send().await;
            answer.assert_problem(401, "insufficient_user_authentication");
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer error=\"insufficient_user_authentication\", "), "{challenge}");
            assert!(challenge.contains("error_description=\"") && challenge.ends_with(", max_age=600"), "{challenge}");
        }
    }
}

async fn authenticating_again_takes_a_code_and_counts_for_the_token_in_hand_everywhere(servers: Servers) {
    let person = person(&servers, &servers.clock).await;
    let access = &person.tokens.access;
    servers.advance(700);
    let reauthenticate = async |body: Value| servers.post(REAUTHENTICATE).bearer(access).json(&body).send().await;
    reauthenticate(json!({"password": PASSWORD})).await.assert_problem(401, "mfa_required");
    reauthenticate(json!({"password": PASSWORD, "code": "abcdef"})).await.assert_problem(401, "invalid_code");
    let code = person.app.code(servers.clock.now(), 0);
    // The code stays good while the password is wrong.
    reauthenticate(json!({"password": "not the password", "code": code}))
        .await
        .assert_problem(401, "invalid_credentials");
    for server in servers.all() {
        let refused = server.post(RECOVERY_CODES).bearer(access).send().await;
        refused.assert_problem(401, "insufficient_user_authentication");
    }
    let answer = reauthenticate(json!({"password": PASSWORD, "code": code})).await;
    let renewed = answer.assert_status(200).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(jwt_part(&renewed, 1)["amr"], json!(["pwd", "otp", "mfa"]));
    for server in servers.all() {
        recovery_codes(&server.post(RECOVERY_CODES).bearer(access).send().await);
        recovery_codes(&server.post(RECOVERY_CODES).bearer(&renewed).send().await);
    }
    reauthenticate(json!({"password": PASSWORD, "code": code})).await.assert_problem(401, "invalid_code");

    // Who has lost the app can still disable it.
    let codes = recovery_codes(&servers.post(RECOVERY_CODES).bearer(access).send().await);
    let tokens = servers.refreshed(&person.tokens).await;
    servers.advance(700);
    let body = json!({"password": PASSWORD, "code": codes[0]});
    servers.post(REAUTHENTICATE).bearer(&tokens.access).json(&body).send().await.assert_status(200);
    servers.delete(TOTP).bearer(&tokens.access).send().await.assert_status(204);
}

async fn what_is_wrong_with_a_request_is_told(server: Server) {
    let tokens = server.register().await;
    let complete = json!({"mfa_token": "ktm_", "method": "totp", "code": "123456"});
    let with = |field: &str, value: Value| {
        let mut body = complete.clone();
        body[field] = value;
        body
    };
    for (request, field) in [
        (server.post(MFA).json(&with("method", json!("pigeon"))), "method"),
        (server.post(MFA).json(&with("code", json!(123_456))), "code"),
        (server.post(MFA).json(&with("remember", json!(true))), "remember"),
        (server.post(MFA).json(&json!({"method": "totp", "code": "123456"})), "mfa_token"),
        (server.post(CONFIRM).bearer(&tokens.access).json(&json!({})), "code"),
        (server.post(CONFIRM).bearer(&tokens.access).json(&json!({"code": "1", "x": 1})), "x"),
        (
            server.post(LOGIN).json(&json!({"email": "a@b.example", "password": "x", "trusted_device": 1})),
            "trusted_device",
        ),
    ] {
        request.send().await.assert_invalid(field);
    }
    // A page elsewhere cannot act with a browser's cookies.
    let body = json!({"email": tokens.email, "password": PASSWORD, "transport": "cookie"});
    let login = server.post(LOGIN).json(&body).send().await;
    let cookie = format!("{ACCESS_COOKIE}={}", login.set_cookies(ACCESS_COOKIE)[0].0);
    let enrol = server.post(TOTP).header("cookie", &cookie);
    enrol.clone().header("origin", "https://evil.example").send().await.assert_problem(403, "origin_not_allowed");
    enrol.header("origin", PUBLIC_URL).send().await.assert_status(201);
}

/// Twenty logins of one person that wait, at two processes in turn.
async fn twenty_challenges(processes: &[Process], email: &str) -> Vec<String> {
    let logins = (0..20).map(|n| processes[n % processes.len()].post(LOGIN).json(&login(email)));
    at_once(logins.collect::<Vec<_>>()).await.iter().map(mfa_token).collect()
}

/// Completes all of them at once with one code; one succeeds.
async fn race(processes: &[Process], person: &Person, method: &str, code: &str) {
    let tokens = twenty_challenges(processes, &person.tokens.email).await;
    let uses =
        tokens.iter().enumerate().map(|(n, token)| completing(&processes[n % processes.len()], token, method, code));
    let answers = at_once(uses.collect::<Vec<_>>()).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        // After five in a row the others are not even looked at.
        let (status, code) = if answer.status == 429 { (429, "too_many_failures") } else { (401, "invalid_code") };
        answer.assert_problem(status, code);
    }
    // And one login with one token.
    let other = self::person(&processes[0], &Clock::default()).await;
    let token = twenty_challenges(processes, &other.tokens.email).await.remove(0);
    let other = &other.recovery_codes[5];
    let uses = (0..20).map(|n| completing(&processes[n % processes.len()], &token, "recovery_code", other));
    let answers = at_once(uses.collect::<Vec<_>>()).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.assert_problem(401, "invalid_mfa_token");
    }
}

async fn of_twenty_uses_of_one_code_at_all_processes_one_succeeds(deployment: Arc<Deployment>) {
    let processes = Process::fleet(&deployment, &NO_LIMITS);
    let person = person(&processes[0], &Clock::default()).await;
    let code = person.app.code(Clock::default().now(), 1);
    race(&processes, &person, "totp", &code).await;
}

async fn of_twenty_uses_of_one_recovery_code_at_all_processes_one_succeeds(deployment: Arc<Deployment>) {
    let processes = Process::fleet(&deployment, &NO_LIMITS);
    let person = person(&processes[0], &Clock::default()).await;
    race(&processes, &person, "recovery_code", &person.recovery_codes[0]).await;
    assert_eq!(deployment.count("recovery_codes"), 18);
}

async fn of_twenty_confirmations_at_once_one_gets_the_recovery_codes(deployment: Arc<Deployment>) {
    let processes = Process::fleet(&deployment, &NO_LIMITS);
    let tokens = processes[0].register().await;
    let app = enrol(&processes[0], &tokens.access).await;
    let code = app.code(Clock::default().now(), 0);
    let answers = at_once((0..20).map(|n| confirming(&processes[n % processes.len()], &tokens.access, &code))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.assert_problem(409, "mfa_already_enabled");
    }
    assert_eq!(deployment.count("recovery_codes"), 10);
    // A code of the confirmation is used up for authenticating again, too.
    let body = json!({"password": PASSWORD, "code": code});
    let again = processes[processes.len() - 1].post(REAUTHENTICATE).bearer(&tokens.access).json(&body).send().await;
    again.assert_problem(401, "invalid_code");
    let next = app.code(Clock::default().now(), 1);
    let body = json!({"password": PASSWORD, "code": next});
    let uses = (0..20).map(|n| processes[n % processes.len()].post(REAUTHENTICATE).bearer(&tokens.access).json(&body));
    let answers = at_once(uses.collect::<Vec<_>>()).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
}

async fn nothing_of_a_second_factor_is_at_rest_in_clear(server: Server) {
    let tokens = server.register().await;
    let secret = server.post(TOTP).bearer(&tokens.access).send().await.json()["secret"].as_str().unwrap().to_owned();
    let app = Authenticator::new(&secret);
    let codes =
        recovery_codes(&confirming(&server, &tokens.access, &app.former_code(&server.clock).await).send().await);
    let person = Person { tokens, app: app.clone(), recovery_codes: codes.clone() };
    let device = trust(&server, &person).await;
    let waiting = challenge(&server, &person.tokens.email).await;

    let mut kept = String::new();
    for table in server.tables() {
        server.rows(&table).iter().for_each(|row| kept.push_str(&row.to_string().to_lowercase()));
    }
    assert!(kept.contains(&person.tokens.email), "the search finds what is there");
    let raw = app.secret_bytes().to_vec();
    let digests: Vec<Vec<u8>> = codes.iter().map(|code| sha256(code.replace('-', "").as_bytes())).collect();
    let texts = [secret, device, waiting].into_iter().chain(codes);
    let secrets = texts.flat_map(|text| {
        let plain = text.replace('-', "");
        [text.to_lowercase(), plain.to_lowercase(), crate::support::hex(plain.as_bytes())]
    });
    for secret in secrets {
        assert!(!kept.contains(&secret), "{secret}");
    }
    assert!(!kept.contains(&crate::support::hex(&raw)));
    // Nor a digest that somebody who has stolen the database could try codes on.
    for digest in digests {
        assert!(!kept.contains(&crate::support::hex(&digest[..16])));
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).to_vec()
}
