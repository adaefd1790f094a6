//! `/oauth`: the standard endpoints for backends.

use std::borrow::Cow;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use zeroize::Zeroizing;

use super::client_auth::{FormCredentials, admit_client, authenticate_by_secret};
use super::dpop::proven_key;
use super::oauth_error::{NO_CACHE, OAuthError};
use super::token_response::token_type;
use crate::clients::INTROSPECT;
use crate::http::HttpContext;
use crate::http::body::FormBody;
use crate::oauth::{ActiveToken, OAuth};
use crate::sessions::{SessionSnapshot, Sessions};
use crate::tokens::access::{Claims, Confirmation};
use crate::tokens::client::ClientClaims;
use crate::types::{SessionId, Transport, UserId};

/// The parameters of a request to a standard endpoint.
pub(super) type Parameters = FormBody<OAuthError>;

/// Returns a parameter. One without a value counts as missing (RFC 6749 §3.2).
pub(super) fn optional(parameters: &Parameters, name: &str) -> Option<Zeroizing<String>> {
    parameters.get(name).filter(|value| !value.is_empty())
}

pub(super) fn required(parameters: &Parameters, name: &str) -> Result<Zeroizing<String>, OAuthError> {
    optional(parameters, name).ok_or_else(|| OAuthError::invalid_request(format!("The parameter {name} is missing.")))
}

/// Returns the credentials in the form.
pub(super) fn credentials(parameters: &Parameters) -> FormCredentials {
    FormCredentials { id: optional(parameters, "client_id"), secret: optional(parameters, "client_secret") }
}

/// Responds with JSON that nobody may store.
pub(super) fn respond(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header(NO_CACHE).json(body)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read by its fields")]
pub(super) struct TokenForm {
    /// An access token or a refresh token.
    token: String,
    /// Not needed: the server tells tokens apart.
    token_type_hint: Option<String>,
    /// Of a client that authenticates in the form.
    client_id: Option<String>,
    /// Of a client that authenticates in the form.
    client_secret: Option<String>,
}

/// The answer about a token (RFC 7662 §2.2). All that follows `active` is there for a valid token only.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum IntrospectionResponse<'a> {
    /// The token is not valid, or was never issued.
    Inactive { active: bool },
    /// A valid access token, with its claims.
    Access {
        active: bool,
        token_type: &'static str,
        #[serde(flatten)]
        claims: &'a Claims,
    },
    /// A valid access token of a client itself, with its claims.
    Client {
        active: bool,
        token_type: &'static str,
        #[serde(flatten)]
        claims: &'a ClientClaims,
    },
    /// A valid refresh token.
    Refresh {
        active: bool,
        token_type: &'static str,
        iss: &'a str,
        sub: UserId,
        sid: SessionId,
        client_id: &'a str,
        exp: i64,
        iat: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        cnf: Option<Confirmation>,
    },
}

impl PartialSchema for IntrospectionResponse<'_> {
    fn schema() -> RefOr<Schema> {
        let of = |schema_type| ObjectBuilder::new().schema_type(schema_type);
        let texts = ["token_type", "iss", "sub", "sid", "jti", "client_id", "scope"];
        let times = ["exp", "iat", "nbf", "auth_time"];
        let object = ObjectBuilder::new().property("active", of(Type::Boolean)).required("active");
        let object = texts.into_iter().fold(object, |object, name| object.property(name, of(Type::String)));
        let object = times.into_iter().fold(object, |object, name| object.property(name, of(Type::Integer)));
        let description = "`active` alone for what is not valid; otherwise the token's claims.";
        object.additional_properties(Some(AdditionalProperties::FreeForm(true))).description(Some(description)).into()
    }
}

impl ToSchema for IntrospectionResponse<'_> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("IntrospectionResponse")
    }
}

impl<'a> IntrospectionResponse<'a> {
    fn of_refresh_token(snapshot: &'a SessionSnapshot, issuer: &'a str) -> Self {
        Self::Refresh {
            active: true,
            token_type: "refresh_token",
            iss: issuer,
            sub: snapshot.subject.id,
            sid: snapshot.session,
            client_id: &snapshot.client_id,
            exp: snapshot.refresh_token_expires_at().as_secs(),
            iat: snapshot.issued_at.as_secs(),
            cnf: snapshot.bound_to.map(|jkt| Confirmation { jkt }),
        }
    }
}

/// Tells a client with the scope `introspect` whether a token is valid at this moment, and what it says (RFC 7662). Any
/// token that is not valid is answered `{"active": false}` and nothing else.
#[utoipa::path(post, path = "/oauth/introspect", tag = "For backends", security(("client" = [])),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = IntrospectionResponse,
        description = "`active`, and of a valid token what it says (RFC 7662 §2.2)")))]
pub(super) async fn introspect_token(
    request: HttpRequest,
    oauth: web::Data<OAuth>,
    sessions: web::Data<Sessions>,
    parameters: Parameters,
) -> Result<HttpResponse, OAuthError> {
    let by = admit_client(&request, Some(credentials(&parameters)), INTROSPECT).await?;
    let token = required(&parameters, "token")?;
    let found = oauth.introspect(&token, &by.client).await?;
    Ok(respond(&match &found {
        None => IntrospectionResponse::Inactive { active: false },
        Some(ActiveToken::Access(checked)) => {
            let token_type = token_type(checked.bound_to().is_some());
            IntrospectionResponse::Access { active: true, token_type, claims: checked.claims() }
        }
        Some(ActiveToken::Client(claims)) => {
            IntrospectionResponse::Client { active: true, token_type: token_type(claims.cnf.is_some()), claims }
        }
        Some(ActiveToken::Refresh(snapshot)) => IntrospectionResponse::of_refresh_token(snapshot, &sessions.issuer),
    }))
}

/// Revokes a token (RFC 7009): a refresh token ends its session, an access token dies alone. Whoever holds a person's
/// token may revoke it; one that was issued to a client needs that client. What is no valid token is answered 200, too.
#[utoipa::path(post, path = "/oauth/revoke", tag = "For backends", security((), ("client" = [])),
    params(("DPoP" = Option<String>, Header, description = "A proof of the key that the token is bound to (RFC 9449)")),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token is not valid any more")))]
pub(super) async fn revoke_token(
    request: HttpRequest,
    oauth: web::Data<OAuth>,
    context: web::Data<HttpContext>,
    parameters: Parameters,
) -> Result<HttpResponse, OAuthError> {
    let by = authenticate_by_secret(&request, credentials(&parameters)).await?;
    let token = required(&parameters, "token")?;
    let proven = proven_key(&request, Transport::Bearer).await?;
    oauth.revoke(&token, by.as_deref(), proven, &context.requester(&request)).await?;
    Ok(HttpResponse::Ok().insert_header(NO_CACHE).finish())
}
