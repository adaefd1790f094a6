//! Sessions and tokens that are bound to a key (DPoP, RFC 9449).

use serde_json::{Value, json};

use crate::audit::administrator;
use crate::clients::{Client, assert_error, form, introspect, introspecting, register};
use crate::mfa::{LOGIN, completing, login, mfa_token, person};
use crate::oauth_token::TOKEN;
use crate::support::dpop::{claims, presents};
use crate::support::http::at_once;
use crate::support::tokens::jwt_part;
use crate::support::{PASSWORD, ProofKey, Request, Response, Server, Servers, Tokens, until};

both_backends! {
    a_login_with_a_proof_binds_its_session,
    a_second_factor_is_shown_with_the_key_of_the_password,
    without_a_proof_all_is_as_before,
    tokens_in_cookies_cannot_be_bound,
    a_bound_token_opens_nothing_without_its_key,
    a_bound_session_is_refreshed_with_its_key_only,
    refreshes_at_once_are_told_apart_by_their_keys,
    a_refused_refresh_is_no_evidence_of_theft,
    a_copied_token_revokes_nothing_without_its_key,
    a_refused_refresh_does_not_tell_what_has_become_of_the_session,
    a_session_that_is_not_bound_cannot_become_so,
    a_bound_session_repeats_its_last_refresh_at_any_time,
    once_a_successor_was_used_a_bound_session_repeats_nothing,
    a_reauthentication_keeps_the_key,
    an_administrator_acts_for_a_person_with_the_same_key,
    a_client_binds_its_own_token,
    an_exchanged_token_is_bound_to_the_key_of_the_client,
    an_introspection_tells_of_the_key,
    lists_and_the_audit_log_tell_of_bound_sessions,
}

const ME: &str = "/api/v1/auth/me";
const VERIFY: &str = "/api/v1/auth/verify";

/// Asserts that a refusal at a resource has a challenge of the scheme `DPoP`.
#[track_caller]
fn assert_challenged(answer: &Response, code: &str, error: &str) {
    answer.assert_problem(401, code);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with(&format!("DPoP error=\"{error}\"")), "{challenge}");
}

fn jkt(access_token: &str) -> Value {
    jwt_part(access_token, 1)["cnf"]["jkt"].clone()
}

async fn a_login_with_a_proof_binds_its_session(servers: Servers) {
    let key = ProofKey::new();
    let tokens = key.register(&servers).await;
    let request = servers.post(LOGIN).json(&login(&tokens.email));
    let answer = key.sends(&servers, request, None).send().await;
    assert_eq!(answer.assert_status(200).json()["token_type"], "DPoP");
    let tokens = Tokens::of(&answer);
    assert_eq!(jkt(&tokens.access), json!(key.thumbprint()));
    for server in servers.all() {
        key.me(server, &tokens.access).await.assert_status(200);
    }
    let next = key.refresh(&servers, &tokens.refresh).await;
    assert_eq!(next.assert_status(200).json()["token_type"], "DPoP");
    let next = Tokens::of(&next);
    assert_eq!(jkt(&next.access), json!(key.thumbprint()));
    key.me(&servers, &next.access).await.assert_status(200);
    let renamed = servers.patch(ME).json(&json!({"name": "Ada"}));
    for request in [renamed, servers.post("/api/v1/auth/logout")] {
        let answer = key.sends(&servers, request, Some(&next.access)).send().await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
    }
    key.refresh(&servers, &next.refresh).await.assert_problem(401, "session_revoked");
}

async fn a_second_factor_is_shown_with_the_key_of_the_password(server: Server) {
    let person = person(&server, &server.clock).await;
    let key = ProofKey::new();
    let begin = async |proven: bool| {
        let request = server.post(LOGIN).json(&login(&person.tokens.email));
        mfa_token(&if proven { key.sends(&server, request, None) } else { request }.send().await)
    };
    let token = begin(true).await;
    let complete = |token: &str| completing(&server, token, "totp", &person.app.code(server.clock.now(), 0));
    complete(&token).send().await.assert_problem(400, "dpop_required");
    let other = ProofKey::new().sends(&server, complete(&token), None);
    other.send().await.assert_problem(400, "dpop_key_mismatch");
    let answer = key.sends(&server, complete(&token), None).send().await;
    assert_eq!(answer.assert_status(200).json()["token_type"], "DPoP");
    key.me(&server, &Tokens::of(&answer).access).await.assert_status(200);
    // The key may also be shown with the second factor only.
    server.advance(30);
    let token = begin(false).await;
    let answer = key.sends(&server, complete(&token), None).send().await;
    assert_eq!(jkt(&Tokens::of(&answer).access), json!(key.thumbprint()));
}

