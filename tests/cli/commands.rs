//! Every command but `serve`.

use std::process::Command;
use std::sync::Arc;

use keyturn::clock::Clock;
use serde_json::json;

use crate::support::folder::Folder;
use crate::support::geoip;
use crate::support::servers::free_port;
use crate::support::{Authenticator, Backend, Deployment, Endpoint, PASSWORD, Process, SmtpServer, Tokens, until};
use crate::{Ran, run, run_with_input};

both_backends! {
    migrations_are_checked_and_applied,
    an_account_is_created_with_a_password_from_standard_input,
    an_administrator_is_listed_as_one,
    a_disabled_account_is_out_within_a_second,
    an_account_is_enabled_and_given_roles,
    an_account_is_deleted_later_or_at_once_and_kept_before,
    the_last_administrator_stays_one,
    a_password_that_is_set_ends_the_sessions_of_the_former,
    a_second_factor_is_taken_away_from_who_has_lost_it,
    a_login_that_waits_ends_when_its_account_is_disabled_by_either_door,
    sessions_are_listed_and_ended,
    the_doctor_finds_a_healthy_server_healthy,
    the_doctor_knows_a_wrong_secret,
    the_doctor_knows_a_schema_that_is_missing,
    the_doctor_knows_a_mail_server_that_is_down_and_mails_that_wait,
}

embedded_only! {
    a_database_of_places_that_is_none_stops_everything,
    the_version_names_the_commit,
    what_cargo_run_adds_to_the_environment_is_no_setting,
    the_page_on_the_configuration_is_the_one_in_the_docs,
    the_description_of_the_api_is_the_one_in_the_docs,
    no_password_of_any_url_is_ever_shown,
    completions_are_for_the_shells_there_are,
}

scaled_only! {
    the_configuration_is_shown_without_its_secrets,
    the_doctor_knows_what_is_down,
}

const EMAIL: &str = "operator@example.com";

async fn the_version_names_the_commit(deployment: Arc<Deployment>) {
    let version = run(&deployment, &["--version"]).printed();
    assert_eq!(version, format!("keyturn {} ({})\n", env!("CARGO_PKG_VERSION"), env!("BUILD_COMMIT")));
}

/// `cargo run` gives a program the variables that its build script has set for the compiler.
async fn what_cargo_run_adds_to_the_environment_is_no_setting(deployment: Arc<Deployment>) {
    let set = |line: &'static str| line.split_once("cargo::rustc-env=")?.1.split_once('=');
    let names: Vec<&str> = include_str!("../../build.rs").lines().filter_map(set).map(|(name, _)| name).collect();
    assert!(!names.is_empty());
    let added: Vec<(&str, &str)> =
        names.into_iter().chain(["CARGO", "CARGO_PKG_NAME"]).map(|name| (name, "x")).collect();
    run_with_input(&deployment, &added, &["config", "check"], "").printed();
}

async fn migrations_are_checked_and_applied(deployment: Arc<Deployment>) {
    for _ in 0..2 {
        let pending = run(&deployment, &["migrate", "--check"]);
        assert_eq!(
            (pending.code, &*pending.stdout),
            (Some(1), "pending: 0001_core\npending: 0002_people\npending: 0003_backends\n"),
            "{pending:?}"
        );
    }
    match deployment.backend {
        Backend::Embedded => assert!(!deployment.data_dir().exists()),
        Backend::Scaled => assert_eq!(deployment.tables(), Vec::<String>::new()),
    }
    run(&deployment, &["migrate"]).printed();
    assert_eq!(run(&deployment, &["migrate", "--check"]).printed(), "");
    run(&deployment, &["migrate"]).printed();
    assert_eq!((deployment.count("users"), deployment.count("signing_keys")), (0, 1));
}

