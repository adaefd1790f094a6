//! `/api/v1/auth/verify`: forward authentication for proxies.

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_LENGTH, COOKIE, HeaderName, HeaderValue, ORIGIN,
    TRANSFER_ENCODING,
};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::caller::{AccessError, authenticate};
use super::refusals::Forbidden;
use crate::http::{HttpContext, Problem, Query};
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
pub(super) async fn verify_request(
    request: HttpRequest,
    context: web::Data<HttpContext>,
    query: Query<VerifyQuery>,
) -> Result<HttpResponse, Problem> {
    if preflight_origin(&request).is_some_and(|origin| context.passes_preflights_of(origin)) {
        // Nobody has been found: there is nothing to tell the app.
        return Ok(HttpResponse::Ok().finish());
    }
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

/// Headers in which proxies name the method of the request that they hold: Traefik and Caddy, and nginx.
const NAMED_METHODS: [&str; 2] = ["x-forwarded-method", "x-original-method"];

/// Returns the methods that the headers name. What is no method counts as one that is not safe.
fn named_methods(request: &HttpRequest) -> impl Iterator<Item = Method> {
    let lines = NAMED_METHODS.iter().flat_map(|name| request.headers().get_all(*name));
    lines.map(|line| Method::from_bytes(line.as_bytes()).unwrap_or(Method::POST))
}

/// Returns the method of the request that a proxy asks about: from a header or, with Envoy, the method that it asks
/// with. Of several, one that is not safe counts, and so does one that is no method: the client may have sent the
/// others.
fn original_method(request: &HttpRequest) -> Method {
    let mut named = named_methods(request).peekable();
    let first = named.peek().cloned();
    named.find(|method| !method.is_safe()).or(first).unwrap_or_else(|| request.method().clone())
}

/// Returns the origin of the page whose browser asks whether it may send a request (a preflight), if that is what a
/// proxy holds. A preflight has no credentials and no body, so this is what nobody but a browser has a use for.
///
/// All that name the method have to agree, because a client can send such headers with any request. Envoy, which asks
/// with a further path, names it by its own request; all others have to set a header.
fn preflight_origin(request: &HttpRequest) -> Option<&str> {
    let headers = request.headers();
    let names_path = request.match_info().get("original").is_some();
    let mut methods = named_methods(request).peekable();
    let is_own = names_path || methods.peek().is_none();
    let is_options =
        methods.all(|method| method == Method::OPTIONS) && (!is_own || *request.method() == Method::OPTIONS);
    let has_body = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    let has_more = has_body || [AUTHORIZATION, COOKIE, TRANSFER_ENCODING].iter().any(|name| headers.contains_key(name));
    let only = |name: HeaderName| {
        let mut lines = headers.get_all(name);
        lines.next().filter(|_| lines.next().is_none())
    };
    let asked = only(ACCESS_CONTROL_REQUEST_METHOD)?;
    let is_genuine = is_options && !has_more && Method::from_bytes(asked.as_bytes()).is_ok();
    only(ORIGIN)?.to_str().ok().filter(|_| is_genuine)
}
