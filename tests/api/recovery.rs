//! Passwords that were forgotten, "this wasn't me", and addresses: verified, and changed for another.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::deployment::PUBLIC_URL;
use crate::support::http::at_once;
use crate::support::smtp::Received;
use crate::support::{
    Backend, Deployment, Endpoint, PASSWORD, Process, Request, Response, Server, SmtpServer, Tokens, random_hex, until,
};

pub const FORGOT: &str = "/api/v1/auth/password/forgot";
pub const RESET: &str = "/api/v1/auth/password/reset";
pub const VERIFY: &str = "/api/v1/auth/email/verify";
const RESEND: &str = "/api/v1/auth/email/verify/resend";
pub const CHANGE: &str = "/api/v1/auth/email/change";
pub const CONFIRM: &str = "/api/v1/auth/email/change/confirm";
pub const NOT_ME: &str = "/api/v1/auth/not-me";

pub const NEW_PASSWORD: &str = "copper lantern beneath willows";

/// What the subjects of emails begin with.
pub const VERIFICATION: &str = "Confirm your email address";
pub const RESET_LINK: &str = "Choose a new password";
pub const CHANGED: &str = "The password of your account";
pub const TO_OLD: &str = "Confirm the new email address";
pub const TO_NEW: &str = "Confirm your new email address";
pub const MOVED: &str = "The email address of your account";

both_backends! {
    a_forgotten_password_is_replaced_by_a_link_and_every_session_ends,
    asking_for_a_link_is_answered_the_same_whether_there_is_an_account,
    a_disabled_account_gets_no_link,
    links_come_from_the_public_url_whatever_the_host_header_says,
    a_link_that_is_wrong_used_late_or_replaced_resets_nothing,
    a_change_of_password_voids_the_links_that_were_sent,
    a_weak_password_is_refused_and_the_link_stays_good,
    of_resets_at_once_at_all_processes_one_wins,
    asking_for_links_is_limited_for_known_and_unknown_alike,
    an_address_is_verified_by_its_link_once,
    a_verification_is_mailed_again_on_demand,
    an_account_moves_once_both_addresses_have_agreed,
    an_address_that_is_taken_is_told_only_to_who_reads_its_mail,
    a_change_of_address_can_be_given_up_and_asked_for_anew,
    a_change_of_address_needs_a_recent_login_and_another_address,
    who_was_not_it_ends_that_session_and_gets_a_link,
    who_was_not_it_ends_all_sessions_where_no_one_is_named,
    what_is_wrong_with_a_request_is_told,
    no_one_time_token_is_at_rest,
    alerts_can_be_switched_off_and_on,
}

/// A server that sends emails to a mail server of the test's own.
pub struct Post {
    pub server: Server,
    pub smtp: SmtpServer,
}

impl Post {
    pub async fn on(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }

    pub async fn with(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let smtp = SmtpServer::start();
        let url = smtp.url();
        let settings: Vec<(&str, &str)> = settings.iter().copied().chain([("SMTP_URL", url.as_str())]).collect();
        Self { server: Server::with(backend, &settings).await, smtp }
    }

    /// Waits until `to` has got `count` emails with such a subject, and gives the last.
    pub async fn email(&self, to: &str, subject: &str, count: usize) -> Received {
        email(&self.smtp, to, subject, count).await
    }

    /// Asks for a link to reset the password of `email`, of which it is the `count`th, and gives its token.
    pub async fn reset_token(&self, email: &str, count: usize) -> String {
        forgot(&self.server, email).send().await.assert_status(202);
        self.email(email, RESET_LINK, count).await.token()
    }
}

async fn email(smtp: &SmtpServer, to: &str, subject: &str, count: usize) -> Received {
    until(subject, async || {
        let mut emails = smtp.mails_to(to);
        emails.retain(|email| email.subject().starts_with(subject));
        assert!(emails.len() <= count, "{} emails of {subject:?}", emails.len());
        (emails.len() == count).then(|| emails.pop().unwrap())
    })
    .await
}

fn forgot(server: &Endpoint, email: &str) -> Request {
    server.post(FORGOT).json(&json!({"email": email}))
}