async fn an_account_is_created_with_a_password_from_standard_input(process: Process) {
    let create = |password: &str| run_with_input(&process, &[], &["user", "create", EMAIL], password);
    for (password, why) in [("password123", "password"), ("", "password"), ("operator@example.com", "password")] {
        let refused = create(password).refused();
        assert!(refused.contains(why), "{refused}");
        assert!(password.is_empty() || password == EMAIL || !refused.contains(password), "{refused}");
    }
    assert_eq!(process.count("users"), 0);

    let id = create(&format!("{PASSWORD}\n")).printed();
    let tokens = process.login(EMAIL).await;
    assert_eq!(id.trim(), tokens.user.to_string());
    let me = process.me(&tokens.access).await.assert_status(200).json();
    assert_eq!((&me["user"]["email"], &me["user"]["roles"]), (&json!(EMAIL), &json!(["user"])));

    let again = create(PASSWORD).refused();
    assert!(again.contains("has an account"), "{again}");
    let wrong = run_with_input(&process, &[], &["user", "create", "nobody"], PASSWORD).refused();
    assert!(wrong.contains("nobody"), "{wrong}");
    // Arguments are read by everybody on the machine.
    for arguments in
        [&["user", "create", "other@example.com", PASSWORD][..], &["user", "create", EMAIL, "--password", PASSWORD]]
    {
        assert_eq!(run(&process, arguments).code, Some(2));
    }
    assert_eq!(process.count("users"), 1);
}

async fn an_administrator_is_listed_as_one(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let admin = run_with_input(&deployment, &[], &["user", "create", EMAIL, "--admin", "--name", "Root"], PASSWORD);
    let user = run_with_input(&deployment, &[], &["user", "create", "person@example.com"], PASSWORD);
    let (admin, user) = (admin.printed(), user.printed());
    let listed = run(&deployment, &["user", "list"]).printed();
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split('\t').collect()).collect();
    let expected = [
        [user.trim(), lines[0][1], "user", "active,unverified", "person@example.com"],
        [admin.trim(), lines[1][1], "user,admin", "active,unverified", EMAIL],
    ];
    assert_eq!(lines, expected);
}

/// Sessions of a running server end, as soon as it has read the log.
async fn assert_ends(process: &Endpoint, tokens: &Tokens) {
    until("the session to end", async || (process.verify(&tokens.access).await.status != 200).then_some(())).await;
    process.verify(&tokens.access).await.assert_problem(401, "invalid_token");
    process.refresh(&tokens.refresh).await.assert_problem(401, "session_revoked");
}

async fn a_disabled_account_is_out_within_a_second(process: Process) {
    let (tokens, bystander) = (process.register().await, process.register().await);
    let second = process.login(&tokens.email).await;
    let disable = ["user", "disable", &tokens.email];
    assert!(run(&process, &disable).printed().contains("Sessions revoked: 2"));
    assert_ends(&process, &tokens).await;
    assert_ends(&process, &second).await;
    process.try_login(&tokens.email, PASSWORD).await.assert_problem(403, "account_disabled");
    assert!(run(&process, &disable).printed().contains("Sessions revoked: 0"));
    let listed = run(&process, &["user", "list"]).printed();
    let states: Vec<&str> = listed.lines().map(|line| line.split('\t').nth(3).unwrap()).collect();
    assert_eq!(states, ["active,unverified", "disabled,unverified"]);
    process.verify(&bystander.access).await.assert_status(200);
    let unknown = run(&process, &["user", "disable", "nobody@example.com"]).refused();
    assert!(unknown.contains("nobody@example.com"), "{unknown}");
}

