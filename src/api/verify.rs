//! `/api/v1/auth/verify`: forward authentication for proxies.

use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::caller::{AccessError, authenticate};
use super::refusals::Forbidden;
use crate::http::{Problem, Query};
use crate::types::in_ascii;

/// The requests that an administrator may make who acts for the account.
#[derive(Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ImpersonationRule {
    /// Everything.
    #[default]
    Allow,
    /// Requests with safe methods (RFC 9110 §9.2.1).
    ReadOnly,
    /// Nothing.
    Deny,
}

impl ImpersonationRule {
    fn admits(self, method: &Method) -> bool {
        match self {
            Self::Allow => true,
            Self::ReadOnly => method.is_safe(),
            Self::Deny => false,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct VerifyQuery {
    /// Refuses an administrator who acts for the account with 403 `impersonated`: `read_only` unless the method is
    /// safe, `deny` in any case.
    #[serde(default)]
    #[param(inline)]
    impersonation: ImpersonationRule,
}

/// Tells a proxy whether the request that it holds may pass. The proxy asks with the headers of that request, by any
/// method and with any further path: Envoy uses those of the request itself. `impersonation` says what an administrator
/// may do who acts for the account.
#[utoipa::path(get, path = "/api/v1/auth/verify", tag = "For backends", params(VerifyQuery), responses(
    (status = 200, description = "The access token is valid", headers(
        ("X-Auth-User" = String, description = "The account's id"),
        ("X-Auth-Session" = String, description = "The session's id"),
        ("X-Auth-Email" = String, description = "The account's email address in ASCII, if it is verified"),
        ("X-Auth-Roles" = String, description = "The account's roles, separated by commas"),
        ("X-Auth-Actor" = String, description = "The id of the administrator who acts for the account"))), Forbidden))]
pub(super) async fn verify_request(request: HttpRequest, query: Query<VerifyQuery>) -> Result<HttpResponse, Problem> {
    let method = original_method(&request);
    let caller = authenticate(&request, &method).await?;
    let actor = caller.impersonator();
    if actor.is_some() && !query.impersonation.admits(&method) {
        return Err(AccessError::Impersonated.into());
    }
    let subject = &caller.snapshot().subject;
    let mut response = HttpResponse::Ok();
    let headers = [
        ("x-auth-user", Some(subject.id.to_string())),
        ("x-auth-session", Some(caller.session().to_string())),
        ("x-auth-email", subject.email_verified.then(|| in_ascii(&subject.email))),
        ("x-auth-roles", Some(subject.roles.names().join(","))),
        ("x-auth-actor", actor.map(|actor| actor.to_string())),
    ];
    for (name, value) in headers {
        let Some(value) = value else { continue };
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.insert_header((HeaderName::from_static(name), value));
        }
    }
    Ok(response.finish())
}

/// Returns the method of the request that a proxy asks about: from a header of Traefik and Caddy or of nginx, or, with
/// Envoy, the method that it asks with. Of several, one that is not safe counts, and so does one that is no method: the
/// client may have sent the others.
fn original_method(request: &HttpRequest) -> Method {
    let lines = ["x-forwarded-method", "x-original-method"].iter().flat_map(|name| request.headers().get_all(*name));
    let mut named = lines.map(|line| Method::from_bytes(line.as_bytes()).unwrap_or(Method::POST)).peekable();
    let first = named.peek().cloned();
    named.find(|method| !method.is_safe()).or(first).unwrap_or_else(|| request.method().clone())
}