pub fn reset(server: &Endpoint, token: &str, password: &str) -> Request {
    server.post(RESET).json(&json!({"token": token, "new_password": password}))
}

pub fn with_token(server: &Endpoint, target: &str, token: &str) -> Request {
    server.post(target).json(&json!({"token": token}))
}

async fn change(server: &Endpoint, tokens: &Tokens, new_email: &str) -> Response {
    server.post(CHANGE).bearer(&tokens.access).json(&json!({"new_email": new_email})).send().await
}

pub fn address() -> String {
    format!("person-{}@example.com", random_hex::<6>())
}

#[track_caller]
pub fn assert_dead(answer: &Response) {
    answer.assert_problem(400, "invalid_one_time_token");
}

/// The entries of the audit log about such an event.
fn entries(server: &Server, event: &str) -> Vec<Value> {
    let mut rows = server.rows("audit_log");
    rows.retain(|row| row["event"] == event);
    rows
}

async fn me(server: &Server, tokens: &Tokens) -> Value {
    server.me(&tokens.access).await.assert_status(200).json()
}

async fn a_forgotten_password_is_replaced_by_a_link_and_every_session_ends(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let first = server.register().await;
    let second = server.login(&first.email).await;
    let bystander = server.register().await;
    trust_a_device(server, &first);
    let token = post.reset_token(&first.email, 1).await;
    assert!(token.starts_with("kto_") && token.len() == 47, "{token}");
    server.me(&first.access).await.assert_status(200);

    let answer = reset(server, &token, NEW_PASSWORD).send().await;
    answer.assert_status(204);
    assert!(answer.body.is_empty());
    for tokens in [&first, &second] {
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
        server.refresh(&tokens.refresh).await.assert_problem(401, "session_revoked");
        assert_eq!(server.session(tokens.session).revoked_reason.as_deref(), Some("email_proved"));
    }
    server.me(&bystander.access).await.assert_status(200);
    server.try_login(&first.email, PASSWORD).await.assert_problem(401, "invalid_credentials");
    let answer = server.try_login(&first.email, NEW_PASSWORD).await;
    assert_eq!(answer.assert_status(200).json()["user"]["email_verified"], true, "who has the link reads the mail");
    assert_eq!((server.count("trusted_devices"), server.count("mfa_challenges")), (0, 0));

    let told = post.email(&first.email, CHANGED, 1).await;
    assert!(told.text().contains("127.0.0.1"), "{}", told.text());
    assert_eq!(told.link().path(), "/account/not-me");
    assert_eq!(entries(server, "password.reset_requested").len(), 1);
    let done = entries(server, "password.reset");
    assert_eq!((done.len(), &done[0]["outcome"]), (1, &json!("success")));
}

/// Gives the account a device that needs no second factor, and a login that waits for one.
fn trust_a_device(server: &Server, tokens: &Tokens) {
    let (user, id) = (server.literal(tokens.user.0), server.literal(tokens.session.0));
    let (time, digest, other) = match server.backend {
        Backend::Embedded => ("0", "X'00'", "X'01'"),
        Backend::Scaled => ("now()", "'\\x00'", "'\\x01'"),
    };
    server.sql(&format!(
        "INSERT INTO opaque_tokens (digest, purpose, user_id, created_at, expires_at) \
         VALUES ({digest}, 'trusted_device', {user}, {time}, {time}), \
         ({other}, 'mfa_challenge', {user}, {time}, {time}); \
         INSERT INTO trusted_devices (id, digest, device, last_used_at) VALUES ({id}, {digest}, '{{}}', {time}); \
         INSERT INTO mfa_challenges (digest, transport) VALUES ({other}, 'bearer');"
    ));
}

async fn asking_for_a_link_is_answered_the_same_whether_there_is_an_account(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let known = server.register().await;
    let answers = [
        forgot(server, &known.email).header("x-request-id", "same").send().await,
        forgot(server, &address()).header("x-request-id", "same").send().await,
    ];
    let told = |answer: &Response| {
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| name != "date");
        headers.sort();
        (answer.status, answer.body.clone(), headers)
    };
    assert_eq!(answers[0].status, 202);
    assert_eq!(told(&answers[0]), told(&answers[1]));
    post.email(&known.email, RESET_LINK, 1).await;
    let asked = until("both to be audited", async || {
        Some(entries(server, "password.reset_requested")).filter(|events| events.len() == 2)
    })
    .await;
    assert_eq!(asked.iter().filter(|event| event["user_id"].is_null()).count(), 1);
}

