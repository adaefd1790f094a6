//! Accounts that administrators create, the links that they send, and what else of an account they change.

use serde_json::{Value, json};

use crate::admin::{USERS, user};
use crate::audit::administrator;
use crate::mfa::{CONFIRM, MFA, TOTP, enrol, mfa_token};
use crate::pages::{Shown, follow};
use crate::recovery::{
    CHANGE, MOVED, NEW_PASSWORD, Post, RESET_LINK, TO_NEW, VERIFICATION, VERIFY, address, assert_dead, reset,
    with_token,
};
use crate::support::http::at_once;
use crate::support::{Backend, Endpoint, PASSWORD, Request, Response, Server, Tokens};

both_backends! {
    an_account_is_created_with_a_password,
    whoever_is_invited_chooses_a_password_and_proves_the_address,
    an_invitation_is_replaced_by_the_next_and_ends_after_a_week,
    what_ends_an_invitation,
    an_invitation_is_sent_only_where_it_works,
    of_accounts_created_at_once_for_one_address_one_is,
    of_invitations_accepted_at_once_one_is,
    somebody_who_is_no_administrator_any_more_creates_and_sends_nothing,
    too_many_emails_are_told_to_administrators,
    a_reset_is_sent_and_the_password_stays_until_then,
    a_lost_second_factor_is_taken_away_by_another_administrator,
    an_address_is_marked_as_verified_and_not,
    an_address_is_changed_and_the_former_one_told,
    an_address_that_an_operator_has_changed_costs_its_owner_no_second_factor,
    an_address_in_another_spelling_stays_verified,
    an_address_that_is_taken_changes_nothing,
    what_a_disabled_account_and_one_that_is_to_be_deleted_allow,
    an_administrator_without_a_password_keeps_nobody_from_being_the_last,
}

const INVITED: &str = "You are invited";

fn creating(server: &Endpoint, by: &Tokens, body: &Value) -> Request {
    server.post(USERS).bearer(&by.access).json(body)
}

async fn create(server: &Endpoint, by: &Tokens, body: &Value) -> Value {
    creating(server, by, body).send().await.assert_status(201).json()
}

fn sending(server: &Endpoint, by: &Tokens, id: impl std::fmt::Display, what: &str) -> Request {
    server.post(&format!("{}/{what}", user(id))).bearer(&by.access)
}

