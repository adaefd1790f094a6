//! Access tokens of registered clients, which act for nobody but themselves.

use keyturn_verify::{Id, Refusal};
use serde::Serialize;

use super::access::{Confirmation, confirmation, uuid};
use crate::types::{ClientId, Jti};

/// The beginning of the subject of such a token. No account has such an id, so no route for accounts takes the token.
const SUBJECT_PREFIX: &str = "client:";

/// The claims of a client's access token (RFC 9068 §2.2). Times are seconds since 1970 (NumericDate).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientClaims {
    /// The issuer.
    pub iss: String,
    /// The client, after `client:`.
    pub sub: String,
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
    /// The client.
    pub client_id: ClientId,
    /// The scopes, separated by spaces. Left out if there are none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// The key that the token is bound to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

impl TryFrom<keyturn_verify::Claims> for ClientClaims {
    type Error = Refusal;

    /// Returns the claims of a token that was verified, if it is a client's own.
    fn try_from(claims: keyturn_verify::Claims) -> Result<Self, Refusal> {
        let client_id = ClientId(Id::parse(&claims.client_id).map(uuid).ok_or(Refusal::Claims)?);
        if claims.sub != Self::subject(client_id) {
            return Err(Refusal::Claims);
        }
        Ok(Self {
            iss: claims.iss,
            sub: claims.sub,
            aud: claims.aud,
            exp: claims.exp,
            iat: claims.iat,
            nbf: claims.nbf,
            jti: Jti(uuid(claims.jti)),
            client_id,
            cnf: claims.cnf.as_ref().map(confirmation).transpose()?,
            scope: claims.scope,
        })
    }
}

impl ClientClaims {
    /// Returns the subject of a client's tokens.
    pub fn subject(client: ClientId) -> String {
        format!("{SUBJECT_PREFIX}{client}")
    }
}
