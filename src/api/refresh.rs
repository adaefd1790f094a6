//! `POST /api/v1/sessions/refresh`.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::caller::require_own_origin;
use super::refusals::{TooMany, Unauthorized};
use super::token_response::{TokenResponse, token_response};
use crate::audit::Actor;
use crate::http::body::OptionalBody;
use crate::http::{HttpContext, Problem};
use crate::sessions::Sessions;
use crate::sessions::refresh::RefreshError;
use crate::throttle::{Limit, Throttle};
use crate::types::Transport;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshRequest {
    refresh_token: String,
}

/// Exchanges a refresh token, in the body or in its cookie, for new tokens. The request may be repeated: the same token
/// has the same successor.
#[utoipa::path(post, path = "/api/v1/sessions/refresh", tag = "Sessions", security(()),
    request_body = Option<RefreshRequest>,
    responses((status = 200, body = TokenResponse), Unauthorized, TooMany))]
pub(super) async fn refresh(
    request: HttpRequest,
    sessions: web::Data<Sessions>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    body: OptionalBody<RefreshRequest>,
) -> Result<HttpResponse, Problem> {
    let (text, transport) = match body.0 {
        Some(body) => (body.refresh_token, Transport::Bearer),
        None => {
            let text = context.cookies.refresh_token(&request).ok_or(RefreshError::Invalid)?;
            require_own_origin(&request, &context, &Method::POST)?;
            (text, Transport::Cookie)
        }
    };
    let token = sessions.parse_refresh_token(&text)?;
    let requester = context.requester(&request);
    let holder = Actor { session: Some(token.session), ..Actor::anonymous(&requester) };
    throttle.count(Limit::RefreshSession, token.session.0.as_bytes(), &holder).await?;
    throttle.count_ip(Limit::RefreshAddress, &requester).await?;
    let tokens = sessions.refresh(&token, &requester).await?;
    Ok(token_response(&context, StatusCode::OK, &tokens, transport))
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        let detail = error.to_string();
        match error {
            RefreshError::Invalid => Self::unauthorized("invalid_refresh_token", detail),
            RefreshError::Reused => Self::unauthorized("refresh_token_reused", detail),
            RefreshError::Revoked => Self::unauthorized("session_revoked", detail),
            RefreshError::Expired => Self::unauthorized("session_expired", detail),
            RefreshError::Issue(error) => error.into(),
        }
    }
}
