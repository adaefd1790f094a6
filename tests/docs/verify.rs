use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

/// The claims of an access token that a backend needs.
#[derive(Debug, Deserialize)]
pub struct Claims {
    /// The account.
    pub sub: String,
    /// The session.
    pub sid: String,
    pub roles: Vec<String>,
}

/// Verifies an access token. Returns `None` if it was signed by a key that is not among `keys`.
pub fn verify(token: &str, keys: &JwkSet, issuer: &str) -> Option<Result<Claims, jsonwebtoken::errors::Error>> {
    let header = match decode_header(token) {
        Ok(header) => header,
        Err(error) => return Some(Err(error)),
    };
    if header.typ.as_deref() != Some("at+jwt") {
        return Some(Err(jsonwebtoken::errors::ErrorKind::InvalidToken.into()));
    }
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref()?)?).ok()?;
    let mut expected = Validation::new(Algorithm::ES256);
    expected.set_issuer(&[issuer]);
    expected.set_audience(&["keyturn"]);
    expected.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    expected.leeway = 5;
    Some(decode::<Claims>(token, &key, &expected).map(|decoded| decoded.claims))
}
