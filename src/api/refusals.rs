//! Refusals as problem details: which status, code and text each error of an operation has.

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};

use super::caller::AccessError;
use crate::accounts::email_change::ConfirmError;
use crate::accounts::links::LinkError;
use crate::accounts::{PasswordError, RECENT_LOGIN};
use crate::admin::AdminError;
use crate::db::DbError;
use crate::http::Problem;
use crate::http::problem::Fields;
use crate::mfa::MfaError;
use crate::passwords::{HasherError, WeakPassword};
use crate::sessions::IssueError;
use crate::throttle::{AttemptError, RateLimited};
use crate::types::Timestamp;

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(_) => {
                tracing::warn!(%error, "a request could not be served");
                Self::unavailable("database_unavailable", "The database cannot be reached at the moment.")
            }
            DbError::ClockSkew(_) => {
                tracing::warn!(%error, "a request could not be served");
                Self::unavailable("clock_skew", "The clock of this server is wrong at the moment.")
            }
            DbError::Taken { .. } | DbError::Unexpected(_) => Self::internal(&error),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::MissingToken => Self::missing_token(),
            AccessError::InvalidToken => Self::invalid_token(),
            AccessError::MalformedAuthorization => Problem::malformed_authorization(),
            AccessError::DifferentHeaders => Problem::bad_request(
                "duplicate_header",
                "Origin or Sec-Fetch-Site was sent twice, with different values.",
            ),
            AccessError::Cookie(error) => error.into(),
            AccessError::Proof(refusal) => refusal.into_unauthorized(),
            AccessError::OriginNotAllowed => Self::forbidden(
                "origin_not_allowed",
                "Requests with cookies must come from a page of an allowed origin.",
            ),
            AccessError::Impersonated => Self::forbidden("impersonated", "Only the owner of the account may do this."),
            AccessError::AuthenticationTooOld => Self::insufficient_user_authentication(RECENT_LOGIN),
            AccessError::SecondFactorRequired => Self::second_factor_required(RECENT_LOGIN),
            AccessError::NotAdministrator => not_administrator(),
            AccessError::RateLimited(limited) => limited.into(),
            AccessError::Database(error) => error.into(),
            AccessError::Missing(what) => Self::internal(&format_args!("a handler lacks {what}")),
        }
    }
}

/// Returns the seconds of a duration, rounded up.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

fn not_administrator() -> Problem {
    Problem::forbidden("forbidden", "Only administrators may do this.")
}

/// Returns the refusal of a disabled account, which is told only to its owner and to administrators.
pub(super) fn account_disabled() -> Problem {
    Problem::forbidden("account_disabled", "The account is disabled.")
}

/// Returns the refusal of an account that is to be deleted, which is told only after the right password.
pub(super) fn deletion_pending(deletes_at: Timestamp) -> Problem {
    let detail = "The account is to be deleted. The link in the email that tells of it keeps the account.";
    Problem::forbidden("account_deletion_pending", detail).with_deletes_at(deletes_at)
}

/// Returns the refusal of a code that is wrong or was used before.
pub(super) fn invalid_code() -> Problem {
    Problem::unauthorized("invalid_code", "The code is wrong or was used before.")
}

/// Returns the refusal of an email address that another account has.
pub(super) fn email_taken() -> Problem {
    Problem::conflict("email_taken", "Another account has this email address.")
}

/// Returns the refusal of a new password in `field`.
pub(super) fn weak_password(field: &str, error: &WeakPassword) -> Problem {
    let mut fields = Fields::default();
    fields.refuse(field, error.code(), &error.to_string());
    fields.into_problem()
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Database(error) => error.into(),
            IssueError::Signing(error) => Self::internal(&error),
        }
    }
}

impl From<RateLimited> for Problem {
    fn from(limited: RateLimited) -> Self {
        Self::too_many_requests("too_many_requests", "Too many attempts; try again later.", limited.retry_after)
            .with(HeaderName::from_static("ratelimit-limit"), HeaderValue::from(limited.limit))
            .with(HeaderName::from_static("ratelimit-remaining"), HeaderValue::from(0))
            .with(HeaderName::from_static("ratelimit-reset"), HeaderValue::from(limited.reset))
    }
}