async fn without_a_proof_all_is_as_before(server: Server) {
    let tokens = server.register().await;
    assert_eq!(tokens.claims().get("cnf"), None);
    server.me(&tokens.access).await.assert_status(200);
    // A proof that nobody asks for is not looked at.
    server.get(ME).bearer(&tokens.access).header("dpop", "x").send().await.assert_status(200);
    let with_scheme = presents(server.get(ME), Some(&tokens.access));
    assert_challenged(&with_scheme.send().await, "dpop_not_bound", "invalid_token");
    assert_challenged(&ProofKey::new().me(&server, &tokens.access).await, "dpop_not_bound", "invalid_token");
    for (scheme, status) in [("dPoP", 401), ("DPoP ", 401), ("DPoPe", 400)] {
        let request = server.get(ME).header("authorization", &format!("{scheme} {}", tokens.access));
        request.send().await.assert_status(status);
    }
    let joined = format!("Bearer {0}, DPoP {0}", tokens.access);
    server.get(ME).header("authorization", &joined).send().await.assert_problem(400, "malformed_authorization");
}

async fn tokens_in_cookies_cannot_be_bound(server: Server) {
    let email = "ada@example.com";
    let key = ProofKey::new();
    let body = json!({"email": email, "password": PASSWORD, "transport": "cookie"});
    for path in ["/api/v1/auth/register", LOGIN] {
        let refused = key.sends(&server, server.post(path).json(&body), None).send().await;
        refused.assert_problem(400, "dpop_with_cookies");
        assert!(refused.header("set-cookie").is_none());
    }
    assert_eq!(server.count("users"), 0);
}

async fn a_bound_token_opens_nothing_without_its_key(servers: Servers) {
    let key = ProofKey::new();
    let tokens = key.register(&servers).await;
    for server in servers.all() {
        for request in [server.get(ME), server.get("/api/v1/sessions"), server.post("/api/v1/auth/logout-all")] {
            let request = || request.clone();
            // Downgraded to what a thief of the token could send.
            assert_challenged(&request().bearer(&tokens.access).send().await, "dpop_required", "invalid_token");
            let without = presents(request(), Some(&tokens.access));
            assert_challenged(&without.send().await, "dpop_required", "invalid_token");
            let with_cookie = request().header("cookie", &format!("__Host-keyturn_access={}", tokens.access));
            let with_cookie = with_cookie.header("origin", crate::support::deployment::PUBLIC_URL);
            assert_challenged(&with_cookie.send().await, "dpop_required", "invalid_token");
            let other = ProofKey::new().sends(server, request(), Some(&tokens.access));
            assert_challenged(&other.send().await, "dpop_key_mismatch", "invalid_dpop_proof");
            let of_another =
                key.prove(&claims(server.clock.now(), &server.get("/api/v1/admin/users"), Some(&tokens.access)));
            let of_another = presents(request(), Some(&tokens.access)).header("dpop", &of_another);
            assert_challenged(&of_another.send().await, "invalid_dpop_proof", "invalid_dpop_proof");
        }
        key.me(server, &tokens.access).await.assert_status(200);
    }
    // What is not valid is not, whatever proves it.
    key.sends(&servers, servers.post("/api/v1/auth/logout"), Some(&tokens.access)).send().await.assert_status(204);
    key.me(&servers, &tokens.access).await.assert_problem(401, "invalid_token");
}

