//! `POST /api/v1/sessions/refresh`.

use actix_web::http::header::HeaderName;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::caller::require_own_origin;
use super::dpop::{ProofRefusal, proven_key};
use super::token_response::{TokenResponse, token_response};
use crate::audit::Actor;
use crate::http::body::OptionalBody;
use crate::http::{HttpContext, Problem};
use crate::sessions::Sessions;
use crate::sessions::refresh::{IdempotencyKey, InvalidIdempotencyKey, Presented, RefreshError};
use crate::throttle::{Limit, Throttle};
use crate::types::Transport;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshRequest {
    /// Missing where the token is in the cookie.
    refresh_token: Option<String>,
}

/// The header that marks all requests of one refresh.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Exchanges a refresh token, in the body or in its cookie, for new tokens. The request may be repeated: the same token
/// has the same successor. An `Idempotency-Key` makes a late copy of the request certain: it is refused with 409
/// `already_refreshed`, and never taken for theft. 503 `refresh_token_replaced`: the token was replaced a moment ago;
/// read the tokens from the store again. A session that is bound to a key needs a proof of it in the header `DPoP`:
/// without one, the refresh is refused with 400 and nothing has happened.
#[utoipa::path(post, path = "/api/v1/sessions/refresh", tag = "Sessions", security(()),
    params(("DPoP" = Option<String>, Header,
        description = "A proof of the key that the tokens are bound to (RFC 9449)"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 16, max_length = 255,
        description = "A random value, new for each refresh and the same when one is repeated")),
    request_body = Option<RefreshRequest>,
    responses((status = 200, body = TokenResponse)))]
pub(super) async fn refresh_session(
    request: HttpRequest,
    sessions: web::Data<Sessions>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    body: OptionalBody<RefreshRequest>,
) -> Result<HttpResponse, Problem> {
    let (text, transport) = match body.0.and_then(|body| body.refresh_token) {
        Some(text) => (text, Transport::Bearer),
        None => {
            let text = context.cookies.refresh_token(&request)?.ok_or(RefreshError::Invalid)?;
            require_own_origin(&request, &context, &Method::POST)?;
            (text, Transport::Cookie)
        }
    };
    let arrived = context.clock.now();
    let key = idempotency_key(&request)?;
    let token = sessions.parse_refresh_token(&text)?;
    let requester = context.requester(&request);
    let holder = Actor { session: Some(token.session), ..Actor::anonymous(&requester) };
    throttle.count(Limit::RefreshSession, token.session.0.as_bytes(), &holder).await?;
    throttle.count_ip(Limit::RefreshAddress, &requester).await?;
    let proven = proven_key(&request, transport).await?;
    let tokens = sessions.refresh(Presented { token: &token, key, proven, arrived }, &requester).await?;
    Ok(token_response(&context, StatusCode::OK, &tokens, transport))
}

/// Returns the key of the refresh, if the client sent one.
pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, InvalidIdempotencyKey> {
    let mut lines = request.headers().get_all(IDEMPOTENCY_KEY);
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => IdempotencyKey::parse(line.to_str().map_err(|_| InvalidIdempotencyKey)?).map(Some),
        (Some(_), Some(_)) => Err(InvalidIdempotencyKey),
    }
}

impl From<InvalidIdempotencyKey> for Problem {
    fn from(error: InvalidIdempotencyKey) -> Self {
        Self::bad_request("invalid_idempotency_key", Self::sentence(&error))
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        let detail = Self::sentence(&error);
        match error {
            RefreshError::Invalid => Self::unauthorized("invalid_refresh_token", detail),
            RefreshError::Reused => Self::unauthorized("refresh_token_reused", detail),
            RefreshError::Revoked => Self::unauthorized("session_revoked", detail),
            RefreshError::Expired => Self::unauthorized("session_expired", detail),
            RefreshError::AlreadyRefreshed => Self::conflict("already_refreshed", detail),
            RefreshError::Replaced => Self::unavailable("refresh_token_replaced", detail),
            RefreshError::ProofMissing => ProofRefusal::Required.into(),
            RefreshError::OtherKey => ProofRefusal::OtherKey.into(),
            RefreshError::Issue(error) => error.into(),
        }
    }
}