impl From<AttemptError> for Problem {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::TooManyFailures { retry_after } => {
                let detail = "Too many attempts in a row have failed; try again later.";
                Self::too_many_requests("too_many_failures", detail, whole_seconds(retry_after))
            }
            AttemptError::RateLimited(limited) => limited.into(),
            AttemptError::Database(error) => error.into(),
        }
    }
}

impl From<HasherError> for Problem {
    fn from(error: HasherError) -> Self {
        match error {
            HasherError::Busy => Self::unavailable("busy", "Too many people are logging in at the moment."),
            HasherError::StoredHash(_) | HasherError::Failed => Self::internal(&error),
        }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Wrong => Self::unauthorized("invalid_credentials", "The current password is wrong."),
            PasswordError::Attempt(error) => error.into(),
            PasswordError::Hasher(error) => error.into(),
            PasswordError::Database(error) => error.into(),
        }
    }
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Invalid => Self::bad_request(
                "invalid_one_time_token",
                "The link is no longer valid: it was used, has expired, or a newer one has replaced it.",
            ),
            LinkError::Database(error) => error.into(),
        }
    }
}

impl From<ConfirmError> for Problem {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::Link(error) => error.into(),
            ConfirmError::EmailTaken => email_taken(),
        }
    }
}

impl From<MfaError> for Problem {
    fn from(error: MfaError) -> Self {
        match error {
            MfaError::AlreadyEnabled => Self::conflict("mfa_already_enabled", "Two-step login is enabled already."),
            MfaError::NotEnabled => Self::conflict("mfa_not_enabled", "Two-step login is not enabled."),
            MfaError::FactorRequired => Self::second_factor_required(RECENT_LOGIN),
            MfaError::NotStarted => Self::conflict("mfa_not_started", "No secret waits for confirmation."),
            MfaError::InvalidCode => invalid_code(),
            MfaError::NoAccount => Self::invalid_token(),
            MfaError::Database(error) => error.into(),
        }
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NotAdministrator => not_administrator(),
            AdminError::NotFound => Self::not_found(),
            AdminError::CallerEnded => Self::invalid_token(),
            AdminError::OwnAccount => Self::conflict("own_account", "This is not possible with your own account."),
            AdminError::DeletionPending => Self::conflict("account_deletion_pending", "The account is to be deleted."),
            AdminError::NoDeletion => {
                Self::conflict("no_deletion", "The account is not to be deleted, or it is too late to keep it.")
            }
            AdminError::LastAdministrator => Self::conflict(
                "last_administrator",
                "The account is the last administrator's. Give somebody else with a password the role `admin` first.",
            ),
            AdminError::EmailTaken => email_taken(),
            AdminError::HasPassword => {
                Self::conflict("password_set", "The account has a password already; send a link to reset it instead.")
            }
            AdminError::MfaNotEnabled => MfaError::NotEnabled.into(),
            AdminError::TooManyEmails { retry_after } => {
                let detail = "This email address was sent too many emails; try again later.";
                Self::too_many_requests("too_many_emails", detail, whole_seconds(retry_after))
            }
            AdminError::NoClient => Self::not_found(),
            AdminError::TooManySecrets => {
                Self::conflict("too_many_secrets", "The client has two secrets; delete one first.")
            }
            AdminError::Lifetime { .. } => {
                let mut fields = Fields::default();
                fields.refuse("access_token_ttl", "out_of_range", &error.to_string());
                fields.into_problem()
            }
            AdminError::Algorithm { .. } => {
                let mut fields = Fields::default();
                fields.refuse("signing_algorithm", "unsupported_algorithm", &error.to_string());
                fields.into_problem()
            }
            AdminError::Roles(error) => {
                let mut fields = Fields::default();
                fields.refuse("roles", error.code(), &error.to_string());
                fields.into_problem()
            }
            AdminError::Weak(error) => weak_password("password", &error),
            AdminError::Hasher(error) => error.into(),
            AdminError::Disabled => Self::conflict("account_disabled", "The account is disabled."),
            AdminError::Issue(error) => error.into(),
        }
    }
}
