//! Nonces that the server asks for in proofs.

use serde_json::{Value, json};

use crate::clients::{assert_error, form};
use crate::oauth_token::TOKEN;
use crate::support::dpop::{claims, presents};
use crate::support::{Backend, PASSWORD, ProofKey, Request, Response, Server, Servers, Tokens};

both_backends! {
    a_required_nonce_is_given_and_accepted_by_all_servers,
    a_nonce_is_accepted_for_a_minute_or_two,
    a_nonce_that_nobody_asked_for_is_checked,
    pages_may_read_the_nonce,
}

const REQUIRED: [(&str, &str); 1] = [("DPOP_NONCE", "required")];
const ME: &str = "/api/v1/auth/me";

/// The request with a proof that has this nonce.
fn with_nonce(server: &Server, key: &ProofKey, request: Request, access: Option<&str>, nonce: Option<&str>) -> Request {
    let mut claims = claims(server.clock.now(), &request, access);
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    presents(request, access).header("dpop", &key.prove(&claims))
}

fn nonce(answer: &Response) -> String {
    assert_eq!(answer.all_headers("dpop-nonce").len(), 1, "{answer:?}");
    answer.header("dpop-nonce").unwrap().to_owned()
}

fn registering(server: &Server) -> Request {
    server.post("/api/v1/auth/register").json(&json!({"email": "ada@example.com", "password": PASSWORD}))
}

async fn a_required_nonce_is_given_and_accepted_by_all_servers(backend: Backend) {
    let servers = Servers::with(backend, &REQUIRED).await;
    let key = ProofKey::new();
    let refused = with_nonce(&servers, &key, registering(&servers), None, None).send().await;
    refused.assert_problem(400, "use_dpop_nonce");
    let given = nonce(&refused);
    let answer = with_nonce(&servers, &key, registering(&servers), None, Some(&given)).send().await;
    let tokens = Tokens::of(answer.assert_status(201));
    assert_eq!(tokens.claims()["cnf"], json!({"jkt": key.thumbprint()}));
    for server in servers.all() {
        let refused = with_nonce(server, &key, server.get(ME), Some(&tokens.access), None).send().await;
        refused.assert_problem(401, "use_dpop_nonce");
        assert!(refused.header("www-authenticate").unwrap().starts_with("DPoP error=\"use_dpop_nonce\""));
        nonce(&refused);
        let answer = with_nonce(server, &key, server.get(ME), Some(&tokens.access), Some(&given)).send().await;
        nonce(answer.assert_status(200));
        let refreshing = || form(server, TOKEN, &[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]);
        let refused = with_nonce(server, &key, refreshing(), None, None).send().await;
        assert_error(&refused, 400, "use_dpop_nonce");
        let answer = with_nonce(server, &key, refreshing(), None, Some(&nonce(&refused))).send().await;
        answer.assert_status(200);
    }
    // Who proves nothing is not bothered.
    let bearer = servers.register().await;
    let answer = servers.me(&bearer.access).await;
    assert_eq!(answer.assert_status(200).header("dpop-nonce"), None);
}

async fn a_nonce_is_accepted_for_a_minute_or_two(backend: Backend) {
    let server = Server::with(backend, &REQUIRED).await;
    server.clock.hold();
    let key = ProofKey::new();
    let given = nonce(&with_nonce(&server, &key, registering(&server), None, None).send().await);
    server.advance(60);
    with_nonce(&server, &key, registering(&server), None, Some(&given)).send().await.assert_status(201);
    server.advance(60);
    let late = with_nonce(&server, &key, registering(&server), None, Some(&given)).send().await;
    late.assert_problem(400, "use_dpop_nonce");
    assert_ne!(nonce(&late), given);
}

async fn a_nonce_that_nobody_asked_for_is_checked(server: Server) {
    let key = ProofKey::new();
    let tokens = key.register(&server).await;
    let wrong = with_nonce(&server, &key, server.get(ME), Some(&tokens.access), Some("AAAAAAAAAAAAAAAAAAAAAA"));
    let refused = wrong.send().await;
    refused.assert_problem(401, "use_dpop_nonce");
    let right = with_nonce(&server, &key, server.get(ME), Some(&tokens.access), Some(&nonce(&refused)));
    let answer = right.send().await;
    assert_eq!(answer.assert_status(200).header("dpop-nonce"), None);
    for nonce in [json!(""), json!("!"), json!(1)] {
        let mut claims = claims(server.clock.now(), &server.get(ME), Some(&tokens.access));
        claims["nonce"] = nonce.clone();
        let refused = presents(server.get(ME), Some(&tokens.access)).header("dpop", &key.prove(&claims)).send().await;
        refused.assert_problem(401, if nonce == json!(1) { "invalid_dpop_proof" } else { "use_dpop_nonce" });
    }
    assert_ne!(key.me(&server, &tokens.access).await.assert_status(200).json(), Value::Null);
}

async fn pages_may_read_the_nonce(backend: Backend) {
    let server = Server::with(backend, &REQUIRED).await;
    let page = |request: Request| request.header("origin", "https://app.example");
    let preflight = page(server.request("OPTIONS", "/api/v1/auth/register"))
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type, dpop");
    let allowed = preflight.send().await;
    let allowed = allowed.assert_status(200).header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("dpop"), "{allowed}");
    let refused = page(with_nonce(&server, &ProofKey::new(), registering(&server), None, None)).send().await;
    nonce(&refused);
    let exposed = refused.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("dpop-nonce") && exposed.contains("www-authenticate"), "{exposed}");
}
