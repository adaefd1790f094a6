//! One key pair (or, for HS256, one shared key) and what it can do.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use aws_lc_rs::{hmac, rsa};
use jsonwebtoken::DecodingKey;
use zeroize::Zeroizing;

use crate::config::Algorithm;
use crate::db::types::KeyId;
use crate::random::Random;

/// Bytes of an HS256 key: as long as its hash's output (RFC 7518 §3.2).
const HS256_KEY_LENGTH: usize = 32;

/// A private key, parsed once: parsing costs about as much as signing.
pub struct SigningKey {
    pub id: KeyId,
    pair: Pair,
}

#[expect(clippy::large_enum_variant, reason = "a server has one or two")]
enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
    Hs256(hmac::Key),
}

/// The key's bytes do not make a key of its algorithm.
#[derive(Debug, thiserror::Error)]
#[error("the key cannot be used for its algorithm")]
pub struct UnusableKey;

/// What checks signatures of one key, and is published for others to do so.
pub struct VerifyingKey {
    pub id: KeyId,
    pub algorithm: Algorithm,
    pub decoding: DecodingKey,
    pub public: PublicKey,
}

/// The public half, in the parts that a JWK has (RFC 7518 §6, RFC 8037 §2). HS256 has none.
pub enum PublicKey {
    Ec { x: Vec<u8>, y: Vec<u8> },
    Ed { x: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
    None,
}

/// Makes a private key: PKCS#8, or for HS256 the bytes themselves.
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

    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Es256(_) => Algorithm::Es256,
            Pair::EdDsa(_) => Algorithm::EdDsa,
            Pair::Rs256(_) => Algorithm::Rs256,
            Pair::Hs256(_) => Algorithm::Hs256,
        }
    }

    /// The JWS signature over `message` (RFC 7518 §3.1).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, UnusableKey> {
        let system = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&system, message).map(|signature| signature.as_ref().to_vec()),
            Pair::EdDsa(pair) => pair.try_sign(message).map(|signature| signature.as_ref().to_vec()),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &system, message, &mut signature).map(|()| signature)
            }
            Pair::Hs256(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
        .map_err(|_| UnusableKey)
    }

    /// The half that verifies. `private` are the bytes that this key was parsed from: HS256 verifies with the same.
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

    /// The public half as bytes, for the database: what identifies the key to somebody who compares.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rs256(pair) => pair.public_key().modulus().big_endian_without_leading_zero().to_vec(),
            Pair::Hs256(_) => Vec::new(),
        }
    }
}
