//! The check of a proof that a client holds the key of its token (DPoP, RFC 9449 §4.3), without I/O. Whether the proof
//! was used before is the caller's to find out.

mod seen;
mod uri;

use std::ops::RangeInclusive;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::json;

pub(crate) use seen::SeenProofs;
pub use uri::is_same_request;

/// The algorithms of proofs.
pub const ALGORITHMS: [&str; 3] = ["ES256", "EdDSA", "RS256"];

/// The longest proof, in bytes. One with an RSA key of 4096 bits has about 2 KB.
const MAX_LENGTH: usize = 4096;

/// The lengths that the modulus of an RSA key can have, in bytes.
const MODULUS: RangeInclusive<usize> = 256..=512;

/// The longest exponent of an RSA key, in bytes.
const MAX_EXPONENT: usize = 4;

/// The members of private and symmetric keys (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The longest `jti`, in characters.
const MAX_JTI: usize = 256;

/// The age up to which a proof is accepted, in seconds.
pub const MAX_AGE_SECS: i64 = 60;

/// The seconds by which the clock of a client can be ahead.
pub const LEEWAY_SECS: i64 = 5;

/// The request that a proof has to be for.
#[derive(Clone, Copy)]
pub struct ProvenRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The URL as the client knows it. Query and fragment do not count.
    pub url: &'a str,
    /// The access token that the request presents.
    pub access_token: Option<&'a str>,
}

/// A proof that is valid, unless it was used before.
pub struct Proof {
    /// SHA-256 of the JWK of the key (RFC 7638).
    pub thumbprint: [u8; 32],
    /// The id of the proof.
    pub jti: String,
    /// The nonce, if it has one.
    pub nonce: Option<String>,
}

impl Proof {
    /// Returns the thumbprint as it is in `cnf.jkt`.
    pub fn jkt(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.thumbprint)
    }

    /// Returns what the proof is remembered by: the beginning of a hash of thumbprint and `jti`.
    pub(crate) fn digest(&self) -> [u8; 16] {
        let mut digest = [0; 16];
        let hash = sha256(&[&self.thumbprint[..], self.jti.as_bytes()].concat());
        digest.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        digest
    }
}

/// Returns whether a text is a thumbprint in its one form: 32 bytes in base64url.
pub(crate) fn is_thumbprint(text: &str) -> bool {
    coordinate(text).is_some()
}

/// Why a proof is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidProof {
    /// The request has several.
    #[error("the request has several proofs")]
    Several,
    /// The text is no JWT, or too long.
    #[error("the proof is no JWT of up to {MAX_LENGTH} bytes")]
    Malformed,
    /// The header is not that of a proof.
    #[error("the header of the proof needs typ dpop+jwt, one of the algorithms ES256, EdDSA and RS256, and a jwk")]
    Header,
    /// The key is none of the algorithm, or a private one.
    #[error("the jwk of the proof is no public key of its algorithm")]
    Key,
    /// The signature is wrong.
    #[error("the signature of the proof is not valid")]
    Signature,
    /// A claim is missing or has a wrong form.
    #[error("the proof needs the claims jti, htm, htu and iat")]
    Claims,
    /// The proof is for another method.
    #[error("the claim htm of the proof is not the method of the request")]
    Method,
    /// The proof is for another URL.
    #[error("the claim htu of the proof is not the URL of the request")]
    Url,
    /// The proof is too old, or from the future.
    #[error("the claim iat of the proof is over {MAX_AGE_SECS} seconds ago or in the future")]
    Time,
    /// The proof is for another access token, or for none.
    #[error("the claim ath of the proof is not the hash of the access token")]
    Token,
    /// The proof was used before.
    #[error("the proof was used before: each request needs its own")]
    Replayed,
}

impl InvalidProof {
    /// Returns the stable code of the reason, as in the corpus.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Several => "proof_several",
            Self::Malformed => "proof_malformed",
            Self::Header => "proof_header",
            Self::Key => "proof_key",
            Self::Signature => "proof_signature",
            Self::Claims => "proof_claims",
            Self::Method => "proof_method",
            Self::Url => "proof_url",
            Self::Time => "proof_time",
            Self::Token => "proof_token",
            Self::Replayed => "proof_replayed",
        }
    }
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Map<String, Value>,
    /// No extensions are supported (RFC 7515 §4.1.11).
    #[serde(default, deserialize_with = "is_present")]
    crit: bool,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    ath: Option<String>,
    nonce: Option<String>,
}

/// Returns `true` for any value, even `null`: serde calls it only for a member that is there.
fn is_present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

