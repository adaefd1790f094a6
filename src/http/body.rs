//! Bodies of requests, bounded in size and time: JSON, which is told precisely what is wrong with it, and the forms of
//! pages.

use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_core::Stream as _;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::problem::{FieldError, Problem};

/// Bytes of a body at the most.
pub const MAX_BODY: usize = 64 * 1024;

/// The longest that a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// A JSON body of type `T`.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = has_type(request, "application/json");
        let names_type = request.headers().contains_key(CONTENT_TYPE);
        let bytes = read(request, payload);
        Box::pin(async move {
            let bytes = bytes.await?;
            if !is_json && (names_type || !bytes.is_empty()) {
                return Err(unsupported("The body must be JSON, with Content-Type: application/json."));
            }
            parse(&bytes).map(Self)
        })
    }
}

/// A JSON body that may be missing altogether.
pub struct OptionalBody<T>(pub Option<T>);

impl<T: DeserializeOwned + 'static> FromRequest for OptionalBody<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // Many a client announces JSON and then sends nothing.
        let is_empty = !request.headers().contains_key(TRANSFER_ENCODING)
            && request.headers().get(CONTENT_LENGTH).is_none_or(|length| length == "0");
        if is_empty {
            return Box::pin(async { Ok(Self(None)) });
        }
        let body = Body::<T>::from_request(request, payload);
        Box::pin(async { body.await.map(|body| Self(Some(body.0))) })
    }
}

/// The body of a page's form.
pub struct FormBody(Zeroizing<Vec<u8>>);

impl FormBody {
    /// The field `name`, if the form has it.
    pub fn get(&self, name: &str) -> Option<Zeroizing<String>> {
        form_field(&self.0, name)
    }
}

impl FromRequest for FormBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_form = has_type(request, "application/x-www-form-urlencoded");
        let bytes = read(request, payload);
        Box::pin(async move {
            let bytes = Zeroizing::new(bytes.await?);
            if is_form { Ok(Self(bytes)) } else { Err(unsupported("The body must be that of the page's form.")) }
        })
    }
}

/// The field `name` of a form or query (`application/x-www-form-urlencoded`), if it is there.
pub fn form_field(form: &[u8], name: &str) -> Option<Zeroizing<String>> {
    let mut fields = url::form_urlencoded::parse(form);
    fields.find_map(|(own, value)| (own == name).then(|| Zeroizing::new(value.into_owned())))
}

fn has_type(request: &HttpRequest, expected: &str) -> bool {
    request.mime_type().ok().flatten().is_some_and(|mime| mime.essence_str() == expected)
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

/// Reads a body whole.
fn read(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Vec<u8>, Problem>> + use<> + 'static {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let payload = payload.take();
    async move {
        if announced.is_some_and(|length: usize| length > MAX_BODY) {
            return Err(too_large());
        }
        read_payload(payload).await
    }
}

async fn read_payload(mut payload: Payload) -> Result<Vec<u8>, Problem> {
    let whole = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = std::future::poll_fn(|context| Pin::new(&mut payload).poll_next(context)).await {
            let chunk = chunk.map_err(|_| Problem::bad_request("incomplete_body", "The body did not arrive whole."))?;
            if bytes.len().saturating_add(chunk.len()) > MAX_BODY {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body took too long to arrive.");
    tokio::time::timeout(BODY_PATIENCE, whole).await.unwrap_or_else(|_| Err(late()))
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is larger than 64 KiB.")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    // serde would also take an array for the fields in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        let other: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
        return Err(other.map_or_else(|error| malformed(&error), |_| wrong(".", "wrong_type", "is not an object")));
    }
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| describe(error, bytes))?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    Problem::bad_request("malformed_json", format!("The body is not JSON: see line {line}, column {column}."))
}

/// What is wrong with a body: no JSON at all, or JSON of another form. serde names a missing or unknown field in its
/// text alone, between backticks; the value that was sent is never repeated.
fn describe(error: serde_path_to_error::Error<serde_json::Error>, bytes: &[u8]) -> Problem {
    let path = error.path().to_string();
    let error = error.into_inner();
    // serde_json calls a number where a name should be a fault of syntax.
    if !error.is_data() && serde_json::from_slice::<serde_json::Value>(bytes).is_err() {
        return malformed(&error);
    }
    let text = error.to_string();
    let named = text.split('`').nth(1).unwrap_or(&path).to_owned();
    let (field, code, message) = if text.starts_with("missing field") {
        (named, "missing", "is required")
    } else if text.starts_with("unknown field") {
        (named, "unknown", "is not a field of this request")
    } else if text.starts_with("unknown variant") {
        (path, "invalid", "is not one of the values it may have")
    } else {
        (path, "wrong_type", "is of the wrong type")
    };
    wrong(&field, code, message)
}

fn wrong(field: &str, code: &str, message: &str) -> Problem {
    Problem::invalid(vec![FieldError { field: field.to_owned(), code: code.to_owned(), message: message.to_owned() }])
}

/// Tells a field that is `null` from one that is missing.
pub fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(Some)
}
