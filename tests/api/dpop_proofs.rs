//! The forms of a proof: what is refused, and why; what is accepted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::dpop::{claims, hash, presents};
use crate::support::{ProofKey, Request, Server, Tokens};

both_backends! {
    a_proof_of_each_algorithm_is_accepted,
    a_proof_that_is_written_differently_is_accepted,
    a_proof_with_a_wrong_header_is_refused,
    a_proof_with_a_wrong_key_is_refused,
    a_proof_with_wrong_claims_is_refused,
    a_text_that_is_no_proof_is_refused,
}

const ME: &str = "/api/v1/auth/me";

/// Asserts that a proof is refused, at a resource as at a login, and uses up nothing.
async fn assert_refused(server: &Server, tokens: &Tokens, proof: &str, why: &str) {
    let refused = presents(server.get(ME), Some(&tokens.access)).header("dpop", proof).send().await;
    refused.assert_problem(401, "invalid_dpop_proof");
    assert!(refused.json()["detail"].as_str().unwrap().contains(why), "{why}: {refused:?} {proof}");
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("DPoP error=\"invalid_dpop_proof\", error_description=\""), "{challenge}");
    assert!(challenge.ends_with("\", algs=\"ES256 EdDSA RS256\""), "{challenge}");
}

struct World {
    server: Server,
    key: ProofKey,
    tokens: Tokens,
}

impl World {
    async fn new(server: Server) -> Self {
        server.clock.hold();
        let key = ProofKey::new();
        let tokens = key.register(&server).await;
        Self { server, key, tokens }
    }

    fn request(&self) -> Request {
        self.server.get(ME)
    }

    /// The claims of a valid proof.
    fn claims(&self) -> Value {
        claims(self.server.clock.now(), &self.request(), Some(&self.tokens.access))
    }

    async fn refused(&self, proof: &str, why: &str) {
        assert_refused(&self.server, &self.tokens, proof, why).await;
    }

    async fn accepted(&self, proof: &str) {
        presents(self.request(), Some(&self.tokens.access)).header("dpop", proof).send().await.assert_status(200);
    }
}

async fn a_proof_of_each_algorithm_is_accepted(server: Server) {
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let key = ProofKey::of(algorithm);
        let tokens = key.register(&server).await;
        assert_eq!(tokens.claims()["cnf"], json!({"jkt": key.thumbprint()}), "{algorithm}");
        key.me(&server, &tokens.access).await.assert_status(200);
        let next = key.refreshed(&server, &tokens).await;
        assert_eq!(next.claims()["cnf"], json!({"jkt": key.thumbprint()}), "{algorithm}");
    }
}

async fn a_proof_that_is_written_differently_is_accepted(server: Server) {
    let world = World::new(server).await;
    for uri in [
        "https://keyturn.example/api/v1/auth/me?a=b#c",
        "HTTPS://KEYTURN.example:443/api/v1/auth/me",
        "https://keyturn.example/api/./v1/x/../auth/%6D%65",
    ] {
        let mut claims = world.claims();
        claims["htu"] = json!(uri);
        world.accepted(&world.key.prove(&claims)).await;
    }
    let mut claims = world.claims();
    claims["jti"] = json!("\u{1f98b}".repeat(256));
    claims["something"] = json!({"else": [1, 2.5, null]});
    claims["iat"] = json!(world.server.clock.now().as_secs() - 58);
    world.accepted(&world.key.prove(&claims)).await;
    claims = world.claims();
    claims["iat"] = json!(world.server.clock.now().as_secs() + 5);
    world.accepted(&world.key.prove(&claims)).await;
    let mut header = world.key.header();
    header["kid"] = json!("mine");
    header["jwk"]["use"] = json!("sig");
    header["jwk"]["kid"] = json!("mine");
    world.accepted(&world.key.sign(&header.to_string(), &world.claims().to_string())).await;
}

