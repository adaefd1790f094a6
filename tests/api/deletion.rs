//! Accounts that are deleted: by their owners and by administrators, later or at once, and not after all.

use keyturn::clock::Clock;
use keyturn::types::Timestamp;
use serde_json::{Value, json};

use crate::admin::user;
use crate::audit::administrator;
use crate::mfa::{REAUTHENTICATE, person};
use crate::pages::Shown;
use crate::recovery::{CHANGE, Post, address, assert_dead, with_token};
use crate::support::http::at_once;
use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Request, Response, Server, Servers, Tokens, until};

both_backends! {
    an_owner_deletes_an_account_and_is_out_at_once,
    an_owner_who_has_changed_their_mind_follows_the_link,
    a_link_that_keeps_an_account_has_a_page,
    while_a_deletion_waits_no_other_link_opens_the_account,
    when_the_time_has_come_nothing_personal_is_left,
    without_a_grace_period_an_account_is_deleted_at_once,
    a_deletion_that_was_interrupted_goes_on,
    it_needs_a_recent_login_with_the_second_factor,
    the_last_administrator_stays,
    of_administrators_who_delete_themselves_at_once_one_stays,
    administrators_delete_and_keep_accounts,
    a_disabled_account_has_no_link_that_keeps_it,
    of_deletions_at_once_one_counts,
    no_login_or_refresh_outlives_a_deletion_at_the_same_time,
    an_address_is_free_again_for_exactly_one,
    an_administrator_who_is_deleted_acts_for_nobody,
    of_what_administrators_did_to_a_deleted_account_their_own_data_stay,
}

const ME: &str = "/api/v1/auth/me";
const REGISTER: &str = "/api/v1/auth/register";
const CANCEL: &str = "/api/v1/auth/deletion/cancel";
const PAGE: &str = "/account/cancel-deletion";

/// What the subjects of emails begin with.
pub const NOTICE: &str = "Your account at keyturn.example will be deleted";
const KEPT: &str = "Your account at keyturn.example is kept";
const GONE: &str = "Your account at keyturn.example was deleted";

const WEEK: u64 = 7 * 86_400;
const AT_ONCE: (&str, &str) = ("ACCOUNT_DELETION_GRACE", "0");
const SWEEPING: (&str, &str) = ("SWEEP_INTERVAL", "1");

pub fn deleting(server: &Endpoint, tokens: &Tokens) -> Request {
    server.delete(ME).bearer(&tokens.access)
}

fn registering(server: &Endpoint, email: &str) -> Request {
    server.post(REGISTER).json(&json!({"email": email, "password": PASSWORD}))
}

/// Reads when an account is deleted.
#[track_caller]
fn time(answer: &Response) -> Timestamp {
    Timestamp::parse(answer.assert_status(202).json()["deletes_at"].as_str().unwrap()).unwrap()
}

/// Asserts that a server refuses whatever an account's session has.
async fn assert_out(server: &Server, tokens: &Tokens, code: &str) {
    server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    server.verify(&tokens.access).await.assert_problem(401, "invalid_token");
    server.refresh(&tokens.refresh).await.assert_problem(401, code);
}

async fn until_gone(server: &Endpoint, id: impl std::fmt::Display) {
    let condition = format!("audit_log WHERE event = 'account.deleted' AND user_id = {id}");
    until("the deletion", async || (server.count(&condition) == 1).then_some(())).await;
}

async fn an_owner_deletes_an_account_and_is_out_at_once(servers: Servers) {
    let (own, stranger) = (servers.register().await, servers.register().await);
    let other = servers.login(&own.email).await;
    let now = servers.clock.now();
    let deletes_at = time(&deleting(&servers, &own).send().await);
    let wait = deletes_at.since(now).as_secs();
    assert!((WEEK - 60..WEEK + 60).contains(&wait), "{wait}");
    for server in servers.all() {
        assert_out(server, &own, "session_revoked").await;
        assert_out(server, &other, "session_revoked").await;
        let refused = server.try_login(&own.email, PASSWORD).await;
        refused.assert_problem(403, "account_deletion_pending");
        assert_eq!(refused.json()["deletes_at"], json!(deletes_at.to_string()));
        server.try_login(&own.email, "not the password").await.assert_problem(401, "invalid_credentials");
        server.me(&stranger.access).await.assert_status(200);
    }
    registering(&servers, &own.email).send().await.assert_problem(409, "email_taken");
    let reasons = "SELECT DISTINCT revoked_reason AS text FROM sessions WHERE revoked_at IS NOT NULL";
    assert_eq!(servers.texts(reasons), ["account_deleted"]);
    assert_eq!(servers.audited("event LIKE 'account.deletion%'"), ["account.deletion_requested"]);
}

