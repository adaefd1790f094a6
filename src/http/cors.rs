//! What browsers let pages of other origins read (CORS, in the Fetch standard).
//!
//! Pages of `ALLOWED_ORIGINS` may call with cookies. Pages of any other origin may call the API without: a browser adds
//! nothing of its visitor's to such a request, so it can do no more than a program elsewhere.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError as _, web};

use super::context::HttpContext;
use super::problem::Problem;

/// The documents that every page may read, and that caches may keep for all.
const PUBLIC: &str = "/.well-known/";

/// The paths of the API. The others are for people and for operators: pages, health and metrics.
const API: [&str; 3] = ["/api/", "/oauth/", "/openapi.json"];

/// The path of forward authentication.
const VERIFY: &str = "/api/v1/auth/verify";

/// The methods of all routes.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE");

/// The headers that a page may read besides those that it may read anyway.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, www-authenticate, allow, etag, \
     dpop-nonce",
);

/// The seconds that a browser may keep the answer to a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");

/// The longest list of headers that a preflight may ask for, in bytes.
const MAX_REQUESTED_HEADERS: usize = 2048;

const ANYONE: HeaderValue = HeaderValue::from_static("*");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// What a page may do with the answer to its request.
enum Grant {
    /// Read it, also if the request had cookies.
    WithCookies(HeaderValue),
    /// Read it, if the request had none.
    WithoutCookies,
    /// Nothing.
    Nothing,
}

/// Answers preflights, and adds to every other answer what the page that asked may do with it.
///
/// # Errors
/// The next service fails.
pub(crate) async fn share_with_pages(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, Error> {
    let grant = grant(&request);
    let is_public = request.path().starts_with(PUBLIC);
    let preflight = is_preflight(request.method(), request.headers()).then(|| Preflight::of(request.headers()));
    if let Some(preflight) = &preflight
        && !is_for_proxies(request.path())
    {
        let response = preflight.answer(&grant);
        return Ok(request.into_response(response).map_into_right_body());
    }
    let mut response = next.call(request).await?.map_into_left_body();
    let is_passed = response.status().is_success();
    let headers = response.headers_mut();
    match preflight {
        Some(preflight) if is_passed => preflight.add_grant(headers, &grant),
        _ => add_grant(headers, &grant),
    }
    if !is_public {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    Ok(response)
}

/// Returns whether proxies ask here what becomes of a request, by its own method: a preflight is then about an app's
/// request, and no question to this server.
fn is_for_proxies(path: &str) -> bool {
    path.strip_prefix(VERIFY).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns whether a request of `method` is a preflight: the question of a browser whether a page may send another
/// request. It has neither cookies, nor a token, nor a body.
fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn grant(request: &ServiceRequest) -> Grant {
    let Some(context) = request.app_data::<web::Data<HttpContext>>() else { return Grant::Nothing };
    let path = request.path();
    // The same for all origins: caches of which some do not heed `Vary` keep these answers.
    if path.starts_with(PUBLIC) {
        return Grant::WithoutCookies;
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else { return Grant::Nothing };
    if origin.to_str().is_ok_and(|origin| context.is_allowed_origin(origin)) {
        return Grant::WithCookies(origin.clone());
    }
    let is_api = API.iter().any(|prefix| path.starts_with(prefix));
    if is_api && context.is_open_to_bearers() { Grant::WithoutCookies } else { Grant::Nothing }
}

fn add_grant(headers: &mut HeaderMap, grant: &Grant) {
    match grant {
        Grant::WithCookies(origin) => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        Grant::WithoutCookies => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANYONE);
        }
        Grant::Nothing => return,
    }
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// What a browser asks in a preflight.
struct Preflight {
    /// The headers that the page wants to send.
    headers: Option<HeaderValue>,
}

impl Preflight {
    fn of(headers: &HeaderMap) -> Self {
        Self { headers: requested_headers(headers) }
    }

    fn answer(&self, grant: &Grant) -> HttpResponse {
        let mut response = match grant {
            Grant::Nothing => {
                let detail = "Pages of this origin may not call the server: see ALLOWED_ORIGINS and CORS_BEARER.";
                Problem::forbidden("origin_not_allowed", detail).error_response()
            }
            Grant::WithCookies(_) | Grant::WithoutCookies => HttpResponse::Ok().finish(),
        };
        let headers = response.headers_mut();
        for name in ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"] {
            headers.append(header::VARY, HeaderValue::from_static(name));
        }
        self.add_grant(headers, grant);
        response
    }

    fn add_grant(&self, headers: &mut HeaderMap, grant: &Grant) {
        if let Grant::Nothing = grant {
            return;
        }
        add_grant(headers, grant);
        headers.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        if let Some(names) = &self.headers {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
    }
}

/// Returns the headers that a page wants to send, which are whatever its tools add. Returns `None` if the preflight
/// names none, or something else.
fn requested_headers(asked: &HeaderMap) -> Option<HeaderValue> {
    let names = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS)?;
    let is_name = |name: &[u8]| HeaderName::from_bytes(name.trim_ascii()).is_ok();
    let are_names = names.len() <= MAX_REQUESTED_HEADERS && names.as_bytes().split(|byte| *byte == b',').all(is_name);
    are_names.then(|| names.clone())
}
