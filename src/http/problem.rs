//! Refusals as clients see them: RFC 9457.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use super::request::request_id;
use crate::db::DbError;
use crate::limits::Limited;
use crate::sessions::IssueError;

/// Seconds after which a client may try again what failed for no fault of its own.
const RETRY_AFTER_SECONDS: u64 = 1;

/// A refusal. `code` is stable; the texts are for people.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retryable: bool,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one field of a request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    pub field: String,
    pub code: String,
    pub message: String,
}

/// The body of a refusal (RFC 9457 §3).
#[derive(Serialize, utoipa::ToSchema)]
pub struct ProblemDetails<'a> {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// Stable, for programs.
    code: &'a str,
    request_id: String,
    /// Whether the same request may succeed later.
    retryable: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), retryable: false, headers: Vec::new() }
    }

    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here for you.")
    }

    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// A refusal of credentials in the body: definitive, and without a challenge.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// No bearer token at all: the bare challenge of RFC 6750 §3.
    pub fn missing_token() -> Self {
        Self::unauthorized("missing_token", "This needs an access token.")
            .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// A bearer token that is not good. The caller is not told why (RFC 6750 §3.1).
    pub fn invalid_token() -> Self {
        let challenge = "Bearer error=\"invalid_token\", error_description=\"The access token is not valid.\"";
        Self::unauthorized("invalid_token", "The access token is not valid.")
            .with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// A caller whose last authentication is too long ago for what is asked (RFC 9470 §3).
    pub fn insufficient_user_authentication(max_age: Duration) -> Self {
        let detail = "This needs a login of the last minutes: authenticate again.";
        let challenge = format!(
            "Bearer error=\"insufficient_user_authentication\", error_description=\"{detail}\", max_age={}",
            max_age.as_secs()
        );
        match HeaderValue::from_str(&challenge) {
            Ok(challenge) => {
                Self::unauthorized("insufficient_user_authentication", detail).with(WWW_AUTHENTICATE, challenge)
            }
            Err(error) => Self::internal(&error),
        }
    }

    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", "Some fields are not right.");
        problem.errors = errors;
        problem
    }

    /// It cannot be done now; the same request may succeed later.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        problem.retryable = true;
        problem.with(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))
    }

    /// Wrong passwords in a row make the next attempt wait, for `retry_after`.
    pub fn too_many_failures(retry_after: Duration) -> Self {
        let detail = "Too many attempts in a row have failed; try again later.";
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", detail);
        problem.retryable = true;
        let seconds = retry_after.as_secs().saturating_add(u64::from(retry_after.subsec_nanos() > 0));
        problem.with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// A defect of the server. What it is stands in the log.
    pub fn internal(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on the server.")
    }

    /// What is told to people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(_) => {
                tracing::warn!(%error, "a request could not be served");
                Self::unavailable("database_unavailable", "The database cannot be reached at the moment.")
            }
            DbError::Taken { .. } | DbError::Unexpected(_) => Self::internal(&error),
        }
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Database(error) => error.into(),
            IssueError::Signing(error) => Self::internal(&error),
        }
    }
}

impl From<Limited> for Problem {
    fn from(limited: Limited) -> Self {
        let mut problem =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many attempts; try again later.");
        problem.retryable = true;
        problem
            .with(RETRY_AFTER, HeaderValue::from(limited.retry_after))
            .with(HeaderName::from_static("ratelimit-limit"), HeaderValue::from(limited.limit))
            .with(HeaderName::from_static("ratelimit-remaining"), HeaderValue::from(0))
            .with(HeaderName::from_static("ratelimit-reset"), HeaderValue::from(limited.reset))
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
        let details = ProblemDetails {
            kind: format!("urn:keyturn:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id: request_id(),
            retryable: self.retryable,
            errors: &self.errors,
        };
        let mut response = HttpResponse::build(self.status);
        for (name, value) in &self.headers {
            response.append_header((name.clone(), value.clone()));
        }
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        response.insert_header(("cache-control", "no-store"));
        response.body(serde_json::to_vec(&details).unwrap_or_default())
    }
}

/// Collects what is wrong with the fields of one request, so that all of it is told at once.
#[derive(Default)]
pub struct Fields(Vec<FieldError>);

impl Fields {
    /// The parsed value of `field`, or `None` after its error was noted.
    pub fn check<T, E: fmt::Display>(
        &mut self,
        field: &str,
        parsed: Result<T, E>,
        code: impl FnOnce(&E) -> &'static str,
    ) -> Option<T> {
        parsed
            .map_err(|error| {
                let (code, message) = (code(&error).to_owned(), error.to_string());
                self.0.push(FieldError { field: field.to_owned(), code, message });
            })
            .ok()
    }

    /// Refuses the request if anything was wrong with it.
    pub fn into_result(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_problem()) }
    }

    pub fn into_problem(self) -> Problem {
        Problem::invalid(self.0)
    }
}
