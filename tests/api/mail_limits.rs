//! Emails to one address are limited whatever causes them, and strangers cannot write to others by means of them.

use serde_json::json;

use crate::mfa::{CHANGE, Person, person};
use crate::recovery::FORGOT;
use crate::support::http::at_once;
use crate::support::{Backend, Endpoint, PASSWORD, Server, SmtpServer, Tokens, until};

both_backends! {
    an_address_that_nobody_has_verified_gets_few_emails_whatever_is_done,
    a_verified_address_is_told_of_a_theft_after_any_flood,
    the_limit_on_emails_is_off_where_it_is_off,
    a_stranger_cannot_write_to_an_address_that_nobody_has_verified,
    a_link_that_is_dropped_leaves_the_one_before_valid,
}

/// What the limit lets through.
const MOST: i64 = 10;

/// A mail server that does not answer, so that emails stay in the outbox, a server that has it, and an account with a
/// second factor.
async fn with_person(backend: Backend, more: &[(&str, &str)]) -> (SmtpServer, Server, Person) {
    let smtp = SmtpServer::start();
    smtp.freeze(true);
    let relay = smtp.url();
    let off = ["LIMIT_LOGIN_ACCOUNT", "LIMIT_LOGIN_ADDRESS", "LIMIT_MFA_ACCOUNT"].map(|name| (name, "off"));
    let settings = [&[("SMTP_URL", &*relay)][..], &off, more].concat();
    let server = Server::with(backend, &settings).await;
    let person = person(&server, &server.clock).await;
    (smtp, server, person)
}

/// Replaces the recovery codes, many times at once. Each time an email tells the owner.
async fn flood(server: &Server, tokens: &Tokens, times: usize) {
    let codes = || server.post("/api/v1/auth/mfa/recovery-codes").bearer(&tokens.access);
    for answer in at_once((0..times).map(|_| codes())).await {
        answer.assert_status(200);
    }
}

fn queued(server: &Endpoint, email: &str) -> i64 {
    server.count(&format!("outbox WHERE recipient = '{email}'"))
}

async fn dropped(server: &Endpoint) -> i64 {
    i64::try_from(server.metric("keyturn_emails_total{outcome=\"dropped\"}").await).unwrap()
}

fn drops_audited(server: &Endpoint) -> usize {
    server.audited("event = 'rate_limit.exceeded'").len()
}

async fn an_address_that_nobody_has_verified_gets_few_emails_whatever_is_done(backend: Backend) {
    const CALLS: usize = 30;
    let (_smtp, server, Person { tokens, .. }) = with_person(backend, &[]).await;
    let before = queued(&server, &tokens.email);
    flood(&server, &tokens, CALLS).await;
    assert_eq!(queued(&server, &tokens.email), MOST);
    assert_eq!(dropped(&server).await, before + i64::try_from(CALLS).unwrap() - MOST);
    assert_eq!(drops_audited(&server), 1, "once, however many were dropped");

    // Nor by another way, and nobody is told by the answer.
    let forgot = json!({"email": tokens.email.to_uppercase()});
    server.post(FORGOT).json(&forgot).send().await.assert_status(202);
    until("the request to be dropped", async || {
        (dropped(&server).await == before + i64::try_from(CALLS).unwrap() + 1 - MOST).then_some(())
    })
    .await;
    let change = json!({"current_password": PASSWORD, "new_password": "another long Passphrase 7"});
    server.post(CHANGE).bearer(&tokens.access).json(&change).send().await.assert_status(200);
    assert_eq!(queued(&server, &tokens.email), MOST);
    assert_eq!(drops_audited(&server), 1);

    // A tenth of the day later there is one more.
    server.advance(8640 + 1);
    let change = json!({"current_password": "another long Passphrase 7", "new_password": PASSWORD});
    let tokens = Tokens { access: server.refreshed(&tokens).await.access, ..tokens };
    server.post(CHANGE).bearer(&tokens.access).json(&change).send().await.assert_status(200);
    assert_eq!(queued(&server, &tokens.email), MOST + 1);
}

async fn a_verified_address_is_told_of_a_theft_after_any_flood(backend: Backend) {
    let (_smtp, server, Person { tokens, .. }) = with_person(backend, &[]).await;
    server.verify_email(&tokens.email);
    flood(&server, &tokens, 30).await;
    let of_kind =
        |kind: &str| server.count(&format!("outbox WHERE kind = '{kind}' AND recipient = '{}'", tokens.email));
    assert!((MOST..=MOST + 1).contains(&of_kind("mfa_changed")), "one of them was queued before the verification");
    let forgot = json!({"email": tokens.email});
    server.post(FORGOT).json(&forgot).send().await.assert_status(202);
    until("the link", async || (of_kind("reset_password") == 1).then_some(())).await;
    let change = json!({"current_password": PASSWORD, "new_password": "another long Passphrase 7"});
    server.post(CHANGE).bearer(&tokens.access).json(&change).send().await.assert_status(200);
    assert_eq!(of_kind("password_changed"), 1);
}

