//! Emails: what is queued arrives, once, whatever becomes of the mail server and of ours; and nothing waits for it.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use keyturn::clock::Clock;
use keyturn::db::schema::outbox;
use keyturn::mail::{Activity, DeviceName, Email, Mail, Page};
use keyturn::types::Timestamp;

use crate::audit::administrator;
use crate::support::authority::Authority;
use crate::support::deployment::PUBLIC_URL;
use crate::support::folder::Folder;
use crate::support::process::command;
use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Process, Server, SmtpServer, random_hex, smtp, until};

both_backends! {
    an_email_arrives_as_text_and_html_with_its_link,
    without_a_mail_server_mails_are_files_for_their_owner_alone,
    a_mail_server_that_is_down_delays_mails_and_loses_none,
    a_mail_server_that_hangs_blocks_neither_logins_nor_the_end,
    servers_on_one_database_deliver_each_mail_once,
    a_clock_that_jumps_while_an_email_is_delivered_duplicates_none,
    what_a_killed_server_has_begun_to_deliver_another_one_delivers,
    a_mail_that_is_refused_is_kept_as_failed_and_not_tried_again,
    a_notice_is_tried_for_seven_days,
    a_mail_whose_link_has_expired_is_not_sent,
    a_message_is_of_no_use_for_another_recipient,
    an_address_outside_ascii_waits_for_a_server_that_takes_it,
}