async fn an_account_is_enabled_and_given_roles(process: Process) {
    run_with_input(&process, &[], &["user", "create", EMAIL, "--admin"], PASSWORD).printed();
    let tokens = process.register().await;
    let email = &*tokens.email;
    run(&process, &["user", "disable", email]).printed();
    assert_eq!(run(&process, &["user", "enable", email]).printed(), "The account is enabled.\n");
    let tokens = process.login(email).await;

    let set = run(&process, &["user", "set-roles", email, "editor", "admin"]).printed();
    assert_eq!(set, "The account's roles: user, editor, admin\n");
    // What the access token says is no longer so; the session goes on with another one.
    until("the token's end", async || (process.me(&tokens.access).await.status == 401).then_some(())).await;
    let tokens = process.refreshed(&tokens).await;
    assert_eq!(tokens.claims()["roles"], serde_json::json!(["user", "editor", "admin"]));
    process.get("/api/v1/admin/users").bearer(&tokens.access).send().await.assert_status(200);

    assert_eq!(run(&process, &["user", "set-roles", email]).printed(), "The account's roles: user\n");
    let refused = process.get("/api/v1/admin/users").bearer(&tokens.access).send().await;
    assert!(matches!(refused.status, 401 | 403), "{refused:?}");
    run(&process, &["user", "set-roles", email, "two words"]).refused();
    for command in ["enable", "set-roles"] {
        let unknown = run(&process, &["user", command, "nobody@example.com"]).refused();
        assert!(unknown.contains("nobody@example.com"), "{unknown}");
    }
}

async fn an_account_is_deleted_later_or_at_once_and_kept_before(process: Process) {
    let own = process.register_as(EMAIL).await;
    let id = own.user.to_string();
    // No terminal asks, and both names of the account do.
    let later = run(&process, &["user", "delete", EMAIL]).printed();
    assert!(later.contains(&format!("The account of {EMAIL} ")) && later.contains("will be deleted at "), "{later}");
    process.me(&own.access).await;
    process.try_login(EMAIL, PASSWORD).await.assert_problem(403, "account_deletion_pending");
    assert!(run(&process, &["user", "list"]).printed().contains("\tdeletion_pending,unverified\t"));
    // Once more changes nothing.
    assert_eq!(run(&process, &["user", "delete", &id, "--yes"]).printed(), later);
    run(&process, &["user", "cancel-deletion", &id]).printed();
    process.login(EMAIL).await;
    let refused = run(&process, &["user", "cancel-deletion", EMAIL]);
    assert_eq!(refused.code, Some(1), "{refused:?}");

    assert_eq!(
        run(&process, &["user", "delete", &id, "--at-once"]).printed(),
        format!("The account of {EMAIL} is deleted.\n")
    );
    assert_eq!(process.count("users"), 0);
    for account in [EMAIL, &*id, "nobody"] {
        assert_eq!(run(&process, &["user", "delete", account]).code, Some(1));
    }
    process.register_as(EMAIL).await;
}

async fn the_last_administrator_stays_one(process: Process) {
    run_with_input(&process, &[], &["user", "create", EMAIL, "--admin"], PASSWORD).printed();
    for arguments in [
        &["user", "delete", EMAIL][..],
        &["user", "delete", EMAIL, "--at-once"],
        &["user", "disable", EMAIL],
        &["user", "set-roles", EMAIL],
        &["user", "set-roles", EMAIL, "editor"],
    ] {
        let refused = run(&process, arguments);
        assert!(refused.code == Some(1) && refused.stderr.contains("last administrator"), "{refused:?}");
        assert!(refused.stderr.contains("give somebody else"), "{refused:?}");
    }
    run_with_input(&process, &[], &["user", "create", "other@example.com", "--admin"], PASSWORD).printed();
    run(&process, &["user", "delete", EMAIL]).printed();
    let refused = run(&process, &["user", "delete", "other@example.com"]);
    assert!(refused.stderr.contains("last administrator"), "{refused:?}");
}

async fn a_password_that_is_set_ends_the_sessions_of_the_former(process: Process) {
    const NEW: &str = "a lighthouse keeps its own counsel";
    let tokens = process.register().await;
    let set = |email: &str, password: &str| run_with_input(&process, &[], &["user", "set-password", email], password);
    set(&tokens.email, "password123").refused();
    process.verify(&tokens.access).await.assert_status(200);
    assert!(set(&tokens.email, NEW).printed().contains("Sessions revoked: 1"));
    assert_ends(&process, &tokens).await;
    process.try_login(&tokens.email, PASSWORD).await.assert_problem(401, "invalid_credentials");
    process.try_login(&tokens.email, NEW).await.assert_status(200);
    set("nobody@example.com", NEW).refused();
}

