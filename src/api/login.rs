//! `/api/v1/auth/login` and `/api/v1/auth/reauthenticate`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::access::{By, ByUser};
use super::caller::require_origin_for;
use super::dpop::proven_key;
use super::mfa::Method;
use super::refusals::{account_disabled, deletion_pending, invalid_code};
use super::token_response::{TokenResponse, token_response};
use super::values::Code;
use crate::accounts::Logins;
use crate::accounts::login::{LoginError, LoginOptions, LoginStep};
use crate::accounts::reauthentication::ReauthenticateError;
use crate::http::problem::Fields;
use crate::http::{Body, HttpContext, Problem};
use crate::passwords::Password;
use crate::throttle::{Limit, Throttle};
use crate::tokens::opaque::{Kind, OpaqueToken, Purpose};
use crate::types::{EmailAddress, EmailAddressError, Label, SessionId, Transport};

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    #[schema(value_type = EmailAddress)]
    email: String,
    #[schema(value_type = Password)]
    password: Zeroizing<String>,
    device_name: Option<String>,
    #[serde(default)]
    transport: Transport,
    /// `trusted_device` of an earlier login from this device. With cookies it is in one.
    #[schema(value_type = Option<String>)]
    trusted_device: Option<Zeroizing<String>>,
    /// A live browser session of the account, in which the app logs in: the new session ends with it.
    #[schema(value_type = Option<SessionId>)]
    parent_id: Option<Uuid>,
}

/// Tokens, or a login that waits for its second factor.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the two responses, which are built where their parts are")]
pub(super) enum LoginResponse<'a> {
    Tokens(TokenResponse<'a>),
    SecondFactor(SecondFactorRequired<'a>),
}

/// A login that waits for its second factor.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SecondFactorRequired<'a> {
    /// Always true.
    mfa_required: bool,
    mfa_token: &'a str,
    methods: [Method; 2],
    /// Seconds that the login waits.
    expires_in: u64,
}

/// Opens a session for the owner of an account, or asks for the second factor. With a proof in the header `DPoP` the
/// session's tokens are bound to its key (RFC 9449).
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "Accounts", security(()),
    params(("DPoP" = Option<String>, Header,
        description = "A proof of the key that the tokens are bound to (RFC 9449)")),
    request_body = LoginRequest,
    responses((status = 200, body = LoginResponse)))]
pub(super) async fn log_in(
    request: HttpRequest,
    logins: web::Data<Logins>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    Body(body, _): Body<LoginRequest>,
) -> Result<HttpResponse, Problem> {
    require_origin_for(body.transport, &request, &context)?;
    let requester = context.requester(&request);
    throttle.count_ip(Limit::LoginAddress, &requester).await?;
    let mut fields = Fields::default();
    let email = EmailAddress::parse(&body.email);
    let email = fields.check("email", email, |error| EmailAddressError::code(*error));
    let device_name = body.device_name.as_deref().and_then(Label::of_device);
    let Some(email) = email else { return Err(fields.into_problem()) };
    fields.into_result()?;
    let transport = body.transport;
    let device = match body.trusted_device {
        None if transport == Transport::Cookie => context.cookies.trusted_device(&request)?.map(Zeroizing::new),
        given => given,
    };
    let trusted_device = device.and_then(|text| OpaqueToken::parse(Kind::TrustedDevice, text));
    let proven = proven_key(&request, transport).await?;
    let options =
        LoginOptions { device_name, transport, trusted_device, proven, parent: body.parent_id.map(SessionId) };
    let password = Password::parse(body.password).ok();
    match logins.login(&email, password, &options, &requester).await? {
        LoginStep::Complete(logged_in) => {
            let tokens = logged_in.into_tokens()?;
            Ok(token_response(&context, StatusCode::OK, &tokens, transport))
        }
        LoginStep::SecondFactorRequired(token) => Ok(second_factor_required(&token)),
    }
}

fn second_factor_required(token: &OpaqueToken) -> HttpResponse {
    HttpResponse::Ok().json(SecondFactorRequired {
        mfa_required: true,
        mfa_token: token.expose(),
        methods: [Method::Totp, Method::RecoveryCode],
        expires_in: Purpose::MfaChallenge.lifetime().as_secs(),
    })
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => {
                Self::unauthorized("invalid_credentials", "The email address or the password is wrong.")
            }
            LoginError::AccountDisabled => account_disabled(),
            LoginError::DeletionPending(deletes_at) => deletion_pending(deletes_at),
            LoginError::EmailNotVerified => Self::forbidden(
                "email_not_verified",
                "The email address is not verified yet. Follow the link in the email that was sent to it.",
            ),
            LoginError::NoParent => {
                let mut fields = Fields::default();
                fields.refuse("parent_id", "invalid", "is no live browser session of the account");
                fields.into_problem()
            }
            LoginError::Attempt(error) => error.into(),
            LoginError::Hasher(error) => error.into(),
            LoginError::Issue(error) => error.into(),
        }
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReauthenticateRequest {
    #[schema(value_type = Password)]
    password: Zeroizing<String>,
    /// A code of the app, or a recovery code. Required where two-step login is enabled.
    #[schema(value_type = Option<Code>)]
    code: Option<Zeroizing<String>>,
}

/// Renews the authentication of the session that calls, for what needs a recent one. The response holds no refresh
/// token: the client keeps its own.
#[utoipa::path(post, path = "/api/v1/auth/reauthenticate", tag = "Accounts", request_body = ReauthenticateRequest,
    responses((status = 200, body = TokenResponse)))]
pub(super) async fn reauthenticate(
    logins: web::Data<Logins>,
    context: web::Data<HttpContext>,
    By { caller, input: Body(body, _), .. }: ByUser<Body<ReauthenticateRequest>>,
) -> Result<HttpResponse, Problem> {
    let password = Password::parse(body.password).ok();
    let tokens = logins.reauthenticate(caller.claims(), password, body.code, &caller.actor(&context)).await?;
    Ok(token_response(&context, StatusCode::OK, &tokens, caller.transport))
}

impl From<ReauthenticateError> for Problem {
    fn from(error: ReauthenticateError) -> Self {
        match error {
            ReauthenticateError::WrongPassword => Self::unauthorized("invalid_credentials", "The password is wrong."),
            ReauthenticateError::MfaRequired => {
                Self::unauthorized("mfa_required", "A code of the second factor is required, too.")
            }
            ReauthenticateError::InvalidCode => invalid_code(),
            ReauthenticateError::Ended => Self::invalid_token(),
            ReauthenticateError::Attempt(error) => error.into(),
            ReauthenticateError::Hasher(error) => error.into(),
            ReauthenticateError::Issue(error) => error.into(),
        }
    }
}
