//! Emails that commands and administrators cause: the servers deliver them, and they say who acted.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::commands::enable_totp;
use crate::support::smtp::Received;
use crate::support::{Deployment, PASSWORD, Process, Request, SmtpServer, Tokens, until};
use crate::{run, run_with_input};

both_backends! {
    commands_leave_background_work_to_the_servers,
    emails_of_commands_beside_a_server_arrive_once_and_soon,
    emails_about_what_operators_did_say_so_and_tell_nothing_of_them,
}

const ADMIN_AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0";
const ADMIN_ADDRESS: &str = "203.0.113.77";

async fn commands_leave_background_work_to_the_servers(deployment: Arc<Deployment>) {
    let smtp = SmtpServer::start();
    let url = smtp.url();
    let settings = [("SMTP_URL", &*url), ("SWEEP_INTERVAL", "1")];
    run_with_input(&deployment, &settings, &["migrate"], "").printed();
    let leases = deployment.rows("leases");
    let addresses: Vec<String> = (0..4).map(|number| format!("person{number}@example.com")).collect();
    for address in &addresses {
        run_with_input(&deployment, &settings, &["user", "invite", address], "").printed();
        run_with_input(&deployment, &settings, &["migrate"], "").printed();
        run_with_input(&deployment, &settings, &["session", "list", address], "").printed();
    }
    assert_eq!(deployment.texts("SELECT recipient AS text FROM outbox WHERE attempts > 0"), Vec::<String>::new());
    assert_eq!((deployment.count("outbox"), deployment.rows("leases")), (4, leases));
    assert!(smtp.mails().is_empty());

    let _process = Process::start(&deployment, &settings);
    for address in &addresses {
        smtp.mail_to(address).await;
    }
    until("the outbox to be empty", async || (deployment.count("outbox") == 0).then_some(())).await;
    assert_eq!(smtp.mails().len(), addresses.len());
}

async fn emails_of_commands_beside_a_server_arrive_once_and_soon(deployment: Arc<Deployment>) {
    let smtp = SmtpServer::start();
    let url = smtp.url();
    let settings = [("SMTP_URL", &*url)];
    let process = Process::start(&deployment, &settings);
    let addresses: Vec<String> = (0..12).map(|number| format!("person{number}@example.com")).collect();
    std::thread::scope(|scope| {
        for some in addresses.chunks(3) {
            let (process, settings) = (&process, &settings);
            scope.spawn(move || {
                for address in some {
                    run_with_input(process, settings, &["user", "invite", address], "").printed();
                }
            });
        }
    });
    // The wait is shorter than the time after which what a command had claimed would be delivered.
    until("the outbox to be empty", async || (process.count("outbox") == 0).then_some(())).await;
    for address in &addresses {
        assert_eq!(smtp.mails_to(address).len(), 1, "{address}");
    }
}

/// What an operator does to an account, and how the subjects of the emails to its owner begin.
struct Act {
    command: Option<&'static [&'static str]>,
    request: Option<(&'static str, &'static str, Value)>,
    subjects: &'static [&'static str],
}

fn acts() -> Vec<Act> {
    let act = |command, request, subjects| Act { command, request, subjects };
    let reset = ("POST", "/password-reset", Value::Null);
    let moved = json!({"email": "moved@example.org"});
    vec![
        act(Some(&["set-password"]), None, &["The password of your account"]),
        act(Some(&["send-reset"]), Some(reset), &["Choose a new password"]),
        act(Some(&["reset-mfa"]), Some(("DELETE", "/mfa", Value::Null)), &["Two-step login was disabled"]),
        act(Some(&["delete"]), Some(("DELETE", "", Value::Null)), &["Your account at keyturn.example will be deleted"]),
        act(
            Some(&["cancel-deletion"]),
            Some(("DELETE", "/deletion", Value::Null)),
            &["Your account at keyturn.example is kept"],
        ),
        act(
            Some(&["set-email", "moved@example.org"]),
            Some(("PATCH", "", moved)),
            &["Confirm your email address", "The email address of your account"],
        ),
    ]
}