const TOTP: &str = "/api/v1/auth/mfa/totp";

/// Gives an account a second factor.
pub async fn enable_totp(process: &Process, person: &Tokens) -> Authenticator {
    let enrolment = process.post(TOTP).bearer(&person.access).send().await;
    let app = Authenticator::new(enrolment.assert_status(201).json()["secret"].as_str().unwrap());
    let code = json!({"code": app.code(Clock::default().now(), 0)});
    process.post(&format!("{TOTP}/confirm")).bearer(&person.access).json(&code).send().await.assert_status(200);
    app
}

async fn a_login_that_waits_ends_when_its_account_is_disabled_by_either_door(process: Process) {
    let admin = process.register().await;
    let roles = format!("UPDATE users SET roles = '[\"user\",\"admin\"]' WHERE id = {}", process.literal(admin.user.0));
    process.sql(&roles);
    for over_http in [false, true] {
        let person = process.register().await;
        let app = enable_totp(&process, &person).await;
        let waiting = process.try_login(&person.email, PASSWORD).await.assert_status(200).json();
        for (command, disabled) in [("disable", true), ("enable", false)] {
            if over_http {
                let user = process.patch(&format!("/api/v1/admin/users/{}", person.user)).bearer(&admin.access);
                user.json(&json!({"disabled": disabled})).send().await.assert_status(200);
            } else {
                run(&process, &["user", command, &person.email]).printed();
            }
        }
        let code = app.code(Clock::default().now(), 1);
        let second = json!({"mfa_token": waiting["mfa_token"], "method": "totp", "code": code});
        let completed = process.post("/api/v1/auth/mfa").json(&second).send().await;
        completed.assert_problem(401, "invalid_mfa_token");
        let own = process.literal(person.user.0);
        for event in ["account.disabled", "account.enabled"] {
            let audited = process.count(&format!("audit_log WHERE event = '{event}' AND user_id = {own}"));
            assert_eq!(audited, 1, "{event}, over HTTP: {over_http}");
        }
    }
}

async fn a_second_factor_is_taken_away_from_who_has_lost_it(process: Process) {
    let person = process.register().await;
    let reset = || run(&process, &["user", "reset-mfa", &person.email]).printed();
    // As over HTTP.
    let refused = run(&process, &["user", "reset-mfa", &person.email]).refused();
    assert!(refused.contains("two-step login is not enabled"), "{refused}");
    enable_totp(&process, &person).await;
    assert_eq!(process.try_login(&person.email, PASSWORD).await.assert_status(200).json()["mfa_required"], true);
    assert_eq!(reset(), "Two-step login is disabled.\n");
    process.login(&person.email).await;
    run(&process, &["user", "reset-mfa", "nobody@example.com"]).refused();
}

