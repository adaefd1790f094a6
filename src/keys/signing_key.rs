//! A signing key: a key pair, or a shared key for HS256.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType, Jwk,
    KeyAlgorithm, OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse, RSAKeyParameters, RSAKeyType,
};
use zeroize::Zeroizing;

use super::low_s;
use crate::random::Random;
use crate::types::{Algorithm, KeyId};

/// The length of an HS256 key in bytes: the output length of its hash (RFC 7518 §3.2).
const HS256_KEY_LENGTH: usize = 32;

/// A private key. It is parsed once, because parsing takes about as long as signing.
pub struct SigningKey {
    /// The id of the key.
    pub id: KeyId,
    pair: Pair,
}

#[expect(clippy::large_enum_variant, reason = "a server has few keys")]
enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
    Hs256(hmac::Key),
}

/// The error for bytes that are not a key of their algorithm.
#[derive(Debug, thiserror::Error)]
#[error("the key cannot be used for its algorithm")]
pub struct UnusableKey;

/// The key that verifies the signatures of a signing key.
pub struct VerifyingKey {
    /// The key as it is published (RFC 7517). A shared key, of HS256, has no public half.
    pub jwk: Option<Jwk>,
    verifier: SignatureVerifier,
}

enum SignatureVerifier {
    Public(keyturn_verify::Key),
    Shared(Box<hmac::Key>),
}

impl keyturn_verify::VerifyingKey for VerifyingKey {
    fn alg(&self) -> &'static str {
        match &self.verifier {
            SignatureVerifier::Public(key) => key.alg(),
            SignatureVerifier::Shared(_) => Algorithm::Hs256.name(),
        }
    }

    fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.verifier {
            SignatureVerifier::Public(key) => key.is_valid(message, signature),
            SignatureVerifier::Shared(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

/// Generates a private key in PKCS#8, or random bytes for HS256.
///
/// # Errors
/// The cryptographic library fails.
pub fn generate(algorithm: Algorithm, random: &Random) -> Result<Zeroizing<Vec<u8>>, UnusableKey> {
    fn pkcs8(document: &impl AsRef<[u8]>) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(document.as_ref().to_vec())
    }
    let system = SystemRandom::new();
    match algorithm {
        Algorithm::Es256 => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &system).map(|document| pkcs8(&document))
        }
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&system).map(|document| pkcs8(&document)),
        Algorithm::Rs256 => {
            use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
            let pair = RsaKeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| UnusableKey)?;
            let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| UnusableKey)?;
            return Ok(pkcs8(&*document));
        }
        Algorithm::Hs256 => return Ok(Zeroizing::new(random.bytes::<HS256_KEY_LENGTH>().to_vec())),
    }
    .map_err(|_| UnusableKey)
}

impl SigningKey {
    /// Parses a private key that [`generate`] returned.
    ///
    /// # Errors
    /// The bytes are not a key of `algorithm`.
    pub fn parse(id: KeyId, algorithm: Algorithm, private: &[u8]) -> Result<Self, UnusableKey> {
        let pair = match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private);
                Pair::Es256(pair.map_err(|_| UnusableKey)?)
            }
            Algorithm::EdDsa => Pair::EdDsa(Ed25519KeyPair::from_pkcs8(private).map_err(|_| UnusableKey)?),
            Algorithm::Rs256 => Pair::Rs256(RsaKeyPair::from_pkcs8(private).map_err(|_| UnusableKey)?),
            Algorithm::Hs256 if private.len() >= HS256_KEY_LENGTH => {
                Pair::Hs256(hmac::Key::new(hmac::HMAC_SHA256, private))
            }
            Algorithm::Hs256 => return Err(UnusableKey),
        };
        Ok(Self { id, pair })
    }

    /// Returns the algorithm of the key.
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Es256(_) => Algorithm::Es256,
            Pair::EdDsa(_) => Algorithm::EdDsa,
            Pair::Rs256(_) => Algorithm::Rs256,
            Pair::Hs256(_) => Algorithm::Hs256,
        }
    }

    /// Returns the JWS signature over `message` (RFC 7518 §3.1).
    ///
    /// # Errors
    /// The cryptographic library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, UnusableKey> {
        let system = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&system, message).map(|signature| {
                let mut signature = signature.as_ref().to_vec();
                low_s::lower(&mut signature);
                signature
            }),
            Pair::EdDsa(pair) => pair.try_sign(message).map(|signature| signature.as_ref().to_vec()),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &system, message, &mut signature).map(|()| signature)
            }
            Pair::Hs256(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
        .map_err(|_| UnusableKey)
    }

    /// Returns the key that verifies.
    ///
    /// # Errors
    /// The public key has an unexpected form.
    pub fn verifying_key(&self) -> Result<VerifyingKey, UnusableKey> {
        if let Pair::Hs256(key) = &self.pair {
            return Ok(VerifyingKey { jwk: None, verifier: SignatureVerifier::Shared(Box::new(key.clone())) });
        }
        let jwk = self.jwk().ok_or(UnusableKey)?;
        let json = serde_json::to_value(&jwk).map_err(|_| UnusableKey)?;
        let key = keyturn_verify::Key::parse(&json).ok_or(UnusableKey)?;
        Ok(VerifyingKey { jwk: Some(jwk), verifier: SignatureVerifier::Public(key) })
    }

    /// Returns the public key with the members of its type (RFC 7518 §6, RFC 8037 §2), or `None` for HS256.
    fn jwk(&self) -> Option<Jwk> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (algorithm, parameters) = match &self.pair {
            Pair::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref().get(1..).and_then(|xy| xy.split_at_checked(32))?;
                let key_type = EllipticCurveKeyType::EC;
                let point = EllipticCurveKeyParameters { key_type, curve: EllipticCurve::P256, x: text(x), y: text(y) };
                (KeyAlgorithm::ES256, AlgorithmParameters::EllipticCurve(point))
            }
            Pair::EdDsa(pair) => {
                let point = OctetKeyPairParameters {
                    key_type: OctetKeyPairType::OctetKeyPair,
                    curve: EllipticCurve::Ed25519,
                    x: text(pair.public_key().as_ref()),
                };
                (KeyAlgorithm::EdDSA, AlgorithmParameters::OctetKeyPair(point))
            }
            Pair::Rs256(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                let numbers = RSAKeyParameters { key_type: RSAKeyType::RSA, n: text(&n), e: text(&e) };
                (KeyAlgorithm::RS256, AlgorithmParameters::RSA(numbers))
            }
            Pair::Hs256(_) => return None,
        };
        let common = CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(algorithm),
            key_id: Some(self.id.to_string()),
            ..CommonParameters::default()
        };
        Some(Jwk { common, algorithm: parameters })
    }

    /// Returns the public key as `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1), or `None` for HS256.
    ///
    /// # Errors
    /// The cryptographic library fails.
    pub fn public_der(&self) -> Result<Option<Vec<u8>>, UnusableKey> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Es256(pair) => pair.public_key().as_der(),
            Pair::EdDsa(pair) => pair.public_key().as_der(),
            Pair::Rs256(pair) => pair.public_key().as_der(),
            Pair::Hs256(_) => return Ok(None),
        }
        .map_err(|_| UnusableKey)?;
        Ok(Some(der.as_ref().to_vec()))
    }

    /// Returns the public key as bytes for the database, where it identifies the key. It is empty for HS256.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rs256(pair) => pair.public_key().modulus().big_endian_without_leading_zero().to_vec(),
            Pair::Hs256(_) => Vec::new(),
        }
    }
}
