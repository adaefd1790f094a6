//! Access tokens: JWTs (RFC 9068).

use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyturn_verify::{Id, Refusal, Rules, VerifyingKey};
use serde::Serialize;
use uuid::Uuid;

use crate::keys::signing_key::SigningKey;
use crate::types::{Amr, ClientId, Jti, KeyId, KeyThumbprint, Roles, SessionId, Timestamp, UserId};

/// The claims of an access token (RFC 9068 §2.2). Times are seconds since 1970 (NumericDate).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// The roles of the account.
    pub roles: Roles,
    /// The time at which the user authenticated.
    pub auth_time: i64,
    /// The methods by which the user authenticated.
    pub amr: Amr,
    /// The email address of the account (OpenID Connect Core §5.1), if `ACCESS_TOKEN_CLAIMS` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the email address is verified. Always there with `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The name of the account, if `ACCESS_TOKEN_CLAIMS` asks for it and it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The administrator who acts for the user, if the session is an impersonation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// The key that the token is bound to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// The key whose possession the holder of a token has to prove (RFC 7800 §3.1, RFC 9449 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    /// The thumbprint of the key.
    pub jkt: KeyThumbprint,
}

/// The `client_id` of the tokens that a person's login and its refreshes issue: the name of this API's own client.
pub const FIRST_PARTY: &str = "keyturn";

impl TryFrom<keyturn_verify::Claims> for Claims {
    type Error = Refusal;

    /// Returns the claims of a token that was verified, if it is one of a session.
    fn try_from(claims: keyturn_verify::Claims) -> Result<Self, Refusal> {
        Ok(Self {
            sub: UserId(Id::parse(&claims.sub).map(uuid).ok_or(Refusal::Claims)?),
            jti: Jti(uuid(claims.jti)),
            sid: SessionId(claims.sid.map(uuid).ok_or(Refusal::Claims)?),
            rev: claims.rev.ok_or(Refusal::Claims)?,
            roles: Roles::from_token(claims.roles.ok_or(Refusal::Claims)?),
            auth_time: claims.auth_time.ok_or(Refusal::Claims)?,
            amr: Amr::from_token(claims.amr.ok_or(Refusal::Claims)?),
            act: claims.act.map(|act| Act { sub: UserId(uuid(act.sub)) }),
            cnf: claims.cnf.as_ref().map(confirmation).transpose()?,
            iss: claims.iss,
            aud: claims.aud,
            exp: claims.exp,
            iat: claims.iat,
            nbf: claims.nbf,
            client_id: claims.client_id,
            scope: claims.scope,
            email: claims.email,
            email_verified: claims.email_verified,
            name: claims.name,
        })
    }
}

impl Claims {
    /// Returns whether a registered client got the token in exchange for another one (RFC 8693).
    pub fn is_exchanged(&self) -> bool {
        self.client_id != FIRST_PARTY
    }

    /// Returns the registered client that got the token in exchange for another one, if one did.
    pub fn exchanging_client(&self) -> Option<ClientId> {
        Uuid::parse_str(&self.client_id).ok().filter(|_| self.is_exchanged()).map(ClientId)
    }
}

/// Returns the key that a token which was verified is bound to.
///
/// # Errors
/// The text is no thumbprint.
pub(super) fn confirmation(cnf: &keyturn_verify::Confirmation) -> Result<Confirmation, Refusal> {
    KeyThumbprint::parse(&cnf.jkt).map(|jkt| Confirmation { jkt }).ok_or(Refusal::Claims)
}

/// The actor in a token (RFC 8693 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Act {
    /// The account of the actor.
    pub sub: UserId,
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

/// Signs `claims` with a key.
///
/// # Errors
/// The key fails.
pub fn sign(claims: &impl Serialize, key: &SigningKey) -> Result<String, SigningError> {
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

/// Verifies the form, header, key, signature and claims of a token, in this order. Returns the claims and the id of the
/// key. Does not check whether the token was revoked.
///
/// # Errors
/// The token is invalid.
pub fn verify<K: Deref<Target: VerifyingKey>>(
    token: &str,
    find_key: impl FnOnce(KeyId) -> Option<K>,
    rules: &Rules,
    now: Timestamp,
) -> Result<(keyturn_verify::Claims, KeyId), Refusal> {
    let key_id = |kid: &str| Id::parse(kid).map(|id| KeyId(uuid(id))).ok_or(Refusal::UnknownKey);
    let verified = rules.verify(token, |kid| find_key(key_id(kid)?).ok_or(Refusal::UnknownKey), now.as_secs())?;
    Ok((verified.claims, key_id(&verified.kid)?))
}

/// Returns an id of a token as the type of ids in this server.
pub(super) fn uuid(id: Id) -> Uuid {
    Uuid::from_bytes(*id.bytes())
}

#[cfg(test)]
mod tests {
    use keyturn_verify::{Algorithm, Keys};
    use serde_json::Value;

    use super::*;
    use crate::tokens::client::ClientClaims;

    fn text(value: &Value) -> String {
        let Some(parts) = value.as_array() else { return value.as_str().unwrap().to_owned() };
        let repeated = |part: &Value| part[0].as_str().unwrap().repeat(part[1].as_u64().unwrap().try_into().unwrap());
        parts.iter().map(repeated).collect()
    }

    fn rules(case: &Value, defaults: &Value) -> Rules {
        let option = |name: &str| case["options"].get(name).unwrap_or(&defaults[name]);
        let texts = |name: &str| option(name).as_array().unwrap().iter().map(text).collect::<Vec<_>>();
        let secs = |name: &str| u32::try_from(option(name).as_u64().unwrap()).unwrap();
        Rules {
            audiences: Some(texts("audiences")),
            algorithms: texts("algorithms").iter().map(|name| Algorithm::parse(name).unwrap()).collect(),
            not_before_leeway_secs: secs("not_before_leeway"),
            expiry_leeway_secs: secs("expiry_leeway"),
            ..Rules::for_any_audience(option("issuer").as_str().unwrap())
        }
    }

    /// The cases that ask for nothing that this server leaves to others: no state of a feed, no demand of an API, no
    /// choice of algorithms, and keys. Proofs are checked elsewhere, with the crate.
    fn cases(corpus: &Value) -> impl Iterator<Item = &Value> {
        let others = ["feed", "require", "proof"];
        corpus["cases"].as_array().unwrap().iter().filter(move |case| {
            others.iter().all(|name| case[name].is_null())
                && case["verdict"] != "proof_required"
                && case["options"].get("algorithms").is_none()
                && case.get("keys").is_none_or(Value::is_string)
        })
    }

    #[test]
    fn the_cases_of_the_verifiers_get_the_same_verdicts_here() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/verifiers/corpus.json");
        let corpus: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut wrong = Vec::new();
        for case in cases(&corpus) {
            let keys = &corpus["keys"][case["keys"].as_str().unwrap_or("usual")];
            let keys = Keys::parse(keys.to_string().as_bytes()).unwrap();
            let now = Timestamp::from_millis(case["now_ms"].as_i64().unwrap());
            let find_key = |id: KeyId| keys.get(&id.to_string());
            let verified = verify(&text(&case["token"]), find_key, &rules(case, &corpus["options"]), now);
            let read = verified.and_then(|(claims, _)| {
                Claims::try_from(claims.clone()).map(drop).or_else(|_| ClientClaims::try_from(claims).map(drop))
            });
            let verdict = read.err().map_or("valid", Refusal::code);
            if verdict != case["verdict"] {
                wrong.push(format!("{}: {verdict}, not {}", case["name"], case["verdict"]));
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        assert!(cases(&corpus).count() >= 600);
    }
}
