//! Authenticating again within a session, for what needs a recent login.

use serde_json::{Value, json};

use crate::support::deployment::PUBLIC_URL;
use crate::support::http::at_once;
use crate::support::tokens::jwt_part;
use crate::support::{Backend, PASSWORD, Request, Response, Server, Servers, until};

const REAUTHENTICATE: &str = "/api/v1/auth/reauthenticate";

const ACCESS_COOKIE: &str = "__Host-keyturn_access";
const REFRESH_COOKIE: &str = "__Secure-keyturn_refresh";

both_backends! {
    who_authenticates_again_gets_a_token_that_says_so_in_the_same_session,
    a_token_got_by_authenticating_again_ends_with_the_one_that_it_stands_for,
    authenticating_again_after_a_lost_refresh_does_not_make_a_thief_of_the_client,
    a_repeated_refresh_tells_of_the_new_authentication,
    nobody_authenticates_again_with_a_wrong_password,
    guesses_at_authenticating_again_are_limited_like_logins,
    a_browser_gets_the_new_access_token_as_a_cookie_and_no_other,
    a_session_that_ends_meanwhile_is_not_renewed,
    what_is_wrong_with_a_request_to_authenticate_again_is_told,
}

fn reauthenticating(server: &Server, access_token: &str) -> Request {
    server.post(REAUTHENTICATE).bearer(access_token).json(&json!({"password": PASSWORD}))
}

/// The access token that an answer holds.
fn access_token(answer: &Response) -> String {
    answer.assert_status(200).json()["access_token"].as_str().unwrap().to_owned()
}

fn claims(access_token: &str) -> Value {
    jwt_part(access_token, 1)
}

/// The condition of all events but those of the beginning.
const LATER: &str = "event NOT IN ('key.created', 'account.registered')";