async fn a_proof_with_a_wrong_header_is_refused(server: Server) {
    let world = World::new(server).await;
    let header = world.key.header();
    let changed = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header.to_string()
    };
    let without = |name: &str| {
        let mut header = header.clone();
        header.as_object_mut().unwrap().remove(name);
        header.to_string()
    };
    let twice = |part: &str, again: &str| header.to_string().replacen(part, &format!("{part},{again}"), 1);
    for header in [
        changed("typ", json!("JWT")),
        changed("typ", json!("at+jwt")),
        changed("typ", json!("DPOP+JWT")),
        changed("typ", json!(1)),
        without("typ"),
        changed("alg", json!("none")),
        changed("alg", json!("HS256")),
        changed("alg", json!("ES384")),
        changed("alg", json!("PS256")),
        changed("alg", json!("es256")),
        without("alg"),
        without("jwk"),
        changed("jwk", json!("key")),
        changed("jwk", json!(null)),
        changed("crit", json!(["exp"])),
        changed("crit", json!(null)),
        twice("\"alg\":\"ES256\"", "\"alg\":\"ES256\""),
        twice("\"alg\":\"ES256\"", "\"\\u0061lg\":\"none\""),
        twice("\"kty\":\"EC\"", "\"kty\":\"EC\""),
        "[]".to_owned(),
        "{}".to_owned(),
        "not JSON".to_owned(),
    ] {
        world.refused(&world.key.sign(&header, &world.claims().to_string()), "header").await;
    }
}

async fn a_proof_with_a_wrong_key_is_refused(server: Server) {
    let world = World::new(server).await;
    let with = |key: &ProofKey, change: &dyn Fn(&mut Value)| {
        let mut header = key.header();
        change(&mut header);
        key.sign(&header.to_string(), &world.claims().to_string())
    };
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        world.refused(&with(&world.key, &|header| header["jwk"][member] = json!("AQ")), "public key").await;
    }
    let short = URL_SAFE_NO_PAD.encode([1; 31]);
    let changes: [(&str, Value); 10] = [
        ("kty", json!("OKP")),
        ("kty", json!("oct")),
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
        ("crv", json!(null)),
        ("x", json!(short)),
        ("x", json!("=")),
        ("y", json!(null)),
        ("y", json!("AQ")),
        ("y", json!("")),
    ];
    for (member, value) in changes {
        world.refused(&with(&world.key, &|header| header["jwk"][member] = value.clone()), "public key").await;
    }
    world.refused(&with(&world.key, &|header| header["alg"] = json!("EdDSA")), "public key").await;
    world.refused(&with(&world.key, &|header| header["alg"] = json!("RS256")), "public key").await;
    let other = ProofKey::new();
    world.refused(&with(&world.key, &|header| header["jwk"] = other.jwk()), "signature").await;
    // A point that is not on the curve.
    let point = URL_SAFE_NO_PAD.encode([7; 32]);
    world.refused(&with(&world.key, &|header| header["jwk"]["x"] = json!(point)), "signature").await;
    let rsa = ProofKey::of("RS256");
    let modulus = URL_SAFE_NO_PAD.decode(rsa.jwk()["n"].as_str().unwrap()).unwrap();
    let padded = URL_SAFE_NO_PAD.encode([&[0][..], &modulus].concat());
    world.refused(&with(&rsa, &|header| header["jwk"]["n"] = json!(padded)), "public key").await;
    let small = URL_SAFE_NO_PAD.encode(&modulus[..128]);
    world.refused(&with(&rsa, &|header| header["jwk"]["n"] = json!(small)), "public key").await;
    let large = URL_SAFE_NO_PAD.encode([1; 513]);
    world.refused(&with(&rsa, &|header| header["jwk"]["n"] = json!(large)), "public key").await;
    // A valid proof, by the key of somebody else.
    for algorithm in ["ES256", "EdDSA"] {
        let proof = ProofKey::of(algorithm).prove(&world.claims());
        let refused = presents(world.request(), Some(&world.tokens.access)).header("dpop", &proof).send().await;
        refused.assert_problem(401, "dpop_key_mismatch");
    }
}

