//! Mail servers that take nothing, because of the sender or of what they are: no email is given up for that.

use serde_json::json;

use crate::support::servers::free_port;
use crate::support::{Backend, Deployment, PASSWORD, Process, Server, SmtpServer, until};

both_backends! {
    a_server_that_refuses_everything_loses_no_email,
    what_is_wrong_with_the_server_is_said_once,
}

embedded_only! {
    a_sender_at_a_domain_outside_ascii_is_written_as_in_the_dns,
}

const DAY: u64 = 86_400;

/// Longer than any wait between two attempts.
const LONGEST_DELAY: u64 = 28_000;

async fn a_server_that_refuses_everything_loses_no_email(backend: Backend) {
    let right = SmtpServer::start();
    for arguments in [
        &["--sender-answer", "550 5.7.1"][..],
        &["--sender-answer", "553 5.1.8"],
        &["--data-answer", "550 5.7.26 unauthenticated"],
        &["--data-answer", "554 rejected"],
        &["--answer", "@", "554 5.7.1"],
        &["--answer", "@", "553 5.7.1 Sender address rejected"],
        &["--user", "me", "right"],
    ] {
        let deployment = Deployment::new(backend);
        let smtp = SmtpServer::start_with(arguments);
        let server = Server::start(&deployment, &[("SMTP_URL", &smtp.url())], keyturn::clock::Clock::default()).await;
        let own = server.register().await;
        for attempts in 1..=3 {
            let what = format!("attempt {attempts} with {arguments:?}");
            let name = "keyturn_emails_total{outcome=\"deferred\"}";
            until(&what, async || (server.metric(name).await == attempts).then_some(())).await;
            server.advance(120 * attempts);
        }
        assert_eq!(server.metric("keyturn_emails_total{outcome=\"refused\"}").await, 0, "{arguments:?}");
        assert_eq!(server.metric("keyturn_emails_total{outcome=\"given_up\"}").await, 0, "{arguments:?}");
        let clock = server.clock.clone();
        drop(server);
        clock.advance(std::time::Duration::from_secs(3600));
        let _corrected = Server::start(&deployment, &[("SMTP_URL", &right.url())], clock).await;
        right.mail_to(&own.email).await;
    }
}

async fn what_is_wrong_with_the_server_is_said_once(backend: Backend) {
    let smtp = SmtpServer::start_with(&["--sender-answer", "553 5.7.1"]);
    let process = Process::with(backend, &[("SMTP_URL", &smtp.url())]);
    for _ in 0..6 {
        process.register().await;
    }
    let tried = "outbox WHERE attempts = 1 AND last_error IS NOT NULL";
    until("the attempts", async || (process.count(tried) == 6).then_some(())).await;
    let told = async || Some(process.log()).filter(|log| log.contains("cannot be delivered"));
    let log = until("the log to tell it", told).await;
    assert_eq!(log.matches("cannot be delivered").count(), 1, "{log}");
    assert!(log.contains("553") && log.contains("MAIL_FROM") && !log.contains("@example.com"), "{log}");
}

async fn a_sender_at_a_domain_outside_ascii_is_written_as_in_the_dns(_: Backend) {
    let smtp = SmtpServer::start_with(&["--ascii"]);
    let from = ("MAIL_FROM", "Größe, \u{e9}t\u{e9} <no-reply@müller.example>");
    let server = Server::with(Backend::Embedded, &[("SMTP_URL", &smtp.url()), from]).await;
    let own = server.register().await;
    let mail = smtp.mail_to(&own.email).await;
    assert_eq!(mail.from, "no-reply@xn--mller-kva.example");
    assert!(mail.raw.is_ascii() && mail.header("from").contains("no-reply@xn--mller-kva.example"), "{}", mail.raw);
    assert!(mail.header("from").contains("Größe, été"), "{}", mail.header("from"));

    // A link that waits for a server that is down goes with its link, not before.
    let nobody = format!("smtp://127.0.0.1:{}", free_port());
    let server = Server::with(Backend::Embedded, &[("SMTP_URL", &nobody)]).await;
    let body = json!({"email": "a@example.com", "password": PASSWORD});
    server.post("/api/v1/auth/register").json(&body).send().await.assert_status(201);
    until("an attempt", async || (server.count("outbox WHERE last_error IS NOT NULL") == 1).then_some(())).await;
    server.advance(LONGEST_DELAY);
    until("another", async || {
        (server.count("outbox WHERE attempts = 2 AND last_error IS NOT NULL") == 1).then_some(())
    })
    .await;
    server.advance(DAY);
    until("the end", async || (server.count("outbox") == 0).then_some(())).await;
    assert_eq!(server.metric("keyturn_emails_total{outcome=\"expired\"}").await, 1);
}
