//! Accounts on the command line: shown, found, invited and moved; and JSON for programs, from every command.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::commands::enable_totp;
use crate::support::{Backend, Deployment, PASSWORD, Process, SmtpServer, Tokens};
use crate::{Ran, run, run_with_input};

both_backends! {
    an_account_is_shown_as_the_api_shows_it,
    accounts_are_listed_and_filtered_as_over_http,
    accounts_are_shown_with_every_state_and_their_second_factor,
    what_is_refused_is_refused_by_either_door,
    somebody_is_invited_and_once_more,
    an_account_is_created_with_all_that_it_has,
    an_address_is_moved_and_verified,
    a_reset_is_sent,
    every_account_is_named_by_its_id_too,
    every_command_that_prints_data_prints_json,
    an_import_and_an_export_are_summed_up_in_json,
}

embedded_only! {
    whatever_fails_says_so_on_standard_error_alone,
}

const EMAIL: &str = "ada@example.com";

#[track_caller]
fn data(ran: Ran) -> Value {
    let text = ran.printed();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn json_of(deployment: &Deployment, arguments: &[&str]) -> Value {
    data(run(deployment, &[arguments, &["--json"]].concat()))
}

/// What the API answers about an account to an administrator.
async fn over_http(process: &Process, admin: &Tokens, target: &str) -> Value {
    process.get(target).bearer(&admin.access).send().await.assert_status(200).json()
}

async fn administrator(process: &Process) -> Tokens {
    run_with_input(process, &[], &["user", "create", "root@example.com", "--admin"], PASSWORD).printed();
    process.login("root@example.com").await
}

async fn an_account_is_shown_as_the_api_shows_it(process: Process) {
    let admin = administrator(&process).await;
    let person = process.register_as(EMAIL).await;
    let shown = json_of(&process, &["user", "show", EMAIL]);
    assert_eq!(shown, over_http(&process, &admin, &format!("/api/v1/admin/users/{}", person.user)).await);
    assert_eq!((&shown["email"], &shown["has_password"]), (&json!(EMAIL), &json!(true)));
    let text = run(&process, &["user", "show", EMAIL]).printed();
    for line in [format!("id:             {}", person.user), format!("email address:  {EMAIL}")] {
        assert!(text.lines().any(|own| own == line), "{line}: {text}");
    }
    assert!(
        text.contains("states:         active,unverified")
            && text.contains("two-step login: not enabled")
            && text.contains("email verified: -"),
        "{text}"
    );
    for unknown in ["nobody@example.com", "00000000-0000-0000-0000-000000000000"] {
        assert!(run(&process, &["user", "show", unknown]).refused().contains(unknown));
    }
}

async fn accounts_are_listed_and_filtered_as_over_http(process: Process) {
    let admin = administrator(&process).await;
    for (email, more) in [
        ("sam@example.com", &["--role", "editor"][..]),
        ("flotsam@example.com", &["--verified", "--name", "\u{c4}nne"]),
        ("other@example.com", &["--role", "editor", "--role", "chief", "--verified"]),
    ] {
        run_with_input(&process, &[], &[&["user", "create", email], more].concat(), PASSWORD).printed();
    }
    run(&process, &["user", "disable", "other@example.com"]).printed();
    for (arguments, query) in [
        (&[][..], ""),
        (&["sam"], "q=sam"),
        (&["\u{e4}NN"], "q=%C3%A4nn"),
        (&["--role", "editor"], "role=editor"),
        (&["--state", "disabled"], "state=disabled"),
        (&["sam", "--state", "unverified", "--role", "editor"], "q=sam&state=unverified&role=editor"),
        (&["nobody"], "q=nobody"),
    ] {
        let listed = json_of(&process, &[&["user", "list"], arguments].concat());
        let expected = over_http(&process, &admin, &format!("/api/v1/admin/users?{query}")).await;
        assert_eq!(listed["users"], expected["users"], "{arguments:?}");
        let lines = run(&process, &[&["user", "list"], arguments].concat()).printed();
        let emails: Vec<&str> = lines.lines().map(|line| line.split('\t').nth(4).unwrap()).collect();
        let expected: Vec<&str> =
            expected["users"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap()).collect();
        assert_eq!(emails, expected, "{arguments:?}");
    }
    assert_eq!(run(&process, &["user", "list", "--state", "asleep"]).code, Some(2));
    assert!(run(&process, &["user", "list", "--role", "two words"]).refused().contains("role"));
}

/// Returns the states of an account as the list shows them, which are those that filters find it by.
fn states(process: &Process, email: &str) -> String {
    let listed = run(process, &["user", "list", email]).printed();
    let line = listed.lines().next().unwrap();
    let shown = line.split('\t').nth(3).unwrap().to_owned();
    for state in ["active", "disabled", "deletion_pending", "unverified", "without_password"] {
        let found = run(process, &["user", "list", email, "--state", state]).printed();
        assert_eq!(!found.is_empty(), shown.split(',').any(|own| own == state), "{state}: {shown}");
    }
    assert!(run(process, &["user", "show", email]).printed().contains(&format!("states:         {shown}\n")));
    shown
}

async fn accounts_are_shown_with_every_state_and_their_second_factor(process: Process) {
    run(&process, &["user", "invite", EMAIL]).printed();
    assert_eq!(states(&process, EMAIL), "active,unverified,without_password");
    let invited = json_of(&process, &["user", "show", EMAIL]);
    assert_eq!((&invited["password_changed_at"], &invited["mfa_enabled"]), (&Value::Null, &json!(false)));
    run_with_input(&process, &[], &["user", "set-password", EMAIL], PASSWORD).printed();
    run(&process, &["user", "verify", EMAIL]).printed();
    assert_eq!(states(&process, EMAIL), "active");
    let person = process.login(EMAIL).await;
    enable_totp(&process, &person).await;
    let shown = json_of(&process, &["user", "show", EMAIL]);
    assert!(shown["password_changed_at"].is_string() && shown["mfa_enabled"] == true, "{shown}");
    assert!(run(&process, &["user", "show", EMAIL]).printed().contains("two-step login: enabled\n"));
    run(&process, &["user", "disable", EMAIL]).printed();
    assert_eq!(states(&process, EMAIL), "disabled");
    run(&process, &["user", "delete", EMAIL]).printed();
    assert_eq!(states(&process, EMAIL), "disabled,deletion_pending");
}

async fn what_is_refused_is_refused_by_either_door(process: Process) {
    let admin = administrator(&process).await;
    let person = process.register_as(EMAIL).await;
    let account = format!("/api/v1/admin/users/{}", person.user);
    for (command, method, path, status, code) in [
        ("reset-mfa", "DELETE", "/mfa", 409, "mfa_not_enabled"),
        ("cancel-deletion", "DELETE", "/deletion", 409, "no_deletion"),
        ("invite", "POST", "/invitation", 409, "password_set"),
    ] {
        let answer = process.request(method, &format!("{account}{path}")).bearer(&admin.access).send().await;
        answer.assert_problem(status, code);
        for more in [&[][..], &["--json"]] {
            run(&process, &[&["user", command, EMAIL], more].concat()).refused();
        }
    }
    // A password from nowhere, and what is no id.
    for command in ["set-password", "create"] {
        let refused = run(&process, &["user", command, EMAIL]).refused();
        assert!(refused.contains("no password on standard input"), "{refused}");
    }
    for arguments in [&["session", "revoke", "xyz"][..], &["client", "show", "xyz"], &["client", "delete", "xyz"]] {
        let wrong = run(&process, arguments);
        assert_eq!((wrong.code, &*wrong.stdout), (Some(2), ""), "{wrong:?}");
        assert!(wrong.stderr.contains("is no id") && !wrong.stderr.contains("parsing"), "{wrong:?}");
    }
    process.me(&person.access).await.assert_status(200);
}

async fn somebody_is_invited_and_once_more(backend: Backend) {
    let smtp = SmtpServer::start();
    let url = smtp.url();
    let process = Process::with(backend, &[("SMTP_URL", &url)]);
    let invite = |more: &[&str]| run(&process, &[&["user", "invite"], more].concat());
    let invited = data(invite(&[EMAIL, "--role", "editor", "--name", "Ada", "--json"]));
    assert_eq!((&invited["roles"], &invited["has_password"]), (&json!(["user", "editor"]), &json!(false)));
    let first = smtp.mail_to(EMAIL).await.token();
    let id = invited["id"].as_str().unwrap().to_owned();
    assert!(invite(&[EMAIL, "--admin"]).refused().contains("exists already"));
    assert!(invite(&[&id]).printed().contains(EMAIL));
    let second =
        crate::support::until("the other email", async || smtp.mails_to(EMAIL).get(1).map(|mail| mail.token()));
    let second = second.await;
    let accept = |token: &str| {
        let body = json!({"token": token, "new_password": PASSWORD});
        process.post("/api/v1/auth/password/reset").json(&body).send()
    };
    accept(&first).await.assert_problem(400, "invalid_one_time_token");
    accept(&second).await.assert_status(204);
    let tokens = process.login(EMAIL).await;
    assert_eq!(tokens.claims()["roles"], json!(["user", "editor"]));
    assert!(invite(&[EMAIL]).refused().contains("password"));
    assert!(invite(&["00000000-0000-0000-0000-000000000000"]).refused().contains("there is no account"));
    assert_eq!(process.audited("event = 'account.invited' AND actor_id IS NULL").len(), 2);
}

async fn an_account_is_created_with_all_that_it_has(process: Process) {
    let arguments = ["user", "create", EMAIL, "--name", "Ada", "--role", "editor", "--admin", "--verified", "--json"];
    let created = data(run_with_input(&process, &[], &arguments, PASSWORD));
    assert_eq!((&created["name"], &created["roles"]), (&json!("Ada"), &json!(["user", "editor", "admin"])));
    assert!(created["email_verified_at"].is_string());
    let admin = process.login(EMAIL).await;
    assert_eq!(
        over_http(&process, &admin, &format!("/api/v1/admin/users/{}", admin.user)).await["roles"],
        created["roles"]
    );
    for wrong in [&["--role", "two words"][..], &["--name", ""]] {
        let arguments = [&["user", "create", "other@example.com"], wrong].concat();
        run_with_input(&process, &[], &arguments, PASSWORD).refused();
    }
    assert_eq!(process.count("users"), 1);
}

async fn an_address_is_moved_and_verified(process: Process) {
    let person = process.register_as(EMAIL).await;
    let moved = json_of(&process, &["user", "set-email", EMAIL, "ada@example.org"]);
    assert_eq!((&moved["email"], &moved["email_verified_at"]), (&json!("ada@example.org"), &Value::Null));
    assert_eq!(moved["sessions_revoked"], 0);
    process.login("ada@example.org").await;
    let id = person.user.to_string();
    let text = run(&process, &["user", "verify", &id]).printed();
    assert_eq!(text, "The account's email address: ada@example.org, verified\n");
    assert!(json_of(&process, &["user", "verify", &id])["email_verified_at"].is_string());
    assert_eq!(json_of(&process, &["user", "unverify", &id])["email_verified_at"], Value::Null);
    let sure = json_of(&process, &["user", "set-email", &id, EMAIL, "--verified"]);
    assert!(sure["email_verified_at"].is_string());
    let other = process.register().await;
    assert!(run(&process, &["user", "set-email", &id, &other.email]).refused().contains("has an account"));
    run(&process, &["user", "set-email", &id, "nobody"]).refused();
}

async fn a_reset_is_sent(backend: Backend) {
    let smtp = SmtpServer::start();
    let url = smtp.url();
    let process = Process::with(backend, &[("SMTP_URL", &url)]);
    process.register_as(EMAIL).await;
    assert!(run(&process, &["user", "send-reset", EMAIL]).printed().contains(EMAIL));
    let reset = crate::support::until("the reset", async || {
        smtp.mails_to(EMAIL).into_iter().find(|mail| mail.subject().starts_with("Choose a new password"))
    });
    let body = json!({"token": reset.await.token(), "new_password": "copper lantern beneath willows"});
    process.post("/api/v1/auth/password/reset").json(&body).send().await.assert_status(204);
    run(&process, &["user", "disable", EMAIL]).printed();
    assert!(run(&process, &["user", "send-reset", EMAIL]).refused().contains("disabled"));
}

async fn every_account_is_named_by_its_id_too(process: Process) {
    administrator(&process).await;
    let person = process.register_as(EMAIL).await;
    let id = person.user.to_string();
    for command in ["disable", "enable", "verify", "unverify", "reset-mfa", "show", "send-reset", "set-roles"] {
        let (by_email, by_id) = (run(&process, &["user", command, EMAIL]), run(&process, &["user", command, &id]));
        // Without a second factor there is none to reset.
        let expected = Some(i32::from(command == "reset-mfa"));
        assert_eq!((by_email.code, by_id.code), (expected, expected), "{command}: {by_email:?} {by_id:?}");
        for unknown in ["nobody@example.com", "00000000-0000-0000-0000-000000000000"] {
            assert!(run(&process, &["user", command, unknown]).refused().contains(unknown), "{command}");
        }
    }
    run_with_input(&process, &[], &["user", "set-password", &id], PASSWORD).printed();
    process.login(EMAIL).await;
    assert_eq!(run(&process, &["session", "list", &id]).printed().lines().count(), 1);
    assert_eq!(run(&process, &["session", "revoke", "--user", &id]).printed(), "Sessions revoked: 1\n");
}

async fn every_command_that_prints_data_prints_json(process: Process) {
    let admin = administrator(&process).await;
    let person = process.register_as(EMAIL).await;
    let listed = json_of(&process, &["session", "list", EMAIL]);
    let expected = over_http(&process, &admin, &format!("/api/v1/admin/users/{}/sessions", person.user)).await;
    assert_eq!(listed, expected);
    let session = person.session.to_string();
    let own = process.login(EMAIL).await;
    assert_eq!(json_of(&process, &["session", "revoke", &session]), json!({"sessions_revoked": 1}));
    assert_eq!(json_of(&process, &["session", "revoke", "--user", EMAIL]), json!({"sessions_revoked": 1}));
    process.verify(&own.access).await;
    let cleanup = json_of(&process, &["session", "cleanup"]);
    assert_eq!(cleanup, json!({"expired": 2, "deleted": 0, "other_rows_deleted": 0}));

    process.login(EMAIL).await;
    let disabled = json_of(&process, &["user", "disable", EMAIL]);
    assert_eq!(disabled["sessions_revoked"], 1);
    assert!(disabled["disabled_at"].is_string());
    assert_eq!(json_of(&process, &["user", "enable", EMAIL])["disabled_at"], Value::Null);
    assert_eq!(json_of(&process, &["user", "set-roles", EMAIL, "editor"])["roles"], json!(["user", "editor"]));
    assert_eq!(json_of(&process, &["user", "send-reset", EMAIL])["email"], EMAIL);
    let set = run_with_input(&process, &[], &["--json", "user", "set-password", EMAIL], PASSWORD);
    assert_eq!(data(set), json!({"sessions_revoked": 0}));
    let taken: Value = serde_json::from_str(&run(&process, &["user", "export", "--user", EMAIL]).printed()).unwrap();
    assert_eq!((&taken["account"]["email"], &taken["pending_email"]), (&json!(EMAIL), &Value::Null));
    assert_eq!(taken["audit_events"][0]["event_type"], "account.exported");
    assert!(taken["sessions"].as_array().is_some_and(|sessions| !sessions.is_empty()), "{taken}");
    let file = process.folder.path().join("ada.json").display().to_string();
    assert_eq!(json_of(&process, &["user", "export", "--user", EMAIL, &file]), json!({"exported": 1}));
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(written["sessions"], taken["sessions"]);
    let missing = run(&process, &["user", "export", "--user", "nobody@example.com"]);
    assert_eq!((missing.code, &*missing.stdout), (Some(1), ""), "{missing:?}");
    let later = json_of(&process, &["user", "delete", EMAIL]);
    assert_eq!((&later["deleted"], later["deletes_at"].is_string()), (&json!(false), true));
    assert_eq!(json_of(&process, &["user", "cancel-deletion", EMAIL])["deletes_at"], Value::Null);
    assert_eq!(json_of(&process, &["user", "delete", EMAIL, "--at-once"])["deleted"], true);

    assert_eq!(json_of(&process, &["migrate", "--check"]), json!({"pending": []}));
    assert_eq!(json_of(&process, &["migrate"]), json!({"applied": [], "pending": []}));
    let settings = json_of(&process, &["config", "check"]);
    let ttl = json!({"name": "ACCESS_TOKEN_TTL", "value": "900", "origin": "default"});
    assert!(settings["settings"].as_array().unwrap().contains(&ttl), "{settings}");
    assert!(!settings.to_string().contains(&process.secret));
    let findings = json_of(&process, &["doctor"]);
    assert_eq!(findings["healthy"], true);
    let states: Vec<&str> =
        findings["findings"].as_array().unwrap().iter().map(|finding| finding["state"].as_str().unwrap()).collect();
    assert!(states.len() > 10 && states.contains(&"ok") && states.contains(&"warning"), "{findings}");
    let wrong = run_with_input(&process, &[("SMTP_URL", "smtp://127.0.0.1:9")], &["doctor", "--json"], "");
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    let wrong: Value = serde_json::from_str(&wrong.stdout).unwrap();
    let mail = wrong["findings"].as_array().unwrap().iter().find(|finding| finding["subject"] == "mail").unwrap();
    assert_eq!((&wrong["healthy"], &mail["state"]), (&json!(false), &json!("wrong")));
    assert!(mail["advice"].as_str().unwrap().contains("SMTP_URL"));
}

async fn an_import_and_an_export_are_summed_up_in_json(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let people = "{\"email\": \"one@example.com\"}\n{\"email\": \"two@example.com\"}\n";
    let import = |more: &[&str], input: &str| {
        run_with_input(&deployment, &[], &[&["user", "import", "-", "--json"], more].concat(), input)
    };
    let checked = json!({"valid": 2, "without_password": 0, "rejected": 0});
    assert_eq!(data(import(&["--check"], people)), checked);
    let imported = json!({"imported": 2, "already_there": 0, "without_password": 0, "rejected": 0});
    assert_eq!(data(import(&[], people)), imported);
    let again = import(&[], &format!("{people}nonsense\n"));
    assert_eq!(again.code, Some(1), "{again:?}");
    let expected = json!({"imported": 0, "already_there": 2, "without_password": 0, "rejected": 1});
    assert_eq!(serde_json::from_str::<Value>(&again.stdout).unwrap(), expected);
    assert!(again.stderr.contains("line 3"), "{again:?}");
    let file = deployment.folder.path().join("people.ndjson");
    assert_eq!(json_of(&deployment, &["user", "export", file.to_str().unwrap()]), json!({"exported": 2}));
    assert_eq!(
        json_of(&deployment, &["user", "list", "--state", "without_password"])["users"].as_array().unwrap().len(),
        2
    );
}

async fn whatever_fails_says_so_on_standard_error_alone(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    for arguments in [
        &["user", "show", "nobody@example.com"][..],
        &["user", "list", "--role", "two words"],
        &["user", "invite", "nobody"],
        &["session", "list", "nobody@example.com"],
        &["user", "import", "missing.ndjson"],
    ] {
        run(&deployment, arguments).refused();
        run(&deployment, &[arguments, &["--json"]].concat()).refused();
    }
    // A command line that is wrong, and commands that print no data.
    for arguments in [
        &["user", "list", "--state", "asleep"][..],
        &["user", "show"],
        &["user"],
        &["completions", "bash", "--json"],
        &["config", "docs", "--json"],
        &["serve", "--json"],
    ] {
        let wrong = run(&deployment, arguments);
        assert_eq!((wrong.code, &*wrong.stdout), (Some(2), ""), "{arguments:?}: {wrong:?}");
        assert!(!wrong.stderr.is_empty());
    }
}
