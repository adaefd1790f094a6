//! Access tokens: JWTs (RFC 9068).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm as JwsAlgorithm;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::unique_members::has_unique_members;
use crate::keys::{KeyRing, VerifyingKey, low_s};
use crate::types::{Algorithm, Amr, Jti, KeyId, Roles, SessionId, Timestamp, UserId};

/// The longest text that is parsed, in bytes. Issued tokens are shorter than 1 KiB.
const MAX_LENGTH: usize = 8 * 1024;

/// The seconds by which another server's clock can be ahead. The leeway applies to `nbf` and not to `exp`.
const NOT_BEFORE_LEEWAY_SECS: i64 = 5;

/// The claims of an access token (RFC 9068 §2.2). Times are seconds since 1970 (NumericDate).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The account.
    pub sub: UserId,
    /// The audience.
    pub aud: String,
    /// The time at which the token expires.
    pub exp: i64,
    /// The time at which the token was issued.
    pub iat: i64,
    /// The time before which the token is not valid.
    pub nbf: i64,
    /// The id of the token.
    pub jti: Jti,
    /// The session.
    pub sid: SessionId,
    /// The revision of the session at which the token was issued. A change of the account revokes earlier ones.
    pub rev: i64,
    /// The client that the session was opened for.
    pub client_id: String,
    /// The scopes, separated by spaces. Left out if there are none: RFC 6749 §3.3 has no empty scope.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// The roles of the account.
    pub roles: Roles,
    /// The time at which the user authenticated.
    pub auth_time: i64,
    /// The methods by which the user authenticated.
    pub amr: Amr,
    /// The email address of the account (OpenID Connect Core §5.1), if `ACCESS_TOKEN_CLAIMS` asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the email address is verified. Always there with `email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The name of the account, if `ACCESS_TOKEN_CLAIMS` asks for it and it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The administrator who acts for the user, if the session is an impersonation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
}

/// The `client_id` of the tokens that a person's login and its refreshes issue: the name of this API's own client.
pub const FIRST_PARTY: &str = "keyturn";

impl Claims {
    /// Returns whether a registered client got the token in exchange for another one (RFC 8693).
    pub fn is_exchanged(&self) -> bool {
        self.client_id != FIRST_PARTY
    }
}

/// The actor in a token (RFC 8693 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The account of the actor.
    pub sub: UserId,
}

/// The reason why a token is invalid. It is for logs and metrics and is not revealed to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// The text is not a JWT.
    #[error("the token is malformed")]
    Malformed,
    /// The header is not that of an access token.
    #[error("the header is not valid")]
    Header,
    /// No key has the id in the header.
    #[error("the key is unknown")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the signature is not valid")]
    Signature,
    /// The claims are malformed, or the issuer or audience is wrong.
    #[error("the claims are not valid")]
    Claims,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The token is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// The error of a token that could not be signed, because the key failed.
#[derive(Debug, thiserror::Error)]
#[error("the access token could not be signed")]
pub struct SigningError;

/// The header of an issued token.
#[derive(Serialize)]
struct IssuedHeader<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: KeyId,
}

/// The header of a presented token. A token with `crit` is refused, because no extensions are supported (RFC 7515
/// §4.1.11).
#[derive(Deserialize)]
struct PresentedHeader {
    alg: String,
    typ: String,
    kid: KeyId,
    #[serde(default, deserialize_with = "is_present")]
    crit: bool,
}

/// Returns `true` for any value, even `null`: serde calls it only for a member that is there.
fn is_present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

/// Signs `claims` with the signing key.
///
/// # Errors
/// The key fails.
pub fn sign(claims: &impl Serialize, key_ring: &KeyRing) -> Result<String, SigningError> {
    let key = key_ring.signing();
    let header = IssuedHeader { alg: key.algorithm().name(), typ: "at+jwt", kid: key.id };
    let mut token = String::with_capacity(1024);
    for part in [serde_json::to_vec(&header), serde_json::to_vec(claims)] {
        URL_SAFE_NO_PAD.encode_string(part.map_err(|_| SigningError)?, &mut token);
        token.push('.');
    }
    token.pop();
    let signature = key.sign(token.as_bytes()).map_err(|_| SigningError)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// The claims that must have the configured values.
pub struct ExpectedClaims<'a> {
    /// The issuer, `iss`.
    pub issuer: &'a str,
    /// The audience, `aud`; `None` for any.
    pub audience: Option<&'a str>,
}

