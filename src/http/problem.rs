//! Error responses as problem details (RFC 9457).

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use super::body::BodyError;
use super::cookies::CookieError;
use super::request::request_id;
use crate::types::Timestamp;

/// The number of seconds after which a client may retry a request that the server could not serve.
const RETRY_AFTER_SECONDS: u64 = 1;

/// An error response. `code` is stable; the texts are for people.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retryable: bool,
    deletes_at: Option<Timestamp>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// An error of one field of a request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FieldError {
    /// The name of the field.
    pub field: String,
    /// The stable code of the error.
    pub code: String,
    /// The text for people.
    pub message: String,
}

impl FieldError {
    /// Creates the error of a field.
    pub(crate) fn new(field: &str, code: &str, message: &str) -> Self {
        Self { field: field.to_owned(), code: code.to_owned(), message: message.to_owned() }
    }
}

/// The body of an error response (RFC 9457 §3).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ProblemDetails<'a> {
    /// The URI of the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// The stable code for programs.
    code: &'a str,
    request_id: String,
    /// Whether the same request may succeed later.
    retryable: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// With `account_deletion_pending` at a login: when the account is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    deletes_at: Option<Timestamp>,
}

impl Problem {
    /// Creates a problem.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, code, detail, errors: Vec::new(), retryable: false, deletes_at: None, headers: Vec::new() }
    }

    /// Creates a 400.
    pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Creates a 404.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found.")
    }

    /// Creates a 403.
    pub(crate) fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// Creates a 409.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// Creates a 401 for wrong credentials in the body, without a challenge.
    pub(crate) fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// Creates a 401 for a missing bearer token, with a challenge without an error code (RFC 6750 §3).
    pub(crate) fn missing_token() -> Self {
        Self::unauthorized("missing_token", "An access token is required.")
            .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// Creates a 401 for an invalid bearer token. The response does not say why it is invalid (RFC 6750 §3.1).
    pub(crate) fn invalid_token() -> Self {
        let challenge = "Bearer error=\"invalid_token\", error_description=\"The access token is not valid.\"";
        Self::unauthorized("invalid_token", "The access token is not valid.")
            .with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// Creates a 400 for an `Authorization` header that cannot be read, with a challenge (RFC 6750 §3.1).
    pub(crate) fn malformed_authorization() -> Self {
        let challenge = "Bearer error=\"invalid_request\", error_description=\"The header cannot be read.\"";
        Self::bad_request("malformed_authorization", "One header `Authorization: Bearer TOKEN` is expected.")
            .with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// Creates a 401 for a caller whose last authentication is too long ago (RFC 9470 §3).
    pub(crate) fn insufficient_user_authentication(max_age: Duration) -> Self {
        let detail = "A more recent authentication is required.";
        Self::step_up("insufficient_user_authentication", detail, max_age)
    }

    /// Creates a 401 for a caller who has to authenticate with the second factor, too (RFC 9470 §3).
    pub(crate) fn second_factor_required(max_age: Duration) -> Self {
        let detail = "A recent authentication with the second factor is required.";
        Self::step_up("second_factor_required", detail, max_age)
    }

    fn step_up(code: &'static str, detail: &'static str, max_age: Duration) -> Self {
        let challenge = format!(
            "Bearer error=\"insufficient_user_authentication\", error_description=\"{detail}\", max_age={}",
            max_age.as_secs()
        );
        match HeaderValue::from_str(&challenge) {
            Ok(challenge) => Self::unauthorized(code, detail).with(WWW_AUTHENTICATE, challenge),
            Err(error) => Self::internal(&error),
        }
    }

    /// Creates a 422 with an error for each invalid field.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", "Some fields are invalid.");
        problem.errors = errors;
        problem
    }

    /// Creates a 503 for a request that may succeed later.
    pub(crate) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        problem.retryable = true;
        problem.with(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))
    }

    /// Creates a 429 for a request that may succeed after `retry_after` seconds.
    pub(crate) fn too_many_requests(code: &'static str, detail: impl Into<String>, retry_after: u64) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        problem.retryable = true;
        problem.with(RETRY_AFTER, HeaderValue::from(retry_after))
    }

    /// Creates a 500 for a defect of the server, and logs it.
    pub(crate) fn internal(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on the server.")
    }

    /// Makes a sentence of the text of an error.
    pub(crate) fn sentence(error: &dyn fmt::Display) -> String {
        let text = error.to_string();
        let mut characters = text.chars();
        let first = characters.next().map(char::to_uppercase).into_iter().flatten();
        let sentence: String = first.chain(characters).collect();
        if sentence.ends_with(['.', '!', '?']) { sentence } else { sentence + "." }
    }

    /// Returns the stable code for programs.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the time after which the same request may succeed, in seconds; `None` if it cannot.
    pub(crate) fn retry_after(&self) -> Option<i64> {
        let header = self.headers.iter().find(|(name, _)| name == RETRY_AFTER).filter(|_| self.retryable);
        header.and_then(|(_, seconds)| seconds.to_str().ok()?.parse().ok())
    }

    /// Returns the headers of the response.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// Adds the time at which the account is deleted.
    #[must_use]
    pub(crate) fn with_deletes_at(mut self, deletes_at: Timestamp) -> Self {
        self.deletes_at = Some(deletes_at);
        self
    }

    /// Returns the body of the response to the request with this id.
    pub(super) fn body(&self, request_id: &str) -> Vec<u8> {
        let details = ProblemDetails {
            kind: format!("urn:keyturn:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id: request_id.to_owned(),
            retryable: self.retryable,
            errors: &self.errors,
            deletes_at: self.deletes_at,
        };
        serde_json::to_vec(&details).unwrap_or_default()
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::UnsupportedType(expected) => {
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", expected)
            }
            BodyError::TooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is larger than 64 KiB.")
            }
            BodyError::TooSlow => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body took too long to arrive.")
            }
            BodyError::Incomplete => Self::bad_request("incomplete_body", "The body did not arrive completely."),
            BodyError::Malformed { line, column } => {
                Self::bad_request("malformed_json", format!("The body is not JSON: see line {line}, column {column}."))
            }
            BodyError::RepeatedField => Self::bad_request("malformed_form", "A field of the form was sent twice."),
            BodyError::Invalid(error) => Self::invalid(vec![error]),
        }
    }
}

