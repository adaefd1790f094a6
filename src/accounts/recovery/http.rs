//! `/api/v1/auth/password/{forgot,reset}` and `/api/v1/auth/not-me`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::ResetError;
use crate::accounts::Accounts;
use crate::accounts::email::{Email, EmailError};
use crate::accounts::links::LinkError;
use crate::accounts::password::WeakPassword;
use crate::audit::Actor;
use crate::http::problem::{Fields, ProblemDetails};
use crate::http::{Body, Edge, Problem};
use crate::limits::Kind;
use crate::tokens::one_time::OneTimeToken;

/// The one-time token of a link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    #[schema(value_type = String)]
    pub token: Zeroizing<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgotPasswordRequest {
    email: String,
}

/// Mails the owner of an address a link to choose a new password. The answer is the same whether there is an account.
#[utoipa::path(post, path = "/api/v1/auth/password/forgot", tag = "Accounts", security(()), request_body = ForgotPasswordRequest,
    responses((status = 202, description = "If there is such an account, a mail is on its way"), (status = 422, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn forgot_password(
    request: HttpRequest,
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Body(body): Body<ForgotPasswordRequest>,
) -> Result<HttpResponse, Problem> {
    let client = edge.client(&request);
    edge.limit_address(Kind::LoginAddress, &client).await?;
    let mut fields = Fields::default();
    let email = fields.check("email", Email::parse(&body.email), |error| EmailError::code(*error));
    let email = email.ok_or_else(|| fields.into_problem())?;
    edge.limit(Kind::ForgotAccount, email.normalized().as_bytes(), &Actor::stranger(&client)).await?;
    accounts.forgot_password(&email, &client).await?;
    Ok(HttpResponse::Accepted().finish())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPasswordRequest {
    #[schema(value_type = String)]
    token: Zeroizing<String>,
    #[schema(value_type = String, format = Password)]
    new_password: Zeroizing<String>,
}

/// Sets a new password with the token of a link, and ends every session of the account.
#[utoipa::path(post, path = "/api/v1/auth/password/reset", tag = "Accounts", security(()), request_body = ResetPasswordRequest,
    responses((status = 204, description = "The password is set"), (status = 400, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn reset_password(
    request: HttpRequest,
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Body(body): Body<ResetPasswordRequest>,
) -> Result<HttpResponse, Problem> {
    let client = edge.client(&request);
    edge.limit_address(Kind::LoginAddress, &client).await?;
    let token = OneTimeToken::parse(body.token);
    accounts.reset_password(token, body.new_password, &client).await.map_err(reset_refusal)?;
    Ok(HttpResponse::NoContent().finish())
}

fn reset_refusal(error: ResetError) -> Problem {
    match error {
        ResetError::Link(error) => error.into(),
        ResetError::Weak(error) => {
            let mut fields = Fields::default();
            fields.check::<(), _>("new_password", Err(error), WeakPassword::code);
            fields.into_problem()
        }
        ResetError::Hasher(error) => error.into(),
    }
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Invalid => Self::bad_request(
                "invalid_one_time_token",
                "The link is not good any more: it was used, has expired, or a later one has taken its place.",
            ),
            LinkError::Database(error) => error.into(),
        }
    }
}

/// "This wasn't me": ends the session that the token is about, or all of the account's, and mails a link to choose a new
/// password.
#[utoipa::path(post, path = "/api/v1/auth/not-me", tag = "Accounts", security(()), request_body = TokenRequest,
    responses((status = 204, description = "The session has ended, and a mail is on its way"), (status = 400, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn not_me(
    request: HttpRequest,
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Body(body): Body<TokenRequest>,
) -> Result<HttpResponse, Problem> {
    let client = edge.client(&request);
    edge.limit_address(Kind::LoginAddress, &client).await?;
    accounts.not_me(OneTimeToken::parse(body.token), &client).await?;
    Ok(HttpResponse::NoContent().finish())
}
