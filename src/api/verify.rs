//! `/api/v1/auth/verify`: forward authentication for proxies.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_LENGTH, COOKIE, HeaderName, HeaderValue, ORIGIN,
    TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::caller::{AccessError, Caller, authenticate_for_proxy};
use crate::http::{HttpContext, Problem, Query};
use crate::types::{Timestamp, in_ascii};

/// The path of forward authentication.
const VERIFY: &str = "/api/v1/auth/verify";

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

#[derive(Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct VerifyQuery {
    /// Refuses an administrator who acts for the account with 403 `impersonated`: `read_only` unless the method is
    /// safe, `deny` in any case.
    #[serde(default)]
    #[param(inline)]
    impersonation: ImpersonationRule,
    /// Roles, separated by commas: the account needs one of them, else 403 `insufficient_role`.
    role: Option<String>,
    /// Scopes, separated by spaces: the access token needs all of them, else 403 `insufficient_scope`.
    scope: Option<String>,
    /// The audience that the access token needs, else 403 `wrong_audience`.
    audience: Option<String>,
    /// The longest time since the account has authenticated, in seconds, else 401 `insufficient_user_authentication`
    /// (RFC 9470).
    max_age: Option<u64>,
}

impl VerifyQuery {
    /// Reads the requirements of a proxy. With a further path the query is that of the request that the proxy holds,
    /// and says nothing.
    fn of(request: &HttpRequest) -> Result<Self, Problem> {
        if names_path(request) { Ok(Self::default()) } else { Ok(Query::<Self>::read(request)?.0) }
    }

    /// Checks that a caller meets the requirements.
    fn require_of(&self, caller: &Caller, method: &Method, now: Timestamp) -> Result<(), Problem> {
        if caller.impersonator().is_some() && !self.impersonation.admits(method) {
            return Err(AccessError::Impersonated.into());
        }
        let roles = &caller.snapshot().subject.roles;
        let has_role = |wanted: &str| wanted.split(',').any(|role| roles.names().iter().any(|own| own == role.trim()));
        if !self.role.as_deref().is_none_or(has_role) {
            return Err(Problem::forbidden("insufficient_role", "The account lacks the role that this needs."));
        }
        let granted = &caller.claims().scope;
        let has_scope = |wanted: &str| granted.split(' ').any(|scope| scope == wanted);
        if let Some(wanted) = self.scope.as_deref()
            && !wanted.split_ascii_whitespace().all(has_scope)
        {
            return Err(insufficient_scope(wanted));
        }
        if self.audience.as_ref().is_some_and(|wanted| *wanted != caller.claims().aud) {
            return Err(Problem::forbidden("wrong_audience", "The access token is for another audience."));
        }
        match self.max_age.map(Duration::from_secs) {
            Some(max_age) if caller.authenticated_since(now.minus(max_age)).is_none() => {
                Err(Problem::insufficient_user_authentication(max_age))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the refusal of an access token without the scopes that a proxy asks for (RFC 6750 §3.1).
fn insufficient_scope(wanted: &str) -> Problem {
    let problem = Problem::forbidden("insufficient_scope", "The access token lacks a scope that this needs.");
    // What is no scope (RFC 6749 §3.3) cannot be in the header.
    let plain: String = wanted.chars().filter(|symbol| symbol.is_ascii_graphic() || *symbol == ' ').collect();
    let plain = plain.replace(['"', '\\'], "");
    match HeaderValue::from_str(&format!("Bearer error=\"insufficient_scope\", scope=\"{plain}\"")) {
        Ok(challenge) => problem.with(WWW_AUTHENTICATE, challenge),
        Err(_) => problem,
    }
}

/// Tells a proxy whether the request that it holds may pass. The proxy asks with the headers of that request, by any
/// method and with any further path: Envoy uses those of the request itself, with whose query nothing is required.
/// Where `VERIFY_LOGIN_URL` is set, a browser without a login that opens a page is sent there with 302.
#[utoipa::path(get, path = "/api/v1/auth/verify", tag = "For backends", params(VerifyQuery), responses(
    (status = 200, description = "The access token is valid", headers(
        ("X-Auth-User" = String, description = "The account's id"),
        ("X-Auth-Session" = String, description = "The session's id"),
        ("X-Auth-Email" = String, description = "The account's email address in ASCII, if it is verified"),
        ("X-Auth-Roles" = String, description = "The account's roles, separated by commas"),
        ("X-Auth-Actor" = String, description = "The id of the administrator who acts for the account"))),
    (status = 302, description = "A browser has to log in", headers(
        ("Location" = String, description = "`VERIFY_LOGIN_URL`, with `return_to`")))))]
pub(super) async fn verify_request(
    request: HttpRequest,
    context: web::Data<HttpContext>,
) -> Result<HttpResponse, Problem> {
    let query = VerifyQuery::of(&request)?;
    if preflight_origin(&request).is_some_and(|origin| context.passes_preflights_of(origin)) {
        // Nobody has been found: there is nothing to tell the app.
        return Ok(HttpResponse::Ok().finish());
    }
    let method = original_method(&request);
    let path = request.uri().path().strip_prefix(VERIFY).filter(|_| names_path(&request));
    let caller = match authenticate_for_proxy(&request, &method, path, query.audience.as_deref()).await {
        Err(error) if error.is_without_login() => {
            return context.login_redirect(&request, &method).map_or_else(|| Err(error.into()), Ok);
        }
        caller => caller?,
    };
    query.require_of(&caller, &method, context.clock.now())?;
    let actor = caller.impersonator();
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

/// Returns whether the request has a further path: that of the request that the proxy holds.
fn names_path(request: &HttpRequest) -> bool {
    request.match_info().get("original").is_some()
}

/// Returns the origin of the page whose browser asks whether it may send a request (a preflight), if that is what a
/// proxy holds. A preflight has no credentials and no body, so this is what nobody but a browser has a use for.
///
/// All that name the method have to agree, because a client can send such headers with any request. Envoy, which asks
/// with a further path, names it by its own request; all others have to set a header.
fn preflight_origin(request: &HttpRequest) -> Option<&str> {
    let headers = request.headers();
    let mut methods = named_methods(request).peekable();
    let is_own = names_path(request) || methods.peek().is_none();
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
