//! `POST /oauth/token` (RFC 6749 §3.2): refreshes, tokens of clients, and token exchange.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::client_auth::authenticate_by_secret;
use super::dpop::proven_key;
use super::oauth::{Parameters, credentials, optional, required, respond};
use super::oauth_error::{NO_CACHE, OAuthError};
use super::refresh::idempotency_key;
use super::token_response::{TokenResponse, token_response, token_type};
use crate::audit::Actor;
use crate::clients::{Client, TOKEN_EXCHANGE};
use crate::http::HttpContext;
use crate::oauth::{ClientToken, OAuth, Wanted};
use crate::sessions::refresh::Presented;
use crate::sessions::{CLIENT_ID, Sessions};
use crate::throttle::{Limit, Throttle};
use crate::types::{Scopes, Transport};

/// The grants that the endpoint takes, by their names.
pub(super) const GRANTS: [&str; 3] = [REFRESH_TOKEN, CLIENT_CREDENTIALS, EXCHANGE];

const REFRESH_TOKEN: &str = "refresh_token";
const CLIENT_CREDENTIALS: &str = "client_credentials";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The type of access tokens (RFC 8693 §3).
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The types of tokens that are access tokens of this server: these are JWTs.
const TOKEN_TYPES: [&str; 2] = [ACCESS_TOKEN_TYPE, "urn:ietf:params:oauth:token-type:jwt"];

#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read by its fields")]
pub(super) struct TokenRequestForm {
    /// `refresh_token`, `client_credentials` or `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// For a refresh.
    refresh_token: Option<String>,
    /// Separated by spaces.
    scope: Option<String>,
    /// The audience, as an absolute URI (RFC 8707).
    resource: Option<String>,
    /// The audience, as a name (RFC 8693).
    audience: Option<String>,
    /// For an exchange: the access token of a person.
    subject_token: Option<String>,
    /// For an exchange: `urn:ietf:params:oauth:token-type:access_token`.
    subject_token_type: Option<String>,
    /// For an exchange: the same.
    requested_token_type: Option<String>,
    /// Of a client that authenticates in the form; `keyturn` or nothing for a refresh.
    client_id: Option<String>,
    /// Of a client that authenticates in the form.
    client_secret: Option<String>,
}

/// The tokens of a session, or an access token for a client.
pub(super) struct IssuedTokenResponse;

impl PartialSchema for IssuedTokenResponse {
    fn schema() -> RefOr<Schema> {
        let choices = AnyOfBuilder::new()
            .description(Some("Of a refresh, as of `/api/v1/sessions/refresh`; else the access token of a client."))
            .item(Ref::from_schema_name(TokenResponse::name()))
            .item(Ref::from_schema_name(ClientTokenResponse::name()));
        RefOr::T(Schema::AnyOf(choices.build()))
    }
}

impl ToSchema for IssuedTokenResponse {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ClientTokenResponse::name().into(), ClientTokenResponse::schema()));
    }
}

/// An access token for a client (RFC 6749 §5.1, RFC 8693 §2.2.1).
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ClientTokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    /// Seconds until it expires.
    expires_in: u64,
    /// Of an exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    /// Separated by spaces; missing if there are none.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    scope: String,
}

/// Issues tokens (RFC 6749 §3.2). `refresh_token` is the same refresh as at `/api/v1/sessions/refresh`, and needs no
/// client: `invalid_grant` means that the session has ended, 503 that the request is to be repeated.
/// `client_credentials` gives a client a token of its own. Token exchange (RFC 8693) gives a client with the scope
/// `token-exchange` an access token that opens less than a person's, for one of its audiences. With a proof in the
/// header `DPoP` the access token is bound to its key (RFC 9449); a session that is bound to a key needs one.
#[utoipa::path(post, path = "/oauth/token", tag = "For backends", security((), ("client" = [])),
    params(("DPoP" = Option<String>, Header,
        description = "A proof of the key that the tokens are bound to (RFC 9449)"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 16, max_length = 255,
        description = "For a refresh: a random value, new for each refresh and the same when one is repeated")),
    request_body(content = TokenRequestForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = IssuedTokenResponse)))]
pub(super) async fn issue_token(request: HttpRequest, parameters: Parameters) -> Result<HttpResponse, OAuthError> {
    let grant = required(&parameters, "grant_type")?;
    if *grant == REFRESH_TOKEN {
        return refresh(&request, &parameters).await;
    }
    if ![CLIENT_CREDENTIALS, EXCHANGE].contains(&grant.as_str()) {
        return Err(OAuthError::unsupported_grant_type());
    }
    let client = authenticate_by_secret(&request, credentials(&parameters)).await?;
    let client = client.ok_or_else(|| OAuthError::invalid_client("The client has to authenticate."))?;
    if *grant == CLIENT_CREDENTIALS {
        let oauth: &OAuth = state(&request)?;
        let wanted = wanted(&parameters)?;
        let proven = proven_key(&request, Transport::Bearer).await?;
        let token = oauth.grant_to_client(&client, wanted, proven)?;
        return Ok(respond_with(&token, None));
    }
    exchange(&request, &parameters, client).await
}

