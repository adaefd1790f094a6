//! Proofs behind forward authentication: they are for the request that the proxy holds.

use serde_json::{Value, json};

use crate::support::clients::node;
use crate::support::dpop::{hash, presents};
use crate::support::front::{Behind, Front, Program};
use crate::support::servers::free_port;
use crate::support::{Backend, PASSWORD, ProofKey, Request, Response, Server, Tokens, random_hex};

both_backends! {
    a_proof_is_for_the_request_that_the_proxy_holds,
    a_proof_counts_only_where_all_name_the_same_request,
    a_bound_token_passes_no_proxy_without_its_key,
    proofs_pass_through_nginx,
    proofs_pass_through_caddy,
}

const VERIFY: &str = "/api/v1/auth/verify";
const APP: &str = "https://app.example/orders/7";

struct World {
    server: Server,
    key: ProofKey,
    tokens: Tokens,
}

impl World {
    async fn new(server: Server) -> Self {
        let key = ProofKey::new();
        let tokens = key.register(&server).await;
        Self { server, key, tokens }
    }

    /// A proof for a request to the app.
    fn proof(&self, method: &str, url: &str) -> String {
        let claims: Value = json!({
            "jti": random_hex::<16>(), "htm": method, "htu": url,
            "iat": self.server.clock.now().as_secs(), "ath": hash(&self.tokens.access),
        });
        self.key.prove(&claims)
    }

    /// What a proxy asks with these headers of its own, about a request with a proof.
    async fn ask(&self, proof: &str, headers: &[(&str, &str)]) -> Response {
        self.ask_at(self.server.get(VERIFY), proof, headers).await
    }

    async fn ask_at(&self, request: Request, proof: &str, headers: &[(&str, &str)]) -> Response {
        let request = presents(request, Some(&self.tokens.access)).header("dpop", proof);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send().await
    }
}

async fn a_proof_is_for_the_request_that_the_proxy_holds(server: Server) {
    let world = World::new(server).await;
    let traefik = [
        ("x-forwarded-method", "DELETE"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "app.example"),
        ("x-forwarded-uri", "/orders/7?why=not"),
    ];
    let nginx = [("x-forwarded-method", "DELETE"), ("x-original-url", "https://APP.example:443/orders/7?why=not")];
    for headers in [&traefik[..], &nginx] {
        let answer = world.ask(&world.proof("DELETE", APP), headers).await;
        let user = answer.assert_status(200).header("x-auth-user").unwrap().to_owned();
        assert_eq!(user, world.tokens.user.to_string());
        for (method, url) in [
            ("GET", APP),
            ("POST", APP),
            ("DELETE", "https://app.example/orders/8"),
            ("DELETE", "http://app.example/orders/7"),
            ("DELETE", "https://keyturn.example/api/v1/auth/verify"),
        ] {
            let refused = world.ask(&world.proof(method, url), headers).await;
            refused.assert_problem(401, "invalid_dpop_proof");
        }
        let proof = world.proof("DELETE", APP);
        world.ask(&proof, headers).await.assert_status(200);
        world.ask(&proof, headers).await.assert_problem(401, "invalid_dpop_proof");
    }
    // Envoy asks with method and path of the request itself.
    let envoy = [("host", "app.example"), ("x-forwarded-proto", "https")];
    let asking = || world.server.delete(&format!("{VERIFY}/orders/7?why=not"));
    world.ask_at(asking(), &world.proof("DELETE", APP), &envoy).await.assert_status(200);
    let of_another = world.proof("DELETE", "https://app.example/orders/8");
    world.ask_at(asking(), &of_another, &envoy).await.assert_problem(401, "invalid_dpop_proof");
}

async fn a_proof_counts_only_where_all_name_the_same_request(server: Server) {
    let world = World::new(server).await;
    let parts = |uri| [("x-forwarded-proto", "https"), ("x-forwarded-host", "app.example"), ("x-forwarded-uri", uri)];
    let whole = |url| [("x-original-url", url)];
    let refused: [Vec<(&str, &str)>; 7] = [
        // The proxy does not say what it holds.
        vec![],
        vec![("x-forwarded-host", "app.example"), ("x-forwarded-uri", "/orders/7")],
        // The proxy sends one, and a client the other.
        [&whole(APP)[..], &parts("/orders/8")].concat(),
        [&whole("https://app.example/orders/8")[..], &parts("/orders/7")].concat(),
        [&whole(APP)[..], &whole("https://app.example/orders/8")].concat(),
        [&whole("https://app.example/orders/8")[..], &whole(APP)].concat(),
        [&parts("/orders/7")[..], &[("x-forwarded-uri", "/orders/8")]].concat(),
    ];
    for headers in &refused {
        world.ask(&world.proof("GET", APP), headers).await.assert_problem(401, "invalid_dpop_proof");
    }
    let envoy = [&[("host", "app.example"), ("x-forwarded-proto", "https")][..], &whole(APP)].concat();
    let asking = world.server.get(&format!("{VERIFY}/orders/8"));
    world.ask_at(asking, &world.proof("GET", APP), &envoy).await.assert_problem(401, "invalid_dpop_proof");
    let agreeing = [&whole(APP)[..], &parts("/orders/7")].concat();
    world.ask(&world.proof("GET", APP), &agreeing).await.assert_status(200);
}

async fn a_bound_token_passes_no_proxy_without_its_key(server: Server) {
    let world = World::new(server).await;
    let headers = [("x-original-url", APP)];
    let with = |request: Request| headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let bearer = with(world.server.get(VERIFY)).bearer(&world.tokens.access);
    let refused = bearer.send().await;
    refused.assert_problem(401, "dpop_required");
    assert!(refused.header("www-authenticate").unwrap().starts_with("DPoP error=\"invalid_token\""));
    let without = presents(with(world.server.get(VERIFY)), Some(&world.tokens.access));
    without.send().await.assert_problem(401, "dpop_required");
    let cookie = format!("__Host-keyturn_access={}", world.tokens.access);
    with(world.server.get(VERIFY)).header("cookie", &cookie).send().await.assert_problem(401, "dpop_required");
    world.ask(&world.proof("GET", APP), &headers).await.assert_status(200);
}

async fn proofs_pass_through_nginx(backend: Backend) {
    proofs_pass(backend, Program::Nginx).await;
}

async fn proofs_pass_through_caddy(backend: Backend) {
    proofs_pass(backend, Program::Caddy).await;
}

/// With the set-up of the documentation.
async fn proofs_pass(backend: Backend, program: Program) {
    let (port, app_port) = (free_port(), free_port());
    let public_url = format!("https://api.kt.localhost:{port}");
    let server = Server::with(backend, &[("PUBLIC_URL", &public_url)]).await;
    let behind = Behind { keyturn: server.address, app: ([127, 0, 0, 1], app_port).into() };
    let _front = Front::start(program, port, &behind);
    let given = json!({
        "keyturn": format!("http://{}", server.address), "public_url": public_url, "proxy_port": port,
        "app_port": app_port, "email": "ada@example.com", "password": PASSWORD,
    });
    let found = node("dpop_proxy.mjs", given).await;
    assert_eq!((&found["right"], &found["first"]), (&found["user"], &found["user"]), "{found}");
    for (name, status) in found["refused"].as_object().unwrap() {
        assert_eq!(status, 401, "{program:?} {name}: {found}");
    }
}