embedded_only! {
    mail_servers_are_reached_over_tls_and_with_a_login,
    a_login_that_the_mail_server_refuses_is_no_refusal_of_the_mail,
    a_mail_server_of_another_authority_or_without_tls_gets_no_mail,
    an_address_of_any_script_is_written_to,
    templates_take_the_places_of_those_of_their_names,
    a_template_that_is_wrong_stops_the_start,
    a_template_that_fails_for_one_email_leaves_it_to_the_built_in_one,
    the_log_tells_of_mails_without_what_they_say,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Longer than a server may keep an email that it has claimed.
const LEASE: u64 = 301;

/// The longest wait after the first failure.
const FIRST_DELAY: u64 = 76;

fn address() -> String {
    format!("person-{}@example.com", random_hex::<6>())
}

/// The server's own way to queue emails, in a transaction on the deployment's database.
fn mail(deployment: &Deployment) -> Mail {
    mail_with(deployment, &[])
}

fn mail_with(deployment: &Deployment, settings: &[(&str, &str)]) -> Mail {
    deployment.mail(settings)
}

fn queue(deployment: &Deployment, to: &str, email: &Email, now: Timestamp) {
    deployment.conn().write(|conn| mail(deployment).queue(conn, to, None, email, now)).unwrap();
}

/// A email with a link that works for half an hour.
fn verification(deployment: &Deployment, token: &str, now: Timestamp) -> Email {
    let expires_at = now.plus(Duration::from_secs(30 * MINUTE));
    Email::VerifyEmail { link: mail(deployment).link(Page::VerifyEmail, token, expires_at), is_new: true }
}

/// A email that is worth reading at any time.
fn notice(deployment: &Deployment, now: Timestamp) -> Email {
    let link = mail(deployment).link(Page::ReportLogin, "token", now.plus(Duration::from_secs(DAY)));
    let activity = Activity {
        device: DeviceName::chosen("Firefox on <b>Windows</b>"),
        place: Some("Oslo, Norway".to_owned()),
        ip: None,
        at: now,
        by_operator: false,
    };
    Email::PasswordChanged { activity, link }
}

/// Queues a notice to somebody, and returns the address.
fn queue_notice(deployment: &Deployment, now: Timestamp) -> String {
    let to = address();
    queue(deployment, &to, &notice(deployment, now), now);
    to
}

async fn outcomes(endpoint: &Endpoint, outcome: &str) -> u64 {
    endpoint.metric(&format!("keyturn_emails_total{{outcome=\"{outcome}\"}}")).await
}

async fn until_outcomes(endpoint: &Endpoint, outcome: &str, count: u64) {
    until(outcome, async || (outcomes(endpoint, outcome).await >= count).then_some(())).await;
}

async fn until_outbox_is_empty(deployment: &Deployment) {
    until("the outbox to be empty", async || (deployment.count("outbox") == 0).then_some(())).await;
}

/// Attempts, next attempt and last error of the only email in the outbox.
fn only_mail(deployment: &Deployment) -> (i32, Option<Timestamp>, Option<String>) {
    let columns = (outbox::attempts, outbox::next_attempt_at, outbox::last_error);
    let mails: Vec<_> = outbox::table.select(columns).load(&mut deployment.conn()).unwrap();
    assert_eq!(mails.len(), 1);
    mails.into_iter().next().unwrap()
}

async fn an_email_arrives_as_text_and_html_with_its_link(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = Server::with(backend, &[("SMTP_URL", &smtp.url())]).await;
    let (to, now) = (address(), server.clock.now());
    queue(&server, &to, &verification(&server, "a-token", now), now);
    let mail = smtp.mail_to(&to).await;

    assert_eq!((mail.from.as_str(), mail.to.as_slice()), ("no-reply@keyturn.example", &[to.clone()][..]));
    assert_eq!((mail.greeting.as_str(), mail.content_type.as_str()), ("keyturn.example", "multipart/alternative"));
    assert_eq!(mail.header("from"), "keyturn <no-reply@keyturn.example>");
    assert_eq!((mail.header("to"), mail.header("auto-submitted")), (to.as_str(), "auto-generated"));
    assert_eq!(mail.subject(), "Confirm your email address for keyturn.example");
    let id = mail.header("message-id");
    assert!(id.starts_with('<') && id.ends_with("@keyturn.example>"), "{id}");
    let link = format!("{PUBLIC_URL}/account/verify-email?token=a-token");
    assert_eq!((mail.link().as_str(), mail.token()), (link.as_str(), "a-token".to_owned()));
    assert!(mail.html().contains(&format!("href=\"{}\"", link.replace('/', "&#x2f;"))), "{}", mail.html());
    // Lines that every mail server takes (RFC 5321 §4.5.3.1.6).
    assert!(mail.raw.is_ascii() && mail.raw.split("\r\n").all(|line| line.len() <= 998 && !line.contains('\n')));

    let somebody = server.register().await.email;
    server.verify_email(&somebody);
    queue(&server, &somebody, &notice(&server, now), now);
    let is_notice = |mail: &smtp::Received| mail.text().contains("Device");
    let mail = until("the notice", async || smtp.mails_to(&somebody).into_iter().find(is_notice)).await;
    assert!(mail.text().contains("Device: Firefox on <b>Windows< b>\nPlace: Oslo, Norway\n"), "{}", mail.text());
    assert!(mail.html().contains("&lt;b&gt;Windows") && !mail.html().contains("<b>"), "{}", mail.html());
    until_outbox_is_empty(&server).await;
    until_outcomes(&server, "delivered", 3).await;
}

async fn without_a_mail_server_mails_are_files_for_their_owner_alone(server: Server) {
    let (to, now) = (address(), server.clock.now());
    queue(&server, &to, &verification(&server, "a-token", now), now);
    until_outbox_is_empty(&server).await;
    let folder = server.data_dir().join("outbox");
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!((mode(&folder), files.len()), (0o700, 1), "{files:?}");
    assert!(files[0].to_str().unwrap().ends_with(".eml") && mode(&files[0]) == 0o600, "{files:?}");
    let mail = smtp::Mail::read(&files[0]);
    assert_eq!((mail.header("to"), mail.token()), (to.as_str(), "a-token".to_owned()));
    assert!(mail.html().contains("a-token"));
}

async fn a_mail_server_that_is_down_delays_mails_and_loses_none(backend: Backend) {
    let mut smtp = SmtpServer::start();
    smtp.stop();
    let server = Server::with(backend, &[("SMTP_URL", &smtp.url())]).await;
    let to = queue_notice(&server, server.clock.now());
    until_outcomes(&server, "deferred", 1).await;
    let (attempts, next, error) = until("the next attempt", async || {
        let mail = only_mail(&server);
        mail.2.is_some().then_some(mail)
    })
    .await;
    let wait = next.unwrap().since(server.clock.now()).as_secs();
    assert!(attempts == 1 && (30..=75).contains(&wait), "{attempts} {wait}");
    assert!(error.unwrap().contains("refused"));
    let tokens = server.register().await;
    server.try_login(&tokens.email, PASSWORD).await.assert_status(200);

    smtp.start_again();
    server.advance(FIRST_DELAY);
    assert_eq!(smtp.mail_to(&to).await.to, [to]);
    until_outbox_is_empty(&server).await;
}

async fn a_mail_server_that_hangs_blocks_neither_logins_nor_the_end(backend: Backend) {
    let smtp = SmtpServer::start();
    smtp.freeze(true);
    let deployment = Deployment::new(backend);
    let mut process = Process::start(&deployment, &[("SMTP_URL", &smtp.url())]);
    let to: Vec<String> = (0..6).map(|_| queue_notice(&deployment, Clock::default().now())).collect();
    // Four at a time.
    until("attempts", async || (deployment.count("outbox WHERE attempts = 1") == 4).then_some(())).await;
    let tokens = process.register().await;
    process.try_login(&tokens.email, PASSWORD).await.assert_status(200);
    process.terminate();
    let status = until("the end", async || process.ended()).await;
    assert!(status.success(), "{status}");
    // With the one that the registration has posted.
    assert_eq!(deployment.count("outbox"), 7);

    smtp.freeze(false);
    let clock = Clock::default();
    clock.advance(Duration::from_secs(LEASE));
    let _server = Server::start(&deployment, &[("SMTP_URL", &smtp.url())], clock).await;
    until_outbox_is_empty(&deployment).await;
    for to in to {
        assert_eq!(smtp.mails_to(&to).len(), 1);
    }
}

async fn servers_on_one_database_deliver_each_mail_once(backend: Backend) {
    const MAILS: usize = 40;
    let smtp = SmtpServer::start();
    let server = Server::with(backend, &[("SMTP_URL", &smtp.url())]).await;
    let other = server.another().await;
    let to: Vec<String> = (0..MAILS).map(|_| queue_notice(&server, server.clock.now())).collect();
    until_outbox_is_empty(&server).await;
    until("all to be counted", async || {
        let delivered = outcomes(&server, "delivered").await + outcomes(&other, "delivered").await;
        (usize::try_from(delivered).unwrap() == MAILS).then_some(())
    })
    .await;
    assert_eq!(smtp.mails().len(), MAILS);
    for to in to {
        assert_eq!(smtp.mails_to(&to).len(), 1);
    }
}

async fn a_clock_that_jumps_while_an_email_is_delivered_duplicates_none(backend: Backend) {
    let smtp = SmtpServer::start();
    smtp.freeze(true);
    let server = Server::with(backend, &[("SMTP_URL", &smtp.url())]).await;
    let to = queue_notice(&server, server.clock.now());
    until("an attempt", async || (server.count("outbox WHERE attempts = 1") == 1).then_some(())).await;
    server.advance(LEASE);
    // The next one wakes the server, which finds what is due.
    let next = queue_notice(&server, server.clock.now());
    until("the next attempt", async || (server.count("outbox WHERE attempts > 0") == 2).then_some(())).await;
    smtp.freeze(false);
    until_outbox_is_empty(&server).await;
    assert_eq!((smtp.mails_to(&to).len(), smtp.mails_to(&next).len()), (1, 1));
}

async fn what_a_killed_server_has_begun_to_deliver_another_one_delivers(backend: Backend) {
    let smtp = SmtpServer::start();
    smtp.freeze(true);
    let deployment = Deployment::new(backend);
    let mut process = Process::start(&deployment, &[("SMTP_URL", &smtp.url())]);
    let to = queue_notice(&deployment, Clock::default().now());
    until("an attempt", async || (only_mail(&deployment).0 == 1).then_some(())).await;
    process.kill();
    smtp.freeze(false);

    let server = Server::start(&deployment, &[("SMTP_URL", &smtp.url())], Clock::default()).await;
    // It is the dead server's until the lease ends; one that is posted now is delivered before it.
    let next = queue_notice(&deployment, server.clock.now());
    smtp.mail_to(&next).await;
    assert_eq!(smtp.mails_to(&to).len(), 0);
    server.advance(LEASE);
    smtp.mail_to(&to).await;
    until_outbox_is_empty(&server).await;
    assert_eq!(smtp.mails().len(), 2);
}

async fn a_mail_that_is_refused_is_kept_as_failed_and_not_tried_again(backend: Backend) {
    let smtp = SmtpServer::start_with(&["--answer", "gone", "550 5.1.1", "--answer", "busy", "451 4.3.0"]);
    let server = Server::with(backend, &[("SMTP_URL", &smtp.url())]).await;
    let now = server.clock.now();
    queue(&server, "gone@example.com", &verification(&server, "a-token", now), now);
    until_outcomes(&server, "refused", 1).await;
    let failed = async || {
        let (attempts, next, error) = only_mail(&server);
        next.is_none().then_some((attempts, error.unwrap()))
    };
    let (attempts, error) = until("the end of it", failed).await;
    assert!(attempts == 1 && error.contains("550") && !error.contains('@'), "{attempts} {error}");
    // Nothing of the message is kept.
    assert_eq!(server.count("outbox WHERE length(sealed_message) = 0"), 1);

    server.advance(DAY);
    queue(&server, "busy@example.com", &notice(&server, now), now);
    until_outcomes(&server, "deferred", 1).await;
    assert_eq!((outcomes(&server, "refused").await, server.count("outbox WHERE attempts = 1")), (1, 2));
    server.advance(MINUTE);
    // An earlier count may have had the failed one alone.
    until("the count of both", async || {
        let failed = server.metric("keyturn_emails_failed").await;
        (failed == 1 && server.metric("keyturn_emails_waiting").await == 1).then_some(())
    })
    .await;
    server.advance(14 * DAY);
    let admin = administrator(&server).await;
    server.post("/api/v1/sessions/cleanup").bearer(&admin.access).send().await.assert_status(200);
    assert_eq!(server.count("outbox WHERE recipient = 'gone@example.com'"), 0, "kept for two weeks");
}

async fn a_notice_is_tried_for_seven_days(backend: Backend) {
    let mut smtp = SmtpServer::start();
    smtp.stop();
    let server = Server::with(backend, &[("SMTP_URL", &smtp.url())]).await;
    queue_notice(&server, server.clock.now());
    for attempt in 1..=4 {
        until_outcomes(&server, "deferred", attempt).await;
        // Beyond the longest wait, and four of these are less than seven days.
        server.advance(8 * HOUR);
    }
    server.advance(6 * DAY);
    until_outcomes(&server, "given_up", 1).await;
    until("the end of it", async || only_mail(&server).1.is_none().then_some(())).await;
    smtp.start_again();
    server.advance(DAY);
    let next = queue_notice(&server, server.clock.now());
    smtp.mail_to(&next).await;
    assert_eq!(smtp.mails().len(), 1);
}

async fn a_mail_whose_link_has_expired_is_not_sent(backend: Backend) {
    let mut smtp = SmtpServer::start();
    smtp.stop();
    let server = Server::with(backend, &[("SMTP_URL", &smtp.url())]).await;
    let now = server.clock.now();
    queue(&server, &address(), &verification(&server, "a-token", now), now);
    let to = queue_notice(&server, now);
    until_outcomes(&server, "deferred", 2).await;
    smtp.start_again();
    server.advance(30 * MINUTE + 1);
    until_outcomes(&server, "expired", 1).await;
    smtp.mail_to(&to).await;
    until_outbox_is_empty(&server).await;
    assert_eq!(smtp.mails().len(), 1);
}

async fn a_message_is_of_no_use_for_another_recipient(backend: Backend) {
    let smtp = SmtpServer::start();
    let deployment = Deployment::new(backend);
    drop(Server::start(&deployment, &[("SMTP_URL", &smtp.url())], Clock::default()).await);
    queue_notice(&deployment, Clock::default().now());
    deployment.sql("UPDATE outbox SET recipient = 'thief@example.com'");
    let server = Server::start(&deployment, &[("SMTP_URL", &smtp.url())], Clock::default()).await;
    until_outcomes(&server, "deferred", 1).await;
    until("the reason", async || only_mail(&server).2.is_some_and(|error| error.contains("JWT_SECRET")).then_some(()))
        .await;
    assert!(smtp.mails().is_empty());
}

async fn mail_servers_are_reached_over_tls_and_with_a_login(_: Backend) {
    let authority = Authority::new();
    let [certificate, key] = authority.issue("IP:127.0.0.1");
    let with_login = ["--certificate", &certificate, &key, "--user", "me@example.com", "p/ss"];
    let starttls = SmtpServer::start_with(&[&with_login[..], &["--starttls"]].concat());
    let implicit = SmtpServer::start_with(&["--certificate", &certificate, &key]);
    let login = "me%40example.com:p%2Fss@127.0.0.1";
    for (smtp, url, user) in [
        (&starttls, format!("smtp://{login}:{}?tls=required", starttls.port()), Some("me@example.com")),
        (&starttls, format!("smtp://{login}:{}?tls=opportunistic", starttls.port()), Some("me@example.com")),
        (&implicit, format!("smtps://127.0.0.1:{}", implicit.port()), None),
    ] {
        let settings = [("SMTP_URL", url.as_str()), ("SMTP_CA_FILE", &authority.certificate())];
        let server = Server::with(Backend::Embedded, &settings).await;
        let to = queue_notice(&server, server.clock.now());
        let mail = smtp.mail_to(&to).await;
        assert_eq!((mail.encrypted, mail.user.as_deref()), (true, user), "{url}");
    }
}

async fn a_login_that_the_mail_server_refuses_is_no_refusal_of_the_mail(_: Backend) {
    let smtp = SmtpServer::start_with(&["--user", "me", "right"]);
    let wrong = format!("{}?tls=none", smtp.url().replace("smtp://", "smtp://me:wrong@"));
    for url in [smtp.url(), wrong] {
        let server = Server::with(Backend::Embedded, &[("SMTP_URL", &url)]).await;
        queue_notice(&server, server.clock.now());
        until_outcomes(&server, "deferred", 1).await;
        let reason = until("the reason", async || only_mail(&server).2).await;
        assert!(reason.contains("53"), "{reason}");
    }
    assert!(smtp.mails().is_empty());
}

async fn a_mail_server_of_another_authority_or_without_tls_gets_no_mail(_: Backend) {
    let (own, other) = (Authority::new(), Authority::new());
    let [certificate, key] = other.issue("IP:127.0.0.1");
    let implicit = SmtpServer::start_with(&["--certificate", &certificate, &key]);
    let [certificate, key] = own.issue("DNS:mail.example");
    let misnamed = SmtpServer::start_with(&["--certificate", &certificate, &key, "--starttls"]);
    let plain = SmtpServer::start();
    let with_password = plain.url().replace("smtp://", "smtp://me:sesame@");
    for (smtp, url, why) in [
        (&plain, format!("{with_password}?tls=opportunistic"), "not sent unencrypted"),
        (&implicit, format!("smtps://127.0.0.1:{}", implicit.port()), "certificate"),
        (&misnamed, format!("{}?tls=required", misnamed.url()), "certificate"),
        (&plain, format!("{}?tls=required", plain.url()), "STARTTLS"),
    ] {
        let settings = [("SMTP_URL", url.as_str()), ("SMTP_CA_FILE", &own.certificate())];
        let server = Server::with(Backend::Embedded, &settings).await;
        queue_notice(&server, server.clock.now());
        until_outcomes(&server, "deferred", 1).await;
        let reason = until("the reason", async || only_mail(&server).2).await;
        assert!(reason.contains(why), "{reason}");
        assert!(smtp.mails().is_empty());
    }
}

async fn an_address_of_any_script_is_written_to(_: Backend) {
    let (modern, ascii) = (SmtpServer::start(), SmtpServer::start_with(&["--ascii"]));
    for smtp in [&modern, &ascii] {
        let server = Server::with(Backend::Embedded, &[("SMTP_URL", &smtp.url())]).await;
        let now = server.clock.now();
        for to in ["ada@BÜCHER.example", "rené@example.com"] {
            queue(&server, to, &notice(&server, now), now);
        }
        assert_eq!(smtp.mail_to("ada@xn--bcher-kva.example").await.header("to"), "ada@xn--bcher-kva.example");
    }
    modern.mail_to("rené@example.com").await;
    assert_eq!(ascii.mails().len(), 1);
}

/// Beside others, which arrive, and until the link of the email expires.
async fn an_address_outside_ascii_waits_for_a_server_that_takes_it(backend: Backend) {
    let (ascii, modern) = (SmtpServer::start_with(&["--ascii"]), SmtpServer::start());
    let deployment = Deployment::new(backend);
    let server = Server::start(&deployment, &[("SMTP_URL", &ascii.url())], Clock::default()).await;
    let now = server.clock.now();
    queue(&server, "rené@example.com", &verification(&server, "a-token", now), now);
    until_outcomes(&server, "deferred", 1).await;
    until("the reason", async || only_mail(&server).2.filter(|error| error.contains("SMTPUTF8"))).await;
    let other = queue_notice(&server, now);
    ascii.mail_to(&other).await;
    server.advance(FIRST_DELAY);
    until_outcomes(&server, "deferred", 2).await;
    assert_eq!(outcomes(&server, "refused").await, 0);
    let clock = server.clock.clone();
    drop(server);
    clock.advance(Duration::from_secs(3 * MINUTE));
    let corrected = Server::start(&deployment, &[("SMTP_URL", &modern.url())], clock).await;
    assert_eq!(modern.mail_to("rené@example.com").await.token(), "a-token");
    until_outbox_is_empty(&corrected).await;
}

async fn templates_take_the_places_of_those_of_their_names(_: Backend) {
    let (smtp, folder) = (SmtpServer::start(), Folder::new());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("verify_email.txt", "Subject: Grüße von {{ site }}\n\nBitte bis {{ link_expires }}:\n\n{{ link }}\n");
    write("layout.html", "<html lang=\"de\">{% block content %}{% endblock %}</html>");
    write(".hidden", "");
    let templates = folder.path().display().to_string();
    let settings =
        [("SMTP_URL", smtp.url()), ("MAIL_TEMPLATES", templates), ("MAIL_FROM", "Größe <us@shop.example>".to_owned())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Server::with(Backend::Embedded, &settings).await;
    let (to, now) = (address(), server.clock.now());
    let own = mail_with(&server, &settings);
    let email = verification(&server, "a-token", now);
    server.conn().write(|conn| own.queue(conn, &to, None, &email, now)).unwrap();
    let mail = smtp.mail_to(&to).await;
    assert_eq!((mail.subject(), mail.from.as_str()), ("Grüße von keyturn.example", "us@shop.example"));
    assert_eq!(mail.header("from"), "Größe <us@shop.example>");
    assert!(mail.text().starts_with("Bitte bis ") && mail.token() == "a-token", "{}", mail.text());
    assert!(mail.html().starts_with("<html lang=\"de\">") && mail.html().contains("Confirm email address"));
}

async fn a_template_that_is_wrong_stops_the_start(deployment: Arc<Deployment>) {
    for (name, text, told) in [
        ("welcome.txt", "Subject: x\n\ny", "welcome.txt is not one of the templates layout.html, components.txt"),
        ("new_login.txt", "Subject: x\n\n{% if device %}", "the mail template new_login.txt: "),
        ("new_login.txt", "Subject: x\n\n{{ divice }}", "`divice` is undefined (in new_login.txt:3)"),
        ("new_login.txt", "Hello {{ device }}", "must begin with a line `Subject: …`"),
        ("layout.html", "{% block content %}{% endblock %}{{ link }}", "`link` is undefined (in layout.html:1)"),
        ("reset_password.txt", "Subject: x\n\nReset it", "reset_password.txt: does not contain `{{ link }}`"),
        ("new_login.html", "{% if reasons %}{{ link }}{% endif %}", "new_login.html: does not contain `{{ link }}`"),
        ("layout.html", "{{ subject }}", ".html: does not contain `{{ link }}`"),
        ("verify_email.txt", "Subject: x\n\n{{ link | upper }}", "verify_email.txt: does not contain `{{ link }}`"),
    ] {
        let folder = Folder::new();
        std::fs::write(folder.path().join(name), text).unwrap();
        let settings = [("MAIL_TEMPLATES", folder.path().to_str().unwrap())];
        // Whoever checks the configuration learns it before the server is started.
        for arguments in [&["serve"][..], &["config", "check"], &["doctor"]] {
            let output = command(&deployment, &settings).args(arguments).output().unwrap();
            let said = if arguments == ["doctor"] { output.stdout } else { output.stderr };
            let said = String::from_utf8(said).unwrap();
            assert!(!output.status.success() && said.contains(told), "{arguments:?} {name}: {said}");
        }
    }
}

async fn a_template_that_fails_for_one_email_leaves_it_to_the_built_in_one(_: Backend) {
    let (smtp, folder) = (SmtpServer::start(), Folder::new());
    let text = "Subject: Own\n\n{% if place == 'Rome' %}{{ nothing }}{% endif %}own {{ link }}\n";
    std::fs::write(folder.path().join("password_changed.txt"), text).unwrap();
    let server = Server::with(Backend::Embedded, &[("SMTP_URL", &smtp.url())]).await;
    let own = mail_with(&server, &[("MAIL_TEMPLATES", folder.path().to_str().unwrap())]);
    let now = server.clock.now();
    for (place, subject) in [("Oslo", "Own"), ("Rome", "The password of your account at keyturn.example was changed")] {
        let (to, mut email) = (address(), notice(&server, now));
        if let Email::PasswordChanged { activity, .. } = &mut email {
            activity.place = Some(place.to_owned());
        }
        server.conn().write(|conn| own.queue(conn, &to, None, &email, now)).unwrap();
        assert_eq!(smtp.mail_to(&to).await.subject(), subject);
    }
}

async fn the_log_tells_of_mails_without_what_they_say(_: Backend) {
    let smtp = SmtpServer::start_with(&["--answer", "gone", "550 5.1.1"]);
    for settings in [vec![("SMTP_URL", smtp.url())], Vec::new()] {
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let process = Process::with(Backend::Embedded, &settings);
        let now = Clock::default().now();
        let secret = random_hex::<32>();
        queue(&process, "taken@example.com", &verification(&process, &secret, now), now);
        queue(&process, "gone@example.com", &verification(&process, &secret, now), now);
        let waiting = "outbox WHERE next_attempt_at IS NOT NULL";
        until("the mails", async || (process.count(waiting) == 0).then_some(())).await;
        let told = if settings.is_empty() {
            ["SMTP_URL is not set: emails are written to files", ".eml"]
        } else {
            ["an email was delivered", "an email was given up"]
        };
        let complete = async || Some(process.log()).filter(|log| told.iter().all(|text| log.contains(text)));
        let log = until("the log to tell of them", complete).await;
        assert!(!log.contains(&secret) && !log.contains("@example.com") && !log.contains("Confirm"), "{log}");
    }
}
