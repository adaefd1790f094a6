//! Verifiers beside a server: a token dies with its session, though nobody asks for it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyturn_verify::client::{LiveVerifier, Settings};
use keyturn_verify::{Moment, Refusal};
use serde_json::json;

use crate::support::clients::own_address;
use crate::support::{Backend, Deployment, Endpoint, Process, Tokens, until};
use crate::{node_command, node_folder, run, verifying_python_command};

both_backends! {
    a_token_dies_with_its_session,
    new_claims_end_earlier_tokens_and_not_the_session,
    a_revoked_key_takes_its_tokens_along_and_the_next_is_known,
    a_token_that_is_revoked_dies_alone,
    the_tokens_of_a_deleted_client_die_with_it,
    a_server_that_was_killed_is_followed_again,
    the_demonstrations_take_the_time,
}

/// A server at the address that it publishes, with settings by which another one can take its place.
pub fn start(deployment: &Arc<Deployment>, address: &[(&'static str, String)]) -> Process {
    let settings: Vec<(&str, &str)> = address.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Process::start(deployment, &settings)
}

/// The id and the secret of a new client that may read the feed.
pub async fn client(server: &Endpoint) -> (String, String) {
    let basic = server.reader().await;
    let credentials = STANDARD.decode(basic.strip_prefix("Basic ").unwrap()).unwrap();
    let credentials = String::from_utf8(credentials).unwrap();
    let (id, secret) = credentials.split_once(':').unwrap();
    (id.to_owned(), secret.to_owned())
}

pub async fn administrator(server: &Endpoint) -> Tokens {
    let tokens = server.register().await;
    let condition = format!("id = {}", server.literal(tokens.user.0));
    server.sql(&format!("UPDATE users SET roles = '[\"user\",\"admin\"]' WHERE {condition}"));
    server.refreshed(&tokens).await
}

async fn verifier(server: &Endpoint, url: &str) -> LiveVerifier {
    let (id, secret) = client(server).await;
    ready(Settings::new(url, "keyturn", id, secret)).await
}

/// A verifier that knows the keys and the revocations.
pub async fn ready(mut settings: Settings) -> LiveVerifier {
    // This machine may be busy for longer than a feed may be silent.
    settings.max_age = Duration::from_secs(600);
    let verifier = LiveVerifier::start(settings).unwrap();
    verifier.ready().await;
    verifier
}

async fn until_refused(verifier: &LiveVerifier, token: &str, refusal: Refusal) {
    until("the refusal of a token", async || {
        let outcome = verifier.verify(token, Moment::now());
        // Whatever else happens, it is never taken for another reason.
        assert!(outcome.is_ok() || outcome.as_ref().err() == Some(&refusal), "{outcome:?}");
        outcome.is_err().then_some(())
    })
    .await;
}

async fn a_token_dies_with_its_session(backend: Backend) {
    let (address, url) = own_address();
    let server = start(&Deployment::new(backend), &address);
    let verifier = verifier(&server, &url).await;
    let tokens = server.register().await;
    let other = server.register().await;
    let token = verifier.verify(&tokens.access, Moment::now()).unwrap();
    assert_eq!(token.claims.sub, tokens.user.0.to_string());
    server.logout(&tokens.access).await.assert_status(204);
    until_refused(&verifier, &tokens.access, Refusal::SessionRevoked).await;
    verifier.verify(&other.access, Moment::now()).unwrap();
    // One that is told of it only in its snapshot.
    let late = self::verifier(&server, &url).await;
    assert_eq!(late.verify(&tokens.access, Moment::now()).err(), Some(Refusal::SessionRevoked));
    late.verify(&other.access, Moment::now()).unwrap();
}

async fn new_claims_end_earlier_tokens_and_not_the_session(backend: Backend) {
    let (address, url) = own_address();
    let server = start(&Deployment::new(backend), &address);
    let verifier = verifier(&server, &url).await;
    let administrator = administrator(&server).await;
    let tokens = server.register().await;
    verifier.verify(&tokens.access, Moment::now()).unwrap();
    let change = server.patch(&format!("/api/v1/admin/users/{}", tokens.user)).bearer(&administrator.access);
    change.json(&json!({"roles": ["user", "editor"]})).send().await.assert_status(200);
    until_refused(&verifier, &tokens.access, Refusal::TokenRevoked).await;
    let fresh = server.refreshed(&tokens).await;
    assert!(verifier.verify(&fresh.access, Moment::now()).unwrap().claims.has_role("editor"));
}

async fn a_revoked_key_takes_its_tokens_along_and_the_next_is_known(backend: Backend) {
    let (address, url) = own_address();
    let server = start(&Deployment::new(backend), &address);
    let verifier = verifier(&server, &url).await;
    let administrator = administrator(&server).await;
    let tokens = server.register().await;
    let kid = verifier.verify(&tokens.access, Moment::now()).unwrap().kid.clone();
    let revoke = server.post(&format!("/api/v1/admin/keys/{kid}/revoke")).bearer(&administrator.access);
    revoke.send().await.assert_status(204);
    until_refused(&verifier, &tokens.access, Refusal::KeyRevoked).await;
    // Nobody is logged out, and the new key is fetched by whoever needs it.
    let fresh = server.refreshed(&tokens).await;
    let token = verifier.check(&fresh.access).await.unwrap();
    assert_eq!(token.claims.sub, tokens.user.0.to_string());
    assert_ne!(token.kid, kid);
}

async fn a_token_that_is_revoked_dies_alone(backend: Backend) {
    let (address, url) = own_address();
    let server = start(&Deployment::new(backend), &address);
    let verifier = verifier(&server, &url).await;
    let basic = server.reader().await;
    let send = |path: &str, body: String| {
        let request = server.post(path).header("content-type", "application/x-www-form-urlencoded");
        request.header("authorization", &basic).body(body).send()
    };
    let mut own = Vec::new();
    for _ in 0..2 {
        let answer = send("/oauth/token", "grant_type=client_credentials".to_owned()).await;
        let token = answer.assert_status(200).json()["access_token"].as_str().unwrap().to_owned();
        assert!(verifier.verify(&token, Moment::now()).unwrap().claims.is_client());
        own.push(token);
    }
    let tokens = server.register().await;
    for token in [&own[0], &tokens.access] {
        send("/oauth/revoke", format!("token={token}")).await.assert_status(200);
        until_refused(&verifier, token, Refusal::TokenRevoked).await;
    }
    verifier.verify(&own[1], Moment::now()).unwrap();
    let fresh = server.refreshed(&tokens).await;
    verifier.verify(&fresh.access, Moment::now()).unwrap();
}

async fn the_tokens_of_a_deleted_client_die_with_it(backend: Backend) {
    let (address, url) = own_address();
    let server = start(&Deployment::new(backend), &address);
    let verifier = verifier(&server, &url).await;
    let administrator = administrator(&server).await;
    let body = json!({"name": "orders", "scopes": ["orders:read"]});
    let created = server.post("/api/v1/admin/clients").bearer(&administrator.access).json(&body).send().await.json();
    let text = |name: &str| created[name].as_str().unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", text("client_id"), text("client_secret"))));
    let issued = server.post("/oauth/token").header("content-type", "application/x-www-form-urlencoded");
    let issued = issued.header("authorization", &basic).body("grant_type=client_credentials").send().await.json();
    let token = issued["access_token"].as_str().unwrap();
    verifier.verify(token, Moment::now()).unwrap();
    let delete = server.request("DELETE", &format!("/api/v1/admin/clients/{}", text("client_id")));
    delete.bearer(&administrator.access).send().await.assert_status(204);
    until_refused(&verifier, token, Refusal::TokenRevoked).await;
    verifier.verify(&administrator.access, Moment::now()).unwrap();
    // One that is told of it only in its snapshot.
    let late = self::verifier(&server, &url).await;
    assert_eq!(late.verify(token, Moment::now()).err(), Some(Refusal::TokenRevoked));
}

async fn a_server_that_was_killed_is_followed_again(backend: Backend) {
    let (address, url) = own_address();
    let deployment = Deployment::new(backend);
    let server = start(&deployment, &address);
    let verifier = verifier(&server, &url).await;
    let (tokens, other) = (server.register().await, server.register().await);
    server.logout(&tokens.access).await.assert_status(204);
    until_refused(&verifier, &tokens.access, Refusal::SessionRevoked).await;
    drop(server);
    // What is known stays, and what is said by another server at this address is added.
    assert_eq!(verifier.verify(&tokens.access, Moment::now()).err(), Some(Refusal::SessionRevoked));
    let server = start(&deployment, &address);
    server.logout(&other.access).await.assert_status(204);
    until("the end of the other session", async || {
        (verifier.verify(&other.access, Moment::now()).err() == Some(Refusal::SessionRevoked)).then_some(())
    })
    .await;
    assert_eq!(verifier.verify(&tokens.access, Moment::now()).err(), Some(Refusal::SessionRevoked));
}

async fn the_demonstrations_take_the_time(backend: Backend) {
    let (address, url) = own_address();
    let server = start(&Deployment::new(backend), &address);
    let (id, secret) = client(&server).await;
    let folder = node_folder();
    let demonstrations: [Command; 2] =
        [node_command(&folder, &["demo.mjs"]), verifying_python_command("sdk/python", &["demo.py"])];
    for mut demonstration in demonstrations {
        demonstration.env("ISSUER", &url).env("CLIENT_ID", &id).env("CLIENT_SECRET", &secret);
        let output = tokio::task::spawn_blocking(move || run(demonstration)).await.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains("refused: session_revoked, "), "{printed}");
    }
    // That in Rust waits for somebody who ends the session.
    let tokens = server.register().await;
    let program = Path::new(env!("CARGO_BIN_EXE_keyturn")).with_file_name("examples").join("demo");
    let mut demonstration = Command::new(program);
    demonstration.env("ISSUER", &url).env("CLIENT_ID", &id).env("CLIENT_SECRET", &secret).env("TOKEN", &tokens.access);
    let mut demonstration = demonstration.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = BufReader::new(demonstration.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (first, printed) = tokio::task::spawn_blocking(move || (printed.next(), printed)).await.unwrap();
    assert_eq!(first, Some(format!("valid: {}", tokens.user)));
    server.logout(&tokens.access).await.assert_status(204);
    let rest: Vec<String> = tokio::task::spawn_blocking(move || printed.collect()).await.unwrap();
    assert!(rest.len() == 1 && rest[0].starts_with("refused: session_revoked, after "), "{rest:?}");
    assert!(demonstration.wait().unwrap().success());
}
