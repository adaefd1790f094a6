//! The access token: a JWT of RFC 9068, signed here and checked here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm as JwsAlgorithm;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::Algorithm;
use crate::db::types::{KeyId, Names, SessionId, TokenId, UserId};
use crate::keys::Ring;

/// Longer texts are not looked at. A token of ours has less than 1 KiB.
const MAX_LENGTH: usize = 8 * 1024;

/// Seconds by which another server's clock may be ahead of ours: `nbf` is checked with this leeway, `exp` with none.
const NOT_BEFORE_LEEWAY: i64 = 5;

/// The claims of an access token (RFC 9068 §2.2). Times are seconds since 1970 (NumericDate).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub sub: UserId,
    pub aud: String,
    pub exp: i64,
    pub iat: i64,
    pub nbf: i64,
    pub jti: TokenId,
    pub sid: SessionId,
    pub client_id: String,
    pub scope: String,
    pub roles: Names,
    pub auth_time: i64,
    pub amr: Names,
    /// Who acts for the user, where that is somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
}

/// Somebody who acts for the subject of a token (RFC 8693 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Act {
    pub sub: UserId,
}

/// Why a token was refused: for the log and the metrics, never for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("not the form of a token")]
    Malformed,
    #[error("a header that is not ours")]
    Header,
    #[error("no such key")]
    UnknownKey,
    #[error("the signature does not hold")]
    Signature,
    #[error("claims that are not ours")]
    Claims,
    #[error("expired")]
    Expired,
    #[error("not yet valid")]
    NotYetValid,
}

/// The token could not be signed: the key does not work.
#[derive(Debug, thiserror::Error)]
#[error("the access token could not be signed")]
pub struct SigningFailed;

#[derive(Serialize)]
struct OwnHeader<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: KeyId,
}

/// What is read of a header. `crit` names extensions that must be understood; we understand none (RFC 7515 §4.1.11).
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: KeyId,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

/// Signs `claims` with the ring's signing key.
pub fn sign(claims: &Claims, ring: &Ring) -> Result<String, SigningFailed> {
    let key = ring.signing();
    let header = OwnHeader { alg: key.algorithm().name(), typ: "at+jwt", kid: key.id };
    let mut token = String::with_capacity(1024);
    for part in [serde_json::to_vec(&header), serde_json::to_vec(claims)] {
        URL_SAFE_NO_PAD.encode_string(part.map_err(|_| SigningFailed)?, &mut token);
        token.push('.');
    }
    token.pop();
    let signature = key.sign(token.as_bytes()).map_err(|_| SigningFailed)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Who issues and for whom: what `iss` and `aud` of every token have to say.
pub struct Parties<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
}

/// Checks form, header, key, signature and claims, in this order; says nothing about revocation.
pub fn verify(
    token: &str,
    ring: &Ring,
    parties: &Parties<'_>,
    now: Timestamp,
) -> Result<(Claims, KeyId), InvalidToken> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if token.len() > MAX_LENGTH || !token.bytes().all(allowed) {
        return Err(InvalidToken::Malformed);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(InvalidToken::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(InvalidToken::Malformed)?;
    let header: Header = decode(header).ok_or(InvalidToken::Header)?;
    let typ = header.typ.strip_prefix("application/").unwrap_or(&header.typ);
    if header.crit.is_some() || !typ.eq_ignore_ascii_case("at+jwt") {
        return Err(InvalidToken::Header);
    }
    let key = ring.verifying(header.kid).ok_or(InvalidToken::UnknownKey)?;
    if header.alg != key.algorithm.name() {
        return Err(InvalidToken::Header);
    }
    match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.decoding, jws(key.algorithm)) {
        Ok(true) => {}
        Ok(false) | Err(_) => return Err(InvalidToken::Signature),
    }
    let claims: Claims = decode(payload).ok_or(InvalidToken::Claims)?;
    if claims.iss != parties.issuer || claims.aud != parties.audience {
        return Err(InvalidToken::Claims);
    }
    if claims.nbf > now.as_secs().saturating_add(NOT_BEFORE_LEEWAY) {
        return Err(InvalidToken::NotYetValid);
    }
    not_expired(&claims, now)?;
    Ok((claims, header.kid))
}

/// The one claim that a token which was good once has to be asked again.
pub fn not_expired(claims: &Claims, now: Timestamp) -> Result<(), InvalidToken> {
    if now.as_secs() < claims.exp { Ok(()) } else { Err(InvalidToken::Expired) }
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

const fn jws(algorithm: Algorithm) -> JwsAlgorithm {
    match algorithm {
        Algorithm::Es256 => JwsAlgorithm::ES256,
        Algorithm::EdDsa => JwsAlgorithm::EdDSA,
        Algorithm::Rs256 => JwsAlgorithm::RS256,
        Algorithm::Hs256 => JwsAlgorithm::HS256,
    }
}