async fn a_disabled_account_gets_no_link(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    let verification = post.email(&tokens.email, VERIFICATION, 1).await.token();
    let token = post.reset_token(&tokens.email, 1).await;
    server.sql("UPDATE users SET disabled_at = created_at");
    forgot(server, &tokens.email).send().await.assert_status(202);
    until("the request to be audited", async || (entries(server, "password.reset_requested").len() == 2).then_some(()))
        .await;
    assert_dead(&reset(server, &token, NEW_PASSWORD).send().await);
    assert_dead(&with_token(server, VERIFY, &verification).send().await);
    assert_eq!(server.count("opaque_tokens WHERE purpose = 'reset_password'"), 1, "no other was made");
    server.sql("UPDATE users SET disabled_at = NULL");
    reset(server, &token, NEW_PASSWORD).send().await.assert_status(204);
}

async fn links_come_from_the_public_url_whatever_the_host_header_says(backend: Backend) {
    let post = Post::on(backend).await;
    let tokens = post.server.register().await;
    let forged = forgot(&post.server, &tokens.email)
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("origin", "https://evil.example")
        .header("referer", "https://evil.example/");
    forged.send().await.assert_status(202);
    let email = post.email(&tokens.email, RESET_LINK, 1).await;
    assert!(email.link().as_str().starts_with(&format!("{PUBLIC_URL}/account/reset-password?token=kto_")));
    assert!(!email.raw.contains("evil.example"));
}

async fn a_link_that_is_wrong_used_late_or_replaced_resets_nothing(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    let verification = post.email(&tokens.email, VERIFICATION, 1).await.token();
    let token = post.reset_token(&tokens.email, 1).await;
    for wrong in [&*format!("kto_{}", "A".repeat(43)), "kto_", "", &*token.replace("kto_", "ktr_"), &*verification] {
        assert_dead(&reset(server, wrong, NEW_PASSWORD).send().await);
    }
    assert_dead(&with_token(server, VERIFY, &token).send().await);
    let replacing = post.reset_token(&tokens.email, 2).await;
    assert_dead(&reset(server, &token, NEW_PASSWORD).send().await);
    server.advance(30 * 60);
    assert_dead(&reset(server, &replacing, NEW_PASSWORD).send().await);
    let good = post.reset_token(&tokens.email, 3).await;
    server.advance(29 * 60);
    server.try_login(&tokens.email, PASSWORD).await.assert_status(200);
    reset(server, &good, NEW_PASSWORD).send().await.assert_status(204);
    assert_dead(&reset(server, &good, "another lantern under oaks").send().await);
    server.try_login(&tokens.email, NEW_PASSWORD).await.assert_status(200);
}

async fn a_change_of_password_voids_the_links_that_were_sent(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    let token = post.reset_token(&tokens.email, 1).await;
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    server.post("/api/v1/auth/password/change").bearer(&tokens.access).json(&body).send().await.assert_status(200);
    assert_dead(&reset(server, &token, PASSWORD).send().await);
    let told = post.email(&tokens.email, CHANGED, 1).await;
    with_token(server, NOT_ME, &told.token()).send().await.assert_status(204);
    server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    let token = post.email(&tokens.email, RESET_LINK, 2).await.token();
    reset(server, &token, PASSWORD).send().await.assert_status(204);
}

async fn a_weak_password_is_refused_and_the_link_stays_good(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let email = format!("quellorin.thrumbeck-{}@example.com", random_hex::<4>());
    server.register_as(&email).await;
    let token = post.reset_token(&email, 1).await;
    for (weak, code) in [
        ("pebble", "password_too_short"),
        ("password1234", "password_guessable"),
        ("quellorinthrumbeck", "password_guessable"),
    ] {
        let answer = reset(server, &token, weak).send().await;
        let body = answer.assert_problem(422, "invalid_input").json();
        assert_eq!((&body["errors"][0]["field"], &body["errors"][0]["code"]), (&json!("new_password"), &json!(code)));
        assert!(!answer.text().contains(weak), "{weak}");
    }
    assert_dead(&reset(server, &format!("kto_{}", "A".repeat(43)), "short").send().await);
    reset(server, &token, NEW_PASSWORD).send().await.assert_status(204);
}

