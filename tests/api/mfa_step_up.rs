//! What changes factors, or acts as an administrator, needs a second factor where the account has one: a session that
//! never showed it is asked for it.

use serde_json::json;

use crate::admin::changing;
use crate::audit::administrator;
use crate::mfa::{CONFIRM, LOGIN, Person, REAUTHENTICATE, RECOVERY_CODES, TOTP, confirming, enrol, login, person};
use crate::support::http::at_once;
use crate::support::{Authenticator, PASSWORD, Request, Response, Server, Servers, Tokens};
use crate::trusted_devices::{DEVICES, trust};

both_backends! {
    a_session_that_never_showed_the_second_factor_cannot_change_it,
    a_login_from_a_trusted_device_cannot_change_the_second_factor,
    the_session_that_enabled_the_second_factor_has_shown_it_everywhere,
    whoever_removes_the_second_factor_while_it_is_enabled_has_shown_it,
    administrators_with_a_second_factor_show_it_for_what_they_change,
    enabling_the_second_factor_ends_the_other_sessions_if_wanted,
}

fn sensitive(server: &Server, access: &str) -> Vec<Request> {
    let change = server.post("/api/v1/auth/email/change").json(&json!({"new_email": "new@example.com"}));
    let requests = [change, server.delete(DEVICES), server.post(RECOVERY_CODES), server.delete(TOTP)];
    requests.map(|request| request.bearer(access)).into()
}

#[track_caller]
fn assert_asks_for_second_factor(answer: &Response) {
    answer.assert_problem(401, "second_factor_required");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_user_authentication\", "), "{challenge}");
    assert!(challenge.ends_with(", max_age=600"), "{challenge}");
}

/// Asserts that a session cannot change what protects its account, before its owner has shown a code.
async fn assert_cannot_change(server: &Server, person: &Person, access: &str) {
    for request in sensitive(server, access) {
        assert_asks_for_second_factor(&request.send().await);
    }
    let reauthenticate = async |body| server.post(REAUTHENTICATE).bearer(access).json(&body).send().await;
    reauthenticate(json!({"password": PASSWORD})).await.assert_problem(401, "mfa_required");
    for request in sensitive(server, access) {
        assert_asks_for_second_factor(&request.send().await);
    }
    let code = person.app.code(server.clock.now(), 1);
    reauthenticate(json!({"password": PASSWORD, "code": code})).await.assert_status(200);
    for request in sensitive(server, access) {
        let answer = request.send().await;
        assert!(matches!(answer.status, 200 | 202 | 204), "{answer:?}");
    }
    assert_eq!(server.count("totp_secrets"), 0);
}

async fn a_session_that_never_showed_the_second_factor_cannot_change_it(server: Server) {
    let owner = server.register().await;
    let thief = server.login(&owner.email).await;
    let app = enrol(&server, &owner.access).await;
    confirming(&server, &owner.access, &app.former_code(&server.clock).await).send().await.assert_status(200);
    let owner = Person { tokens: owner, app, recovery_codes: Vec::new() };
    assert_cannot_change(&server, &owner, &server.refreshed(&thief).await.access).await;
}

async fn a_login_from_a_trusted_device_cannot_change_the_second_factor(server: Server) {
    let owner = person(&server, &server.clock).await;
    let mut body = login(&owner.tokens.email);
    body["trusted_device"] = json!(trust(&server, &owner).await);
    let tokens = Tokens::of(&server.post(LOGIN).json(&body).send().await);
    assert_eq!(tokens.claims()["amr"], json!(["pwd"]));
    assert_cannot_change(&server, &owner, &tokens.access).await;
}

async fn the_session_that_enabled_the_second_factor_has_shown_it_everywhere(servers: Servers) {
    let tokens = servers.register().await;
    let app = enrol(&servers, &tokens.access).await;
    confirming(&servers, &tokens.access, &app.code(servers.clock.now(), 0)).send().await.assert_status(200);
    for server in servers.all() {
        server.post(RECOVERY_CODES).bearer(&tokens.access).send().await.assert_status(200);
    }
    let next = servers.refreshed(&tokens).await;
    assert_eq!(next.claims()["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!(next.claims()["auth_time"], tokens.claims()["auth_time"], "the password was not shown again");
    servers.advance(601);
    let refused = servers.post(RECOVERY_CODES).bearer(&next.access).send().await;
    refused.assert_problem(401, "insufficient_user_authentication");
}

async fn whoever_removes_the_second_factor_while_it_is_enabled_has_shown_it(server: Server) {
    for _ in 0..12 {
        let owner = server.register().await;
        let thief = server.login(&owner.email).await;
        let app: Authenticator = enrol(&server, &owner.access).await;
        let confirm = confirming(&server, &owner.access, &app.code(server.clock.now(), 0));
        let removals = (0..6).map(|_| server.delete(TOTP).bearer(&thief.access));
        let answers = at_once([confirm].into_iter().chain(removals)).await;
        let is_enabled = server.me(&owner.access).await.json()["mfa_enabled"] == true;
        assert_eq!(answers[0].status == 200, is_enabled, "{answers:?}");
    }
}

async fn administrators_with_a_second_factor_show_it_for_what_they_change(server: Server) {
    let (admin, victim) = (administrator(&server).await, server.register().await);
    let other = server.login(&admin.email).await;
    let app = enrol(&server, &admin.access).await;
    confirming(&server, &admin.access, &app.former_code(&server.clock).await).send().await.assert_status(200);
    for request in changing(&server, &victim) {
        assert_asks_for_second_factor(&request.bearer(&other.access).send().await);
    }
    server.me(&victim.access).await.assert_status(200);
    let body = json!({"password": PASSWORD, "code": app.code(server.clock.now(), 0)});
    server.post(REAUTHENTICATE).bearer(&other.access).json(&body).send().await.assert_status(200);
    for request in changing(&server, &victim).into_iter().rev() {
        let answer = request.bearer(&other.access).send().await;
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    }
}

async fn enabling_the_second_factor_ends_the_other_sessions_if_wanted(server: Server) {
    for (wanted, revoked) in [(Some(true), 2), (Some(false), 0), (None, 0)] {
        let own = server.register().await;
        let others = [server.login(&own.email).await, server.login(&own.email).await];
        let app = enrol(&server, &own.access).await;
        let confirm = |code: &str| {
            let mut body = json!({"code": code});
            if let Some(wanted) = wanted {
                body["revoke_other_sessions"] = json!(wanted);
            }
            server.post(CONFIRM).bearer(&own.access).json(&body)
        };
        confirm("abcdef").send().await.assert_problem(401, "invalid_code");
        server.me(&others[0].access).await.assert_status(200);
        let answer = confirm(&app.code(server.clock.now(), 0)).send().await;
        let body = answer.assert_status(200).json();
        assert_eq!(
            (&body["sessions_revoked"], body["recovery_codes"].as_array().unwrap().len()),
            (&json!(revoked), 10)
        );
        server.me(&own.access).await.assert_status(200);
        for other in &others {
            let status = if revoked == 0 { 200 } else { 401 };
            assert_eq!(server.me(&other.access).await.status, status);
            let reason = server.session(other.session).revoked_reason;
            assert_eq!(reason.as_deref(), (revoked > 0).then_some("ended_by_owner"));
        }
    }
    let own = server.register().await;
    let body = json!({"code": "123456", "revoke_other_sessions": "yes"});
    server.post(CONFIRM).bearer(&own.access).json(&body).send().await.assert_invalid("revoke_other_sessions");
}