impl From<CookieError> for Problem {
    fn from(error: CookieError) -> Self {
        match error {
            CookieError::Duplicate => {
                Self::bad_request("duplicate_cookie", "Two cookies of the same name were sent: delete both.")
            }
            CookieError::Malformed => Self::bad_request("malformed_cookie", "A cookie cannot be read: delete it."),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for (name, value) in &self.headers {
            response.append_header((name.clone(), value.clone()));
        }
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        response.body(self.body(&request_id()))
    }
}

/// The collected errors of a request's fields, for one response.
#[derive(Default)]
pub(crate) struct Fields {
    errors: Vec<FieldError>,
}

impl Fields {
    /// Returns the parsed value of `field`. Adds an error and returns `None` if it is invalid.
    pub(crate) fn check<T, E: fmt::Display>(
        &mut self,
        field: &str,
        parsed: Result<T, E>,
        code: impl FnOnce(&E) -> &'static str,
    ) -> Option<T> {
        parsed
            .map_err(|error| {
                self.errors.push(FieldError::new(field, code(&error), &error.to_string()));
            })
            .ok()
    }

    /// Adds the error of a field.
    pub(crate) fn refuse(&mut self, field: &str, code: &str, message: &str) {
        self.errors.push(FieldError::new(field, code, message));
    }

    /// Returns the problem of all errors, if there are any.
    ///
    /// # Errors
    /// A field is invalid.
    pub(crate) fn into_result(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.into_problem()) }
    }

    /// Returns the problem of all errors.
    pub(crate) fn into_problem(self) -> Problem {
        Problem::invalid(self.errors)
    }
}