async fn sessions_are_listed_and_ended(process: Process) {
    let first = process.register().await;
    let second = process.login(&first.email).await;
    let third = process.login(&first.email).await;
    let bystander = process.register().await;
    let list = |more: &[&str]| {
        let listed = run(&process, &[&["session", "list", &first.email][..], more].concat()).printed();
        let state = |line: &str| {
            let columns: Vec<&str> = line.split('\t').collect();
            assert_eq!((columns.len(), columns[3]), (6, "127.0.0.1"), "{line}");
            (columns[0].to_owned(), columns[4].to_owned())
        };
        listed.lines().map(state).collect::<Vec<_>>()
    };
    let of = |tokens: &Tokens, state: &str| (tokens.session.to_string(), state.to_owned());
    assert_eq!(list(&[]), [of(&third, "live"), of(&second, "live"), of(&first, "live")]);

    let id = second.session.to_string();
    assert_eq!(run(&process, &["session", "revoke", &id]).printed(), "Sessions revoked: 1\n");
    assert_ends(&process, &second).await;
    process.verify(&first.access).await.assert_status(200);
    assert_eq!(run(&process, &["session", "revoke", &id]).printed(), "Sessions revoked: 0\n");
    assert_eq!(list(&[]), [of(&third, "live"), of(&first, "live")]);
    let all = [of(&third, "live"), of(&second, "ended_by_operator"), of(&first, "live")];
    assert_eq!(list(&["--include-expired"]), all);

    assert_eq!(run(&process, &["session", "revoke", "--user", &first.email]).printed(), "Sessions revoked: 2\n");
    assert_ends(&process, &first).await;
    assert_ends(&process, &third).await;
    assert_eq!(list(&[]), []);
    process.verify(&bystander.access).await.assert_status(200);

    for arguments in
        [&["session", "revoke"][..], &["session", "revoke", "me"], &["session", "revoke", &id, "--user", EMAIL]]
    {
        assert_eq!(run(&process, arguments).code, Some(2), "{arguments:?}");
    }
    run(&process, &["session", "revoke", "--user", "nobody@example.com"]).refused();
    run(&process, &["session", "list", "nobody@example.com"]).refused();
}

/// Secrets by the names of their settings: what must not be shown, and values that contain it.
const SECRETS: [(&str, &str); 2] = [
    ("DATABASE_URL", "postgres://keyturn:sesame-database@db.example/keyturn?password=sesame-database"),
    ("REDIS_URL", "rediss://:sesame-cache@cache.example:6379/3"),
];

async fn the_configuration_is_shown_without_its_secrets(deployment: Arc<Deployment>) {
    let settings = [&SECRETS[..], &[("ACCESS_TOKEN_TTL", "123"), ("ALLOWED_ORIGINS", "https://app.example")]].concat();
    let shown = run_with_input(&deployment, &settings, &["config", "check"], "").printed();
    for visible in [
        "DATABASE_URL = postgres://(hidden)@db.example/keyturn?(hidden) (environment)",
        "REDIS_URL = rediss://(hidden)@cache.example:6379/3 (environment)",
        "JWT_SECRET = (hidden) (environment)",
        "ACCESS_TOKEN_TTL = 123 (environment)",
        "ALLOWED_ORIGINS = https://app.example (environment)",
        "REFRESH_REPLAY_WINDOW = 10 (default)",
    ] {
        assert!(shown.lines().any(|line| line == visible), "{visible}: {shown}");
    }
    let broken = [&SECRETS[..], &[("BIND", "nowhere"), ("JWT_SECRET", "sesame-too-short")]].concat();
    let refused = run_with_input(&deployment, &broken, &["config", "check"], "").refused();
    for text in [shown, refused] {
        assert!(!text.contains("sesame") && !text.contains(&deployment.secret), "{text}");
    }
}

async fn the_page_on_the_configuration_is_the_one_in_the_docs(deployment: Arc<Deployment>) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md")).unwrap();
    assert_eq!(run(&deployment, &["config", "docs"]).printed(), page);
}

async fn the_description_of_the_api_is_the_one_in_the_docs(deployment: Arc<Deployment>) {
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json")).unwrap();
    let printed = run(&deployment, &["config", "openapi"]).printed();
    assert!(printed == committed, "stale: run `keyturn config openapi > docs/openapi.json`");
    assert!(printed.starts_with("{\n  \"openapi\": \"3.1.") && printed.ends_with("\n}\n"));
    assert!(!printed.contains("\"servers\"") && !printed.contains("127.0.0.1"));
}

/// Asserts that a command that reads `url`, of which passwords have the word Zorro, does not say it.
#[track_caller]
fn assert_hidden(deployment: &Deployment, name: &str, url: &str, arguments: &[&str]) {
    let ran = run_with_input(deployment, &[(name, url)], arguments, "");
    let is_hidden = !ran.stdout.contains("Zorro") && !ran.stderr.contains("Zorro");
    assert!(is_hidden, "{name}={url} {arguments:?}: {ran:?}");
}