async fn of_resets_at_once_at_all_processes_one_wins(deployment: Arc<Deployment>) {
    const PASSWORDS: [&str; 2] = [NEW_PASSWORD, "a kettle whistles in november"];
    let smtp = SmtpServer::start();
    let settings = [("SMTP_URL", &*smtp.url()), ("LIMIT_LOGIN_ADDRESS", "off")];
    let processes = Process::fleet(&deployment, &settings);
    let tokens = processes[0].register().await;
    forgot(&processes[0], &tokens.email).send().await.assert_status(202);
    let token = email(&smtp, &tokens.email, RESET_LINK, 1).await.token();
    let answers = at_once((0..20).map(|n| reset(&processes[n % processes.len()], &token, PASSWORDS[n / 2 % 2]))).await;
    let won: Vec<usize> = (0..20).filter(|n| answers[*n].status == 204).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    answers.iter().filter(|answer| answer.status != 204).for_each(assert_dead);
    let (winner, loser) = (PASSWORDS[won[0] / 2 % 2], PASSWORDS[1 - won[0] / 2 % 2]);
    processes[0].try_login(&tokens.email, winner).await.assert_status(200);
    processes[processes.len() - 1].try_login(&tokens.email, loser).await.assert_problem(401, "invalid_credentials");
    assert_eq!(deployment.count("audit_log WHERE event = 'password.reset'"), 1);
    email(&smtp, &tokens.email, CHANGED, 1).await;
}

async fn asking_for_links_is_limited_for_known_and_unknown_alike(backend: Backend) {
    let post = Post::with(backend, &[("LIMIT_FORGOT_ACCOUNT", "2/3600")]).await;
    let server = &post.server;
    let tokens = server.register().await;
    for email in [tokens.email.clone(), address()] {
        for spelling in [email.clone(), email.to_uppercase()] {
            forgot(server, &spelling).send().await.assert_status(202);
        }
        let limited = forgot(server, &email).send().await;
        limited.assert_problem(429, "too_many_requests");
        assert!(limited.header("retry-after").is_some());
    }
    // What strangers ask for leaves the owner what owners ask for.
    let resend = || server.post(RESEND).bearer(&tokens.access);
    resend().send().await.assert_status(202);
    resend().send().await.assert_status(202);
    resend().send().await.assert_problem(429, "too_many_requests");
    change(server, &tokens, &address()).await.assert_status(202);
}

async fn an_address_is_verified_by_its_link_once(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    assert_eq!(me(server, &tokens).await["user"]["email_verified"], false);
    let email = post.email(&tokens.email, VERIFICATION, 1).await;
    assert_eq!(email.link().path(), "/account/verify-email");
    with_token(server, VERIFY, &email.token()).send().await.assert_status(204);
    assert_eq!(me(server, &tokens).await["user"]["email_verified"], true);
    assert_eq!(
        server.try_login(&tokens.email, PASSWORD).await.assert_status(200).json()["user"]["email_verified"],
        true
    );
    assert_dead(&with_token(server, VERIFY, &email.token()).send().await);
    assert_eq!(entries(server, "email.verified").len(), 1);

    let late = server.register().await;
    let token = post.email(&late.email, VERIFICATION, 1).await.token();
    server.advance(24 * 3600);
    assert_dead(&with_token(server, VERIFY, &token).send().await);
}

async fn a_verification_is_mailed_again_on_demand(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    let first = post.email(&tokens.email, VERIFICATION, 1).await.token();
    server.post(RESEND).send().await.assert_problem(401, "missing_token");
    server.post(RESEND).bearer(&tokens.access).send().await.assert_status(202);
    let second = post.email(&tokens.email, VERIFICATION, 2).await.token();
    assert_dead(&with_token(server, VERIFY, &first).send().await);
    with_token(server, VERIFY, &second).send().await.assert_status(204);
    server.post(RESEND).bearer(&tokens.access).send().await.assert_status(202);
    assert_eq!(server.count("opaque_tokens"), 0, "there is nothing to verify any more");
}

