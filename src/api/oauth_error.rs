//! Errors of the standard endpoints as RFC 6749 §5.2 has them.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use super::client_auth::{CHALLENGE, ClientRefusal, INSUFFICIENT_SCOPE};
use super::dpop::ProofRefusal;
use crate::db::DbError;
use crate::http::body::BodyError;
use crate::oauth::{GrantError, RevokeError, TargetError};
use crate::sessions::IssueError;
use crate::sessions::refresh::RefreshError;
use crate::throttle::RateLimited;

/// The number of seconds after which a client may retry a request that the server could not serve.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The header that keeps old caches from storing tokens (RFC 6749 §5.1).
pub(super) const NO_CACHE: (HeaderName, HeaderValue) = (PRAGMA, HeaderValue::from_static("no-cache"));

/// An error response of a standard endpoint.
#[derive(Debug)]
pub(super) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The error of a standard endpoint (RFC 6749 §5.2).
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct OAuthErrorBody<'a> {
    /// The code for programs.
    error: &'a str,
    /// The text for people.
    error_description: &'a str,
}

impl OAuthError {
    fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into(), headers: Vec::new() }
    }

    /// Creates a 400 for a request that is not what the endpoint takes.
    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// Creates a refusal of a request that has no answer in RFC 6749, such as one by another method.
    pub(super) fn of_status(status: StatusCode, description: impl Into<String>) -> Self {
        Self::new(status, "invalid_request", description)
    }

    /// Creates a 401 for a client that is not authenticated.
    pub(super) fn invalid_client(description: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description).with(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// Creates a 400 for a grant that the server does not take.
    pub(super) fn unsupported_grant_type() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", "The server does not take this grant_type.")
    }

    /// Creates a 400 for a client that may not use a grant or a token.
    pub(super) fn unauthorized_client(description: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unauthorized_client", description)
    }

    /// Creates a 400 for scopes that a client may not have.
    pub(super) fn invalid_scope(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", description)
    }

    /// Creates a 400 for an audience that a client may not ask for (RFC 8707 §2).
    pub(super) fn invalid_target(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_target", description)
    }

    /// Creates a 400 for a proof that is missing or not valid (RFC 9449 §5).
    fn invalid_proof(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_dpop_proof", description)
    }

    /// Creates a 503 for a request that may succeed later.
    pub(super) fn unavailable(description: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", description)
            .with(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))
    }

    /// Creates a 500 for a defect of the server, and logs it.
    pub(super) fn internal(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "Something went wrong on the server.")
    }

    /// Creates a 401 for an access token without a proof of its key (RFC 9449 §7.1).
    fn challenge(refusal: ProofRefusal) -> Self {
        match refusal.challenge() {
            Some((error, challenge)) => {
                Self::new(StatusCode::UNAUTHORIZED, error, refusal.detail()).with(WWW_AUTHENTICATE, challenge)
            }
            None => refusal.into(),
        }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error)
    }
}

impl ResponseError for OAuthError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for (name, value) in &self.headers {
            response.append_header((name.clone(), value.clone()));
        }
        response.insert_header(NO_CACHE);
        response.json(OAuthErrorBody { error: self.error, error_description: &self.description })
    }
}

impl From<BodyError> for OAuthError {
    fn from(error: BodyError) -> Self {
        let refusal = |status, description: &str| Self::of_status(status, description);
        match error {
            BodyError::UnsupportedType(_) => refusal(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be a form, with Content-Type: application/x-www-form-urlencoded.",
            ),
            BodyError::TooLarge => refusal(StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 64 KiB."),
            BodyError::TooSlow => refusal(StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive."),
            BodyError::Incomplete => Self::invalid_request("The body did not arrive completely."),
            BodyError::RepeatedField => Self::invalid_request("A parameter was sent twice."),
            BodyError::Malformed { .. } => Self::invalid_request("The body cannot be read."),
            BodyError::Invalid(_) => Self::invalid_request("A parameter contains the character NUL (U+0000)."),
        }
    }
}

impl From<DbError> for OAuthError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(_) | DbError::ClockSkew(_) => {
                tracing::warn!(%error, "a request could not be served");
                Self::unavailable("The server cannot answer at the moment.")
            }
            DbError::Taken { .. } | DbError::Unexpected(_) => Self::internal(&error),
        }
    }
}