/// Returns what the server shares with its handlers.
fn state<T: 'static>(request: &HttpRequest) -> Result<&T, OAuthError> {
    super::caller::state(request).map_err(|_| OAuthError::internal(&"a handler lacks what it needs"))
}

fn respond_with(token: &ClientToken, issued_token_type: Option<&'static str>) -> HttpResponse {
    respond(&ClientTokenResponse {
        access_token: &token.access_token,
        token_type: token_type(token.is_bound),
        expires_in: token.expires_in.as_secs(),
        issued_token_type,
        scope: token.scopes.to_string(),
    })
}

/// Returns the audience and scopes that a request asks for.
fn wanted(parameters: &Parameters) -> Result<Wanted, OAuthError> {
    let resource = optional(parameters, "resource");
    // An absolute URI without fragment (RFC 8707 §2).
    if let Some(resource) = &resource
        && !Url::parse(resource).is_ok_and(|url| url.fragment().is_none())
    {
        return Err(OAuthError::invalid_target("The resource is no absolute URI without fragment."));
    }
    let audience = optional(parameters, "audience");
    let audience = match (resource, audience) {
        (Some(resource), Some(audience)) if resource != audience => {
            return Err(OAuthError::invalid_target("A token has one audience."));
        }
        (Some(name), _) | (None, Some(name)) => Some(name.to_string()),
        (None, None) => None,
    };
    let scopes = optional(parameters, "scope").map(|text| Scopes::parse_text(&text));
    let scopes = scopes.transpose().map_err(|error| OAuthError::invalid_scope(format!("The scope {error}.")))?;
    Ok(Wanted { audience, scopes })
}

async fn exchange(
    request: &HttpRequest,
    parameters: &Parameters,
    client: Arc<Client>,
) -> Result<HttpResponse, OAuthError> {
    if !client.has_scope(TOKEN_EXCHANGE) {
        return Err(OAuthError::unauthorized_client("The client lacks the scope token-exchange."));
    }
    let subject_token = required(parameters, "subject_token")?;
    let subject_type = required(parameters, "subject_token_type")?;
    let requested_type = optional(parameters, "requested_token_type");
    if optional(parameters, "actor_token").is_some() {
        return Err(OAuthError::invalid_request("An actor_token is not taken."));
    }
    if [Some(&subject_type), requested_type.as_ref()].into_iter().flatten().any(|kind| !TOKEN_TYPES.contains(&&***kind))
    {
        return Err(OAuthError::invalid_request("Only access tokens are exchanged, for access tokens."));
    }
    let oauth: &OAuth = state(request)?;
    let wanted = wanted(parameters)?;
    let proven = proven_key(request, Transport::Bearer).await?;
    let token = oauth.exchange(&client, &subject_token, wanted, proven).await?;
    Ok(respond_with(&token, Some(ACCESS_TOKEN_TYPE)))
}

async fn refresh(request: &HttpRequest, parameters: &Parameters) -> Result<HttpResponse, OAuthError> {
    let context: &HttpContext = state(request)?;
    let sessions: &Sessions = state(request)?;
    let throttle: &Throttle = state(request)?;
    let arrived = context.clock.now();
    match authenticate_by_secret(request, credentials(parameters)).await? {
        // The tokens belong to people's own clients. This is not final: the session goes on.
        Some(_) => return Err(OAuthError::unauthorized_client("The refresh token was issued to another client.")),
        None if optional(parameters, "client_id").is_some_and(|id| *id != CLIENT_ID) => {
            return Err(OAuthError::invalid_client("There is no such client, or it has to authenticate."));
        }
        None => {}
    }
    let text = required(parameters, "refresh_token")?;
    let wanted = wanted(parameters)?;
    if wanted.scopes.is_some_and(|scopes| !scopes.is_empty()) {
        return Err(OAuthError::invalid_scope("The refresh token has no scopes."));
    }
    if wanted.audience.is_some_and(|audience| audience != sessions.audience) {
        return Err(OAuthError::invalid_target("The refresh token is for another audience."));
    }
    let key = idempotency_key(request).map_err(|error| OAuthError::invalid_request(error.to_string()))?;
    let token = sessions.parse_refresh_token(&text)?;
    let requester = context.requester(request);
    let holder = Actor { session: Some(token.session), ..Actor::anonymous(&requester) };
    throttle.count(Limit::RefreshSession, token.session.0.as_bytes(), &holder).await?;
    throttle.count_ip(Limit::RefreshAddress, &requester).await?;
    let proven = proven_key(request, Transport::Bearer).await?;
    let tokens = sessions.refresh(Presented { token: &token, key, proven, arrived }, &requester).await?;
    let mut response = token_response(context, StatusCode::OK, &tokens, Transport::Bearer);
    let (name, value) = NO_CACHE;
    response.headers_mut().insert(name, value);
    Ok(response)
}