async fn change(server: &Endpoint, by: &Tokens, id: impl std::fmt::Display, body: Value) -> Response {
    server.patch(&user(id)).bearer(&by.access).json(&body).send().await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The events about an account, oldest first, that somebody has caused.
fn events(server: &Server, id: &str) -> Vec<String> {
    server.audited(&format!("user_id = {}", server.literal(id.parse().unwrap())))
}

async fn an_account_is_created_with_a_password(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let admin = administrator(server).await;
    let body = json!({"email": "Ada@Example.com", "name": " Ada ", "roles": ["editor"], "password": PASSWORD});
    let answer = creating(server, &admin, &body).send().await;
    let created = answer.assert_status(201).json();
    let id = text(&created["id"]);
    assert_eq!(answer.header("location"), Some(&*user(id)));
    let mut shown = server.get(&user(id)).bearer(&admin.access).send().await.json();
    assert_eq!(shown.as_object_mut().unwrap().remove("mfa_enabled"), Some(json!(false)));
    assert_eq!(shown, created);
    assert_eq!((&created["email"], &created["name"]), (&json!("Ada@Example.com"), &json!("Ada")));
    assert_eq!((&created["roles"], &created["has_password"]), (&json!(["user", "editor"]), &json!(true)));
    assert_eq!(created["email_verified_at"], Value::Null);
    assert_eq!(server.count("sessions WHERE user_id <> actor_id"), 0);
    let own = server.login("ada@example.com").await;
    assert_eq!(server.me(&own.access).await.json()["user"]["roles"], json!(["user", "editor"]));
    assert_eq!(events(server, id)[0], "account.registered");
    let entries = server.rows("audit_log");
    let given = entries.iter().filter(|entry| entry["metadata"].to_string().contains("editor"));
    assert_eq!(given.count(), 1, "roles that were given are audited");
    let by = format!("event = 'account.registered' AND actor_id = {}", server.literal(admin.user.0));
    assert_eq!(server.audited(&format!("{by} AND user_id <> actor_id")).len(), 1);

    let verified = json!({"email": address(), "password": PASSWORD, "verified": true});
    let verified = create(server, &admin, &verified).await;
    assert!(verified["email_verified_at"].is_string());
    assert_eq!(events(server, text(&verified["id"])), ["account.registered", "email.verified"]);
    // Nobody gets an email but who registered.
    assert!(post.smtp.mails_to("Ada@Example.com").is_empty());

    for (body, field) in [
        (json!({}), "email"),
        (json!({"email": "nobody"}), "email"),
        (json!({"email": address(), "password": "password123"}), "password"),
        (json!({"email": address(), "password": ""}), "password"),
        (json!({"email": address(), "roles": ["two words"]}), "roles"),
        (json!({"email": address(), "name": ""}), "name"),
        (json!({"email": address(), "verified": "yes"}), "verified"),
        (json!({"email": address(), "disabled": true}), "disabled"),
    ] {
        creating(server, &admin, &body).send().await.assert_invalid(field);
    }
    creating(server, &admin, &json!({"email": "ada@example.COM"})).send().await.assert_problem(409, "email_taken");
    assert_eq!(server.count("users"), 3);
    assert_eq!(server.count("outbox WHERE kind = 'invitation'"), 0);
}

async fn whoever_is_invited_chooses_a_password_and_proves_the_address(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let admin = administrator(server).await;
    let email = address();
    let created = create(server, &admin, &json!({"email": email, "roles": ["editor"]})).await;
    assert_eq!((&created["has_password"], &created["email_verified_at"]), (&json!(false), &Value::Null));
    for password in [PASSWORD, "", "!"] {
        server.try_login(&email, password).await;
        assert_eq!(
            server
                .count(&format!("sessions WHERE user_id = {}", server.literal(text(&created["id"]).parse().unwrap()))),
            0
        );
    }
    let invitation = post.email(&email, INVITED, 1).await;
    assert!(invitation.html().contains("Choose a password"));
    let link = invitation.link();
    let page = Shown::of(follow(server, &link).await, 200);
    assert_eq!((page.title(), link.path()), ("Choose a password".to_owned(), "/account/reset-password"));
    assert!(page.0.text().contains(&email));
    let weak = page.press(server, link.path(), &[("new_password", "password1234")]).send().await;
    assert_eq!(Shown::of(weak, 422).title(), "Choose a password");
    let typed = [("new_password", NEW_PASSWORD)];
    let done = Shown::of(page.press(server, link.path(), &typed).send().await, 200);
    assert_eq!(done.title(), "Your account is ready");

    let tokens = Tokens::of(&server.try_login(&email, NEW_PASSWORD).await);
    assert_eq!(server.me(&tokens.access).await.json()["user"]["email_verified"], true);
    let shown = server.get(&user(tokens.user)).bearer(&admin.access).send().await.json();
    assert_eq!((&shown["has_password"], &shown["roles"]), (&json!(true), &json!(["user", "editor"])));
    let expected = ["account.registered", "account.invited", "account.invitation_accepted"];
    let audited = events(server, text(&created["id"]));
    assert!(expected.iter().all(|event| audited.contains(&(*event).to_owned())), "{audited:?}");

    // Once more it says so, and whom to ask.
    let used = Shown::of(page.press(server, link.path(), &typed).send().await, 400);
    let used_html = used.0.text();
    assert!(used_html.contains("ask whoever invited you"), "{used_html}");
    assert!(Shown::of(follow(server, &link).await, 400).0.text().contains("ask whoever invited you"));
    assert_dead(&reset(server, &invitation.token(), NEW_PASSWORD).send().await);
    assert_eq!(post.smtp.mails_to(&email).len(), 1, "the first password changes none");
}

async fn an_invitation_is_replaced_by_the_next_and_ends_after_a_week(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let admin = administrator(server).await;
    let email = address();
    let created = create(server, &admin, &json!({"email": email})).await;
    let id = text(&created["id"]);
    let first = post.email(&email, INVITED, 1).await.token();
    sending(server, &admin, id, "invitation").send().await.assert_status(202);
    let second = post.email(&email, INVITED, 2).await.token();
    assert_dead(&reset(server, &first, NEW_PASSWORD).send().await);
    server.advance(7 * 86_400 + 1);
    assert_dead(&reset(server, &second, NEW_PASSWORD).send().await);
    let admin = server.login(&admin.email).await;
    sending(server, &admin, id, "invitation").send().await.assert_status(202);
    let third = post.email(&email, INVITED, 3).await.token();
    server.advance(7 * 86_400 - 60);
    reset(server, &third, NEW_PASSWORD).send().await.assert_status(204);
    Tokens::of(&server.try_login(&email, NEW_PASSWORD).await);
    // Whoever has forgotten it meanwhile needs no invitation.
    let admin = server.login(&admin.email).await;
    sending(server, &admin, id, "invitation").send().await.assert_problem(409, "password_set");
}

async fn what_ends_an_invitation(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let admin = administrator(server).await;
    let invited = async || {
        let email = address();
        let created = create(server, &admin, &json!({"email": email})).await;
        let token = post.email(&email, INVITED, 1).await.token();
        (text(&created["id"]).to_owned(), email, token)
    };
    // A password by another way.
    let (_, email, token) = invited().await;
    reset(server, &post.reset_token(&email, 1).await, NEW_PASSWORD).send().await.assert_status(204);
    assert_dead(&reset(server, &token, PASSWORD).send().await);
    // Another address: the former one may have been somebody else's.
    let (id, _, token) = invited().await;
    let moved = address();
    change(server, &admin, &id, json!({"email": moved})).await.assert_status(200);
    assert_dead(&reset(server, &token, PASSWORD).send().await);
    sending(server, &admin, &id, "invitation").send().await.assert_status(202);
    reset(server, &post.email(&moved, INVITED, 1).await.token(), PASSWORD).send().await.assert_status(204);
    server.login(&moved).await;
    // The deletion of the account, for good.
    let (id, _, token) = invited().await;
    server.delete(&user(&id)).bearer(&admin.access).send().await.assert_status(202);
    assert_dead(&reset(server, &token, PASSWORD).send().await);
    server.delete(&format!("{}/deletion", user(&id))).bearer(&admin.access).send().await.assert_status(204);
    assert_dead(&reset(server, &token, PASSWORD).send().await);
    // A disabled account, for as long as it is.
    let (id, email, token) = invited().await;
    change(server, &admin, &id, json!({"disabled": true})).await.assert_status(200);
    assert_dead(&reset(server, &token, PASSWORD).send().await);
    change(server, &admin, &id, json!({"disabled": false})).await.assert_status(200);
    reset(server, &token, PASSWORD).send().await.assert_status(204);
    server.login(&email).await;
}

async fn an_invitation_is_sent_only_where_it_works(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let admin = administrator(server).await;
    let person = server.register().await;
    sending(server, &admin, person.user, "invitation").send().await.assert_problem(409, "password_set");
    for unknown in [uuid::Uuid::nil().to_string(), "nobody".to_owned()] {
        for what in ["invitation", "password-reset"] {
            sending(server, &admin, &unknown, what).send().await.assert_problem(404, "not_found");
        }
        let mfa = server.delete(&format!("{}/mfa", user(&unknown))).bearer(&admin.access);
        mfa.send().await.assert_problem(404, "not_found");
    }
    assert_eq!(server.count("outbox WHERE kind = 'invitation'"), 0);
    assert_eq!(server.count("audit_log WHERE event = 'account.invited'"), 0);
}

async fn of_accounts_created_at_once_for_one_address_one_is(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let other = server.another().await;
    let admin = administrator(server).await;
    let email = address();
    let body = json!({"email": email});
    let register = json!({"email": email, "password": PASSWORD});
    let requests = (0..8).map(|number| match number % 4 {
        0 => creating(server, &admin, &body),
        1 => creating(&other, &admin, &body),
        2 => creating(server, &admin, &register),
        _ => server.post("/api/v1/auth/register").json(&register),
    });
    let answers = at_once(requests).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.assert_problem(409, "email_taken");
    }
    assert_eq!(server.count("users"), 2);
    assert!(post.smtp.mails_to(&email).len() <= 1);
}