fn refreshing_by_form(server: &Server, refresh_token: &str) -> Request {
    form(server, TOKEN, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
}

async fn a_bound_session_is_refreshed_with_its_key_only(servers: Servers) {
    let key = ProofKey::new();
    let other = ProofKey::new();
    let mut tokens = key.register(&servers).await;
    for server in servers.all() {
        server.refresh(&tokens.refresh).await.assert_problem(400, "dpop_required");
        other.refresh(server, &tokens.refresh).await.assert_problem(400, "dpop_key_mismatch");
        let of_another = key.prove(&claims(server.clock.now(), &server.post(LOGIN), None));
        let of_another = server.refreshing(&tokens.refresh).header("dpop", &of_another);
        of_another.send().await.assert_problem(400, "invalid_dpop_proof");
        let plain = refreshing_by_form(server, &tokens.refresh);
        assert_error(&plain.clone().send().await, 400, "invalid_dpop_proof");
        assert_error(&other.sends(server, plain.clone(), None).send().await, 400, "invalid_dpop_proof");
        assert_error(&plain.clone().header("dpop", "x").send().await, 400, "invalid_dpop_proof");
        let answer = key.sends(server, plain, None).send().await;
        assert_eq!(answer.assert_status(200).json()["token_type"], "DPoP");
        tokens = key.refreshed(server, &Tokens::of(&answer)).await;
    }
    let unproven = servers.refreshes("unproven").await;
    assert_eq!(unproven, 4);
}

async fn a_refused_refresh_is_no_evidence_of_theft(server: Server) {
    let key = ProofKey::new();
    let first = key.register(&server).await;
    let second = key.refreshed(&server, &first).await;
    let third = key.refreshed(&server, &second).await;
    key.me(&server, &third.access).await.assert_status(200);
    until("the use to be noted", async || (server.count("sessions WHERE access_seen") == 1).then_some(())).await;
    server.advance(400);
    let before = server.rows("sessions");
    for _ in 0..3 {
        for token in [&first.refresh, &second.refresh, &third.refresh] {
            server.refresh(token).await.assert_problem(400, "dpop_required");
            ProofKey::new().refresh(&server, token).await.assert_problem(400, "dpop_key_mismatch");
        }
        server.advance(2);
    }
    assert_eq!(server.rows("sessions"), before);
    assert_eq!(server.audited("event LIKE 'refresh_token.%'"), Vec::<String>::new());
    key.refreshed(&server, &third).await;
    // With the key it is evidence, as ever.
    server.advance(400);
    key.refresh(&server, &first.refresh).await.assert_problem(401, "refresh_token_reused");
}

async fn a_copied_token_revokes_nothing_without_its_key(server: Server) {
    let key = ProofKey::new();
    let first = key.register(&server).await;
    let tokens = key.refreshed(&server, &first).await;
    for token in [&first.refresh, &tokens.refresh, &tokens.access] {
        let revoking = || form(&server, "/oauth/revoke", &[("token", token)]);
        assert_error(&revoking().send().await, 400, "invalid_dpop_proof");
        assert_error(&ProofKey::new().sends(&server, revoking(), None).send().await, 400, "invalid_dpop_proof");
        key.me(&server, &tokens.access).await.assert_status(200);
    }
    let revoking = |token: &str| form(&server, "/oauth/revoke", &[("token", token)]);
    key.sends(&server, revoking(&tokens.access), None).send().await.assert_status(200);
    key.me(&server, &tokens.access).await.assert_status(401);
    let tokens = key.refreshed(&server, &tokens).await;
    key.sends(&server, revoking(&tokens.refresh), None).send().await.assert_status(200);
    key.refresh(&server, &tokens.refresh).await.assert_problem(401, "session_revoked");
}

async fn a_refused_refresh_does_not_tell_what_has_become_of_the_session(server: Server) {
    let key = ProofKey::new();
    let tokens = key.register(&server).await;
    key.sends(&server, server.post("/api/v1/auth/logout"), Some(&tokens.access)).send().await.assert_status(204);
    server.refresh(&tokens.refresh).await.assert_problem(400, "dpop_required");
    ProofKey::new().refresh(&server, &tokens.refresh).await.assert_problem(400, "dpop_key_mismatch");
    key.refresh(&server, &tokens.refresh).await.assert_problem(401, "session_revoked");
}

async fn a_session_that_is_not_bound_cannot_become_so(server: Server) {
    let tokens = server.register().await;
    let key = ProofKey::new();
    let answer = key.refresh(&server, &tokens.refresh).await;
    assert_eq!(answer.assert_status(200).json()["token_type"], "Bearer");
    let next = Tokens::of(&answer);
    assert_eq!(next.claims().get("cnf"), None);
    server.me(&next.access).await.assert_status(200);
    // A proof that is not valid is refused all the same, and nothing has happened.
    let refused = server.refreshing(&next.refresh).header("dpop", "x").send().await;
    refused.assert_problem(400, "invalid_dpop_proof");
    server.refreshed(&next).await;
}

async fn a_reauthentication_keeps_the_key(server: Server) {
    let key = ProofKey::new();
    let tokens = key.register(&server).await;
    let request = server.post("/api/v1/auth/reauthenticate").json(&json!({"password": PASSWORD}));
    let answer = key.sends(&server, request, Some(&tokens.access)).send().await.assert_status(200).json();
    assert_eq!(answer["token_type"], "DPoP");
    let access = answer["access_token"].as_str().unwrap();
    key.me(&server, access).await.assert_status(200);
    server.me(access).await.assert_problem(401, "dpop_required");
}

async fn an_administrator_acts_for_a_person_with_the_same_key(server: Server) {
    let person = server.register().await;
    let key = ProofKey::new();
    let admin = key.register(&server).await;
    let condition = format!("id = {}", server.literal(admin.user.0));
    server.sql(&format!("UPDATE users SET roles = '[\"user\",\"admin\"]' WHERE {condition}"));
    let path = format!("/api/v1/admin/users/{}/impersonate", person.user);
    let request = server.post(&path).json(&json!({"reason": "a question"}));
    request.clone().bearer(&admin.access).send().await.assert_problem(401, "dpop_required");
    let answer = key.sends(&server, request, Some(&admin.access)).send().await.assert_status(200).json();
    assert_eq!(answer["token_type"], "DPoP");
    let access = answer["access_token"].as_str().unwrap();
    key.me(&server, access).await.assert_status(200);
    server.me(access).await.assert_problem(401, "dpop_required");
}

async fn token(server: &Server, client: &Client, key: Option<&ProofKey>, fields: &[(&str, &str)]) -> Response {
    let request = form(server, TOKEN, fields).header("authorization", &client.basic());
    if let Some(key) = key { key.sends(server, request, None) } else { request }.send().await
}

async fn a_client_binds_its_own_token(server: Server) {
    let (_, client) = introspecting(&server).await;
    let key = ProofKey::new();
    let grant = [("grant_type", "client_credentials")];
    let answer = token(&server, &client, Some(&key), &grant).await.assert_status(200).json();
    assert_eq!(answer["token_type"], "DPoP");
    let access = answer["access_token"].as_str().unwrap();
    assert_eq!(jkt(access), json!(key.thumbprint()));
    let asking = || form(&server, "/oauth/introspect", &[("token", access)]);
    let refused = asking().bearer(access).send().await;
    assert_eq!((refused.status, refused.json()["error"].clone()), (401, json!("invalid_token")));
    assert!(refused.header("www-authenticate").unwrap().starts_with("DPoP error=\"invalid_token\""));
    let refused = ProofKey::new().sends(&server, asking(), Some(access)).send().await;
    assert_eq!((refused.status, refused.json()["error"].clone()), (401, json!("invalid_dpop_proof")));
    let told = key.sends(&server, asking(), Some(access)).send().await.assert_status(200).json();
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("DPoP")));
    assert_eq!(told["cnf"], json!({"jkt": key.thumbprint()}));
    let reader = server.reader().await;
    server.get("/api/v1/revocations").header("authorization", &reader).send().await.assert_status(200);
    // A proof that is not valid costs nothing but an answer.
    let request = form(&server, TOKEN, &grant).header("authorization", &client.basic()).header("dpop", "x");
    assert_error(&request.send().await, 400, "invalid_dpop_proof");
    let plain = token(&server, &client, None, &grant).await.assert_status(200).json();
    assert_eq!(plain["token_type"], "Bearer");
}