/// Verifies that a text is a proof for `request` at the time `now`, in seconds since 1970, signed with the key that it
/// contains. Does not check whether it was used before.
///
/// # Errors
/// The proof is not valid.
pub fn verify(text: &str, request: ProvenRequest<'_>, now: i64) -> Result<Proof, InvalidProof> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.len() > MAX_LENGTH || !text.bytes().all(allowed) {
        return Err(InvalidProof::Malformed);
    }
    let (message, signature) = text.rsplit_once('.').ok_or(InvalidProof::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(InvalidProof::Malformed)?;
    if payload.contains('.') {
        return Err(InvalidProof::Malformed);
    }
    let header: Header = json::decode(header).ok_or(InvalidProof::Header)?;
    if header.crit || header.typ != "dpop+jwt" || !ALGORITHMS.contains(&header.alg.as_str()) {
        return Err(InvalidProof::Header);
    }
    let key = Key::of(&header.alg, &header.jwk).ok_or(InvalidProof::Key)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| InvalidProof::Signature)?;
    if !key.verifies(message.as_bytes(), &signature) {
        return Err(InvalidProof::Signature);
    }
    let claims: Claims = json::decode(payload).ok_or(InvalidProof::Claims)?;
    check_claims(&claims, request, now)?;
    Ok(Proof { thumbprint: sha256(key.canonical.as_bytes()), jti: claims.jti, nonce: claims.nonce })
}

fn check_claims(claims: &Claims, request: ProvenRequest<'_>, now: i64) -> Result<(), InvalidProof> {
    if !(1..=MAX_JTI).contains(&claims.jti.chars().count()) {
        return Err(InvalidProof::Claims);
    }
    if claims.htm != request.method {
        return Err(InvalidProof::Method);
    }
    if !is_same_request(&claims.htu, request.url) {
        return Err(InvalidProof::Url);
    }
    if claims.iat < now.saturating_sub(MAX_AGE_SECS) || claims.iat > now.saturating_add(LEEWAY_SECS) {
        return Err(InvalidProof::Time);
    }
    match request.access_token.map(|token| URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()))) {
        Some(hash) if claims.ath.as_ref() != Some(&hash) => Err(InvalidProof::Token),
        Some(_) | None => Ok(()),
    }
}

/// Returns the SHA-256 hash of `bytes`.
fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

/// A public key of an algorithm.
struct Key {
    public: Public,
    /// The JWK with the required members only, in the order of their names (RFC 7638 §3).
    canonical: String,
}

enum Public {
    /// An uncompressed point on the curve P-256.
    Es256(Vec<u8>),
    Ed25519(Vec<u8>),
    Rs256(RsaPublicKeyComponents<Vec<u8>>),
}

impl Key {
    fn of(algorithm: &str, jwk: &Map<String, Value>) -> Option<Self> {
        if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            return None;
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        match (algorithm, text("kty")?, text("crv")) {
            ("ES256", "EC", Some("P-256")) => Self::es256(text("x")?, text("y")?),
            ("EdDSA", "OKP", Some("Ed25519")) => Self::ed25519(text("x")?),
            ("RS256", "RSA", _) => Self::rs256(text("n")?, text("e")?),
            _ => None,
        }
    }

    fn es256(x: &str, y: &str) -> Option<Self> {
        let point = [&[4][..], &coordinate(x)?, &coordinate(y)?].concat();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Some(Self { public: Public::Es256(point), canonical })
    }

    fn ed25519(x: &str) -> Option<Self> {
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Some(Self { public: Public::Ed25519(coordinate(x)?), canonical })
    }

    fn rs256(n: &str, e: &str) -> Option<Self> {
        let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        let public = RsaPublicKeyComponents { n: number(n)?, e: number(e)? };
        let is_strong = public.n.len() > *MODULUS.start() || public.n.first().is_some_and(|first| *first >= 0x80);
        let is_exponent =
            public.e.len() <= MAX_EXPONENT && public.e != [1] && public.e.last().is_some_and(|e| e % 2 == 1);
        let is_key = MODULUS.contains(&public.n.len()) && is_strong && is_exponent;
        is_key.then_some(Self { public: Public::Rs256(public), canonical })
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::Es256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature),
            Public::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Public::Rs256(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        }
        .is_ok()
    }
}

/// Decodes a coordinate of 32 bytes.
fn coordinate(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32)
}

/// Decodes a positive number. One with leading zeros would give the same key another thumbprint (RFC 7518 §2).
fn number(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.first().is_some_and(|first| *first != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9449 §7.1, which presents a token.
    const EXAMPLE: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0V\
        jNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQ\
        SIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5l\
        eGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9\
        hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJ\
        pLjA";

    const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

    const REQUEST: ProvenRequest<'_> = ProvenRequest {
        method: "GET",
        url: "https://resource.example.org/protectedresource?a=b",
        access_token: Some(TOKEN),
    };

    #[test]
    fn the_example_of_the_rfc_is_valid_in_its_minute() {
        let text = EXAMPLE.replace(' ', "");
        let proof = verify(&text, REQUEST, 1_562_262_618).unwrap();
        assert_eq!(proof.jti, "e1j3V_bKic8-LAEB");
        let thumbprint = URL_SAFE_NO_PAD.encode(proof.thumbprint);
        assert_eq!(thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        for (now, expected) in [
            (1_562_262_618 + 60, None),
            (1_562_262_618 + 61, Some(InvalidProof::Time)),
            (1_562_262_618 - 5, None),
            (1_562_262_618 - 6, Some(InvalidProof::Time)),
        ] {
            assert_eq!(verify(&text, REQUEST, now).err(), expected, "{now}");
        }
    }
}
