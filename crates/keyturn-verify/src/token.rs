//! The rules for tokens: form, header, key, signature and claims.

use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::{Algorithm, Claims, Refusal, json};

/// The longest token that is parsed, in bytes. Issued tokens are shorter than 1 KiB.
const MAX_LENGTH: usize = 8 * 1024;

/// The most leeway, in seconds. Entries of the feed live 60 seconds longer than their tokens.
const MAX_LEEWAY_SECS: u32 = 30;

/// What tokens must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The issuer, `iss`.
    pub issuer: String,
    /// The audiences, of which `aud` must be one; `None` for any.
    pub audiences: Option<Vec<String>>,
    /// The algorithms of signatures. By default all of [`Algorithm`].
    pub algorithms: Vec<Algorithm>,
    /// The seconds by which the server's clock may be ahead, for `nbf`: 5 by default, 30 at most.
    pub not_before_leeway_secs: u32,
    /// The seconds for which a token is accepted after `exp`: 0 by default, 30 at most.
    pub expiry_leeway_secs: u32,
}

impl Rules {
    /// Creates the rules for tokens of this issuer for this audience.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { audiences: Some(vec![audience.into()]), ..Self::for_any_audience(issuer) }
    }

    /// Creates the rules for tokens of this issuer for whatever audience. They are for a server that says of tokens
    /// whether they are active: an API that opens itself to them is open to tokens for every other API.
    pub fn for_any_audience(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: None,
            algorithms: Algorithm::ALL.to_vec(),
            not_before_leeway_secs: 5,
            expiry_leeway_secs: 0,
        }
    }
}

/// A token whose form, signature and claims are valid.
#[derive(Debug)]
#[non_exhaustive]
pub struct VerifiedToken {
    /// The claims.
    pub claims: Claims,
    /// The id of the key that signed it.
    pub kid: String,
}

/// A key that verifies signatures.
pub trait VerifyingKey {
    /// Returns the name of its algorithm, as in the header `alg`.
    fn alg(&self) -> &'static str;

    /// Returns whether a signature over `message` is valid.
    fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// The header of a token. One with `crit` is refused, because no extensions are supported (RFC 7515 §4.1.11).
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
    #[serde(default, deserialize_with = "is_present")]
    crit: bool,
}

/// Returns `true` for any value, even `null`: serde calls it only for a member that is there.
fn is_present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

impl Rules {
    /// Verifies form, header, key, signature and claims of a token, in this order, at `now_secs` in seconds since 1970.
    /// `find_key` is asked for the key that the header names. Whether anything was revoked is not checked.
    ///
    /// # Errors
    /// The token is refused, or `find_key` has failed.
    pub fn verify<K: Deref<Target: VerifyingKey>>(
        &self,
        token: &str,
        find_key: impl FnOnce(&str) -> Result<K, Refusal>,
        now_secs: i64,
    ) -> Result<VerifiedToken, Refusal> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if token.len() > MAX_LENGTH || !token.bytes().all(allowed) {
            return Err(Refusal::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::Malformed)?;
        if payload.contains('.') {
            return Err(Refusal::Malformed);
        }
        let header: Header = json::decode(header).ok_or(Refusal::Header)?;
        let typ = header.typ.strip_prefix("application/").unwrap_or(&header.typ);
        if header.crit || !typ.eq_ignore_ascii_case("at+jwt") {
            return Err(Refusal::Header);
        }
        let key = find_key(&header.kid)?;
        if header.alg != key.alg() {
            return Err(Refusal::Header);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::Signature)?;
        if !key.is_valid(message.as_bytes(), &signature) {
            return Err(Refusal::Signature);
        }
        let claims: Claims = json::decode(payload).ok_or(Refusal::Claims)?;
        if !claims.are_complete() || claims.iss != self.issuer || !self.accepts_audience(&claims.aud) {
            return Err(Refusal::Claims);
        }
        self.check_time(claims.nbf, claims.exp, now_secs)?;
        Ok(VerifiedToken { claims, kid: header.kid })
    }

    /// Returns whether tokens for this audience are accepted.
    pub fn accepts_audience(&self, audience: &str) -> bool {
        self.audiences.as_ref().is_none_or(|audiences| audiences.iter().any(|accepted| accepted == audience))
    }

    /// Checks the times of a token, as those of one that was verified before have to be checked again. All are in
    /// seconds since 1970.
    ///
    /// # Errors
    /// The token is not valid yet, or has expired.
    pub fn check_time(&self, nbf: i64, exp: i64, now: i64) -> Result<(), Refusal> {
        let leeway = |secs: u32| i64::from(secs.min(MAX_LEEWAY_SECS));
        if nbf > now.saturating_add(leeway(self.not_before_leeway_secs)) {
            return Err(Refusal::NotYetValid);
        }
        let is_expired = now >= exp.saturating_add(leeway(self.expiry_leeway_secs));
        if is_expired { Err(Refusal::Expired) } else { Ok(()) }
    }
}

/// Returns the id of the key in the header of a token.
#[cfg(feature = "client")]
pub(crate) fn kid(token: &str) -> Option<String> {
    let (header, _) = token.split_once('.')?;
    json::decode::<Header>(header).map(|header| header.kid)
}