async fn an_owner_who_has_changed_their_mind_follows_the_link(backend: Backend) {
    let post = Post::with(backend, &[SWEEPING]).await;
    let server = &post.server;
    let own = server.register().await;
    server.verify_email(&own.email);
    time(&deleting(server, &own).send().await);
    let token = post.email(&own.email, NOTICE, 1).await.token();
    server.advance(WEEK - 120);
    with_token(server, CANCEL, &token).send().await.assert_status(204);
    assert_dead(&with_token(server, CANCEL, &token).send().await);
    // Nobody is logged in again by that, and the owner is told.
    server.refresh(&own.refresh).await.assert_status(401);
    server.login(&own.email).await;
    post.email(&own.email, KEPT, 1).await;
    assert_eq!(server.audited("event = 'account.deletion_cancelled'").len(), 1);
    // What was cancelled is over: the next one has a time and a link of its own.
    let again = server.login(&own.email).await;
    let deletes_at = time(&deleting(server, &again).send().await);
    assert!(deletes_at > server.clock.now().plus(std::time::Duration::from_secs(WEEK - 60)));
    let next = post.email(&own.email, NOTICE, 2).await.token();
    assert_dead(&with_token(server, CANCEL, &token).send().await);
    with_token(server, CANCEL, &next).send().await.assert_status(204);
}

async fn a_link_that_keeps_an_account_has_a_page(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let own = server.register().await;
    time(&deleting(server, &own).send().await);
    let link = post.email(&own.email, NOTICE, 1).await;
    assert_eq!(link.link().path(), PAGE);
    let target = format!("{PAGE}?token={}", link.token());
    let shown = Shown::of(server.get(&target).send().await, 200);
    assert_eq!(shown.title(), "Keep your account?");
    server.try_login(&own.email, PASSWORD).await.assert_problem(403, "account_deletion_pending");
    let kept = Shown::of(shown.press(server, PAGE, &[]).send().await, 200);
    assert_eq!(kept.title(), "Your account is kept");
    server.login(&own.email).await;
    Shown::of(server.get(&target).send().await, 400);
}

async fn while_a_deletion_waits_no_other_link_opens_the_account(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let own = server.register().await;
    let verification = post.email(&own.email, crate::recovery::VERIFICATION, 1).await.token();
    let reset = post.reset_token(&own.email, 1).await;
    let new = json!({"new_email": address()});
    server.post(CHANGE).bearer(&own.access).json(&new).send().await.assert_status(202);
    let moving = post.email(&own.email, crate::recovery::TO_OLD, 1).await.token();
    time(&deleting(server, &own).send().await);
    let token = post.email(&own.email, NOTICE, 1).await.token();
    for (target, token) in [(crate::recovery::VERIFY, &verification), (crate::recovery::CONFIRM, &moving)] {
        assert_dead(&with_token(server, target, token).send().await);
    }
    assert_dead(&crate::recovery::reset(server, &reset, crate::recovery::NEW_PASSWORD).send().await);
    server.post(crate::recovery::FORGOT).json(&json!({"email": own.email})).send().await.assert_status(202);
    // The token that keeps the account opens nothing else.
    assert_dead(&crate::recovery::reset(server, &token, crate::recovery::NEW_PASSWORD).send().await);
    with_token(server, CANCEL, &token).send().await.assert_status(204);
    assert_dead(&crate::recovery::reset(server, &reset, crate::recovery::NEW_PASSWORD).send().await);
    server.login(&own.email).await;
}

/// Everything in all tables, as one text.
fn everything(server: &Deployment) -> String {
    let rows = server.tables().into_iter().flat_map(|table| server.rows(&table));
    rows.map(|row| row.to_string()).collect::<Vec<_>>().join("\n")
}