async fn an_account_moves_once_both_addresses_have_agreed(backend: Backend) {
    for old_agrees_first in [true, false] {
        let post = Post::on(backend).await;
        let server = &post.server;
        let tokens = server.register().await;
        server.verify_email(&tokens.email);
        let new = format!("New.{}", address());
        change(server, &tokens, &new).await.assert_status(202);
        let email_to_old = post.email(&tokens.email, TO_OLD, 1).await;
        let email_to_new = post.email(&new, TO_NEW, 1).await;
        assert!(email_to_old.text().contains(&new) && !email_to_new.raw.contains(&tokens.email));
        let reset_link = post.reset_token(&tokens.email, 1).await;
        let mut ends = [email_to_old.token(), email_to_new.token()];
        if !old_agrees_first {
            ends.reverse();
        }
        let confirm = |token: &str| with_token(server, CONFIRM, token).send();
        let half = confirm(&ends[0]).await;
        assert_eq!(half.assert_status(200).json(), json!({"email_changed": false}));
        assert_dead(&confirm(&ends[0]).await);
        assert_eq!(me(server, &tokens).await["user"]["email"], json!(tokens.email));
        let whole = confirm(&ends[1]).await;
        assert_eq!(whole.assert_status(200).json(), json!({"email_changed": true}));

        // Nobody is logged out, and what says the former address is good no more.
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
        let next = server.refreshed(&tokens).await;
        assert_eq!(next.email, new);
        let verified = server.verify(&next.access).await;
        assert_eq!(verified.assert_status(200).header("x-auth-email"), Some(&*new));
        let user = &me(server, &next).await["user"];
        assert_eq!((&user["email"], &user["email_verified"]), (&json!(new), &json!(true)));
        server.try_login(&tokens.email, PASSWORD).await.assert_problem(401, "invalid_credentials");
        server.try_login(&new.to_lowercase(), PASSWORD).await.assert_status(200);
        assert_dead(&reset(server, &reset_link, NEW_PASSWORD).send().await);
        assert_eq!((server.count("email_changes"), server.count("opaque_tokens")), (0, 0));
        let told = post.email(&tokens.email, MOVED, 1).await;
        assert!(told.text().contains(&new), "{}", told.text());
        assert_eq!((entries(server, "email.change_requested").len(), entries(server, "email.changed").len()), (1, 1));
        server.register_as(&tokens.email).await;
    }
}

async fn an_address_that_is_taken_is_told_only_to_who_reads_its_mail(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let (mover, other) = (server.register().await, server.register().await);
    let free = change(server, &mover, &address()).await;
    post.email(&mover.email, TO_OLD, 1).await;
    let taken = change(server, &mover, &other.email).await;
    assert_eq!((free.status, &free.body), (202, &taken.body));
    taken.assert_status(202);
    let old = post.email(&mover.email, TO_OLD, 2).await.token();
    let new = post.email(&other.email, TO_NEW, 1).await.token();
    let answer = with_token(server, CONFIRM, &old).send().await;
    assert_eq!(answer.assert_status(200).json(), json!({"email_changed": false}));
    with_token(server, CONFIRM, &new).send().await.assert_problem(409, "email_taken");
    for tokens in [&mover, &other] {
        assert_eq!(me(server, tokens).await["user"]["email"], json!(tokens.email));
        server.login(&tokens.email).await;
    }
    assert_eq!(entries(server, "email.changed"), Vec::<Value>::new());
}