async fn of_invitations_accepted_at_once_one_is(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let admin = administrator(server).await;
    let email = address();
    create(server, &admin, &json!({"email": email})).await;
    let token = post.email(&email, INVITED, 1).await.token();
    let passwords: Vec<String> = (0..6).map(|number| format!("{NEW_PASSWORD} {number}")).collect();
    let answers = at_once(passwords.iter().map(|password| reset(server, &token, password))).await;
    let accepted: Vec<usize> = (0..6).filter(|index| answers[*index].status == 204).collect();
    assert_eq!(accepted.len(), 1, "{answers:?}");
    // First, because too many wrong ones delay it.
    server.try_login(&email, &passwords[accepted[0]]).await.assert_status(200);
    for (index, password) in passwords.iter().enumerate() {
        if index != accepted[0] {
            server.try_login(&email, password).await.assert_status(401);
        }
    }
    assert_eq!(server.count("audit_log WHERE event = 'account.invitation_accepted'"), 1);
}

/// Every request of an administrator about an account that only this file tests.
fn requests(server: &Endpoint, by: &Tokens, id: impl std::fmt::Display) -> Vec<Request> {
    vec![
        creating(server, by, &json!({"email": address()})),
        creating(server, by, &json!({"email": address(), "password": PASSWORD})),
        sending(server, by, &id, "invitation"),
        sending(server, by, &id, "password-reset"),
        server.delete(&format!("{}/mfa", user(&id))).bearer(&by.access),
        server.patch(&user(&id)).bearer(&by.access).json(&json!({"email": address()})),
        server.patch(&user(&id)).bearer(&by.access).json(&json!({"verified": true})),
    ]
}

