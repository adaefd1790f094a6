//! Devices that log in with the password alone: trusted, listed, deleted.

use serde_json::json;

use crate::mfa::{
    ACCESS_COOKIE, CHANGE, DAY, FIREFOX, LOGIN, MFA, NEW_PASSWORD, OF_MFA, Person, TOTP, challenge, login, mfa_token,
    person,
};
use crate::support::{PASSWORD, Response, Server, Tokens};

both_backends! {
    a_trusted_device_logs_in_with_the_password_alone,
    a_device_is_trusted_for_its_account_and_thirty_days,
    trusted_devices_are_listed_and_forgotten_by_their_owner_alone,
    a_change_of_password_or_of_the_second_factor_forgets_all_trusted_devices,
    a_browser_keeps_its_trusted_device_in_a_cookie_of_the_login,
}

pub const DEVICES: &str = "/api/v1/auth/trusted-devices";

pub const DEVICE_COOKIE: &str = "__Secure-keyturn_device";

/// Logs in and has the device remembered; gives the device's token.
pub async fn trust(server: &Server, person: &Person) -> String {
    let mfa_token = challenge(server, &person.tokens.email).await;
    let code = person.app.code(server.clock.now(), 0);
    let body = json!({"mfa_token": mfa_token, "method": "totp", "code": code, "remember_device": true});
    let answer = server.post(MFA).header("user-agent", FIREFOX).json(&body).send().await;
    let token = answer.assert_status(200).json()["trusted_device"].as_str().unwrap().to_owned();
    assert!(token.starts_with("ktd_") && token.len() == 47);
    token
}

async fn login_from(server: &Server, email: &str, trusted_device: &str) -> Response {
    let mut body = login(email);
    body["trusted_device"] = json!(trusted_device);
    server.post(LOGIN).json(&body).send().await
}

async fn a_trusted_device_logs_in_with_the_password_alone(server: Server) {
    let person = person(&server, &server.clock).await;
    let email = &person.tokens.email;
    let device = trust(&server, &person).await;
    for _ in 0..2 {
        let tokens = Tokens::of(&login_from(&server, email, &device).await);
        assert_eq!(tokens.claims()["amr"], json!(["pwd"]));
    }
    // It spares the second factor and nothing else.
    let body = json!({"email": email, "password": "not the password", "trusted_device": device});
    server.post(LOGIN).json(&body).send().await.assert_problem(401, "invalid_credentials");
    for wrong in ["", "nonsense", &device[..46], &format!("ktd_{}", "A".repeat(43))] {
        mfa_token(&login_from(&server, email, wrong).await);
    }
    let mut events = server.audited(OF_MFA);
    events.sort();
    assert_eq!(events, ["mfa.enabled", "mfa.succeeded", "trusted_device.added"]);
}

async fn a_device_is_trusted_for_its_account_and_thirty_days(server: Server) {
    let (person, other) = (person(&server, &server.clock).await, person(&server, &server.clock).await);
    let device = trust(&server, &person).await;
    mfa_token(&login_from(&server, &other.tokens.email, &device).await);
    server.advance(30 * DAY - 60);
    Tokens::of(&login_from(&server, &person.tokens.email, &device).await);
    server.advance(60);
    mfa_token(&login_from(&server, &person.tokens.email, &device).await);
}