async fn who_authenticates_again_gets_a_token_that_says_so_in_the_same_session(server: Server) {
    server.clock.hold();
    let tokens = server.register().await;
    server.advance(300);
    let answer = reauthenticating(&server, &tokens.access).send().await;
    let body = answer.assert_status(200).json();
    assert!(body.get("refresh_token").is_none(), "{body}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(body["session_id"], json!(tokens.session));
    assert!((595..=600).contains(&body["expires_in"].as_i64().unwrap()), "{body}");

    let (before, after) = (tokens.claims(), claims(&access_token(&answer)));
    assert!(after["auth_time"].as_i64().unwrap() >= before["auth_time"].as_i64().unwrap() + 300, "{after}");
    assert_eq!(after["iat"], after["auth_time"]);
    for same in ["jti", "sid", "sub", "exp", "nbf", "amr", "roles"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    server.me(&tokens.access).await.assert_status(200);
    server.me(&access_token(&answer)).await.assert_status(200);

    let next = server.refreshed(&tokens).await;
    assert_eq!(next.claims()["auth_time"], after["auth_time"]);
    assert_eq!((server.count("sessions"), server.session(tokens.session).revoked_at), (1, None));
    assert_eq!(server.audited(LATER), ["reauthentication.succeeded"]);
}

async fn a_token_got_by_authenticating_again_ends_with_the_one_that_it_stands_for(servers: Servers) {
    let tokens = servers.register().await;
    let renewed = access_token(&reauthenticating(&servers, &tokens.access).send().await);
    let next = servers.refreshed(&tokens).await;
    servers.advance(10);
    for server in servers.all() {
        for ended in [&tokens.access, &renewed] {
            server.assert_superseded(ended).await;
        }
        server.me(&next.access).await.assert_status(200);
    }
    let renewed = access_token(&reauthenticating(&servers, &next.access).send().await);
    servers.logout(&next.access).await.assert_status(204);
    for server in servers.all() {
        server.me(&renewed).await.assert_problem(401, "invalid_token");
    }
}

async fn authenticating_again_after_a_lost_refresh_does_not_make_a_thief_of_the_client(server: Server) {
    let first = server.register().await;
    let lost = server.refreshed(&first).await;
    // The client knows nothing of that and goes on with what it has.
    let renewed = access_token(&reauthenticating(&server, &first.access).send().await);
    assert_eq!(claims(&renewed)["jti"], first.claims()["jti"]);
    server.me(&renewed).await.assert_status(200);
    until("the use to be noted", async || {
        let row = server.session(first.session);
        (row.last_active_at > row.issued_at).then_some(())
    })
    .await;
    assert!(!server.session(first.session).access_seen);
    server.advance(60);
    server.assert_superseded(&renewed).await;
    let recovered = server.refreshed(&first).await;
    assert_eq!(recovered.refresh, lost.refresh);
    assert_eq!(recovered.claims()["auth_time"], claims(&renewed)["auth_time"]);
    server.me(&recovered.access).await.assert_status(200);
}

async fn a_repeated_refresh_tells_of_the_new_authentication(server: Server) {
    server.clock.hold();
    let first = server.register().await;
    server.advance(30);
    let second = server.refreshed(&first).await;
    server.advance(2);
    let renewed = claims(&access_token(&reauthenticating(&server, &second.access).send().await));
    let again = server.refreshed(&first).await;
    assert_eq!((&again.refresh, again.jti()), (&second.refresh, second.jti()));
    let again = again.claims();
    assert_eq!((&again["auth_time"], &again["exp"]), (&renewed["auth_time"], &second.claims()["exp"]));
    assert!(again["iat"].as_i64() >= again["auth_time"].as_i64(), "{again}");
}

async fn nobody_authenticates_again_with_a_wrong_password(server: Server) {
    let tokens = server.register().await;
    let before = server.session(tokens.session);
    for password in ["not the password", "short", ""] {
        let request = server.post(REAUTHENTICATE).bearer(&tokens.access).json(&json!({"password": password}));
        request.send().await.assert_problem(401, "invalid_credentials");
    }
    assert_eq!(server.session(tokens.session).revision, before.revision);
    assert_eq!(server.audited(LATER), ["reauthentication.failed"; 3]);
    let rows = server.rows("audit_log");
    let row = rows.iter().find(|row| row["event"] == "reauthentication.failed").unwrap();
    assert_eq!(row["outcome"], "failure");
    assert!(row.to_string().contains("invalid_credentials"), "{row}");
    server.me(&tokens.access).await.assert_status(200);
}

async fn guesses_at_authenticating_again_are_limited_like_logins(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_LOGIN_ACCOUNT", "3/900")]).await;
    let tokens = server.register().await;
    for _ in 0..2 {
        let request = server.post(REAUTHENTICATE).bearer(&tokens.access).json(&json!({"password": "a guess"}));
        request.send().await.assert_problem(401, "invalid_credentials");
    }
    server.try_login(&tokens.email, "a guess").await.assert_problem(401, "invalid_credentials");
    let refused = reauthenticating(&server, &tokens.access).send().await;
    refused.assert_problem(429, "too_many_requests");
    assert!(refused.header("retry-after").is_some());
    server.me(&tokens.access).await.assert_status(200);
}

async fn a_browser_gets_the_new_access_token_as_a_cookie_and_no_other(server: Server) {
    let email = server.register().await.email;
    let body = json!({"email": email, "password": PASSWORD, "transport": "cookie"});
    let login = server.post("/api/v1/auth/login").json(&body).send().await;
    let cookie = format!("{ACCESS_COOKIE}={}", login.set_cookies(ACCESS_COOKIE)[0].0);
    let request = server.post(REAUTHENTICATE).header("cookie", &cookie).json(&json!({"password": PASSWORD}));
    request.clone().header("origin", "https://evil.example").send().await.assert_problem(403, "origin_not_allowed");

    let answer = request.header("origin", PUBLIC_URL).send().await;
    let told = answer.assert_status(200).json();
    assert!(told.get("access_token").is_none() && told.get("refresh_token").is_none(), "{told}");
    assert!(answer.set_cookies(REFRESH_COOKIE).is_empty());
    let cookies = answer.set_cookies(ACCESS_COOKIE);
    let [(token, attributes)] = cookies.as_slice() else { panic!("{cookies:?}") };
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(attributes.contains(attribute), "{attributes}");
    }
    server.get("/api/v1/auth/me").header("cookie", &format!("{ACCESS_COOKIE}={token}")).send().await.assert_status(200);
}

async fn a_session_that_ends_meanwhile_is_not_renewed(server: Server) {
    for _ in 0..5 {
        let tokens = server.register().await;
        let logout = server.post("/api/v1/auth/logout").bearer(&tokens.access);
        let answers = at_once([reauthenticating(&server, &tokens.access), logout]).await;
        answers[1].assert_status(204);
        match answers[0].status {
            200 => drop(server.me(&access_token(&answers[0])).await.assert_problem(401, "invalid_token").clone()),
            _ => drop(answers[0].assert_problem(401, "invalid_token").clone()),
        }
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    }
}

async fn what_is_wrong_with_a_request_to_authenticate_again_is_told(server: Server) {
    let tokens = server.register().await;
    for (body, field) in [
        (json!({}), "password"),
        (json!({"password": 7}), "password"),
        (json!({"password": PASSWORD, "email": tokens.email}), "email"),
    ] {
        server.post(REAUTHENTICATE).bearer(&tokens.access).json(&body).send().await.assert_invalid(field);
    }
    assert_eq!(server.audited(LATER), [""; 0]);
}