async fn somebody_who_is_no_administrator_any_more_creates_and_sends_nothing(server: Server) {
    let admin = administrator(&server).await;
    let victim = create(&server, &admin, &json!({"email": address()})).await;
    let victim = text(&victim["id"]);
    // Not the outbox, which delivery empties meanwhile: each email here has a token.
    let state = || (server.rows("users"), server.count("opaque_tokens"));
    let person = server.register().await;
    let before = state();
    for request in requests(&server, &person, victim) {
        request.send().await.assert_problem(403, "forbidden");
    }
    assert!(state() == before);
    // A login of more than ten minutes ago is too old for all of it.
    server.advance(601);
    for request in requests(&server, &admin, victim) {
        request.send().await.assert_problem(401, "insufficient_user_authentication");
    }
    // Whoever loses the role at the same time does all before or nothing after.
    for _ in 0..4 {
        let (one, other) = (administrator(&server).await, administrator(&server).await);
        let email = address();
        let answers = at_once([
            creating(&server, &one, &json!({"email": email})),
            server.patch(&user(one.user)).bearer(&other.access).json(&json!({"roles": []})),
        ])
        .await;
        answers[1].assert_status(200);
        assert!(matches!(answers[0].status, 201 | 401 | 403), "{answers:?}");
        assert_eq!(server.count(&format!("users WHERE email = '{email}'")), i64::from(answers[0].status == 201));
    }
}

async fn too_many_emails_are_told_to_administrators(backend: Backend) {
    let settings = [("LIMIT_EMAIL_UNVERIFIED", "2/3600"), ("LIMIT_EMAIL_VERIFIED", "1/3600")];
    let post = Post::with(backend, &settings).await;
    let server = &post.server;
    let admin = administrator(server).await;
    let email = address();
    let id = text(&create(server, &admin, &json!({"email": email})).await["id"]).to_owned();
    // Two that wait at once can arrive in either order.
    post.email(&email, INVITED, 1).await;
    sending(server, &admin, &id, "invitation").send().await.assert_status(202);
    let token = post.email(&email, INVITED, 2).await.token();
    let refused = sending(server, &admin, &id, "invitation").send().await;
    refused.assert_problem(429, "too_many_emails");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1700..=1800).contains(&wait), "{wait}");
    // The link that was sent stays valid.
    reset(server, &token, NEW_PASSWORD).send().await.assert_status(204);
    sending(server, &admin, &id, "password-reset").send().await.assert_status(202);
    sending(server, &admin, &id, "password-reset").send().await.assert_problem(429, "too_many_emails");
    // An account that cannot be invited to is not created.
    let gone = address();
    for _ in 0..2 {
        let id = text(&create(server, &admin, &json!({"email": gone})).await["id"]).to_owned();
        server.delete(&format!("{}?at_once=true", user(&id))).bearer(&admin.access).send().await.assert_status(202);
    }
    let before = server.count("users");
    creating(server, &admin, &json!({"email": gone})).send().await.assert_problem(429, "too_many_emails");
    assert_eq!(server.count("users"), before);
}