async fn no_password_of_any_url_is_ever_shown(deployment: Arc<Deployment>) {
    let passwords =
        ["Zorro%Zorro", "Zorro%zzZorro", "Zorro/Zorro", "Zorro?Zorro", "Zorro#Zorro", "Zorro@Zorro", "Zorro"];
    let forms = [
        ("DATABASE_URL", "postgres://kt:{}@127.0.0.1:9/keyturn"),
        ("DATABASE_URL", "postgres://127.0.0.1:9/keyturn?user=kt&password={}"),
        ("REDIS_URL", "redis://:{}@127.0.0.1:9/0"),
        ("REDIS_URL", "rediss+sentinel://kt:{}@127.0.0.1:9/main/0"),
        ("REDIS_URL", "redis+sentinel://127.0.0.1:9/main?sentinel_password={}"),
        ("REDIS_URL", "redis+cluster://:{}@127.0.0.1:9,127.0.0.1:10"),
        ("SMTP_URL", "smtps://kt:{}@127.0.0.1:9"),
        ("SMTP_URL", "smtp://kt:{}@127.0.0.1:9?tls=none"),
        ("PUBLIC_URL", "https://kt:{}@auth.example"),
        ("ALLOWED_ORIGINS", "https://kt:{}@auth.example"),
        ("ISSUER", "https://kt:{}@auth.example"),
    ];
    for (name, form) in forms {
        for password in passwords {
            let url = form.replace("{}", password);
            assert_hidden(&deployment, name, &url, &["config", "check"]);
            // One that is understood, and one that is not.
            if ["Zorro", "Zorro/Zorro"].contains(&password) {
                assert_hidden(&deployment, name, &url, &["doctor"]);
                assert_hidden(&deployment, &format!("{name}_FILE"), &url, &["config", "check"]);
            }
        }
    }
    // URLs that are well-formed and have parameters or values that nobody knows.
    for end in
        ["kt:ab Zorro@127.0.0.1:9/d", "127.0.0.1:9/d?password=a&Zorro=1", "127.0.0.1:9/d?password=a&sslmode=Zorro"]
    {
        for arguments in [&["doctor"][..], &["serve"], &["user", "list"]] {
            assert_hidden(&deployment, "DATABASE_URL", &format!("postgres://{end}"), arguments);
        }
    }
    // Commands that stop because the database cannot be reached, or its URL is not understood.
    for password in passwords {
        let url = format!("postgres://kt:{password}@127.0.0.1:9/keyturn");
        for arguments in [&["serve"][..], &["migrate"], &["user", "list"]] {
            assert_hidden(&deployment, "DATABASE_URL", &url, arguments);
        }
    }
}

/// Asks the doctor about a server that is not public, of which it has nothing to warn.
fn doctor(deployment: &Deployment, settings: &[(&str, &str)]) -> Ran {
    let private = ("PUBLIC_URL", "http://auth.internal");
    run_with_input(deployment, &[&[private], settings].concat(), &["doctor"], "")
}