async fn a_proof_with_wrong_claims_is_refused(server: Server) {
    let world = World::new(server).await;
    let now = world.server.clock.now().as_secs();
    let cases: [(&str, Value, &str); 36] = [
        ("jti", json!(""), "claims"),
        ("jti", json!("a".repeat(257)), "claims"),
        ("jti", json!(1), "claims"),
        ("jti", json!(null), "claims"),
        ("htm", json!("POST"), "htm"),
        ("htm", json!("get"), "htm"),
        ("htm", json!("GET "), "htm"),
        ("htm", json!(""), "htm"),
        ("htm", json!(["GET"]), "claims"),
        ("htm", json!(null), "claims"),
        ("htu", json!("https://keyturn.example/api/v1/auth/ME"), "htu"),
        ("htu", json!("https://keyturn.example/api/v1/auth/me/"), "htu"),
        ("htu", json!("https://keyturn.example/api/v1/auth%2Fme"), "htu"),
        ("htu", json!("https://keyturn.example/api/v1/sessions"), "htu"),
        ("htu", json!("http://keyturn.example/api/v1/auth/me"), "htu"),
        ("htu", json!("https://keyturn.example:8443/api/v1/auth/me"), "htu"),
        ("htu", json!("https://other.example/api/v1/auth/me"), "htu"),
        ("htu", json!("https://keyturn.example@other.example/api/v1/auth/me"), "htu"),
        ("htu", json!("https://a:b@keyturn.example/api/v1/auth/me"), "htu"),
        ("htu", json!("/api/v1/auth/me"), "htu"),
        ("htu", json!(" https://keyturn.example/api/v1/auth/me"), "htu"),
        ("htu", json!("https:\\\\keyturn.example\\api\\v1\\auth\\me"), "htu"),
        ("htu", json!(""), "htu"),
        ("htu", json!(1), "claims"),
        ("iat", json!(now - 63), "iat"),
        ("iat", json!(now + 8), "iat"),
        ("iat", json!(0), "iat"),
        ("iat", json!(-1), "iat"),
        ("iat", json!(i64::MAX), "iat"),
        ("iat", json!(u64::MAX), "claims"),
        ("iat", json!(now.to_string()), "claims"),
        ("iat", json!(null), "claims"),
        ("ath", json!(hash("another token")), "ath"),
        ("ath", json!(format!("{}=", hash(&world.tokens.access))), "ath"),
        ("ath", json!(null), "ath"),
        ("ath", json!(1), "claims"),
    ];
    for (name, value, why) in cases {
        let mut claims = world.claims();
        claims[name] = value;
        world.refused(&world.key.prove(&claims), why).await;
    }
    for (name, why) in [("jti", "claims"), ("htm", "claims"), ("htu", "claims"), ("iat", "claims"), ("ath", "ath")] {
        let mut claims = world.claims();
        claims.as_object_mut().unwrap().remove(name);
        world.refused(&world.key.prove(&claims), why).await;
    }
    let claims = world.claims().to_string();
    let twice = claims.replacen("\"htm\":\"GET\"", "\"htm\":\"GET\",\"htm\":\"GET\"", 1);
    for claims in [&*twice, "[]", "{}", "", "null"] {
        world.refused(&world.key.sign(&world.key.header().to_string(), claims), "claims").await;
    }
}

async fn a_text_that_is_no_proof_is_refused(server: Server) {
    let world = World::new(server).await;
    let valid = || world.key.prove(&world.claims());
    let proof = valid();
    let (message, signature) = proof.rsplit_once('.').unwrap();
    for (proof, why) in [
        (String::new(), "JWT"),
        ("a".to_owned(), "JWT"),
        ("a.b".to_owned(), "JWT"),
        (message.to_owned(), "JWT"),
        (format!("{proof}="), "JWT"),
        (format!("{proof}, {}", valid()), "JWT"),
        (format!("{proof} x"), "JWT"),
        ("a".repeat(5000), "JWT"),
        (format!("{message}."), "signature"),
        (format!("{message}.{}", &signature[..80]), "signature"),
        (format!("{message}.{}", "A".repeat(86)), "signature"),
        (format!("{proof}.x"), "JWT"),
        (format!("{proof}.{signature}"), "JWT"),
        (format!(".{proof}"), "JWT"),
        (format!(".{}", proof.split_once('.').unwrap().1), "header"),
        (world.tokens.access.clone(), "header"),
    ] {
        world.refused(&proof, why).await;
    }
    let twice = presents(world.request(), Some(&world.tokens.access)).header("dpop", &valid()).header("dpop", &valid());
    let refused = twice.send().await;
    refused.assert_problem(401, "invalid_dpop_proof");
    assert!(refused.text().contains("several"), "{refused:?}");
    // None of this has used the proof up.
    world.accepted(&proof).await;
}