async fn a_change_of_address_can_be_given_up_and_asked_for_anew(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    let cancel = || server.delete(CHANGE).bearer(&tokens.access);
    let (first, second, third) = (address(), address(), address());
    change(server, &tokens, &first).await.assert_status(202);
    let of_first = post.email(&first, TO_NEW, 1).await.token();
    let old_of_first = post.email(&tokens.email, TO_OLD, 1).await.token();
    with_token(server, CONFIRM, &old_of_first).send().await.assert_status(200);
    // Asked for anew: what was agreed to before is not agreed to now.
    change(server, &tokens, &second).await.assert_status(202);
    let of_second = post.email(&second, TO_NEW, 1).await.token();
    assert_dead(&with_token(server, CONFIRM, &of_first).send().await);
    let answer = with_token(server, CONFIRM, &of_second).send().await;
    assert_eq!(answer.assert_status(200).json(), json!({"email_changed": false}));
    server.delete(CHANGE).send().await.assert_problem(401, "missing_token");
    cancel().send().await.assert_status(204);
    let old_of_second = post.email(&tokens.email, TO_OLD, 2).await.token();
    assert_dead(&with_token(server, CONFIRM, &old_of_second).send().await);
    cancel().send().await.assert_status(204);
    assert_eq!(entries(server, "email.change_cancelled").len(), 1);
    // Too late.
    change(server, &tokens, &third).await.assert_status(202);
    let of_third = post.email(&third, TO_NEW, 1).await.token();
    server.advance(24 * 3600);
    assert_dead(&with_token(server, CONFIRM, &of_third).send().await);
    let again = server.login(&tokens.email).await;
    assert_eq!(me(server, &again).await["user"]["email"], json!(tokens.email));
}

async fn a_change_of_address_needs_a_recent_login_and_another_address(server: Server) {
    let tokens = server.register().await;
    for same in [tokens.email.clone(), tokens.email.to_uppercase()] {
        let body = change(&server, &tokens, &same).await.assert_problem(422, "invalid_input").json();
        assert_eq!(
            (&body["errors"][0]["field"], &body["errors"][0]["code"]),
            (&json!("new_email"), &json!("unchanged"))
        );
    }
    server.advance(601);
    let answer = change(&server, &tokens, &address()).await;
    answer.assert_problem(401, "insufficient_user_authentication");
    assert!(answer.header("www-authenticate").unwrap().contains("max_age=600"), "{answer:?}");
    assert_eq!(server.count("email_changes"), 0);
    let recent = server.login(&tokens.email).await;
    change(&server, &recent, &address()).await.assert_status(202);
}

/// Puts a token for "this wasn't me" into the database, as an alert would carry it.
fn alert(server: &Server, tokens: &Tokens, about_session: bool) -> String {
    use keyturn::tokens::opaque::{Purpose, TokenRecord};
    let mail = server.mail(&[]);
    let session = about_session.then_some(tokens.session);
    let record = TokenRecord { user: tokens.user, purpose: Purpose::ReportLogin, session };
    let link = server.conn().write(|conn| mail.issue_link(conn, record, server.clock.now())).unwrap();
    link.url.split_once("token=").unwrap().1.to_owned()
}

async fn who_was_not_it_ends_that_session_and_gets_a_link(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let own = server.register().await;
    let thief = server.login(&own.email).await;
    let (token, later) = (alert(server, &thief, true), alert(server, &thief, true));
    let wrong = with_token(server, NOT_ME, &format!("kto_{}", "A".repeat(43))).send().await;
    assert_dead(&wrong);
    with_token(server, NOT_ME, &token).send().await.assert_status(204);
    server.me(&thief.access).await.assert_problem(401, "invalid_token");
    server.refresh(&thief.refresh).await.assert_problem(401, "session_revoked");
    assert_eq!(server.session(thief.session).revoked_reason.as_deref(), Some("reported_by_owner"));
    server.me(&own.access).await.assert_status(200);
    let again = with_token(server, NOT_ME, &token).send().await;
    assert_eq!(again.assert_problem(400, "invalid_one_time_token").json()["detail"], wrong.json()["detail"]);
    let reported = entries(server, "login.reported");
    assert_eq!(reported.len(), 1);
    assert!(!reported[0]["session_id"].is_null());

    let link = post.email(&own.email, RESET_LINK, 1).await.token();
    reset(server, &link, NEW_PASSWORD).send().await.assert_status(204);
    server.me(&own.access).await.assert_problem(401, "invalid_token");
    // Each alert has a link of its own, for a week.
    server.advance(7 * 24 * 3600);
    assert_dead(&with_token(server, NOT_ME, &later).send().await);
}

