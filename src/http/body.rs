//! Request bodies with a limit of size and time: JSON with precise errors, and the forms of pages.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, ResponseError};
use futures_core::Stream as _;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::connections::Connection;
use super::field_text;
use super::nul;
use super::problem::{FieldError, Problem};

/// The maximum size of a body, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// The time limit for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The content type of JSON.
const JSON: &str = "application/json";

/// The refusal of a body of another type.
const NO_JSON: BodyError = BodyError::UnsupportedType("The body must be JSON, with Content-Type: application/json.");

/// Why a body is refused.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The content type is not the expected one. The text names the expected one.
    UnsupportedType(&'static str),
    /// The body is larger than [`MAX_BODY`].
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The connection failed before the body was complete.
    Incomplete,
    /// The body is not JSON.
    Malformed {
        /// The line of the error, from 1.
        line: usize,
        /// The column of the error, from 1.
        column: usize,
    },
    /// The body is a form in which a field is there twice.
    RepeatedField,
    /// The body is JSON, but a field is invalid.
    Invalid(FieldError),
}

/// An error response of an extractor.
pub(crate) trait ExtractError: From<BodyError> + ResponseError + 'static {}

impl<E: From<BodyError> + ResponseError + 'static> ExtractError for E {}

/// A JSON body of type `T`. `E` is the error response if the body is refused.
pub(crate) struct Body<T, E = Problem>(pub T, pub PhantomData<E>);

impl<T: DeserializeOwned + 'static, E: ExtractError> FromRequest for Body<T, E> {
    type Error = E;
    type Future = Pin<Box<dyn Future<Output = Result<Self, E>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let json = read_json(request, payload);
        Box::pin(async move { Ok(Self(json.await?, PhantomData)) })
    }
}

/// A JSON body that may be missing: an empty one is none, however it is framed. `E` is the error response if the body
/// is refused.
pub(crate) struct OptionalBody<T, E = Problem>(pub Option<T>, pub PhantomData<E>);

impl<T: DeserializeOwned + 'static, E: ExtractError> FromRequest for OptionalBody<T, E> {
    type Error = E;
    type Future = Pin<Box<dyn Future<Output = Result<Self, E>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = has_type(request, JSON);
        let bytes = read(request, payload);
        Box::pin(async move {
            let bytes = bytes.await?;
            match without_mark(&bytes) {
                // Many clients send the content type of JSON, or another one, without a body.
                [] => Ok(Self(None, PhantomData)),
                _ if !is_json => Err(NO_JSON.into()),
                json => Ok(Self(Some(parse(json)?), PhantomData)),
            }
        })
    }
}

/// The body of a form. `E` is the error response if the body is refused.
pub(crate) struct FormBody<E = Problem> {
    bytes: Zeroizing<Vec<u8>>,
    error: PhantomData<E>,
}

impl<E> FormBody<E> {
    /// Returns the value of the field `name`, if the form has it.
    pub(crate) fn get(&self, name: &str) -> Option<Zeroizing<String>> {
        form_field(&self.bytes, name)
    }

    /// Returns the fields with their values, in the order of the form.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (String, Zeroizing<String>)> + '_ {
        let fields = url::form_urlencoded::parse(&self.bytes);
        fields.map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())))
    }
}

impl<E: ExtractError> FromRequest for FormBody<E> {
    type Error = E;
    type Future = Pin<Box<dyn Future<Output = Result<Self, E>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_form = has_type(request, "application/x-www-form-urlencoded");
        let bytes = read(request, payload);
        Box::pin(async move {
            let bytes = Zeroizing::new(bytes.await?);
            if !is_form {
                return Err(BodyError::UnsupportedType("The body must be that of the page's form.").into());
            }
            if let Some(error) = nul::in_form(&bytes) {
                return Err(BodyError::Invalid(error).into());
            }
            let mut names = HashSet::new();
            if !url::form_urlencoded::parse(&bytes).all(|(name, _)| names.insert(name)) {
                return Err(BodyError::RepeatedField.into());
            }
            drop(names);
            Ok(Self { bytes, error: PhantomData })
        })
    }
}

/// Returns the value of the field `name` of a form or query (`application/x-www-form-urlencoded`).
pub(super) fn form_field(form: &[u8], name: &str) -> Option<Zeroizing<String>> {
    let mut fields = url::form_urlencoded::parse(form);
    fields.find_map(|(field, value)| (field == name).then(|| Zeroizing::new(value.into_owned())))
}

/// Returns whether the body is of a type. Two headers that name a type name none.
fn has_type(request: &HttpRequest, expected: &str) -> bool {
    request.headers().get_all(CONTENT_TYPE).count() == 1
        && request.mime_type().ok().flatten().is_some_and(|mime| mime.essence_str() == expected)
}

/// Reads a JSON body.
fn read_json<T: DeserializeOwned + 'static>(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<T, BodyError>> + use<T> + 'static {
    let is_json = has_type(request, JSON);
    let names_type = request.headers().contains_key(CONTENT_TYPE);
    let bytes = read(request, payload);
    async move {
        let bytes = bytes.await?;
        if !is_json && (names_type || !bytes.is_empty()) {
            return Err(NO_JSON);
        }
        parse(without_mark(&bytes))
    }
}

/// Reads a whole body.
fn read(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Vec<u8>, BodyError>> + use<> + 'static {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let is_encoded = request.headers().get_all(CONTENT_ENCODING).any(|encoding| encoding != "identity");
    let payload = payload.take();
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    async move {
        if announced.is_some_and(|length: usize| length > MAX_BODY) {
            return Err(BodyError::TooLarge);
        }
        if is_encoded {
            return Err(BodyError::UnsupportedType("The body must not be compressed: no Content-Encoding is taken."));
        }
        let _reading = connection.map(Connection::read_body);
        tokio::time::timeout(BODY_TIMEOUT, read_payload(payload)).await.unwrap_or(Err(BodyError::TooSlow))
    }
}

async fn read_payload(mut payload: Payload) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = std::future::poll_fn(|context| Pin::new(&mut payload).poll_next(context)).await {
        let chunk = chunk.map_err(|_| BodyError::Incomplete)?;
        if bytes.len().saturating_add(chunk.len()) > MAX_BODY {
            return Err(BodyError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Returns a text without the byte order mark that some programs put before it (RFC 8259 §8.1).
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    // serde would also accept an array with the fields in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        let other: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
        let not_an_object = |_| BodyError::Invalid(FieldError::new(".", "wrong_type", "is not an object"));
        return Err(other.map_or_else(|error| malformed(&error), not_an_object));
    }
    if let Some(error) = nul::in_json(bytes) {
        return Err(BodyError::Invalid(error));
    }
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| describe(error, bytes))?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> BodyError {
    BodyError::Malformed { line: error.line(), column: error.column() }
}

/// Converts an error of serde.
fn describe(error: serde_path_to_error::Error<serde_json::Error>, bytes: &[u8]) -> BodyError {
    let path = error.path().to_string();
    let error = error.into_inner();
    // serde_json reports a number in place of a name as a syntax error.
    if !error.is_data() && serde_json::from_slice::<serde_json::Value>(bytes).is_err() {
        return malformed(&error);
    }
    BodyError::Invalid(field_text::describe(&error.to_string(), &path, "field"))
}