async fn when_the_time_has_come_nothing_personal_is_left(backend: Backend) {
    let post = Post::with(backend, &[SWEEPING, ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let server = &post.server;
    let (agent, ip, name) = ("Zorvane/7 (Thrumbeck)", "203.0.113.77", "Ada Quillfeather");
    let own = person(server, &server.clock).await;
    let (id, email) = (own.tokens.user, own.tokens.email.clone());
    server.verify_email(&email);
    let personal = |request: Request| request.header("user-agent", agent).header("x-forwarded-for", ip);
    let access = &own.tokens.access;
    personal(server.patch(ME).bearer(access).json(&json!({"name": name}))).send().await.assert_status(200);
    let (former, new) = (address(), address());
    let details = format!("'{{\"from\":\"{former}\",\"to\":\"{email}\"}}'");
    let literal = server.literal(id.0);
    server.sql(&format!(
        "UPDATE audit_log SET event = 'email.changed', metadata = {details} \
         WHERE event = 'account.profile_changed' AND user_id = {literal}"
    ));
    server.post(CHANGE).bearer(access).json(&json!({"new_email": new})).send().await.assert_status(202);
    personal(deleting(server, &own.tokens)).send().await.assert_status(202);
    let token = post.email(&email, NOTICE, 1).await.token();
    let before = everything(server);
    for text in [&*email, &*new, &*former, agent, ip, name] {
        assert!(before.contains(text), "{text} is not found at all");
    }
    server.advance(WEEK + 1);
    until_gone(server, &literal).await;
    post.email(&email, GONE, 1).await;
    until("the last email to be off", async || (server.count("outbox") == 0).then_some(())).await;
    let after = everything(server);
    for text in [&*email, &*new, &*former, agent, ip, name] {
        assert!(!after.contains(text), "{text}: {after}");
    }
    for table in ["users", "sessions", "opaque_tokens", "totp_secrets", "recovery_codes", "email_changes"] {
        assert_eq!(server.count(table), 0, "{table}");
    }
    // The id is a pseudonym, which is left in these two alone.
    let ids = [id.0.to_string(), id.0.simple().to_string(), id.0.simple().to_string().to_uppercase()];
    for table in server.tables().iter().filter(|table| !table.contains("audit_log") && !table.contains("revocations")) {
        let rows: Vec<String> = server.rows(table).iter().map(Value::to_string).collect();
        assert!(!rows.iter().any(|row| ids.iter().any(|id| row.contains(id))), "{table}: {rows:?}");
    }
    let events = server.audited(&format!("user_id = {literal}"));
    assert!(events.len() > 5 && events.contains(&"account.deletion_requested".to_owned()), "{events:?}");
    assert_eq!(events.last().map(String::as_str), Some("account.deleted"));

    assert_dead(&with_token(server, CANCEL, &token).send().await);
    server.try_login(&email, PASSWORD).await.assert_problem(401, "invalid_credentials");
    assert_out(server, &own.tokens, "session_expired").await;
    let anew = server.register_as(&email).await;
    assert_ne!(anew.user, id);
}

async fn without_a_grace_period_an_account_is_deleted_at_once(backend: Backend) {
    let servers = Servers::with(backend, &[AT_ONCE]).await;
    let own = servers.register().await;
    let before = servers.clock.now();
    assert!(time(&deleting(&servers, &own).send().await).since(before).as_secs() < 60);
    assert_eq!((servers.count("users"), servers.count("sessions")), (0, 0));
    for server in servers.all() {
        assert_out(server, &own, "session_expired").await;
    }
    // The log outlives the account, for servers that have the session in their caches.
    assert_eq!(servers.count("revocations"), 1);
    assert_ne!(servers.register_as(&own.email).await.user, own.user);
}

async fn a_deletion_that_was_interrupted_goes_on(backend: Backend) {
    let server = Server::with(backend, &[SWEEPING]).await;
    let (own, other) = (server.register().await, server.register().await);
    let literal = server.literal(own.user.0);
    // More than one transaction deletes, and in the middle of them.
    let copy = match backend {
        Backend::Embedded => "randomblob(16)",
        Backend::Scaled => "gen_random_uuid()",
    };
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)";
    server.sql(&format!(
        "{numbers} INSERT INTO audit_log (id, at, event, outcome, user_id, ip, metadata) \
         SELECT {copy}, at, event, outcome, user_id, '203.0.113.9', metadata FROM audit_log, n \
         WHERE user_id = {literal}"
    ));
    time(&deleting(&server, &own).send().await);
    server.sql(&format!("DELETE FROM sessions WHERE user_id = {literal}"));
    server.advance(WEEK + 1);
    until_gone(&server, &literal).await;
    assert_eq!(server.count(&format!("audit_log WHERE ip IS NOT NULL AND user_id = {literal}")), 0);
    let kept = server.count(&format!("audit_log WHERE user_id = {literal}"));
    assert!(kept > 2_500, "{kept}");
    assert_eq!(server.count("users"), 1);
    server.login(&other.email).await;
}

async fn it_needs_a_recent_login_with_the_second_factor(server: Server) {
    let old = server.register().await;
    server.advance(601);
    deleting(&server, &old).send().await.assert_problem(401, "insufficient_user_authentication");
    let own = person(&server, &server.clock).await;
    let target = format!("{}/impersonate", user(own.tokens.user));
    let acting = server.post(&target).bearer(&administrator(&server).await.access).json(&json!({"reason": "why not"}));
    let acting = acting.send().await.assert_status(200).json();
    server.delete(ME).bearer(acting["access_token"].as_str().unwrap()).send().await.assert_problem(403, "impersonated");
    // A session that never showed the code: its token says so, and the row too.
    let condition = format!("id = {}", server.literal(own.tokens.session.0));
    server.advance(601);
    let next = server.refreshed(&own.tokens).await;
    deleting(&server, &next).send().await.assert_problem(401, "insufficient_user_authentication");
    let body = json!({"password": PASSWORD, "code": own.app.code(server.clock.now(), 0)});
    server.post(REAUTHENTICATE).bearer(&next.access).json(&body).send().await.assert_status(200);
    assert_eq!(server.count(&format!("sessions WHERE {condition} AND revoked_at IS NULL")), 1);
    time(&deleting(&server, &next).send().await);
}

async fn the_last_administrator_stays(server: Server) {
    let admin = administrator(&server).await;
    deleting(&server, &admin).send().await.assert_problem(409, "last_administrator");
    let own = server.delete(&user(admin.user)).bearer(&admin.access).send().await;
    own.assert_problem(409, "own_account");
    server.me(&admin.access).await.assert_status(200);
    // One who is disabled, or to be deleted, is none.
    let other = administrator(&server).await;
    server.sql(&format!("UPDATE users SET disabled_at = created_at WHERE id = {}", server.literal(other.user.0)));
    deleting(&server, &admin).send().await.assert_problem(409, "last_administrator");
    administrator(&server).await;
    time(&deleting(&server, &admin).send().await);
}

async fn of_administrators_who_delete_themselves_at_once_one_stays(servers: Servers) {
    for _ in 0..5 {
        servers.sql("UPDATE users SET roles = '[\"user\"]'");
        let (one, other) = (administrator(&servers).await, administrator(&servers).await);
        let last = &servers.all()[servers.all().len() - 1];
        let answers = at_once([deleting(&servers, &one), deleting(last, &other)]).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 409], "{answers:?}");
    }
}