async fn who_was_not_it_ends_all_sessions_where_no_one_is_named(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let own = server.register().await;
    let thief = server.login(&own.email).await;
    let bystander = server.register().await;
    change(server, &thief, &address()).await.assert_status(202);
    let old = post.email(&own.email, TO_OLD, 1).await.token();
    trust_a_device(server, &own);
    let token = alert(server, &thief, false);
    let answers = at_once((0..20).map(|_| with_token(server, NOT_ME, &token))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1);
    answers.iter().filter(|answer| answer.status != 204).for_each(assert_dead);
    for tokens in [&own, &thief] {
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    }
    server.me(&bystander.access).await.assert_status(200);
    assert_dead(&with_token(server, CONFIRM, &old).send().await);
    assert_eq!((server.count("trusted_devices"), server.count("mfa_challenges")), (0, 0));
    post.email(&own.email, RESET_LINK, 1).await;
}

async fn what_is_wrong_with_a_request_is_told(server: Server) {
    let tokens = server.register().await;
    for (target, body, field, code) in [
        (FORGOT, json!({"email": "nobody"}), "email", "invalid_email"),
        (FORGOT, json!({}), "email", "missing"),
        (FORGOT, json!({"email": "a@example.com", "name": "A"}), "name", "unknown"),
        (RESET, json!({"token": "kto_"}), "new_password", "missing"),
        (RESET, json!({"token": 1, "new_password": "x"}), "token", "wrong_type"),
        (VERIFY, json!({}), "token", "missing"),
        (NOT_ME, json!({"token": "kto_", "session_id": "x"}), "session_id", "unknown"),
        (CONFIRM, json!({}), "token", "missing"),
        (CHANGE, json!({"new_email": "nobody"}), "new_email", "invalid_email"),
        (CHANGE, json!({"new_email": "a@example.com", "email": "x"}), "email", "unknown"),
    ] {
        let answer = server.post(target).bearer(&tokens.access).json(&body).send().await;
        let told = answer.assert_problem(422, "invalid_input").json();
        assert_eq!(
            (&told["errors"][0]["field"], &told["errors"][0]["code"]),
            (&json!(field), &json!(code)),
            "{target}"
        );
    }
}

async fn no_one_time_token_is_at_rest(backend: Backend) {
    // Nothing is delivered: all emails wait in the outbox.
    let server = Server::with(backend, &[("SMTP_URL", "smtp://127.0.0.1:9")]).await;
    let tokens = server.register().await;
    forgot(&server, &tokens.email).send().await.assert_status(202);
    until("the emails", async || (server.count("outbox") == 2).then_some(())).await;
    let token = alert(&server, &tokens, true);
    let dump: String = server.tables().iter().flat_map(|table| server.rows(table)).map(|row| row.to_string()).collect();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(token.as_bytes());
    assert!(dump.to_lowercase().contains(&crate::support::hex(&digest)), "the search finds what is there");
    assert!(!dump.contains("kto_") && !dump.contains(&token[4..]));
    assert_eq!(server.count("opaque_tokens"), 3);
}

async fn alerts_can_be_switched_off_and_on(server: Server) {
    let tokens = server.register().await;
    let patch = |body: Value| server.patch("/api/v1/auth/me").bearer(&tokens.access).json(&body).send();
    assert_eq!(me(&server, &tokens).await["alerts"], true);
    let both = patch(json!({"alerts": false, "name": "Ada"})).await;
    assert_eq!(
        (&both.assert_status(200).json()["alerts"], &both.json()["user"]["name"]),
        (&json!(false), &json!("Ada"))
    );
    assert_eq!(me(&server, &tokens).await["alerts"], false);
    patch(json!({"alerts": null})).await.assert_problem(422, "invalid_input");
    patch(json!({"alerts": "no"})).await.assert_problem(422, "invalid_input");
    assert_eq!(patch(json!({"name": null})).await.assert_status(200).json()["alerts"], false);
    assert_eq!(patch(json!({"alerts": true})).await.assert_status(200).json()["alerts"], true);
}
