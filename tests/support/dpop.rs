//! Clients that hold a key and prove it (DPoP).

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyturn::types::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::deployment::PUBLIC_URL;
use super::{PASSWORD, Request, Response, Server, Tokens, random_hex};

/// The key of a client.
pub struct ProofKey {
    pair: Pair,
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl ProofKey {
    pub fn new() -> Self {
        Self::of("ES256")
    }

    /// A key for an algorithm.
    pub fn of(algorithm: &str) -> Self {
        let system = SystemRandom::new();
        let pair = match algorithm {
            "ES256" => {
                let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &system).unwrap();
                Pair::Es256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap())
            }
            "EdDSA" => {
                let document = Ed25519KeyPair::generate_pkcs8(&system).unwrap();
                Pair::EdDsa(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
            }
            "RS256" => Pair::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            other => panic!("{other}"),
        };
        Self { pair }
    }

    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Es256(_) => "ES256",
            Pair::EdDsa(_) => "EdDSA",
            Pair::Rs256(_) => "RS256",
        }
    }

    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Pair::EdDsa(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())}),
            Pair::Rs256(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": text(&n), "e": text(&e)})
            }
        }
    }

    /// The thumbprint (RFC 7638): the members of a `Value` are in the order of their names.
    pub fn thumbprint(&self) -> String {
        hash(&self.jwk().to_string())
    }

    /// A JWS over these two texts.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let system = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Es256(pair) => pair.sign(&system, message.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &system, message.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": self.algorithm(), "jwk": self.jwk()})
    }

    /// A proof with these claims.
    pub fn prove(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// A proof for a request to a URL at the current time, with the access token that is given.
    pub fn proof(&self, method: &str, url: &str, access_token: Option<&str>) -> String {
        let iat = keyturn_verify::Moment::now().unix_secs();
        let mut claims = json!({"jti": random_hex::<16>(), "htm": method, "htu": url, "iat": iat});
        if let Some(token) = access_token {
            claims["ath"] = json!(hash(token));
        }
        self.prove(&claims)
    }

    /// The request with a proof for it, and with the access token that is given.
    pub fn sends(&self, server: &Server, request: Request, access_token: Option<&str>) -> Request {
        let proof = self.prove(&claims(server.clock.now(), &request, access_token));
        presents(request, access_token).header("dpop", &proof)
    }

    /// A new account whose first session is bound to the key.
    pub async fn register(&self, server: &Server) -> Tokens {
        let email = format!("person-{}@example.com", random_hex::<6>());
        let request = server.post("/api/v1/auth/register").json(&json!({"email": email, "password": PASSWORD}));
        Tokens::of(self.sends(server, request, None).send().await.assert_status(201))
    }

    /// Presents a refresh token with a proof.
    pub async fn refresh(&self, server: &Server, refresh_token: &str) -> Response {
        self.sends(server, server.refreshing(refresh_token), None).send().await
    }

    pub async fn refreshed(&self, server: &Server, tokens: &Tokens) -> Tokens {
        Tokens::of(self.refresh(server, &tokens.refresh).await.assert_status(200))
    }

    pub async fn me(&self, server: &Server, access_token: &str) -> Response {
        self.sends(server, server.get("/api/v1/auth/me"), Some(access_token)).send().await
    }
}

/// The claims of a proof for a request at a time.
pub fn claims(now: Timestamp, request: &Request, access_token: Option<&str>) -> Value {
    let path = request.target().split('?').next().unwrap();
    let mut claims = json!({
        "jti": random_hex::<16>(),
        "htm": request.method(),
        "htu": format!("{PUBLIC_URL}{path}"),
        "iat": now.as_secs(),
    });
    if let Some(token) = access_token {
        claims["ath"] = json!(hash(token));
    }
    claims
}

/// The request with an access token of the scheme `DPoP`.
pub fn presents(request: Request, access_token: Option<&str>) -> Request {
    match access_token {
        Some(token) => request.header("authorization", &format!("DPoP {token}")),
        None => request,
    }
}

/// SHA-256 in base64url.
pub fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

/// How long a proof is valid.
pub const MAX_AGE: Duration = Duration::from_secs(60);
