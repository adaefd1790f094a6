//! The middleware for every request: its id, log line and metrics, and the headers of its response.

use std::rc::Rc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};
use tracing::Instrument as _;
use uuid::Uuid;

use super::connections::{Answer, Connection};
use super::context::HttpContext;
use super::trace_context::TraceContext;

/// The header with the id of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The content security policy of responses that are not pages: they may load nothing, and may not be framed.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// The security headers of every response.
pub(super) const SECURITY_HEADERS: [(&str, &str); 3] =
    [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")];

/// The value of `Strict-Transport-Security`: a year, without subdomains (RFC 6797).
const STRICT_TRANSPORT_SECURITY: &str = "max-age=31536000";

/// A header that is added to the response of a request, whatever that is.
pub(crate) struct AddedHeader(pub HeaderName, pub HeaderValue);

tokio::task_local! {
    static CURRENT: String;
}

/// Returns the id of the current request, or an empty text outside of a request.
pub(crate) fn request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Serves `request` with an id: the client's, if it is short and plain, or a new one. It begins once the client has
/// taken the answers to its former requests on the same connection.
///
/// # Errors
/// The next service fails.
pub(crate) async fn serve_request(
    request: ServiceRequest,
    next: Next<impl MessageBody + Unpin>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let connection = request.request().conn_data::<Rc<Connection>>().cloned();
    let work = match connection {
        Some(connection) => Some(connection.begin().await),
        None => None,
    };
    let started = Instant::now();
    let context = request.app_data::<web::Data<HttpContext>>().cloned();
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_plain(id));
    let id = match (given, &context) {
        (Some(id), _) => id.to_owned(),
        (None, Some(context)) => context.random.id(context.clock.now()).to_string(),
        (None, None) => Uuid::nil().to_string(),
    };
    let trace = TraceContext::from_headers(request.headers());
    let trace_id = trace.as_ref().map(|trace| trace.trace_id);
    let parent_id = trace.as_ref().map(|trace| trace.parent_id);
    let span = tracing::info_span!("request", id, trace_id, parent_id);
    let answering = CURRENT.scope(id.clone(), async { next.call(request).instrument(span.clone()).await });
    let mut response = match &work {
        Some(work) => work.run(answering).await?,
        None => answering.await?,
    };
    let added = response.request().extensions_mut().remove::<AddedHeader>();
    if let Some(AddedHeader(name, value)) = added {
        response.headers_mut().insert(name, value);
    }
    add_headers(response.headers_mut(), &id);
    if let Some(context) = context {
        if context.is_https {
            response.headers_mut().insert(
                HeaderName::from_static("strict-transport-security"),
                HeaderValue::from_static(STRICT_TRANSPORT_SECURITY),
            );
        }
        let request = response.request();
        let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
        let method = method_label(request.method());
        let status = response.status().as_u16();
        let took = started.elapsed();
        context.metrics.request_completed(method, &route, status, took);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(parent: &span, method, route, status, took_us, "answered");
    }
    Ok(response.map_body(|_, body| Answer::new(body, work)))
}

/// Adds the headers of every response: the request's id, the security headers, and what a handler may have set itself.
fn add_headers(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in SECURITY_HEADERS {
        let name = HeaderName::from_static(name);
        // Pages with forms have a policy of their own for referrers.
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    // What a handler does not say may be stored is nobody's but the client's: tokens, accounts, refusals.
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    }
}

/// Returns the method for a label of metrics: the name of a standard method, or `other`. Clients can invent any number
/// of methods, and each would create a time series.
fn method_label(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS
        | Method::TRACE
        | Method::CONNECT => method.as_str(),
        _ => "other",
    }
}

fn is_plain(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
