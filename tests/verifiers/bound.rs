//! Tokens of a server that are bound to a key, at the verifiers: they are of use with a proof of the key only.

use keyturn_verify::client::{LiveVerifier, Settings};
use keyturn_verify::{Moment, Refusal};
use serde_json::{Value, json};

use crate::live::{client, ready, start};
use crate::support::clients::own_address;
use crate::support::{Backend, Deployment, PASSWORD, ProofKey, Tokens, until};
use crate::{node, node_folder, python};

both_backends! {
    a_bound_token_is_of_use_with_its_key_only,
    a_bound_token_dies_with_its_session,
}

/// The URL of a request to some API.
const ORDERS: &str = "https://api.example/orders?page=2";

/// A new account whose session is bound to a key, at the server of this URL.
async fn register(server: &crate::support::Endpoint, url: &str, key: &ProofKey) -> Tokens {
    let path = "/api/v1/auth/register";
    let proof = key.proof("POST", &format!("{url}{path}"), None);
    let email = format!("person-{}@example.com", crate::support::random_hex::<6>());
    let request = server.post(path).json(&json!({"email": email, "password": PASSWORD}));
    Tokens::of(request.header("dpop", &proof).send().await.assert_status(201))
}

/// Requests, each with the verdict: a token, and with a proof the method and the URL.
fn requests(bound: &str, unbound: &str, key: &ProofKey) -> Vec<(Value, &'static str)> {
    let other = ProofKey::new();
    let with = |token: &str, proof: &str| json!({"token": token, "proof": proof, "method": "GET", "url": ORDERS});
    let used = with(bound, &key.proof("GET", ORDERS, Some(bound)));
    vec![
        (json!({"token": unbound}), "valid"),
        (json!({"token": bound}), "proof_required"),
        (used.clone(), "valid"),
        (used, "proof_replayed"),
        (with(bound, &key.proof("GET", ORDERS, Some(bound))), "valid"),
        (with(bound, &other.proof("GET", ORDERS, Some(bound))), "proof_other_key"),
        (with(bound, &key.proof("POST", ORDERS, Some(bound))), "proof_method"),
        (with(bound, &key.proof("GET", "https://other.example/orders", Some(bound))), "proof_url"),
        (with(bound, &key.proof("GET", ORDERS, Some(unbound))), "proof_token"),
        (with(bound, &key.proof("GET", ORDERS, None)), "proof_token"),
        (with(unbound, &key.proof("GET", ORDERS, Some(unbound))), "not_bound"),
    ]
}

async fn verdict(verifier: &LiveVerifier, request: &Value) -> &'static str {
    let text = |name: &str| request[name].as_str();
    let token = text("token").unwrap();
    let outcome = match text("proof") {
        None => verifier.check(token).await,
        Some(proof) => verifier.check_bound(token, proof, text("method").unwrap(), text("url").unwrap()).await,
    };
    outcome.err().map_or("valid", Refusal::code)
}

async fn a_bound_token_is_of_use_with_its_key_only(backend: Backend) {
    let (address, url) = own_address();
    let server = start(&Deployment::new(backend), &address);
    let (id, secret) = client(&server).await;
    let verifier = ready(Settings::new(&url, "keyturn", &id, &secret)).await;
    let plain = server.register().await;
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let key = ProofKey::of(algorithm);
        let tokens = register(&server, &url, &key).await;
        let requests = requests(&tokens.access, &plain.access, &key);
        for (request, expected) in &requests {
            assert_eq!(verdict(&verifier, request).await, *expected, "{algorithm}: {request}");
        }
        let presented: Vec<&Value> = requests.iter().map(|(request, _)| request).collect();
        let expected: Vec<&str> = requests.iter().map(|(_, expected)| *expected).collect();
        let given = json!({"issuer": url, "clientId": id, "clientSecret": secret, "presented": presented}).to_string();
        let outputs = tokio::task::spawn_blocking(move || {
            [node(&node_folder(), &["test/bound.mjs", &given]), python("sdk/python/tests", &["bound.py", &given])]
        });
        for output in outputs.await.unwrap() {
            let verdicts: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(verdicts, json!(expected), "{algorithm}");
        }
    }
}

async fn a_bound_token_dies_with_its_session(backend: Backend) {
    let (address, url) = own_address();
    let server = start(&Deployment::new(backend), &address);
    let (id, secret) = client(&server).await;
    let verifier = ready(Settings::new(&url, "keyturn", id, secret)).await;
    let key = ProofKey::new();
    let tokens = register(&server, &url, &key).await;
    let check = || {
        let proof = key.proof("GET", ORDERS, Some(&tokens.access));
        verifier.verify_bound(&tokens.access, &proof, "GET", ORDERS, Moment::now()).map(drop)
    };
    check().unwrap();
    let path = "/api/v1/auth/logout";
    let proof = key.proof("POST", &format!("{url}{path}"), Some(&tokens.access));
    let logout = server.post(path).header("authorization", &format!("DPoP {}", tokens.access)).header("dpop", &proof);
    logout.send().await.assert_status(204);
    until("the refusal of a token", async || (check() == Err(Refusal::SessionRevoked)).then_some(())).await;
}