/// Asserts that the doctor finds this wrong and nothing else, and what it says to do.
#[track_caller]
fn assert_diagnosis(ran: &Ran, wrong: &str, advice: &str) {
    assert_eq!((ran.code, &*ran.stderr), (Some(1), ""), "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().filter(|line| !line.starts_with("ok     ")).collect();
    assert!(lines[0].starts_with(&format!("WRONG  {wrong}: ")), "{ran:?}");
    assert!(lines.last().is_some_and(|line| line.contains(advice)), "{ran:?}");
    assert_eq!(ran.stdout.matches("WRONG").count(), 1, "{ran:?}");
    assert!(!ran.stdout.contains("sesame"), "{ran:?}");
}

async fn the_doctor_finds_a_healthy_server_healthy(process: Process) {
    let healthy = doctor(&process, &[]).printed();
    for about in [
        "configuration",
        "database",
        "schema",
        "writing",
        "clock",
        "keys",
        "cache",
        "outbox",
        "places",
        "mail",
        "proxy",
        "files",
    ] {
        assert!(healthy.lines().any(|line| line.starts_with(&format!("ok     {about}: "))), "{about}: {healthy}");
    }
}

async fn the_doctor_knows_a_wrong_secret(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let other = crate::support::random_hex::<32>();
    assert_diagnosis(
        &doctor(&deployment, &[("JWT_SECRET", &other)]),
        "keys",
        "JWT_SECRET that the keys were made with",
    );
    // The server says the same, and does not start.
    let refused = run_with_input(&deployment, &[("JWT_SECRET", &other)], &["serve"], "").refused();
    assert!(refused.contains("another JWT_SECRET") && !refused.contains(&other), "{refused}");
    assert_diagnosis(&doctor(&deployment, &[("ACCESS_TOKEN_TTL", "soon")]), "configuration", "keyturn config docs");
}

async fn the_doctor_knows_a_mail_server_that_is_down_and_mails_that_wait(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let mut smtp = SmtpServer::start_with(&["--user", "me", "sesame"]);
    let relay = |password: &str| format!("smtp://me:{password}@127.0.0.1:{}?tls=none", smtp.port());
    let (right, wrong) = (relay("sesame"), relay("sesam"));
    let healthy = doctor(&deployment, &[("SMTP_URL", &right)]).printed();
    assert!(healthy.contains("ok     mail: the mail server answers and takes the sender\n"), "{healthy}");
    assert!(healthy.contains("ok     outbox: 0 waiting, 0 not delivered within two weeks\n"), "{healthy}");
    assert_diagnosis(&doctor(&deployment, &[("SMTP_URL", &wrong)]), "mail", "check SMTP_URL");
    smtp.stop();
    assert_diagnosis(&doctor(&deployment, &[("SMTP_URL", &right)]), "mail", "check SMTP_URL");
    let strict = SmtpServer::start_with(&["--sender-answer", "553 5.7.1"]);
    let refused = doctor(&deployment, &[("SMTP_URL", &strict.url())]);
    assert_diagnosis(&refused, "mail", "MAIL_FROM");
    assert!(refused.stdout.contains("553") && !refused.stdout.contains("no-reply@"), "{refused:?}");

    let long_ago = match deployment.backend {
        Backend::Embedded => "1700000000000, 1700000000000",
        Backend::Scaled => "'2023-11-14', '2023-11-14'",
    };
    deployment.sql(&format!(
        "INSERT INTO outbox (id, kind, recipient, sealed_message, created_at, next_attempt_at, last_error) \
         VALUES ({}, 'new_login', 'a@example.com', '', {long_ago}, 'nobody answers')",
        deployment.literal(uuid::Uuid::nil()),
    ));
    let ran = doctor(&deployment, &[]);
    assert_diagnosis(&ran, "outbox", "let it reach the mail server");
    assert!(
        ran.stdout.contains("1 waiting, 0 not delivered within two weeks; the latest failure: nobody answers"),
        "{ran:?}"
    );
}

async fn the_doctor_knows_a_schema_that_is_missing(deployment: Arc<Deployment>) {
    std::fs::create_dir(deployment.data_dir()).unwrap();
    if deployment.backend == Backend::Embedded {
        // What SQLite takes for a database without tables.
        std::fs::write(deployment.sqlite_file(), "").unwrap();
    }
    let ran = doctor(&deployment, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("WRONG  schema: lacks 0001_core, 0002_people, 0003_backends\n")
            && ran.stdout.contains("keyturn migrate"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("tables are missing") && !ran.stdout.contains("check the disk"), "{ran:?}");
    let applied = run(&deployment, &["migrate"]).printed();
    assert_eq!(
        applied,
        "applied: 0001_core\napplied: 0002_people\napplied: 0003_backends\nThe database is up to date.\n"
    );
    assert_eq!(run(&deployment, &["migrate"]).printed(), "The database is up to date.\n");
}

async fn a_database_of_places_that_is_none_stops_everything(deployment: Arc<Deployment>) {
    let folder = Folder::new();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bhutan = json!({"country": {"iso_code": "BT", "names": {"en": "Bhutan"}}});
    let whole = geoip::database("Example-Country", &bhutan);
    let networks = geoip::database("Example-ASN", &json!({"autonomous_system_number": 64500}));
    for (path, wrong) in [
        (folder.path().join("missing.mmdb").to_str().unwrap().to_owned(), "cannot be read: No such file"),
        (folder.path().to_str().unwrap().to_owned(), "cannot be read: Is a directory"),
        (
            file("page.mmdb", b"<html>Please sign in to download</html>"),
            "must be the path of a database in MaxMind's format",
        ),
        (file("empty.mmdb", b""), "must be the path of a database in MaxMind's format"),
        (file("half.mmdb", &whole[..whole.len() / 2]), "must be the path of a database in MaxMind's format"),
        (
            file("networks.mmdb", &networks),
            "must contain countries or cities; this database, \"Example-ASN\", does not",
        ),
        (file("nothing.mmdb", &geoip::database("Example-City", &json!({}))), "must contain countries or cities"),
    ] {
        let settings = [("GEOIP_DATABASE", &*path)];
        for command in [&["serve"][..], &["config", "check"], &["user", "list"]] {
            let refused = run_with_input(&deployment, &settings, command, "").refused();
            assert!(refused.contains(&format!("GEOIP_DATABASE: {wrong}")), "{refused}");
            assert!(refused.contains(&path) && refused.trim_end().ends_with(".mmdb"), "{refused}");
            assert_eq!(refused.lines().count(), 1, "{refused}");
        }
        let ran = doctor(&deployment, &settings);
        assert!(ran.stdout.starts_with(&format!("WRONG  configuration: GEOIP_DATABASE: {wrong}")), "{ran:?}");
    }
    assert!(!deployment.data_dir().exists());

    for (path, kind) in [(file("countries.mmdb", &whole), "Example-Country"), (geoip::cities(), "GeoLite2-City")] {
        let settings = [("GEOIP_DATABASE", &*path)];
        let shown = run_with_input(&deployment, &settings, &["config", "check"], "").printed();
        assert!(shown.contains(&format!("GEOIP_DATABASE = {path} (environment)")), "{shown}");
        run_with_input(&deployment, &settings, &["migrate"], "").printed();
        let healthy = doctor(&deployment, &settings).printed();
        assert!(healthy.contains(&format!("ok     places: looked up in a {kind}\n")), "{healthy}");
    }
}

async fn the_doctor_knows_what_is_down(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let nowhere = free_port();
    let database = format!("postgres://keyturn:sesame@127.0.0.1:{nowhere}/keyturn");
    assert_diagnosis(&doctor(&deployment, &[("DATABASE_URL", &database)]), "database", "check DATABASE_URL");
    let redis = format!("redis://:sesame@127.0.0.1:{nowhere}");
    assert_diagnosis(&doctor(&deployment, &[("REDIS_URL", &redis)]), "cache", "check REDIS_URL");
}

async fn completions_are_for_the_shells_there_are(deployment: Arc<Deployment>) {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&deployment, &["completions", shell]).printed();
        for word in ["serve", "set-password", "include-expired", "doctor"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        std::fs::write(folder.path().join(shell), script).unwrap();
    }
    run(&deployment, &["completions", "nutshell"]).code.filter(|code| *code == 2).expect("is no shell");
    let words = "COMP_WORDS=(keyturn user set-p); COMP_CWORD=2";
    let complete = format!("source ./bash; {words}; _keyturn keyturn set-p user; echo ${{COMPREPLY[*]}}");
    let output = Command::new("bash").args(["-c", &complete]).current_dir(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "set-password\n", "{output:?}");
}
