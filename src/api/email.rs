//! `/api/v1/auth/email`: verifying an account's email address, and changing it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::access::{By, ByRecentUser, ByUser};
use super::caller::{Caller, optional_owner};
use super::recovery::TokenRequest;
use crate::accounts::EmailChanges;
use crate::accounts::email_change::{ChangeEmailError, EmailChangeStep};
use crate::http::problem::Fields;
use crate::http::{Body, HttpContext, Problem};
use crate::throttle::{Limit, RateLimited, Throttle};
use crate::types::{EmailAddress, EmailAddressError};

/// Verifies the account's email address with the token of the link that was sent there. Without an access token of the
/// account, what was set before is dropped: the second factor, trusted devices, the setting of alerts, names of
/// sessions.
#[utoipa::path(post, path = "/api/v1/auth/email/verify", tag = "Accounts", security(()), request_body = TokenRequest,
    responses((status = 204, description = "The email address is verified")))]
pub(super) async fn verify_email(
    request: HttpRequest,
    email_changes: web::Data<EmailChanges>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    Body(body, _): Body<TokenRequest>,
) -> Result<HttpResponse, Problem> {
    let requester = context.requester(&request);
    throttle.count_ip(Limit::LoginAddress, &requester).await?;
    let caller = optional_owner(&request).await?;
    email_changes.verify(body.into_token(), caller, &requester).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sends the email that verifies the caller's address once more, unless the address is verified.
#[utoipa::path(post, path = "/api/v1/auth/email/verify/resend", tag = "Accounts",
    responses((status = 202, description = "An email is on its way, unless the address is verified")))]
pub(super) async fn resend_verification(
    email_changes: web::Data<EmailChanges>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    By { caller, .. }: ByUser,
) -> Result<HttpResponse, Problem> {
    count_emails(&throttle, &context, "verify", &caller).await?;
    email_changes.resend_verification(caller.user(), caller.actor(&context).requester.language).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Counts the emails that an owner asks for, apart from those that anybody can ask for by naming the address.
async fn count_emails(
    throttle: &Throttle,
    context: &HttpContext,
    purpose: &str,
    caller: &Caller,
) -> Result<(), RateLimited> {
    let subject = format!("{purpose} {}", caller.user());
    throttle.count(Limit::ForgotAccount, subject.as_bytes(), &caller.actor(context)).await
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeEmailRequest {
    #[schema(value_type = EmailAddress)]
    new_email: String,
}

/// Begins a change of the account's email address: sends an email with a link to the present and to the new address. A
/// pending change is replaced. Needs a recent login. The response is the same whether the new address has an account.
#[utoipa::path(post, path = "/api/v1/auth/email/change", tag = "Accounts", request_body = ChangeEmailRequest,
    responses((status = 202, description = "Emails to both addresses are on their way")))]
pub(super) async fn change_email(
    email_changes: web::Data<EmailChanges>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    By { caller, input: Body(body, _), .. }: ByRecentUser<Body<ChangeEmailRequest>>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let parsed = EmailAddress::parse(&body.new_email);
    let new = fields.check("new_email", parsed, |error| EmailAddressError::code(*error));
    let new = new.ok_or_else(|| fields.into_problem())?;
    count_emails(&throttle, &context, "change", &caller).await?;
    let actor = caller.actor(&context);
    throttle.count(Limit::ForgotAccount, format!("change {}", new.normalized()).as_bytes(), &actor).await?;
    email_changes.begin(caller.user(), new, &actor).await?;
    Ok(HttpResponse::Accepted().finish())
}

impl From<ChangeEmailError> for Problem {
    fn from(error: ChangeEmailError) -> Self {
        match error {
            ChangeEmailError::Unchanged => {
                let mut fields = Fields::default();
                fields.refuse("new_email", "unchanged", &error.to_string());
                fields.into_problem()
            }
            ChangeEmailError::NoAccount => Self::invalid_token(),
            ChangeEmailError::Database(error) => error.into(),
        }
    }
}

/// The state of a change of email address.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct EmailChangeConfirmed {
    /// Whether both addresses have confirmed, and the account has the new one.
    email_changed: bool,
}

/// Confirms a change of email address with the token of the link that was sent to one of the two addresses.
#[utoipa::path(post, path = "/api/v1/auth/email/change/confirm", tag = "Accounts", security(()),
    request_body = TokenRequest,
    responses((status = 200, body = EmailChangeConfirmed)))]
pub(super) async fn confirm_email_change(
    request: HttpRequest,
    email_changes: web::Data<EmailChanges>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    Body(body, _): Body<TokenRequest>,
) -> Result<web::Json<EmailChangeConfirmed>, Problem> {
    let requester = context.requester(&request);
    throttle.count_ip(Limit::LoginAddress, &requester).await?;
    let step = email_changes.confirm(body.into_token(), &requester).await?;
    Ok(web::Json(EmailChangeConfirmed { email_changed: step == EmailChangeStep::Changed }))
}

/// Cancels the pending change of email address, if there is one.
#[utoipa::path(delete, path = "/api/v1/auth/email/change", tag = "Accounts",
    responses((status = 204, description = "No change is pending")))]
pub(super) async fn cancel_email_change(
    email_changes: web::Data<EmailChanges>,
    context: web::Data<HttpContext>,
    By { caller, .. }: ByUser,
) -> Result<HttpResponse, Problem> {
    email_changes.cancel(caller.user(), &caller.actor(&context)).await?;
    Ok(HttpResponse::NoContent().finish())
}