async fn a_reset_is_sent_and_the_password_stays_until_then(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let (admin, person) = (administrator(server).await, server.register().await);
    server.verify_email(&person.email);
    sending(server, &admin, person.user, "password-reset").send().await.assert_status(202);
    let token = post.email(&person.email, RESET_LINK, 1).await.token();
    server.me(&person.access).await.assert_status(200);
    server.login(&person.email).await;
    let by = format!("event = 'password.reset_requested' AND actor_id = {}", server.literal(admin.user.0));
    assert_eq!(server.audited(&by).len(), 1);
    reset(server, &token, NEW_PASSWORD).send().await.assert_status(204);
    server.me(&person.access).await.assert_problem(401, "invalid_token");
    Tokens::of(&server.try_login(&person.email, NEW_PASSWORD).await);
    // To whoever has no password yet it is an invitation.
    let email = address();
    let id = text(&create(server, &admin, &json!({"email": email})).await["id"]).to_owned();
    sending(server, &admin, &id, "password-reset").send().await.assert_status(202);
    post.email(&email, INVITED, 2).await;
}

/// Enables two-step login of an account.
async fn enable_totp(server: &Server, tokens: &Tokens) {
    let app = enrol(server, &tokens.access).await;
    let code = json!({"code": app.code(server.clock.now(), 0)});
    server.post(CONFIRM).bearer(&tokens.access).json(&code).send().await.assert_status(200);
}

async fn a_lost_second_factor_is_taken_away_by_another_administrator(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let (admin, person) = (administrator(server).await, server.register().await);
    let reset_mfa =
        |id: keyturn::types::UserId, by: &Tokens| server.delete(&format!("{}/mfa", user(id))).bearer(&by.access).send();
    reset_mfa(person.user, &admin).await.assert_problem(409, "mfa_not_enabled");
    enable_totp(server, &person).await;
    let waiting = mfa_token(&server.try_login(&person.email, PASSWORD).await);
    reset_mfa(person.user, &admin).await.assert_status(204);
    let completing = json!({"mfa_token": waiting, "method": "totp", "code": "123456"});
    server.post(MFA).json(&completing).send().await.assert_problem(401, "invalid_mfa_token");
    server.me(&person.access).await.assert_status(200);
    server.login(&person.email).await;
    post.email(&person.email, "Two-step login was disabled", 1).await;
    let by = format!("event = 'mfa.disabled' AND actor_id = {}", server.literal(admin.user.0));
    assert_eq!(server.audited(&by).len(), 1);
    reset_mfa(person.user, &admin).await.assert_problem(409, "mfa_not_enabled");
    // One's own is taken away as its owner, with a code.
    reset_mfa(admin.user, &admin).await.assert_problem(409, "own_account");
    enable_totp(server, &admin).await;
    let answer = reset_mfa(admin.user, &admin).await;
    assert_eq!(answer.json()["code"], "own_account", "{answer:?}");
    server.delete(TOTP).bearer(&admin.access).send().await.assert_status(204);
}

