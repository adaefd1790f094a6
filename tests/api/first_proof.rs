//! The first proof of an email address: what a stranger has set in an account with somebody else's address does not
//! outlast it, and what its owner has set needs not be set again.

use serde_json::json;

use crate::mfa::{CONFIRM, FIREFOX, MFA, TOTP, challenge, confirming, enrol, login, mfa_token};
use crate::pages::{Shown, follow};
use crate::recovery::{NEW_PASSWORD, Post, VERIFICATION, VERIFY, assert_dead, reset, with_token};
use crate::support::http::at_once;
use crate::support::{Backend, PASSWORD, Server, Tokens};
use crate::trusted_devices::DEVICES;

both_backends! {
    a_reset_leaves_nothing_of_who_registered_with_the_address,
    a_reset_of_a_proved_address_leaves_the_second_factor,
    a_link_alone_keeps_sessions_and_drops_what_would_outlast_a_new_password,
    who_verifies_while_logged_in_keeps_all,
    the_page_tells_of_the_account_and_takes_a_no,
    a_browser_that_is_logged_in_keeps_all_by_the_page,
    a_second_factor_that_is_enabled_beside_a_reset_does_not_shut_the_owner_out,
}

/// A person who has set all there is to set, with an address that nobody has proved.
struct Stranger {
    tokens: Tokens,
    device: String,
}

impl Stranger {
    async fn on(server: &Server) -> Self {
        let tokens = server.register().await;
        let app = enrol(server, &tokens.access).await;
        confirming(server, &tokens.access, &app.former_code(&server.clock).await).send().await.assert_status(200);
        let code = app.code(server.clock.now(), 0);
        let mfa_token = challenge(server, &tokens.email).await;
        let body = json!({"mfa_token": mfa_token, "method": "totp", "code": code, "remember_device": true});
        let answer = server.post(MFA).header("user-agent", FIREFOX).json(&body).send().await;
        let device = answer.assert_status(200).json()["trusted_device"].as_str().unwrap().to_owned();
        let me = server.patch("/api/v1/auth/me").bearer(&tokens.access).json(&json!({"alerts": false, "name": "Eve"}));
        me.send().await.assert_status(200);
        let name = server.patch(&format!("/api/v1/sessions/{}", tokens.session)).bearer(&tokens.access);
        name.json(&json!({"name": "Your own laptop"})).send().await.assert_status(200);
        Self { tokens, device }
    }

    /// Returns whether each thing that was set is still there: second factor, trusted device, alerts, a session's name.
    async fn remains(&self, server: &Server) -> [bool; 4] {
        let id = server.literal(self.tokens.user.0);
        let is = |condition: &str| server.count(condition) > 0;
        [
            is(&format!("totp_secrets WHERE user_id = {id}")) && is(&format!("recovery_codes WHERE user_id = {id}")),
            is(&format!("opaque_tokens WHERE user_id = {id} AND purpose = 'trusted_device'")),
            is(&format!("users WHERE id = {id} AND NOT alerts")),
            is(&format!("sessions WHERE user_id = {id} AND name IS NOT NULL")),
        ]
    }
}

async fn a_reset_leaves_nothing_of_who_registered_with_the_address(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let stranger = Stranger::on(server).await;
    assert_eq!(stranger.remains(server).await, [true; 4]);
    let email = &stranger.tokens.email;
    let verification = post.email(email, VERIFICATION, 1).await.token();
    let change = json!({"new_email": "eve@example.com"});
    let change = server.post("/api/v1/auth/email/change").bearer(&stranger.tokens.access).json(&change);
    change.send().await.assert_status(202);
    reset(server, &post.reset_token(email, 1).await, NEW_PASSWORD).send().await.assert_status(204);
    assert_eq!(stranger.remains(server).await, [false; 4]);
    assert_eq!(server.count("email_changes"), 0);
    assert_dead(&with_token(server, VERIFY, &verification).send().await);
    let ended = server.session(stranger.tokens.session);
    assert_eq!(ended.revoked_reason.as_deref(), Some("email_proved"));
    server.me(&stranger.tokens.access).await.assert_problem(401, "invalid_token");
    post.email(email, "Two-step login was disabled", 1).await;

    let unusual = || server.audited("event = 'login.unusual'").len();
    let before = unusual();
    let owner = Tokens::of(&server.try_login(email, NEW_PASSWORD).await);
    assert_eq!(unusual(), before, "the owner's first login is compared with none of the stranger's");
    let me = server.me(&owner.access).await.assert_status(200).json();
    assert_eq!(
        (&me["user"]["email_verified"], &me["alerts"], &me["mfa_enabled"]),
        (&json!(true), &json!(true), &json!(false))
    );
    let mut body = login(email);
    body["trusted_device"] = json!(stranger.device);
    server.post("/api/v1/auth/login").json(&body).send().await.assert_problem(401, "invalid_credentials");
}

async fn a_reset_of_a_proved_address_leaves_the_second_factor(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let own = server.register().await;
    let token = post.email(&own.email, VERIFICATION, 1).await.token();
    with_token(server, VERIFY, &token).send().await.assert_status(204);
    let app = enrol(server, &own.access).await;
    confirming(server, &own.access, &app.former_code(&server.clock).await).send().await.assert_status(200);
    reset(server, &post.reset_token(&own.email, 1).await, NEW_PASSWORD).send().await.assert_status(204);
    mfa_token(&server.try_login(&own.email, NEW_PASSWORD).await);
    assert_eq!(server.session(own.session).revoked_reason.as_deref(), Some("password_changed"));
}

