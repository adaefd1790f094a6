//! Tokens as they are answered: a superset of RFC 6749 §5.1.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::caller::Transport;
use super::edge::Edge;
use crate::clock::Timestamp;
use crate::db::types::SessionId;
use crate::sessions::{Grant, Subject};
use crate::tokens::refresh::RefreshToken;

/// What register, login, refresh and reauthenticate answer. With cookies as transport the tokens are not in the body.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TokenResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    token_type: &'a str,
    /// Seconds that the access token is good for.
    expires_in: u64,
    /// Missing where the one in hand stays good.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    /// Seconds that the refresh token is good for.
    refresh_token_expires_in: u64,
    /// Seconds after which the client should refresh.
    refresh_after: u64,
    /// Spares the next logins from this device the second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_device: Option<&'a str>,
    session_id: SessionId,
    #[schema(value_type = String, format = DateTime)]
    server_time: Timestamp,
    user: &'a Subject,
}

/// Answers with the tokens of `grant`, carried as `transport` says.
pub fn token_response(edge: &Edge, status: StatusCode, grant: &Grant, transport: Transport) -> HttpResponse {
    token_response_and_device(edge, status, grant, transport, None)
}

/// The same, and the token of a trusted device with the time that it is good.
pub fn token_response_and_device(
    edge: &Edge,
    status: StatusCode,
    grant: &Grant,
    transport: Transport,
    trusted_device: Option<(&str, Duration)>,
) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header(("cache-control", "no-store"));
    let in_body = transport == Transport::Bearer;
    if !in_body {
        edge.cookies.set_access(&mut response, &grant.access_token, grant.access_token_expires_in);
        if let Some(token) = &grant.refresh_token {
            edge.cookies.set_refresh(&mut response, token.expose(), grant.refresh_token_expires_in);
        }
        if let Some((token, lives)) = trusted_device {
            edge.cookies.set_trusted_device(&mut response, token, lives);
        }
    }
    response.json(TokenResponse {
        access_token: in_body.then_some(&grant.access_token),
        token_type: "Bearer",
        expires_in: grant.access_token_expires_in.as_secs(),
        refresh_token: grant.refresh_token.as_ref().filter(|_| in_body).map(RefreshToken::expose),
        refresh_token_expires_in: grant.refresh_token_expires_in.as_secs(),
        refresh_after: grant.refresh_after.as_secs(),
        trusted_device: trusted_device.filter(|_| in_body).map(|(token, _)| token),
        session_id: grant.session,
        server_time: grant.server_time,
        user: &grant.subject,
    })
}