async fn the_limit_on_emails_is_off_where_it_is_off(backend: Backend) {
    let (_smtp, server, Person { tokens, .. }) = with_person(backend, &[("LIMIT_EMAIL_UNVERIFIED", "off")]).await;
    let before = queued(&server, &tokens.email);
    flood(&server, &tokens, 15).await;
    assert_eq!((queued(&server, &tokens.email), dropped(&server).await), (before + 15, 0));
}

async fn a_stranger_cannot_write_to_an_address_that_nobody_has_verified(backend: Backend) {
    const CHOSEN: &str = "Payrise";
    let smtp = SmtpServer::start();
    let settings = [("SMTP_URL", &*smtp.url()), ("MAX_SESSIONS_PER_USER", "2"), ("LIMIT_EMAIL_UNVERIFIED", "off")];
    let server = Server::with(backend, &settings).await;
    let agent = format!("{CHOSEN}Now/1.0 ({CHOSEN}; {CHOSEN})");
    let email = format!("victim-{}@example.com", crate::support::random_hex::<6>());
    let with_device = json!({"email": email, "password": PASSWORD, "device_name": CHOSEN});
    let register = json!({"email": email, "password": PASSWORD, "device_name": CHOSEN, "name": CHOSEN});
    let post = |path: &str| server.post(&format!("/api/v1/auth/{path}")).header("user-agent", &agent);
    post("register").json(&register).send().await.assert_status(201);
    // Sessions that end for their number, one of them by a login from an unusual device.
    for other in ["Mozilla/5.0 (Windows NT 10.0; rv:141.0) Gecko/20100101 Firefox/141.0", &agent, &agent] {
        let login = server.post("/api/v1/auth/login").header("user-agent", other).json(&with_device);
        login.send().await.assert_status(200);
    }
    let last = Tokens::of(&post("login").json(&with_device).send().await);
    let new_email = format!("{CHOSEN}@example.com");
    let change = json!({"new_email": new_email});
    post("email/change").bearer(&last.access).json(&change).send().await.assert_status(202);
    let change = json!({"current_password": PASSWORD, "new_password": "another long Passphrase 7"});
    post("password/change").bearer(&last.access).json(&change).send().await.assert_status(200);
    let next = Tokens::of(&server.refreshing(&last.refresh).header("user-agent", &agent).send().await);
    server.advance(60);
    server.verify(&next.access).await.assert_status(200);
    server.refreshed(&next).await;
    server.assert_reused(&last.refresh).await;

    until("all emails", async || (server.count("outbox") == 0).then_some(())).await;
    let mails = smtp.mails_to(&email);
    for subject in ["Confirm your", "A device was", "Confirm the new", "The password", "Security alert"] {
        assert!(mails.iter().any(|mail| mail.subject().starts_with(subject)), "{subject}");
    }
    for mail in mails {
        assert!(!mail.text().contains(CHOSEN) && !mail.html().contains(CHOSEN), "{}", mail.text());
        assert!(!mail.subject().contains(CHOSEN), "{}", mail.subject());
    }
}

async fn a_link_that_is_dropped_leaves_the_one_before_valid(backend: Backend) {
    let smtp = SmtpServer::start();
    let settings =
        [("SMTP_URL", &*smtp.url()), ("REQUIRE_VERIFIED_EMAIL", "true"), ("LIMIT_EMAIL_UNVERIFIED", "3/86400")];
    let server = Server::with(backend, &settings).await;
    let email = "ada@example.com";
    let body = json!({"email": email, "password": PASSWORD});
    server.post("/api/v1/auth/register").json(&body).send().await.assert_status(201);
    // Emails that are queued at the same time arrive in any order.
    let sent =
        async |count| until("the emails", async || Some(smtp.mails_to(email)).filter(|m| m.len() == count)).await;
    for sent_before in [1, 2, 3, 3, 3] {
        sent(sent_before).await;
        server.try_login(email, PASSWORD).await.assert_problem(403, "email_not_verified");
    }
    let token = sent(3).await.last().unwrap().token();
    server.post("/api/v1/auth/email/verify").json(&json!({"token": token})).send().await.assert_status(204);
    server.try_login(email, PASSWORD).await.assert_status(200);
}
