//! Tokens as a client gets them, and a look inside that no client would take.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyturn::types::{Jti, SessionId, UserId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Response;

/// What a client gets at a login and at each refresh.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    pub session: SessionId,
    pub user: UserId,
    pub email: String,
}

impl Tokens {
    /// Reads the body of a token response.
    #[track_caller]
    pub fn of(response: &Response) -> Self {
        assert!(matches!(response.status, 200 | 201), "{} {}", response.status, response.text());
        let body = response.json();
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no token response: {body}")).to_owned();
        Self {
            access: text(&body["access_token"]),
            refresh: text(&body["refresh_token"]),
            session: SessionId(text(&body["session_id"]).parse().unwrap()),
            user: UserId(text(&body["user"]["id"]).parse().unwrap()),
            email: text(&body["user"]["email"]),
        }
    }

    /// The claims of the access token.
    pub fn claims(&self) -> Value {
        jwt_part(&self.access, 1)
    }

    /// The access token's id.
    pub fn jti(&self) -> Jti {
        serde_json::from_value(self.claims()["jti"].clone()).unwrap()
    }

    /// SHA-256 of the refresh token: what the database keeps of it.
    pub fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.refresh.as_bytes()).to_vec()
    }

    /// The bytes that the refresh token's text holds.
    pub fn refresh_bytes(&self) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(self.refresh.strip_prefix("ktr_").unwrap()).unwrap()
    }
}

/// Header (0) or payload (1) of a JWT.
pub fn jwt_part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