async fn a_link_alone_keeps_sessions_and_drops_what_would_outlast_a_new_password(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let bystander = server.register().await;
    for access in [None, Some("nonsense"), Some(&*bystander.access)] {
        let person = Stranger::on(server).await;
        let token = post.email(&person.tokens.email, VERIFICATION, 1).await.token();
        let verify = with_token(server, VERIFY, &token);
        let verify = if let Some(access) = access { verify.bearer(access) } else { verify };
        verify.send().await.assert_status(204);
        assert_eq!(person.remains(server).await, [false; 4]);
        let me = server.me(&person.tokens.access).await.assert_status(200).json();
        assert_eq!((&me["user"]["email_verified"], &me["user"]["name"]), (&json!(true), &json!("Eve")));
        server.login(&person.tokens.email).await;
    }
}

async fn who_verifies_while_logged_in_keeps_all(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let person = Stranger::on(server).await;
    let token = post.email(&person.tokens.email, VERIFICATION, 1).await.token();
    with_token(server, VERIFY, &token).bearer(&person.tokens.access).send().await.assert_status(204);
    assert_eq!(person.remains(server).await, [true; 4]);
    // The address is proved now, so that a reset is none of the first kind.
    reset(server, &post.reset_token(&person.tokens.email, 1).await, NEW_PASSWORD).send().await.assert_status(204);
    mfa_token(&server.try_login(&person.tokens.email, NEW_PASSWORD).await);
}

async fn the_page_tells_of_the_account_and_takes_a_no(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let email = crate::recovery::address();
    let body = json!({"email": email, "password": PASSWORD, "name": "Eve <b>"});
    let answer = server.post("/api/v1/auth/register").header("user-agent", FIREFOX).json(&body).send().await;
    let tokens = Tokens::of(&answer);
    let link = post.email(&email, VERIFICATION, 1).await.link();
    let page = Shown::of(follow(server, &link).await, 200);
    let html = page.0.text();
    assert_eq!(page.title(), "Did you create this account?");
    for told in [
        &*email,
        "<bdi>Eve &lt;b&gt;</bdi>",
        "<dt>Created</dt>",
        " UTC",
        "Firefox",
        "No, I did not create this account",
    ] {
        assert!(html.contains(told), "{told}: {html}");
    }
    let app = enrol(server, &tokens.access).await;
    confirming(server, &tokens.access, &app.code(server.clock.now(), 0)).send().await.assert_status(200);

    let done = Shown::of(page.press(server, link.path(), &[("refused", "yes")]).send().await, 200);
    assert_eq!(done.title(), "Thank you for telling us");
    server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    assert_eq!(server.session(tokens.session).revoked_reason.as_deref(), Some("reported_by_owner"));
    server.try_login(&email, PASSWORD).await.assert_problem(401, "invalid_credentials");
    let unproved = format!("users WHERE email_verified_at IS NULL AND id = {}", server.literal(tokens.user.0));
    assert_eq!((server.count(&unproved), server.count("totp_secrets")), (1, 0));
    assert_eq!(server.count("audit_log WHERE event = 'account.disowned'"), 1);
    Shown::of(page.press(server, link.path(), &[]).send().await, 400);

    // The address is its owner's to use.
    reset(server, &post.reset_token(&email, 1).await, NEW_PASSWORD).send().await.assert_status(204);
    Tokens::of(&server.try_login(&email, NEW_PASSWORD).await);
}

async fn a_browser_that_is_logged_in_keeps_all_by_the_page(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    for is_logged_in in [true, false] {
        let person = Stranger::on(server).await;
        let link = post.email(&person.tokens.email, VERIFICATION, 1).await.link();
        let page = Shown::of(follow(server, &link).await, 200);
        let button = page.press(server, link.path(), &[]);
        let cookie = format!("__Host-keyturn_access={}", person.tokens.access);
        let button = if is_logged_in { button.header("cookie", &cookie) } else { button };
        Shown::of(button.send().await, 200);
        assert_eq!(person.remains(server).await, [is_logged_in; 4]);
        server.me(&person.tokens.access).await.assert_status(200);
    }
}

async fn a_second_factor_that_is_enabled_beside_a_reset_does_not_shut_the_owner_out(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    for _ in 0..8 {
        let stranger = server.register().await;
        let app = enrol(server, &stranger.access).await;
        let token = post.reset_token(&stranger.email, 1).await;
        let code = json!({"code": app.code(server.clock.now(), 0)});
        let confirms = (0..4).map(|_| server.post(CONFIRM).bearer(&stranger.access).json(&code));
        let resets = [reset(server, &token, NEW_PASSWORD)];
        let answers = at_once(resets.into_iter().chain(confirms)).await;
        answers[0].assert_status(204);
        Tokens::of(&server.try_login(&stranger.email, NEW_PASSWORD).await);
        assert_eq!(server.count("totp_secrets"), 0, "{answers:?}");
        server.delete(TOTP).bearer(&stranger.access).send().await.assert_status(401);
        server.delete(DEVICES).bearer(&stranger.access).send().await.assert_status(401);
    }
}
