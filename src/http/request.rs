//! What surrounds every request: its id, its line in the log, its place in the metrics, and the headers that every
//! answer has.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use tracing::Instrument as _;
use uuid::Uuid;

use super::edge::Edge;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What an answer may load and who may frame it: nothing and nobody. The few that are pages say themselves what they
/// need.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Headers of every answer.
const SECURITY: [(&str, &str); 3] =
    [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")];

/// For a year, on this host alone (RFC 6797).
const STRICT_TRANSPORT: &str = "max-age=31536000";

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task serves; empty outside of one.
pub fn request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Serves `request` under an id: the client's, if it is a sane one, else a new one.
pub async fn surround(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let edge = request.app_data::<web::Data<Edge>>().cloned();
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_sane(id));
    let id = match (given, &edge) {
        (Some(id), _) => id.to_owned(),
        (None, Some(edge)) => edge.random.id(edge.clock.now()).to_string(),
        (None, None) => Uuid::nil().to_string(),
    };
    let span = tracing::info_span!("request", id);
    let response = CURRENT.scope(id.clone(), async { next.call(request).instrument(span.clone()).await }).await;
    let mut response = response?;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in SECURITY {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    }
    if let Some(edge) = edge {
        if edge.is_https {
            headers.insert(
                HeaderName::from_static("strict-transport-security"),
                HeaderValue::from_static(STRICT_TRANSPORT),
            );
        }
        let request = response.request();
        let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
        let (method, status, took) = (known(request.method()), response.status().as_u16(), started.elapsed());
        edge.metrics.answered(method, &route, status, took);
        tracing::debug!(parent: &span, method, route, status, took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX), "answered");
    }
    Ok(response)
}

/// The method's name, if it is one of HTTP's own: clients may make up any number of others, each a counter for ever.
fn known(method: &Method) -> &str {
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

fn is_sane(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