/// Carries out an act on the command line or, with an administrator's token, over HTTP.
async fn carry_out(process: &Process, act: &Act, person: &Tokens, admin: Option<&Tokens>) {
    match (admin, &act.request, act.command) {
        (Some(admin), Some((method, path, body)), _) => {
            let request = process.request(method, &format!("/api/v1/admin/users/{}{path}", person.user));
            let request = as_administrator(request).bearer(&admin.access);
            let request = if body.is_null() { request } else { request.json(body) };
            let answer = request.send().await;
            assert!(answer.status < 300, "{path}: {}", answer.text());
        }
        (None, _, Some(command)) => {
            let id = person.user.to_string();
            let more = if command == ["delete"] { &["--yes"][..] } else { &[] };
            let (name, rest) = command.split_first().unwrap();
            let arguments = [&["user", name, &id], rest, more].concat();
            run_with_input(process, &[], &arguments, "another of my passphrases\n").printed();
        }
        _ => {}
    }
}

fn as_administrator(request: Request) -> Request {
    request.header("user-agent", ADMIN_AGENT).header("x-forwarded-for", ADMIN_ADDRESS)
}

/// Waits until all emails were delivered, and gives those that were not seen yet.
async fn new_mails(process: &Process, smtp: &SmtpServer, seen: &mut usize) -> Vec<Received> {
    until("the outbox to be empty", async || (process.count("outbox") == 0).then_some(())).await;
    let new = smtp.mails().split_off(*seen);
    *seen += new.len();
    new
}

async fn emails_about_what_operators_did_say_so_and_tell_nothing_of_them(deployment: Arc<Deployment>) {
    let smtp = SmtpServer::start();
    let url = smtp.url();
    let process = Process::start(
        &deployment,
        &[("SMTP_URL", &url), ("TRUSTED_PROXIES", "127.0.0.1"), ("LIMIT_REGISTER_ADDRESS", "off")],
    );
    run_with_input(&process, &[], &["user", "create", "root@example.com", "--admin"], PASSWORD).printed();
    let admin = process.login("root@example.com").await;
    let mut seen = 0;
    for admin in [None, Some(&admin)] {
        for act in acts() {
            if admin.is_some() && act.request.is_none() {
                continue;
            }
            let person = process.register().await;
            process.verify_email(&person.email);
            if act.command == Some(&["reset-mfa"]) {
                enable_totp(&process, &person).await;
            }
            if act.command == Some(&["cancel-deletion"]) {
                run(&process, &["user", "delete", "--yes", &person.email]).printed();
            }
            new_mails(&process, &smtp, &mut seen).await;
            carry_out(&process, &act, &person, admin).await;
            let mut mails = new_mails(&process, &smtp, &mut seen).await;
            mails.sort_by_key(|mail| mail.subject().to_owned());
            let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject()).collect();
            assert_eq!(subjects.len(), act.subjects.len(), "{subjects:?}");
            for (mail, expected) in mails.iter().zip(act.subjects) {
                assert!(mail.subject().starts_with(expected), "{subjects:?}");
                assert_names_operators(mail);
            }
            // The address is free for the next one.
            process.sql("UPDATE users SET email_normalized = 'free' || created_at WHERE email LIKE 'moved@%'");
        }
    }
    // In the language of the account, on the command line too.
    let person = process.register().await;
    process.sql("UPDATE users SET language = 'de'");
    run(&process, &["user", "send-reset", &person.email]).printed();
    let subject = "Wählen Sie ein neues Passwort für keyturn.example";
    let mails = new_mails(&process, &smtp, &mut seen).await;
    assert!(mails.iter().any(|mail| mail.subject() == subject), "{mails:?}");
    process.sql("UPDATE users SET language = NULL");
    // What owners do is told with where they did it.
    let owner = process.register().await;
    process.verify_email(&owner.email);
    new_mails(&process, &smtp, &mut seen).await;
    let change = json!({"current_password": PASSWORD, "new_password": "another of my passphrases"});
    let request = process.post("/api/v1/auth/password/change").bearer(&owner.access).json(&change);
    as_administrator(request).send().await.assert_status(200);
    let mails = new_mails(&process, &smtp, &mut seen).await;
    assert!(mails.len() == 1 && mails[0].text().contains(ADMIN_ADDRESS), "{mails:?}");
    assert!(mails[0].text().contains("Firefox") && !mails[0].text().contains("those who run"), "{mails:?}");
}

#[track_caller]
fn assert_names_operators(mail: &Received) {
    for part in [mail.text(), mail.html()] {
        let line = part.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(line.to_lowercase().contains("those who run keyturn.example"), "{line}");
        for own in [ADMIN_ADDRESS, "Firefox", "Windows", "Device:", "IP address:", "If that was you"] {
            assert!(!line.contains(own), "{own}: {line}");
        }
    }
}
