//! The public keys of the server.

use std::collections::HashMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::VerifyingKey;

/// Half of the order of the curve P-256 (SP 800-186 §3.2.1.3), rounded down, big-endian.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d,
    0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Returns whether a signature of ES256, `r` and `s` of 32 bytes each (RFC 7518 §3.4), has the lower `s`. If `(r, s)` is
/// a valid signature, so is `(r, n - s)`, where `n` is the order of the curve: anybody can write it in a second way. Only
/// the form with the lower `s` is issued and accepted.
pub fn has_lower_s(signature: &[u8]) -> bool {
    signature.len() == 64 && signature.get(32..).is_some_and(|s| *s <= HALF_ORDER[..])
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// Returns the name in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// Finds the algorithm with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A public key.
#[derive(Debug)]
pub struct Key {
    pub(crate) algorithm: Algorithm,
    public: ParsedPublicKey,
    /// The numbers that the key is made of, to compare it with another.
    material: Vec<u8>,
}

/// A set of public keys (RFC 7517 §5).
#[derive(Debug, Default)]
pub struct Keys {
    by_id: HashMap<String, Key>,
}

/// The error for a text that is not a set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a JWK set")]
pub struct MalformedKeys;

impl Keys {
    /// Parses a JWK set. Leaves out the keys that cannot be used: without a `kid`, for another use, for an algorithm
    /// that is not in [`Algorithm`], damaged, or too weak. Of several with one id the first that can be used counts.
    ///
    /// # Errors
    /// The text is not a JWK set.
    pub fn parse(json: &[u8]) -> Result<Self, MalformedKeys> {
        let set: Value = serde_json::from_slice(json).map_err(|_| MalformedKeys)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(MalformedKeys)?;
        let mut by_id = HashMap::new();
        for jwk in keys {
            let id = jwk.get("kid").and_then(Value::as_str);
            if let (Some(id), Some(key)) = (id, Key::parse(jwk)) {
                by_id.entry(id.to_owned()).or_insert(key);
            }
        }
        Ok(Self { by_id })
    }

    /// Finds the key with this id.
    pub fn get(&self, id: &str) -> Option<&Key> {
        self.by_id.get(id)
    }

    /// Returns the ids of the keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    /// Returns whether the keys are the same as the others.
    pub(crate) fn are_same(&self, others: &Self) -> bool {
        let is_in_others = |(id, key): (&String, &Key)| {
            let other = others.by_id.get(id);
            other.is_some_and(|other| other.algorithm == key.algorithm && other.material == key.material)
        };
        self.by_id.len() == others.by_id.len() && self.by_id.iter().all(is_in_others)
    }
}

impl Key {
    /// Parses a JWK (RFC 7517). Returns `None` if it cannot be used: for another use, for an algorithm that is not in
    /// [`Algorithm`], damaged, or too weak.
    pub fn parse(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        if jwk.get("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let algorithm = match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            ("RSA", _) => Algorithm::Rs256,
            _ => return None,
        };
        if jwk.get("alg").is_some_and(|alg| alg != algorithm.name()) {
            return None;
        }
        match algorithm {
            Algorithm::Es256 => {
                let x = bytes("x").filter(|x| x.len() == 32)?;
                let y = bytes("y").filter(|y| y.len() == 32)?;
                let material = [&[4][..], &x, &y].concat();
                let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &material).ok()?;
                Some(Self { algorithm, public, material })
            }
            Algorithm::EdDsa => {
                let material = bytes("x").filter(|x| x.len() == 32)?;
                let public = ParsedPublicKey::new(&ED25519, &material).ok()?;
                Some(Self { algorithm, public, material })
            }
            Algorithm::Rs256 => {
                let components = RsaPublicKeyComponents { n: bytes("n")?, e: bytes("e")? };
                if !(256..=1024).contains(&components.n.len()) || components.n.first() == Some(&0) {
                    return None;
                }
                let public = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
                Some(Self { algorithm, public, material: [components.n, components.e].concat() })
            }
        }
    }
}

impl VerifyingKey for Key {
    fn alg(&self) -> &'static str {
        self.algorithm.name()
    }

    fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        (self.algorithm != Algorithm::Es256 || has_lower_s(signature))
            && self.public.verify_sig(message, signature).is_ok()
    }
}
