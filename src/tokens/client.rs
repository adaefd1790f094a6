//! Access tokens of registered clients, which act for nobody but themselves.

use serde::{Deserialize, Serialize};

use super::access::StandardClaims;
use crate::types::{ClientId, Jti};

/// The beginning of the subject of such a token. No account has such an id, so no route for accounts takes the token.
const SUBJECT_PREFIX: &str = "client:";

/// The claims of a client's access token (RFC 9068 §2.2). Times are seconds since 1970 (NumericDate).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
}

impl ClientClaims {
    /// Returns the subject of a client's tokens.
    pub fn subject(client: ClientId) -> String {
        format!("{SUBJECT_PREFIX}{client}")
    }
}

impl StandardClaims for ClientClaims {
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