/// The claims that every token has, and by which it is checked whatever else it says.
pub trait StandardClaims: for<'de> Deserialize<'de> {
    /// Returns the issuer.
    fn issuer(&self) -> &str;

    /// Returns the audience.
    fn audience(&self) -> &str;

    /// Returns the time before which the token is not valid.
    fn not_before(&self) -> i64;

    /// Returns the time at which the token expires.
    fn expires_at(&self) -> i64;
}

impl StandardClaims for Claims {
    fn issuer(&self) -> &str {
        &self.iss
    }

    fn audience(&self) -> &str {
        &self.aud
    }

    fn not_before(&self) -> i64 {
        self.nbf
    }

    fn expires_at(&self) -> i64 {
        self.exp
    }
}

/// Verifies the form, header, key, signature and claims of a token, in this order. Returns the claims and the id of the
/// key. Does not check whether the token was revoked.
///
/// # Errors
/// The token is invalid.
pub fn verify<C: StandardClaims>(
    token: &str,
    key_ring: &KeyRing,
    expected: &ExpectedClaims<'_>,
    now: Timestamp,
) -> Result<(C, KeyId), InvalidToken> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if token.len() > MAX_LENGTH || !token.bytes().all(allowed) {
        return Err(InvalidToken::Malformed);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(InvalidToken::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(InvalidToken::Malformed)?;
    let header: PresentedHeader = decode(header).ok_or(InvalidToken::Header)?;
    let typ = header.typ.strip_prefix("application/").unwrap_or(&header.typ);
    if header.crit || !typ.eq_ignore_ascii_case("at+jwt") {
        return Err(InvalidToken::Header);
    }
    let key = key_ring.verifying(header.kid).ok_or(InvalidToken::UnknownKey)?;
    if header.alg != key.verifying.algorithm.name() {
        return Err(InvalidToken::Header);
    }
    check_signature(signature, message, &key.verifying)?;
    let claims: C = decode(payload).ok_or(InvalidToken::Claims)?;
    if claims.issuer() != expected.issuer {
        return Err(InvalidToken::Claims);
    }
    check_audience(&claims, expected)?;
    if claims.not_before() > now.as_secs().saturating_add(NOT_BEFORE_LEEWAY_SECS) {
        return Err(InvalidToken::NotYetValid);
    }
    check_expiry(&claims, now)?;
    Ok((claims, header.kid))
}

fn check_signature(signature: &str, message: &str, key: &VerifyingKey) -> Result<(), InvalidToken> {
    let canonical = key.algorithm != Algorithm::Es256
        || URL_SAFE_NO_PAD.decode(signature).is_ok_and(|signature| low_s::is_low(&signature));
    match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.decoding, jws(key.algorithm)) {
        Ok(true) if canonical => Ok(()),
        Ok(_) | Err(_) => Err(InvalidToken::Signature),
    }
}

/// Checks whether a token is for the expected audience.
///
/// # Errors
/// It is for another one.
pub fn check_audience(claims: &impl StandardClaims, expected: &ExpectedClaims<'_>) -> Result<(), InvalidToken> {
    match expected.audience {
        Some(audience) if claims.audience() != audience => Err(InvalidToken::Claims),
        Some(_) | None => Ok(()),
    }
}

/// Checks whether a token that was verified before has expired since.
///
/// # Errors
/// It has.
pub fn check_expiry(claims: &impl StandardClaims, now: Timestamp) -> Result<(), InvalidToken> {
    if now.as_secs() < claims.expires_at() { Ok(()) } else { Err(InvalidToken::Expired) }
}

/// Decodes the header or the claims. Refuses JSON that repeats a member, which parsers read differently (RFC 7515 §4,
/// RFC 7519 §4).
fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    if has_unique_members(&json) { serde_json::from_slice(&json).ok() } else { None }
}

const fn jws(algorithm: Algorithm) -> JwsAlgorithm {
    match algorithm {
        Algorithm::Es256 => JwsAlgorithm::ES256,
        Algorithm::EdDsa => JwsAlgorithm::EdDSA,
        Algorithm::Rs256 => JwsAlgorithm::RS256,
        Algorithm::Hs256 => JwsAlgorithm::HS256,
    }
}
