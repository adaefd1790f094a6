//! Responses with tokens: a superset of RFC 6749 §5.1.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::schema::User;
use crate::http::HttpContext;
use crate::sessions::IssuedTokens;
use crate::tokens::opaque::{OpaqueToken, Purpose};
use crate::tokens::refresh::RefreshToken;
use crate::types::{SessionId, Timestamp, Transport};

/// The tokens of a session. With cookies as transport they are not in the body.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TokenResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    /// `Bearer`, or `DPoP` if the tokens are bound to a key (RFC 9449).
    token_type: &'a str,
    /// Seconds until the access token expires.
    expires_in: u64,
    /// Missing where the client keeps the one that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    /// Seconds until the refresh token expires.
    refresh_token_expires_in: u64,
    /// Seconds after which the client should refresh.
    refresh_after: u64,
    /// Lets later logins from this device do without a second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_device: Option<&'a str>,
    session_id: SessionId,
    server_time: Timestamp,
    user: User<'a>,
}

/// Returns the type of access tokens (RFC 6749 §7.1, RFC 9449 §5).
pub(super) const fn token_type(is_bound: bool) -> &'static str {
    if is_bound { "DPoP" } else { "Bearer" }
}

/// Responds with `tokens`, carried as `transport` says.
pub(super) fn token_response(
    context: &HttpContext,
    status: StatusCode,
    tokens: &IssuedTokens,
    transport: Transport,
) -> HttpResponse {
    token_response_with_device(context, status, tokens, transport, None)
}

/// Responds like [`token_response`], with the token of a device that is now trusted.
pub(super) fn token_response_with_device(
    context: &HttpContext,
    status: StatusCode,
    tokens: &IssuedTokens,
    transport: Transport,
    trusted_device: Option<&OpaqueToken>,
) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    let in_body = transport == Transport::Bearer;
    if !in_body {
        context.cookies.set_access(&mut response, &tokens.access_token, tokens.access_token_expires_in);
        if let Some(token) = &tokens.refresh_token {
            context.cookies.set_refresh(&mut response, token.expose(), tokens.refresh_token_expires_in);
        }
        if let Some(token) = trusted_device {
            context.cookies.set_trusted_device(&mut response, token.expose(), Purpose::TrustedDevice.lifetime());
        }
    }
    response.json(TokenResponse {
        access_token: in_body.then_some(&tokens.access_token),
        token_type: token_type(tokens.is_bound),
        expires_in: tokens.access_token_expires_in.as_secs(),
        refresh_token: tokens.refresh_token.as_ref().filter(|_| in_body).map(RefreshToken::expose),
        refresh_token_expires_in: tokens.refresh_token_expires_in.as_secs(),
        refresh_after: tokens.refresh_after.as_secs(),
        trusted_device: trusted_device.filter(|_| in_body).map(OpaqueToken::expose),
        session_id: tokens.session,
        server_time: tokens.server_time,
        user: User::from(&tokens.subject),
    })
}
