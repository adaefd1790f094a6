//! `/api/v1/auth/email`: verifying an account's address, and changing it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{ChangeEmailError, ConfirmError, Confirmed};
use crate::accounts::Accounts;
use crate::accounts::email::{Email, EmailError};
use crate::accounts::recovery::http::TokenRequest;
use crate::http::caller::Recent;
use crate::http::problem::{Fields, ProblemDetails};
use crate::http::{Body, Caller, Edge, Problem};
use crate::limits::Kind;
use crate::tokens::one_time::OneTimeToken;

/// Verifies the account's address with the token of the link that was mailed there.
#[utoipa::path(post, path = "/api/v1/auth/email/verify", tag = "Accounts", security(()), request_body = TokenRequest,
    responses((status = 204, description = "The address is verified"), (status = 400, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn verify_email(
    request: HttpRequest,
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Body(body): Body<TokenRequest>,
) -> Result<HttpResponse, Problem> {
    let client = edge.client(&request);
    edge.limit_address(Kind::LoginAddress, &client).await?;
    accounts.verify_email(OneTimeToken::parse(body.token), &client).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Mails the link to verify the caller's address once more, unless it is verified.
#[utoipa::path(post, path = "/api/v1/auth/email/verify/resend", tag = "Accounts",
    responses((status = 202, description = "A mail is on its way, unless the address is verified"), (status = 401, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn resend_verification(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    limit_mails(&edge, "verify", &caller).await?;
    accounts.resend_verification(caller.user()).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Mails that the owner asks for count apart from those that anybody can ask for with the address alone.
async fn limit_mails(edge: &Edge, what: &str, caller: &Caller) -> Result<(), Problem> {
    edge.limit(Kind::ForgotAccount, format!("{what} {}", caller.user()).as_bytes(), &caller.actor(edge)).await
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeEmailRequest {
    new_email: String,
}

/// Asks the account's present and its new address, by mail, whether the account is to move. A change that was asked for
/// before is given up. Needs a recent login. The answer is the same whether the new address has an account.
#[utoipa::path(post, path = "/api/v1/auth/email/change", tag = "Accounts", request_body = ChangeEmailRequest,
    responses((status = 202, description = "Mails to both addresses are on their way"), (status = 401, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn change_email(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Recent(caller, Body(body)): Recent<Body<ChangeEmailRequest>>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let new = fields.check("new_email", Email::parse(&body.new_email), |error| EmailError::code(*error));
    let new = new.ok_or_else(|| fields.into_problem())?;
    limit_mails(&edge, "change", &caller).await?;
    let actor = caller.actor(&edge);
    edge.limit(Kind::ForgotAccount, format!("change {}", new.normalized()).as_bytes(), &actor).await?;
    accounts.change_email(caller.user(), new, &actor).await.map_err(change_refusal)?;
    Ok(HttpResponse::Accepted().finish())
}

fn change_refusal(error: ChangeEmailError) -> Problem {
    match error {
        ChangeEmailError::Unchanged => {
            let mut fields = Fields::default();
            fields.check::<(), _>("new_email", Err(error), |_| "unchanged");
            fields.into_problem()
        }
        ChangeEmailError::Gone => Problem::invalid_token(),
        ChangeEmailError::Database(error) => error.into(),
    }
}

/// How a change of address stands.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EmailChangeConfirmed {
    /// Whether both addresses have agreed, and the account has the new one.
    email_changed: bool,
}

/// Agrees to a change of address with the token of the link that was mailed to one of its ends.
#[utoipa::path(post, path = "/api/v1/auth/email/change/confirm", tag = "Accounts", security(()), request_body = TokenRequest,
    responses((status = 200, body = EmailChangeConfirmed), (status = 400, body = ProblemDetails, content_type = "application/problem+json"), (status = 409, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn confirm_email_change(
    request: HttpRequest,
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Body(body): Body<TokenRequest>,
) -> Result<web::Json<EmailChangeConfirmed>, Problem> {
    let client = edge.client(&request);
    edge.limit_address(Kind::LoginAddress, &client).await?;
    let confirmed = accounts.confirm_email_change(OneTimeToken::parse(body.token), &client).await?;
    Ok(web::Json(EmailChangeConfirmed { email_changed: confirmed == Confirmed::Moved }))
}

impl From<ConfirmError> for Problem {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::Link(error) => error.into(),
            ConfirmError::EmailTaken => Self::conflict("email_taken", "There is an account with this address."),
        }
    }
}

/// Gives up the change of address that waits, if there is one.
#[utoipa::path(delete, path = "/api/v1/auth/email/change", tag = "Accounts",
    responses((status = 204, description = "No change of address waits"), (status = 401, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn cancel_email_change(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    accounts.cancel_email_change(caller.user(), &caller.actor(&edge)).await?;
    Ok(HttpResponse::NoContent().finish())
}
