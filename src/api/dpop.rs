//! Proofs of the possession of a key in requests (DPoP, RFC 9449).

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage as _, HttpRequest};
use keyturn_verify::dpop::{ALGORITHMS, InvalidProof, ProvenRequest, is_same_request};

use super::caller::{AccessError, state};
use crate::db::DbError;
use crate::dpop::{ProofError, Proofs};
use crate::http::original_url::named_urls;
use crate::http::request::AddedHeader;
use crate::http::{HttpContext, Problem};
use crate::types::{KeyThumbprint, Transport};

/// The header with a proof.
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The header with a nonce for the next proof.
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Why a request is refused for its proof, or because it has none.
#[derive(Debug)]
pub(crate) enum ProofRefusal {
    /// The token is bound to a key, so it needs the scheme `DPoP` and a proof.
    Required,
    /// The token has the scheme `DPoP`, and is bound to no key.
    NotBound,
    /// The client asks for tokens in cookies, which cannot be bound.
    Cookies,
    /// The proof is not valid.
    Invalid(InvalidProof),
    /// The proof lacks the nonce that the response gives.
    Nonce,
    /// The proof is by another key.
    OtherKey,
    Database(DbError),
    /// The server lacks what the check needs, which is a defect.
    Missing(&'static str),
}

impl From<InvalidProof> for ProofRefusal {
    fn from(error: InvalidProof) -> Self {
        Self::Invalid(error)
    }
}

impl From<ProofError> for ProofRefusal {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Invalid(error) => Self::Invalid(error),
            ProofError::Nonce => Self::Nonce,
            ProofError::OtherKey => Self::OtherKey,
            ProofError::Database(error) => Self::Database(error),
        }
    }
}

impl From<AccessError> for ProofRefusal {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Missing(what) => Self::Missing(what),
            _ => Self::Missing("state"),
        }
    }
}

impl ProofRefusal {
    /// Returns the text for people.
    pub(super) fn detail(&self) -> String {
        match self {
            Self::Required => "The token is bound to a key: it needs the scheme DPoP and a proof.".to_owned(),
            Self::NotBound => "The token is bound to no key: it needs the scheme Bearer.".to_owned(),
            Self::Cookies => "Tokens in cookies cannot be bound to a key.".to_owned(),
            Self::Invalid(error) => Problem::sentence(error),
            Self::Nonce => "The proof needs the nonce in the header DPoP-Nonce of this response.".to_owned(),
            Self::OtherKey => "The proof is by another key than that of the token.".to_owned(),
            Self::Database(_) | Self::Missing(_) => String::new(),
        }
    }

    /// Returns the code, and the error of a challenge (RFC 9449 §7.1).
    fn codes(&self) -> (&'static str, &'static str) {
        match self {
            Self::Required => ("dpop_required", "invalid_token"),
            Self::NotBound => ("dpop_not_bound", "invalid_token"),
            Self::Cookies => ("dpop_with_cookies", "invalid_request"),
            Self::Invalid(_) => ("invalid_dpop_proof", "invalid_dpop_proof"),
            Self::Nonce => ("use_dpop_nonce", "use_dpop_nonce"),
            Self::OtherKey => ("dpop_key_mismatch", "invalid_dpop_proof"),
            Self::Database(_) | Self::Missing(_) => ("internal_error", "server_error"),
        }
    }

    /// Returns the error and the challenge (RFC 9449 §7.1) for a request that presents a token; `None` if the client is
    /// not at fault.
    pub(super) fn challenge(&self) -> Option<(&'static str, HeaderValue)> {
        if matches!(self, Self::Database(_) | Self::Missing(_)) {
            return None;
        }
        let (_, error) = self.codes();
        let detail = self.detail();
        let algorithms = ALGORITHMS.join(" ");
        let challenge = format!("DPoP error=\"{error}\", error_description=\"{detail}\", algs=\"{algorithms}\"");
        Some((error, HeaderValue::from_str(&challenge).ok()?))
    }

    /// Returns the refusal of a request that presents a token.
    pub(super) fn into_unauthorized(self) -> Problem {
        match self.challenge() {
            Some((_, challenge)) => {
                let (code, _) = self.codes();
                Problem::unauthorized(code, self.detail()).with(WWW_AUTHENTICATE, challenge)
            }
            None => self.into(),
        }
    }
}