async fn administrators_delete_and_keep_accounts(server: Server) {
    let (admin, own) = (administrator(&server).await, server.register().await);
    let deletion = format!("{}/deletion", user(own.user));
    let keeping = || server.delete(&deletion).bearer(&admin.access);
    keeping().send().await.assert_problem(409, "no_deletion");
    let delete = |query: &str| server.delete(&format!("{}{query}", user(own.user))).bearer(&admin.access);
    delete("?at_once=perhaps").send().await.assert_invalid("at_once");
    delete("").bearer(&own.access).send().await;
    let deletes_at = time(&delete("").send().await);
    let shown: Value = server.get(&user(own.user)).bearer(&admin.access).send().await.json();
    assert_eq!(shown["deletes_at"], json!(deletes_at.to_string()));
    assert_out(&server, &own, "session_revoked").await;
    let acting = server.post(&format!("{}/impersonate", user(own.user))).bearer(&admin.access);
    acting.json(&json!({"reason": "why not"})).send().await.assert_problem(409, "account_deletion_pending");
    keeping().send().await.assert_status(204);
    server.login(&own.email).await;

    time(&delete("").send().await);
    let sooner = time(&delete("?at_once=true").send().await);
    assert!(sooner < deletes_at);
    assert_eq!(server.count("users"), 1);
    for request in [keeping(), delete(""), delete("?at_once=true")] {
        request.send().await.assert_problem(404, "not_found");
    }
    let condition = format!("actor_id = {} AND event LIKE 'account.%'", server.literal(admin.user.0));
    let audited = server.audited(&condition);
    let expected = ["requested", "cancelled", "requested", "requested"].map(|what| format!("account.deletion_{what}"));
    assert_eq!(audited, expected);
}