async fn an_exchanged_token_is_bound_to_the_key_of_the_client(server: Server) {
    let admin = administrator(&server).await;
    let body = json!({"name": "gateway", "scopes": ["token-exchange", "introspect"], "audiences": ["billing"]});
    let client = register(&server, &admin, &body).await;
    let (persons, clients) = (ProofKey::new(), ProofKey::new());
    let tokens = persons.register(&server).await;
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &*tokens.access),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let bound = token(&server, &client, Some(&clients), &fields).await.assert_status(200).json();
    assert_eq!(bound["token_type"], "DPoP");
    assert_eq!(jkt(bound["access_token"].as_str().unwrap()), json!(clients.thumbprint()));
    let plain = token(&server, &client, None, &fields).await.assert_status(200).json();
    assert_eq!(plain["token_type"], "Bearer");
    let plain = plain["access_token"].as_str().unwrap();
    assert_eq!(jkt(plain), Value::Null);
    assert_eq!(introspect(&server, &client, plain).await.json()["active"], true);
    server.get(&format!("{VERIFY}?audience=billing")).bearer(plain).send().await.assert_status(200);
}

async fn an_introspection_tells_of_the_key(server: Server) {
    let (_, client) = introspecting(&server).await;
    let key = ProofKey::new();
    let tokens = key.register(&server).await;
    let told = introspect(&server, &client, &tokens.access).await.json();
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("DPoP")));
    assert_eq!(told["cnf"], json!({"jkt": key.thumbprint()}));
    let told = introspect(&server, &client, &tokens.refresh).await.json();
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("refresh_token")));
    assert_eq!(told["cnf"], json!({"jkt": key.thumbprint()}));
    let bearer = server.register().await;
    for token in [&bearer.access, &bearer.refresh] {
        assert_eq!(introspect(&server, &client, token).await.json().get("cnf"), None);
    }
}

