//! `/api/v1/auth/verify`: forward authentication for proxies.

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::caller::authenticate;
use crate::http::Problem;

/// Tells a proxy whether the request that it holds may pass. The proxy asks with the headers of that request, by any
/// method and with any further path: Envoy uses those of the request itself.
#[utoipa::path(get, path = "/api/v1/auth/verify", tag = "For backends", responses(
    (status = 200, description = "The access token is valid", headers(
        ("X-Auth-User" = String, description = "The account's id"),
        ("X-Auth-Session" = String, description = "The session's id"),
        ("X-Auth-Email" = String, description = "The account's email address"),
        ("X-Auth-Roles" = String, description = "The account's roles, separated by commas")))))]
pub(super) async fn verify(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = authenticate(&request, &original_method(&request)).await?;
    let subject = &caller.snapshot().subject;
    let mut response = HttpResponse::Ok();
    let headers = [
        ("x-auth-user", subject.id.to_string()),
        ("x-auth-session", caller.session().to_string()),
        ("x-auth-email", subject.email.clone()),
        ("x-auth-roles", subject.roles.names().join(",")),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.insert_header((HeaderName::from_static(name), value));
        }
    }
    Ok(response.insert_header((CACHE_CONTROL, "no-store")).finish())
}

/// Returns the method of the request that a proxy asks about: from a header of Traefik and Caddy or of nginx, or, with
/// Envoy, the method that it asks with.
fn original_method(request: &HttpRequest) -> Method {
    let named = ["x-forwarded-method", "x-original-method"].iter().find_map(|name| request.headers().get(*name));
    let named = named.and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    named.unwrap_or_else(|| request.method().clone())
}
