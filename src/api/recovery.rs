//! `/api/v1/auth/password/{forgot,reset}` and `/api/v1/auth/not-me`: recovering an account.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::refusals::weak_password;
use crate::accounts::Recovery;
use crate::accounts::recovery::ResetError;
use crate::audit::Actor;
use crate::http::problem::Fields;
use crate::http::{Body, HttpContext, Problem};
use crate::passwords::NewPassword;
use crate::throttle::{Limit, Throttle};
use crate::tokens::opaque::{Kind, OpaqueToken};
use crate::types::{EmailAddress, EmailAddressError};

/// The token of a link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRequest {
    #[schema(value_type = String)]
    pub token: Zeroizing<String>,
}

impl TokenRequest {
    /// Returns the token, if the text has the form of one.
    pub(super) fn into_token(self) -> Option<OpaqueToken> {
        OpaqueToken::parse(Kind::Link, self.token)
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgotPasswordRequest {
    #[schema(value_type = EmailAddress)]
    email: String,
}

/// Sends the owner of an account an email with a link to set a new password. The response is the same whether there is
/// such an account.
#[utoipa::path(post, path = "/api/v1/auth/password/forgot", tag = "Accounts", security(()),
    request_body = ForgotPasswordRequest,
    responses((status = 202, description = "If there is such an account, an email is on its way")))]
pub(super) async fn forgot_password(
    request: HttpRequest,
    recovery: web::Data<Recovery>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    Body(body, _): Body<ForgotPasswordRequest>,
) -> Result<HttpResponse, Problem> {
    let requester = context.requester(&request);
    throttle.count_ip(Limit::LoginAddress, &requester).await?;
    let mut fields = Fields::default();
    let parsed = EmailAddress::parse(&body.email);
    let email = fields.check("email", parsed, |error| EmailAddressError::code(*error));
    let email = email.ok_or_else(|| fields.into_problem())?;
    let actor = Actor::anonymous(&requester);
    throttle.count(Limit::ForgotAccount, email.normalized().as_bytes(), &actor).await?;
    recovery.forgot_password(&email, &requester).await?;
    Ok(HttpResponse::Accepted().finish())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetPasswordRequest {
    #[schema(value_type = String)]
    token: Zeroizing<String>,
    #[schema(value_type = NewPassword)]
    new_password: Zeroizing<String>,
}

/// Sets a new password with the token of a link, and revokes every session of the account.
#[utoipa::path(post, path = "/api/v1/auth/password/reset", tag = "Accounts", security(()),
    request_body = ResetPasswordRequest,
    responses((status = 204, description = "The password is set")))]
pub(super) async fn reset_password(
    request: HttpRequest,
    recovery: web::Data<Recovery>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    Body(body, _): Body<ResetPasswordRequest>,
) -> Result<HttpResponse, Problem> {
    let requester = context.requester(&request);
    throttle.count_ip(Limit::LoginAddress, &requester).await?;
    let token = OpaqueToken::parse(Kind::Link, body.token);
    recovery.reset_password(token, NewPassword::parse(body.new_password), &requester).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl From<ResetError> for Problem {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::Link(error) => error.into(),
            ResetError::Weak(error) => weak_password("new_password", &error),
            ResetError::Hasher(error) => error.into(),
        }
    }
}

/// Reports a login as somebody else's ("this wasn't me"): revokes the session that the token is about, or all of the
/// account's, and sends an email with a link to set a new password.
#[utoipa::path(post, path = "/api/v1/auth/not-me", tag = "Accounts", security(()), request_body = TokenRequest,
    responses((status = 204, description = "The session is revoked, and an email is on its way")))]
pub(super) async fn report_login(
    request: HttpRequest,
    recovery: web::Data<Recovery>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    Body(body, _): Body<TokenRequest>,
) -> Result<HttpResponse, Problem> {
    let requester = context.requester(&request);
    throttle.count_ip(Limit::LoginAddress, &requester).await?;
    recovery.report_login(body.into_token(), &requester).await?;
    Ok(HttpResponse::NoContent().finish())
}