async fn a_disabled_account_has_no_link_that_keeps_it(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let admin = administrator(server).await;
    let (disabled, later) = (server.register().await, server.register().await);
    let delete = |tokens: &Tokens| server.delete(&user(tokens.user)).bearer(&admin.access);
    let disable = async |tokens: &Tokens| {
        let request = server.patch(&user(tokens.user)).bearer(&admin.access).json(&json!({"disabled": true}));
        request.send().await.assert_status(200);
    };
    disable(&disabled).await;
    time(&delete(&disabled).send().await);
    assert!(!post.email(&disabled.email, NOTICE, 1).await.text().contains("token="));
    server.try_login(&disabled.email, PASSWORD).await.assert_problem(403, "account_disabled");
    time(&delete(&later).send().await);
    let token = post.email(&later.email, NOTICE, 1).await.token();
    disable(&later).await;
    assert_dead(&with_token(server, CANCEL, &token).send().await);
}

async fn of_deletions_at_once_one_counts(servers: Servers) {
    for _ in 0..5 {
        let own = servers.register().await;
        let last = &servers.all()[servers.all().len() - 1];
        let requests = (0..6).map(|n| deleting(if n % 2 == 0 { &servers } else { last }, &own));
        let answers = at_once(requests).await;
        let mut times: Vec<Timestamp> = answers.iter().filter(|answer| answer.status == 202).map(time).collect();
        times.dedup();
        assert_eq!(times.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| [202, 401].contains(&answer.status)), "{answers:?}");
        let condition = format!("event = 'account.deletion_requested' AND user_id = {}", servers.literal(own.user.0));
        assert_eq!(servers.audited(&condition).len(), 1);
    }
}

async fn no_login_or_refresh_outlives_a_deletion_at_the_same_time(backend: Backend) {
    for grace in ["0", "3600"] {
        let servers = Servers::with(backend, &[("ACCOUNT_DELETION_GRACE", grace)]).await;
        let last = &servers.all()[servers.all().len() - 1];
        for _ in 0..4 {
            let own = servers.register().await;
            let login = last.post("/api/v1/auth/login").json(&json!({"email": own.email, "password": PASSWORD}));
            let answers =
                at_once([login, deleting(&servers, &own), last.refreshing(&own.refresh), login_of(&servers, &own)])
                    .await;
            time(&answers[1]);
            for answer in [&answers[0], &answers[2], &answers[3]] {
                assert!([200, 401, 403].contains(&answer.status), "{answer:?}");
                if answer.status == 200 {
                    let tokens = Tokens::of(answer);
                    let is_out = async || [401].contains(&last.me(&tokens.access).await.status).then_some(());
                    until("the login to end", is_out).await;
                    assert_eq!(last.refresh(&tokens.refresh).await.status, 401);
                }
            }
            let live = format!("sessions WHERE revoked_at IS NULL AND user_id = {}", servers.literal(own.user.0));
            assert_eq!(servers.count(&live), 0);
        }
    }
}

fn login_of(server: &Endpoint, own: &Tokens) -> Request {
    server.post("/api/v1/auth/login").json(&json!({"email": own.email, "password": PASSWORD}))
}

async fn an_address_is_free_again_for_exactly_one(backend: Backend) {
    let servers = Servers::with(backend, &[AT_ONCE]).await;
    let last = &servers.all()[servers.all().len() - 1];
    for _ in 0..4 {
        let own = servers.register().await;
        let again = (0..3).map(|_| registering(last, &own.email));
        let answers = at_once([deleting(&servers, &own)].into_iter().chain(again)).await;
        time(&answers[0]);
        let statuses: Vec<u16> = answers[1..].iter().map(|answer| answer.status).collect();
        assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{answers:?}");
        assert!(statuses.iter().filter(|status| **status == 201).count() <= 1, "{statuses:?}");
        let fresh = registering(last, &own.email).send().await;
        assert!([201, 409].contains(&fresh.status), "{fresh:?}");
        assert_ne!(last.login(&own.email).await.user, own.user);
    }
}