async fn trusted_devices_are_listed_and_forgotten_by_their_owner_alone(server: Server) {
    let (person, other) = (person(&server, &server.clock).await, person(&server, &server.clock).await);
    let first = trust(&server, &person).await;
    server.advance(30);
    let second = trust(&server, &person).await;
    let list = async |access: &str| server.get(DEVICES).bearer(access).send().await.assert_status(200).json();
    let listed = list(&person.tokens.access).await;
    assert_eq!((&listed["count"], listed["trusted_devices"].as_array().unwrap().len()), (&json!(2), 2));
    let shown = &listed["trusted_devices"][1];
    assert_eq!((&shown["device"]["browser"], &shown["device"]["os"]), (&json!("Firefox"), &json!("Windows")));
    assert_eq!(shown["ip_address"], "127.0.0.1");
    assert!(!listed.to_string().contains("ktd_"));
    assert_eq!(list(&other.tokens.access).await["count"], 0);

    let id = shown["id"].as_str().unwrap();
    let one = |access: &str| server.delete(&format!("{DEVICES}?id={id}")).bearer(access);
    one(&other.tokens.access).send().await.assert_problem(404, "not_found");
    let answer = one(&person.tokens.access).send().await;
    assert_eq!(answer.assert_status(200).json(), json!({"devices_removed": 1}));
    one(&person.tokens.access).send().await.assert_problem(404, "not_found");
    mfa_token(&login_from(&server, &person.tokens.email, &first).await);
    Tokens::of(&login_from(&server, &person.tokens.email, &second).await);

    let all = |access: &str| server.delete(DEVICES).bearer(access);
    assert_eq!(all(&other.tokens.access).send().await.assert_status(200).json(), json!({"devices_removed": 0}));
    Tokens::of(&login_from(&server, &person.tokens.email, &second).await);
    assert_eq!(all(&person.tokens.access).send().await.assert_status(200).json(), json!({"devices_removed": 1}));
    mfa_token(&login_from(&server, &person.tokens.email, &second).await);
    assert_eq!(server.audited(OF_MFA).iter().filter(|event| *event == "trusted_device.deleted").count(), 2);

    for nonsense in ["?id=1", "?device=1"] {
        let answer = server.delete(&format!("{DEVICES}{nonsense}")).bearer(&person.tokens.access).send().await;
        answer.assert_problem(422, "invalid_input");
    }
}

async fn a_change_of_password_or_of_the_second_factor_forgets_all_trusted_devices(server: Server) {
    let changed = person(&server, &server.clock).await;
    let device = trust(&server, &changed).await;
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    server.post(CHANGE).bearer(&changed.tokens.access).json(&body).send().await.assert_status(200);
    let body = json!({"email": changed.tokens.email, "password": NEW_PASSWORD, "trusted_device": device});
    mfa_token(&server.post(LOGIN).json(&body).send().await);

    let removed = person(&server, &server.clock).await;
    trust(&server, &removed).await;
    server.delete(TOTP).bearer(&removed.tokens.access).send().await.assert_status(204);
    assert_eq!(server.count("trusted_devices"), 0);
}

async fn a_browser_keeps_its_trusted_device_in_a_cookie_of_the_login(server: Server) {
    let person = person(&server, &server.clock).await;
    let mut body = login(&person.tokens.email);
    body["transport"] = json!("cookie");
    let token = mfa_token(&server.post(LOGIN).json(&body).send().await);
    let code = person.app.code(server.clock.now(), 0);
    let remember = json!({"mfa_token": token, "method": "totp", "code": code, "remember_device": true});
    let answer = server.post(MFA).json(&remember).send().await;
    assert!(answer.assert_status(200).json().get("trusted_device").is_none());
    let cookies = answer.set_cookies(DEVICE_COOKIE);
    // For the login of the API and that of the page.
    let [(device, attributes), (same, of_page)] = cookies.as_slice() else { panic!("{cookies:?}") };
    assert_eq!(device, same);
    for (attributes, path) in [(attributes, "Path=/api/v1/auth/login"), (of_page, "Path=/login")] {
        for attribute in ["HttpOnly", "Secure", "SameSite=Strict", path, "Max-Age=2592000"] {
            assert!(attributes.contains(attribute), "{attributes}");
        }
    }
    let request = server.post(LOGIN).header("cookie", &format!("{DEVICE_COOKIE}={device}"));
    let answer = request.clone().json(&body).send().await;
    assert_eq!(answer.assert_status(200).set_cookies(ACCESS_COOKIE).len(), 1);
    // Who asks for tokens in the body brings the device's in it.
    mfa_token(&request.json(&login(&person.tokens.email)).send().await);
}