/// The refusal of a request for tokens (RFC 9449 §5): there is no token that a challenge could be about.
impl From<ProofRefusal> for Problem {
    fn from(refusal: ProofRefusal) -> Self {
        let (code, _) = refusal.codes();
        let detail = refusal.detail();
        match refusal {
            ProofRefusal::Database(error) => error.into(),
            ProofRefusal::Missing(what) => Self::internal(&format_args!("a handler lacks {what}")),
            _ => Self::new(StatusCode::BAD_REQUEST, code, detail),
        }
    }
}

/// The request that a proof has to be for.
#[derive(Clone, Copy)]
pub(super) enum Proven<'a> {
    /// The request itself.
    This,
    /// The request that a proxy holds, of this method, with its path if the proxy asks with that.
    AtProxy(&'a Method, Option<&'a str>),
}

/// An access token as a request presents it.
pub(super) struct PresentedToken {
    /// The token.
    pub text: String,
    /// How it came.
    pub transport: Transport,
    /// Whether it came with the scheme `DPoP`.
    pub is_dpop: bool,
}

/// Returns the proof of a request.
fn proof(headers: &HeaderMap) -> Result<Option<&str>, InvalidProof> {
    let mut lines = headers.get_all(DPOP);
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(|_| InvalidProof::Malformed),
        (Some(_), Some(_)) => Err(InvalidProof::Several),
    }
}

/// Returns the URL of a request as clients know it.
fn own_url(request: &HttpRequest) -> Result<String, ProofRefusal> {
    let context: &HttpContext = state(request)?;
    Ok(format!("{}{}", context.public_url, request.uri().path()))
}

/// Checks the proof of a request for tokens, if it has one. Returns the key that the tokens are to be bound to.
///
/// # Errors
/// The proof is not valid, or the tokens would be in cookies.
pub(super) async fn proven_key(
    request: &HttpRequest,
    transport: Transport,
) -> Result<Option<KeyThumbprint>, ProofRefusal> {
    let Some(text) = proof(request.headers())? else { return Ok(None) };
    if transport == Transport::Cookie {
        return Err(ProofRefusal::Cookies);
    }
    let url = own_url(request)?;
    let proven = ProvenRequest { method: request.method().as_str(), url: &url, access_token: None };
    check(request, text, proven, None).await.map(Some)
}

/// Checks a proof. If the next one needs a nonce, the response gets it.
async fn check(
    request: &HttpRequest,
    text: &str,
    proven: ProvenRequest<'_>,
    expected: Option<KeyThumbprint>,
) -> Result<KeyThumbprint, ProofRefusal> {
    let proofs: &Proofs = state(request)?;
    let checked = proofs.check(text, proven, expected).await;
    if (proofs.requires_nonce() || matches!(checked, Err(ProofError::Nonce)))
        && let Ok(nonce) = HeaderValue::from_str(&proofs.next_nonce())
    {
        request.extensions_mut().insert(AddedHeader(DPOP_NONCE, nonce));
    }
    Ok(checked?)
}

/// Checks that a valid access token came with the scheme of its kind and, if it is bound to a key, with a proof of that
/// key for this request.
///
/// # Errors
/// The scheme is the wrong one, or the proof is missing or not valid.
pub(super) async fn require_key(
    request: &HttpRequest,
    proven: Proven<'_>,
    presented: &PresentedToken,
    bound_to: Option<KeyThumbprint>,
) -> Result<(), ProofRefusal> {
    match (bound_to, presented.is_dpop) {
        (None, false) => Ok(()),
        (None, true) => Err(ProofRefusal::NotBound),
        (Some(_), false) => Err(ProofRefusal::Required),
        // Boxed, so that requests without a proof carry nothing of it.
        (Some(key), true) => Box::pin(check_key(request, proven, &presented.text, key)).await,
    }
}

async fn check_key(
    request: &HttpRequest,
    proven: Proven<'_>,
    token: &str,
    key: KeyThumbprint,
) -> Result<(), ProofRefusal> {
    let text = proof(request.headers())?.ok_or(ProofRefusal::Required)?;
    let (method, mut urls) = match proven {
        Proven::This => (request.method(), vec![own_url(request)?]),
        Proven::AtProxy(method, path) => (method, named_urls(request.headers(), path)),
    };
    let url = urls.pop().ok_or(InvalidProof::Url)?;
    if urls.iter().any(|other| !is_same_request(other, &url)) {
        return Err(InvalidProof::Url.into());
    }
    let proven = ProvenRequest { method: method.as_str(), url: &url, access_token: Some(token) };
    check(request, text, proven, Some(key)).await.map(drop)
}
