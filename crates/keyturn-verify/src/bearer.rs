//! The token of a request (RFC 6750 §2.1).

use std::sync::Arc;

use crate::client::LiveVerifier;
use crate::{Demand, Moment, Refusal, VerifiedToken};

/// What a response says about a request that is refused.
pub(crate) struct Denial {
    pub(crate) status: u16,
    pub(crate) challenge: Option<&'static str>,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.status(), challenge: refusal.challenge() }
    }
}

/// Returns the token in the values of `Authorization`, of which there must be one.
fn bearer<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a str> {
    let value = std::str::from_utf8(values.next()?).ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (values.next().is_none() && scheme.eq_ignore_ascii_case("bearer")).then_some(token.trim_start_matches(' '))
}

/// Checks the request with these values of `Authorization`.
pub(crate) async fn authorize<'a>(
    verifier: &LiveVerifier,
    demand: &Demand,
    values: impl Iterator<Item = &'a [u8]>,
) -> Result<Arc<VerifiedToken>, Denial> {
    let token = bearer(values).ok_or(Denial { status: 401, challenge: Some("Bearer") })?;
    let token = verifier.check(token).await?;
    demand.check(&token, Moment::now())?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn one_bearer_token_is_taken() {
        let read = |values: &[&'static str]| bearer(values.iter().map(|value| value.as_bytes())).map(str::to_owned);
        for right in ["Bearer x", "bearer x", "BEARER  x"] {
            assert_eq!(read(&[right]).as_deref(), Some("x"), "{right}");
        }
        for wrong in [&[][..], &["Basic x"], &["Bearer"], &["x"], &[""], &["Bearer x", "Bearer x"], &["Bearerx y"]] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
