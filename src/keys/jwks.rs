//! The public keys as others read them: a JWK Set (RFC 7517 §5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::ring::Ring;
use super::signing_key::{PublicKey, VerifyingKey};

#[derive(Serialize, utoipa::ToSchema)]
pub struct JwkSet {
    keys: Vec<Jwk>,
}

/// One public key (RFC 7517 §4), with the members of its kind (RFC 7518 §6, RFC 8037 §2).
#[derive(Serialize, utoipa::ToSchema)]
pub struct Jwk {
    kty: &'static str,
    kid: String,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
}

impl JwkSet {
    pub fn of(ring: &Ring) -> Self {
        Self { keys: ring.all_verifying().iter().filter_map(Jwk::of).collect() }
    }
}

impl Jwk {
    /// `None` for a shared key, which has no public half.
    fn of(key: &VerifyingKey) -> Option<Self> {
        let text = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let jwk = |kty| Self {
            kty,
            kid: key.id.to_string(),
            alg: key.algorithm.name(),
            usage: "sig",
            crv: None,
            x: None,
            y: None,
            n: None,
            e: None,
        };
        match &key.public {
            PublicKey::Ec { x, y } => Some(Self { crv: Some("P-256"), x: text(x), y: text(y), ..jwk("EC") }),
            PublicKey::Ed { x } => Some(Self { crv: Some("Ed25519"), x: text(x), ..jwk("OKP") }),
            PublicKey::Rsa { n, e } => Some(Self { n: text(n), e: text(e), ..jwk("RSA") }),
            PublicKey::None => None,
        }
    }
}