async fn an_administrator_who_is_deleted_acts_for_nobody(backend: Backend) {
    let deployment = Deployment::new(backend);
    let settings = [AT_ONCE, ("TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::start(&deployment, &settings, Clock::default()).await;
    let (admin, other, own) = (administrator(&server).await, administrator(&server).await, server.register().await);
    let acting = server.post(&format!("{}/impersonate", user(own.user))).bearer(&admin.access);
    let acting = acting.header("x-forwarded-for", "203.0.113.66").json(&json!({"reason": "the question of Ada"}));
    let access = acting.send().await.assert_status(200).json()["access_token"].as_str().unwrap().to_owned();
    server.me(&access).await.assert_status(200);
    time(&deleting(&server, &admin).send().await);
    server.me(&access).await.assert_problem(401, "invalid_token");
    // The person still sees that somebody acted, and why, but not from where.
    assert!(!everything(&server).contains("203.0.113.66"));
    let told = server.get("/api/v1/sessions/audit").bearer(&own.access).send().await.assert_status(200).json();
    let started = told["logs"].as_array().unwrap().iter().find(|entry| entry["event_type"] == "impersonation.started");
    assert_eq!(started.unwrap()["metadata"]["reason"], "the question of Ada");
    assert_eq!(started.unwrap()["actor_id"], json!(admin.user));
    server.me(&other.access).await.assert_status(200);
}

/// The events about or by an account, oldest first, with the user agents that are known of them.
fn agents(server: &Deployment, literal: &str) -> Vec<String> {
    server.texts(&format!(
        "SELECT event || ' ' || coalesce(user_agent, '-') AS text FROM audit_log \
         WHERE user_id = {literal} OR actor_id = {literal} ORDER BY id"
    ))
}

async fn of_what_administrators_did_to_a_deleted_account_their_own_data_stay(backend: Backend) {
    let server = Server::with(backend, &[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let (admin, other, own) = (administrator(&server).await, administrator(&server).await, server.register().await);
    let literals = [&admin, &other, &own].map(|tokens| server.literal(tokens.user.0));
    let as_admin = |request: Request, tokens: &Tokens, agent: &str| {
        let request = request.bearer(&tokens.access).header("user-agent", agent);
        request.header("x-forwarded-for", "203.0.113.66")
    };
    let target = |tokens: &Tokens| user(tokens.user);
    let renaming = server.patch(ME).json(&json!({"name": "Ada"}));
    as_admin(renaming, &own, "Own/1").send().await.assert_status(200);
    let moving = server.patch(&target(&own)).json(&json!({"email": address()}));
    as_admin(moving, &admin, "Admin/1").send().await.assert_status(200);
    let deleting = server.delete(&format!("{}?at_once=true", target(&own)));
    time(&as_admin(deleting, &admin, "Admin/1").send().await);
    let told = agents(&server, &literals[2]);
    for expected in ["account.profile_changed -", "email.changed Admin/1", "account.deletion_requested Admin/1"] {
        assert!(told.iter().any(|entry| entry == expected), "{expected}: {told:?}");
    }
    let by_nobody = format!("audit_log WHERE user_id = {} AND actor_id IS NULL AND ip IS NOT NULL", literals[2]);
    assert_eq!(server.count(&by_nobody), 0);
    // Which address it was is the person's.
    let details = format!("audit_log WHERE user_id = {} AND event = 'email.changed'", literals[2]);
    assert_eq!(server.texts(&format!("SELECT CAST(metadata AS TEXT) AS text FROM {details}")), ["{}"]);

    // And these are removed with the administrator's account, by whomever it is deleted.
    let deleting = server.delete(&format!("{}?at_once=true", target(&admin)));
    time(&as_admin(deleting, &other, "Other/1").send().await);
    let told = agents(&server, &literals[0]);
    assert!(told.contains(&"account.deletion_requested -".to_owned()), "{told:?}");
    assert!(told.contains(&"account.deletion_requested Other/1".to_owned()), "{told:?}");
    assert!(!told.iter().any(|entry| entry.ends_with("Admin/1")), "{told:?}");
}