async fn an_address_is_marked_as_verified_and_not(backend: Backend) {
    let post = Post::with(backend, &[("ACCESS_TOKEN_CLAIMS", "email")]).await;
    let server = &post.server;
    let (admin, person) = (administrator(server).await, server.register().await);
    let token = post.email(&person.email, VERIFICATION, 1).await.token();
    let shown = change(server, &admin, person.user, json!({"verified": true})).await.assert_status(200).json();
    assert!(shown["email_verified_at"].is_string());
    assert_eq!(server.me(&person.access).await.assert_status(200).json()["user"]["email_verified"], true);
    // What was sent to verify it is of no use, and must not say that somebody else has created the account.
    assert_dead(&with_token(server, VERIFY, &token).send().await);
    let again = change(server, &admin, person.user, json!({"verified": true})).await.assert_status(200).json();
    assert_eq!(again, shown);
    let person = server.refreshed(&person).await;
    assert_eq!(person.claims()["email_verified"], true);
    assert_eq!(server.verify(&person.access).await.header("x-auth-email"), Some(&*person.email));

    let shown = change(server, &admin, person.user, json!({"verified": false})).await.assert_status(200).json();
    assert_eq!(shown["email_verified_at"], Value::Null);
    // The token says what is no longer so; the session goes on.
    server.verify(&person.access).await.assert_problem(401, "invalid_token");
    let person = server.refreshed(&person).await;
    assert_eq!(person.claims()["email_verified"], false);
    assert_eq!(server.verify(&person.access).await.header("x-auth-email"), None);
    let own = events(server, &person.user.to_string());
    let about: Vec<&str> = own.iter().map(String::as_str).filter(|event| event.starts_with("email.")).collect();
    assert_eq!(about, ["email.verified", "email.unverified"]);
}

async fn an_address_is_changed_and_the_former_one_told(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let (admin, person) = (administrator(server).await, server.register().await);
    let (former, new, other) = (person.email.clone(), address(), address());
    let verification = post.email(&former, VERIFICATION, 1).await.token();
    let reset_token = post.reset_token(&former, 1).await;
    let pending = server.post(CHANGE).bearer(&person.access).json(&json!({"new_email": other}));
    pending.send().await.assert_status(202);
    let confirmation = post.email(&other, TO_NEW, 1).await.token();
    server.verify_email(&former);

    let shown = change(server, &admin, person.user, json!({"email": new})).await.assert_status(200).json();
    assert_eq!((&shown["email"], &shown["email_verified_at"]), (&json!(new), &Value::Null));
    let notice = post.email(&former, MOVED, 1).await;
    assert!(notice.text().contains(&new) && notice.text().contains("by those who run keyturn.example"));
    let asked = post.email(&new, VERIFICATION, 1).await;
    assert!(asked.text().contains("have given your account there this email address"), "{}", asked.text());
    for token in [&verification, &reset_token, &confirmation] {
        for target in [VERIFY, crate::recovery::CONFIRM] {
            assert_dead(&with_token(server, target, token).send().await);
        }
        assert_dead(&reset(server, token, NEW_PASSWORD).send().await);
    }
    assert_eq!(server.count("email_changes"), 0);
    // Access tokens name the former address; sessions go on.
    server.me(&person.access).await.assert_problem(401, "invalid_token");
    let own = server.refreshed(&person).await;
    let me = server.me(&own.access).await.json();
    assert_eq!((&me["user"]["email"], &me["user"]["email_verified"]), (&json!(new), &json!(false)));
    server.try_login(&former, PASSWORD).await.assert_problem(401, "invalid_credentials");
    server.login(&new).await;
    // The page does not ask whether they have created the account, and shows nothing of it.
    let page = Shown::of(follow(server, &asked.link()).await, 200);
    assert_eq!(page.title(), "Is this your email address?");
    assert!(!page.0.text().contains("refused") && !page.0.text().contains("Created:"), "{}", page.0.text());
    let refused = page.press(server, "/account/verify-email", &[("refused", "yes")]).send().await;
    Shown::of(refused, 400);
    Shown::of(page.press(server, "/account/verify-email", &[]).send().await, 200);
    assert_eq!(server.me(&own.access).await.json()["user"]["email_verified"], true);

    let sure = change(server, &admin, person.user, json!({"email": former, "verified": true})).await;
    assert!(sure.assert_status(200).json()["email_verified_at"].is_string());
    assert_eq!(server.count(&format!("outbox WHERE recipient = '{former}' AND kind = 'verify_email'")), 0);
    let entry = server.rows("audit_log").into_iter().rfind(|row| row["event"] == "email.changed").unwrap();
    assert!(entry["metadata"].to_string().contains(&new), "{entry}");
}