impl From<IssueError> for OAuthError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Database(error) => error.into(),
            IssueError::Signing(error) => Self::internal(&error),
        }
    }
}

/// `invalid_grant` tells a client that its session has ended, so it is said only where that is certain.
impl From<RefreshError> for OAuthError {
    fn from(error: RefreshError) -> Self {
        let description = error.to_string();
        match error {
            RefreshError::Invalid | RefreshError::Reused | RefreshError::Revoked | RefreshError::Expired => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_grant", description)
            }
            RefreshError::AlreadyRefreshed | RefreshError::Replaced => Self::unavailable(description),
            RefreshError::ProofMissing | RefreshError::OtherKey => Self::invalid_proof(description),
            RefreshError::Issue(error) => error.into(),
        }
    }
}

impl From<ProofRefusal> for OAuthError {
    fn from(refusal: ProofRefusal) -> Self {
        let description = refusal.detail();
        match refusal {
            ProofRefusal::Database(error) => error.into(),
            ProofRefusal::Nonce => Self::new(StatusCode::BAD_REQUEST, "use_dpop_nonce", description),
            ProofRefusal::Missing(what) => Self::internal(&format_args!("a handler lacks {what}")),
            ProofRefusal::Required
            | ProofRefusal::NotBound
            | ProofRefusal::Cookies
            | ProofRefusal::Invalid(_)
            | ProofRefusal::OtherKey => Self::invalid_proof(description),
        }
    }
}

impl From<RateLimited> for OAuthError {
    fn from(limited: RateLimited) -> Self {
        let description = "Too many attempts; try again later.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", description)
            .with(RETRY_AFTER, HeaderValue::from(limited.retry_after))
    }
}

impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        let description = error.to_string();
        match error {
            GrantError::Target(TargetError::Audience) => Self::invalid_target(description),
            GrantError::Target(TargetError::Scope) => Self::invalid_scope(description),
            GrantError::NoKey(_) => Self::unavailable(description),
            GrantError::Subject => Self::invalid_request(description),
            GrantError::Issue(error) => error.into(),
        }
    }
}

impl From<RevokeError> for OAuthError {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::KeyRequired => ProofRefusal::Required.into(),
            RevokeError::OtherClient => Self::unauthorized_client("The token was issued to another client."),
            RevokeError::ClientRequired => Self::invalid_client("The client of the token has to authenticate."),
            RevokeError::Database(error) => error.into(),
        }
    }
}

impl From<ClientRefusal> for OAuthError {
    fn from(refusal: ClientRefusal) -> Self {
        match refusal {
            ClientRefusal::Missing => Self::invalid_client("The client has to authenticate."),
            ClientRefusal::Invalid => Self::invalid_client("The client or its secret is not valid."),
            ClientRefusal::InvalidToken => {
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                Self::new(StatusCode::UNAUTHORIZED, "invalid_token", "The access token is not valid.")
                    .with(WWW_AUTHENTICATE, challenge)
            }
            ClientRefusal::Proof(refusal) => Self::challenge(refusal),
            ClientRefusal::Malformed => Self::invalid_request("The Authorization header cannot be read."),
            ClientRefusal::Several => Self::invalid_request("The client has authenticated in two ways."),
            ClientRefusal::Scope(scope) => {
                let description = format!("The client lacks the scope {scope}.");
                Self::new(StatusCode::FORBIDDEN, "insufficient_scope", description)
                    .with(WWW_AUTHENTICATE, INSUFFICIENT_SCOPE)
            }
            ClientRefusal::Database(error) => error.into(),
            ClientRefusal::Internal(what) => Self::internal(&format_args!("a handler lacks {what}")),
        }
    }
}
