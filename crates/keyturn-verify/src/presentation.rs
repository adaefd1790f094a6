//! The token of a request (RFC 6750 §2.1) and its proof (RFC 9449 §7.1).

use std::sync::Arc;

use crate::client::LiveVerifier;
use crate::dpop::InvalidProof;
use crate::{Demand, Moment, Refusal, VerifiedToken};

/// The header with a proof.
pub(crate) const DPOP: &str = "dpop";

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

/// How a request presents its token.
pub(crate) struct Presentation<'a> {
    /// The values of `Authorization`, of which there must be one.
    pub(crate) authorization: Vec<&'a [u8]>,
    /// The values of `DPoP`.
    pub(crate) proofs: Vec<&'a [u8]>,
    pub(crate) method: &'a str,
    /// The URL as the client knows it, if the API takes bound tokens.
    pub(crate) url: Option<&'a str>,
}

/// A token, and whether it came with the scheme `DPoP`.
#[derive(Debug, PartialEq, Eq)]
struct Presented<'a> {
    token: &'a str,
    is_dpop: bool,
}

impl<'a> Presentation<'a> {
    fn token(&self) -> Option<Presented<'a>> {
        let [value] = self.authorization[..] else { return None };
        let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        let is_dpop = self.url.is_some() && scheme.eq_ignore_ascii_case("dpop");
        let token = token.trim_start_matches(' ');
        (is_dpop || scheme.eq_ignore_ascii_case("bearer")).then_some(Presented { token, is_dpop })
    }
}

/// Checks a request.
pub(crate) async fn authorize(
    verifier: &LiveVerifier,
    demand: &Demand,
    presentation: Presentation<'_>,
) -> Result<Arc<VerifiedToken>, Denial> {
    let presented = presentation.token().ok_or(Denial { status: 401, challenge: Some("Bearer") })?;
    let token = match (presented.is_dpop, presentation.url, &presentation.proofs[..]) {
        (true, Some(url), [proof]) => {
            // What is no text is no proof either.
            let proof = std::str::from_utf8(proof).unwrap_or_default();
            verifier.check_bound(presented.token, proof, presentation.method, url).await?
        }
        (true, _, [_, _, ..]) => return Err(Refusal::from(InvalidProof::Several).into()),
        (true, ..) => {
            verifier.check(presented.token).await?;
            return Err(Refusal::NotBound.into());
        }
        (false, ..) => verifier.check(presented.token).await?,
    };
    demand.check(&token, Moment::now())?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::{Presentation, Presented};

    fn read(values: &[&'static str], url: Option<&'static str>) -> Option<Presented<'static>> {
        let authorization = values.iter().map(|value| value.as_bytes()).collect();
        Presentation { authorization, proofs: Vec::new(), method: "GET", url }.token()
    }

    #[test]
    fn one_bearer_token_is_taken() {
        for right in ["Bearer x", "bearer x", "BEARER  x"] {
            assert_eq!(read(&[right], None), Some(Presented { token: "x", is_dpop: false }), "{right}");
        }
        for wrong in [&[][..], &["Basic x"], &["Bearer"], &["x"], &[""], &["Bearer x", "Bearer x"], &["Bearerx y"]] {
            assert_eq!(read(wrong, Some("https://a")), None, "{wrong:?}");
        }
    }

    #[test]
    fn one_bound_token_is_taken_where_the_url_is_known() {
        for right in ["DPoP x", "dpop x", "DPOP  x"] {
            assert_eq!(read(&[right], Some("https://a")), Some(Presented { token: "x", is_dpop: true }), "{right}");
            assert_eq!(read(&[right], None), None, "{right}");
        }
        assert_eq!(read(&["DPoP x", "Bearer x"], Some("https://a")), None);
    }
}
