//! A signing key: a key pair, or a shared key for HS256.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use aws_lc_rs::{hmac, rsa};
use jsonwebtoken::DecodingKey;
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
    /// The id of the signing key.
    pub id: KeyId,
    /// The algorithm of the signatures.
    pub algorithm: Algorithm,
    /// The key in the form that the crate jsonwebtoken uses.
    pub decoding: DecodingKey,
    /// The key in the form that is published.
    pub public: PublicKey,
}

/// The public key as the parameters of a JWK (RFC 7518 §6, RFC 8037 §2).
pub enum PublicKey {
    /// A point on the curve P-256.
    Ec {
        /// The x coordinate.
        x: Vec<u8>,
        /// The y coordinate.
        y: Vec<u8>,
    },
    /// An Ed25519 key.
    Ed {
        /// The public key.
        x: Vec<u8>,
    },
    /// An RSA key.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// HS256 has no public key.
    None,
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

    /// Returns the key that verifies. `private` must be the bytes that this key was parsed from, because HS256 verifies
    /// with the same key.
    ///
    /// # Errors
    /// The public key has an unexpected form.
    pub fn verifying_key(&self, private: &[u8]) -> Result<VerifyingKey, UnusableKey> {
        let (decoding, public) = match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..).and_then(|xy| xy.split_at_checked(32)).ok_or(UnusableKey)?;
                (DecodingKey::from_ec_der(point), PublicKey::Ec { x: x.to_vec(), y: y.to_vec() })
            }
            Pair::EdDsa(pair) => {
                let x = pair.public_key().as_ref();
                (DecodingKey::from_ed_der(x), PublicKey::Ed { x: x.to_vec() })
            }
            Pair::Rs256(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                (DecodingKey::from_rsa_raw_components(&n, &e), PublicKey::Rsa { n, e })
            }
            Pair::Hs256(_) => (DecodingKey::from_secret(private), PublicKey::None),
        };
        Ok(VerifyingKey { id: self.id, algorithm: self.algorithm(), decoding, public })
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