async fn lists_and_the_audit_log_tell_of_bound_sessions(server: Server) {
    let key = ProofKey::new();
    let bound = key.register(&server).await;
    server.login(&bound.email).await;
    let request = server.post(LOGIN).json(&login(&bound.email));
    key.sends(&server, request, None).send().await.assert_status(200);
    let list = key.sends(&server, server.get("/api/v1/sessions"), Some(&bound.access)).send().await;
    let list = list.assert_status(200).json();
    let told: Vec<&Value> = list["sessions"].as_array().unwrap().iter().map(|session| &session["dpop"]).collect();
    assert_eq!(told, [&json!(true), &json!(false), &json!(true)]);
    let entries = server.rows("audit_log").into_iter();
    let logins: Vec<bool> = entries
        .filter(|entry| ["account.registered", "login.succeeded"].contains(&entry["event"].as_str().unwrap()))
        .map(|entry| entry["metadata"].to_string().contains("dpop"))
        .collect();
    assert_eq!(logins.iter().filter(|is_bound| **is_bound).count(), 2, "{logins:?}");
    assert_eq!(logins.len(), 3);
}

async fn a_bound_session_repeats_its_last_refresh_at_any_time(servers: Servers) {
    let key = ProofKey::new();
    let mut tokens = key.register(&servers).await;
    // As often as an answer is lost, which would end a session that is not bound.
    for _ in 0..4 {
        let lost = key.refreshed(&servers, &tokens).await;
        for server in servers.all() {
            servers.advance(20);
            let repeated = key.refreshed(server, &tokens).await;
            assert_eq!(repeated.refresh, lost.refresh);
            assert_eq!(jkt(&repeated.access), json!(key.thumbprint()));
        }
        servers.advance(2 * 24 * 60 * 60);
        let repeated = key.refreshed(&servers, &tokens).await;
        assert_eq!(repeated.refresh, lost.refresh);
        tokens = repeated;
    }
    key.me(&servers, &tokens.access).await.assert_status(200);
    // A thief of the token gets none of this.
    let next = key.refreshed(&servers, &tokens).await;
    servers.advance(20);
    servers.refresh(&tokens.refresh).await.assert_problem(400, "dpop_required");
    ProofKey::new().refresh(&servers, &tokens.refresh).await.assert_problem(400, "dpop_key_mismatch");
    assert_eq!(key.refreshed(&servers, &tokens).await.refresh, next.refresh);
}

async fn once_a_successor_was_used_a_bound_session_repeats_nothing(server: Server) {
    let key = ProofKey::new();
    let first = key.register(&server).await;
    let second = key.refreshed(&server, &first).await;
    key.me(&server, &second.access).await.assert_status(200);
    until("the use to be noted", async || (server.count("sessions WHERE access_seen") == 1).then_some(())).await;
    server.advance(400);
    key.refresh(&server, &first.refresh).await.assert_problem(401, "refresh_token_reused");
    let first = key.register(&server).await;
    let second = key.refreshed(&server, &first).await;
    key.refreshed(&server, &second).await;
    server.advance(400);
    key.refresh(&server, &first.refresh).await.assert_problem(401, "refresh_token_reused");
}

async fn refreshes_at_once_are_told_apart_by_their_keys(server: Server) {
    let key = ProofKey::new();
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(key.register(&server).await);
    }
    let plain = server.register().await;
    let other = ProofKey::new();
    // Many of these are carried out by one statement.
    let mut requests =
        vec![server.refreshing(&plain.refresh), key.sends(&server, server.refreshing(&plain.refresh), None)];
    for tokens in &sessions {
        let refreshing = || server.refreshing(&tokens.refresh);
        requests.extend([
            refreshing(),
            other.sends(&server, refreshing(), None),
            key.sends(&server, refreshing(), None),
            key.sends(&server, refreshing(), None),
        ]);
    }
    let answers = at_once(requests).await;
    let (of_plain, of_bound) = answers.split_at(2);
    of_plain.iter().for_each(|answer| assert_eq!(answer.assert_status(200).json()["token_type"], "Bearer"));
    for (answers, tokens) in of_bound.chunks(4).zip(&sessions) {
        answers[0].assert_problem(400, "dpop_required");
        answers[1].assert_problem(400, "dpop_key_mismatch");
        let pair = [Tokens::of(&answers[2]), Tokens::of(&answers[3])];
        assert_eq!(pair[0].refresh, pair[1].refresh);
        assert_eq!(jkt(&pair[0].access), json!(key.thumbprint()));
        assert_eq!(server.session(tokens.session).generation, 1);
    }
}