async fn an_address_that_an_operator_has_changed_costs_its_owner_no_second_factor(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let admin = administrator(server).await;
    for body in [json!({"verified": false}), json!({"email": address()})] {
        let person = server.register().await;
        let token = post.email(&person.email, VERIFICATION, 1).await.token();
        with_token(server, VERIFY, &token).send().await.assert_status(204);
        enable_totp(server, &person).await;
        let shown = change(server, &admin, person.user, body).await.assert_status(200).json();
        let email = text(&shown["email"]);
        reset(server, &post.reset_token(email, 1).await, NEW_PASSWORD).send().await.assert_status(204);
        mfa_token(&server.try_login(email, NEW_PASSWORD).await);
        let proved = format!("users WHERE id = {} AND email_verified_at IS NOT NULL", server.literal(person.user.0));
        assert_eq!(server.count(&proved), 1);
    }
}

async fn an_address_in_another_spelling_stays_verified(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let (admin, person) = (administrator(server).await, server.register().await);
    server.verify_email(&person.email);
    let spelled = person.email.replace("person", "PERSON");
    let shown = change(server, &admin, person.user, json!({"email": spelled})).await.assert_status(200).json();
    assert_eq!(shown["email"], json!(spelled));
    assert!(shown["email_verified_at"].is_string());
    change(server, &admin, person.user, json!({"email": spelled})).await.assert_status(200);
    assert_eq!(server.audited("event = 'email.changed'").len(), 1);
    assert_eq!(server.count("outbox WHERE kind = 'email_changed'"), 0);
    server.login(&person.email).await;
}

async fn an_address_that_is_taken_changes_nothing(server: Server) {
    let (admin, person, other) = (administrator(&server).await, server.register().await, server.register().await);
    let before = (server.rows("users"), server.count("audit_log"), server.count("opaque_tokens"));
    let taken = json!({"name": "Ada", "email": other.email.to_uppercase(), "verified": true});
    change(&server, &admin, person.user, taken).await.assert_problem(409, "email_taken");
    assert!((server.rows("users"), server.count("audit_log"), server.count("opaque_tokens")) == before);
    server.me(&person.access).await.assert_status(200);
    // Of two who get one address at once, one does.
    let free = address();
    let body = json!({"email": free});
    let answers = at_once(
        [person.user, other.user, person.user, other.user]
            .map(|id| server.patch(&user(id)).bearer(&admin.access).json(&body)),
    )
    .await;
    assert_eq!(server.count(&format!("users WHERE email = '{free}'")), 1);
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)), "{answers:?}");
}

async fn what_a_disabled_account_and_one_that_is_to_be_deleted_allow(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let admin = administrator(server).await;
    for (code, is_deleted) in [("account_disabled", false), ("account_deletion_pending", true)] {
        let person = server.register().await;
        enable_totp(server, &person).await;
        let invited = text(&create(server, &admin, &json!({"email": address()})).await["id"]).to_owned();
        for id in [person.user.to_string(), invited.clone()] {
            if is_deleted {
                server.delete(&user(&id)).bearer(&admin.access).send().await.assert_status(202);
            } else {
                change(server, &admin, &id, json!({"disabled": true})).await.assert_status(200);
            }
            sending(server, &admin, &id, "password-reset").send().await.assert_problem(409, code);
        }
        sending(server, &admin, &invited, "invitation").send().await.assert_problem(409, code);
        let moved = change(server, &admin, person.user, json!({"email": address()})).await;
        if is_deleted {
            moved.assert_problem(409, code);
        } else {
            moved.assert_status(200);
        }
        let body = json!({"verified": true, "name": "Ada", "roles": ["editor"]});
        change(server, &admin, person.user, body).await.assert_status(200);
        let mfa = server.delete(&format!("{}/mfa", user(person.user))).bearer(&admin.access);
        mfa.send().await.assert_status(204);
    }
}

async fn an_administrator_without_a_password_keeps_nobody_from_being_the_last(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let admin = administrator(server).await;
    let email = address();
    create(server, &admin, &json!({"email": email, "roles": ["admin"]})).await;
    let delete = || server.delete("/api/v1/auth/me").bearer(&admin.access).send();
    delete().await.assert_problem(409, "last_administrator");
    let token = post.email(&email, INVITED, 1).await.token();
    reset(server, &token, NEW_PASSWORD).send().await.assert_status(204);
    delete().await.assert_status(202);
}
