//! `/api/v1/auth/mfa` and `/api/v1/auth/trusted-devices`: the second factor.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::challenge::{Answer, CompleteError};
use super::token::{Kind, Token};
use super::trusted_devices::{self, TrustedDevice};
use super::{Method, MfaError};
use crate::accounts::Accounts;
use crate::audit::Actor;
use crate::db::types::TrustedDeviceId;
use crate::http::caller::{By, Recent, Transport};
use crate::http::problem::ProblemDetails;
use crate::http::token_response::{TokenResponse, token_response_and_device};
use crate::http::{Body, Caller, Edge, Problem};
use crate::limits;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondFactorRequest {
    /// What the login answered.
    #[schema(value_type = String)]
    mfa_token: Zeroizing<String>,
    method: Method,
    #[schema(value_type = String)]
    code: Zeroizing<String>,
    /// Whether the next logins from this device need no second factor, for 30 days.
    #[serde(default)]
    remember_device: bool,
}

/// Completes a login with its second factor.
#[utoipa::path(post, path = "/api/v1/auth/mfa", tag = "Second factor", security(()), request_body = SecondFactorRequest,
    responses((status = 200, body = TokenResponse), (status = 401, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn complete_login(
    request: HttpRequest,
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Body(body): Body<SecondFactorRequest>,
) -> Result<HttpResponse, Problem> {
    let gone = || complete_refusal(CompleteError::NoChallenge);
    let challenge = Token::parse(Kind::Challenge, body.mfa_token).ok_or_else(gone)?;
    let user = accounts.challenged(&challenge).await?.ok_or_else(gone)?;
    let client = edge.client(&request);
    edge.limit(limits::Kind::MfaAccount, user.0.as_bytes(), &Actor { user: Some(user), ..Actor::stranger(&client) })
        .await?;
    let answer = Answer { challenge, method: body.method, code: body.code, remember: body.remember_device };
    let completed = accounts.complete_login(user, answer, &client).await.map_err(complete_refusal)?;
    let transport = Transport::parse(&completed.transport);
    let device = completed.trusted_device.as_ref().map(|token| (token.expose(), trusted_devices::LIFETIME));
    Ok(token_response_and_device(&edge, StatusCode::OK, &completed.grant, transport, device))
}

fn complete_refusal(error: CompleteError) -> Problem {
    match error {
        CompleteError::NoChallenge => Problem::unauthorized(
            "invalid_mfa_token",
            "No login waits with this token, or no longer: log in with the password again.",
        ),
        CompleteError::InvalidCode => invalid_code(),
        CompleteError::Issue(error) => error.into(),
    }
}

/// Told for codes that are wrong and for those that were used.
pub fn invalid_code() -> Problem {
    Problem::unauthorized("invalid_code", "The code is not right, or was used before.")
}

fn refusal(error: MfaError) -> Problem {
    match error {
        MfaError::AlreadyEnabled => Problem::conflict("mfa_already_enabled", "Two-step login is switched on already."),
        MfaError::NotEnabled => Problem::conflict("mfa_not_enabled", "Two-step login is not switched on."),
        MfaError::NotStarted => Problem::conflict("mfa_not_started", "No secret waits for its confirmation."),
        MfaError::InvalidCode => invalid_code(),
        MfaError::Gone => Problem::invalid_token(),
        MfaError::Database(error) => error.into(),
    }
}

/// A secret to be put into an app. It is shown this once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TotpEnrolment<'a> {
    /// In Base32.
    secret: &'a str,
    otpauth_uri: &'a str,
    qr_svg: &'a str,
}

/// Makes a secret for an app. It counts once it is confirmed; beginning again takes its place. Needs a recent login.
#[utoipa::path(post, path = "/api/v1/auth/mfa/totp", tag = "Second factor",
    responses((status = 201, body = TotpEnrolment), (status = 409, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn enrol_totp(accounts: web::Data<Accounts>, Recent(caller, ()): Recent) -> Result<HttpResponse, Problem> {
    let enrolment = accounts.enrol_totp(caller.user()).await.map_err(refusal)?;
    let mut response = HttpResponse::Created();
    Ok(response.insert_header(("cache-control", "no-store")).json(TotpEnrolment {
        secret: &enrolment.secret,
        otpauth_uri: &enrolment.otpauth_uri,
        qr_svg: &enrolment.qr_svg,
    }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTotpRequest {
    /// The app's present code.
    #[schema(value_type = String)]
    code: Zeroizing<String>,
}

/// Codes to log in with when the app is gone, each once. They are shown this once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RecoveryCodes<'a> {
    recovery_codes: Vec<&'a str>,
}

/// Switches two-step login on.
#[utoipa::path(post, path = "/api/v1/auth/mfa/totp/confirm", tag = "Second factor", request_body = ConfirmTotpRequest,
    responses((status = 200, body = RecoveryCodes), (status = 409, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn confirm_totp(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    By(caller, Body(body)): By<Body<ConfirmTotpRequest>>,
) -> Result<HttpResponse, Problem> {
    limit(&edge, &caller).await?;
    let codes = accounts.confirm_totp(caller.user(), body.code, &caller.actor(&edge)).await.map_err(refusal)?;
    Ok(shown_once(&codes))
}

/// Guesses at codes count for the account, wherever they are made.
pub async fn limit(edge: &Edge, caller: &Caller) -> Result<(), Problem> {
    edge.limit(limits::Kind::MfaAccount, caller.user().0.as_bytes(), &caller.actor(edge)).await
}

fn shown_once(codes: &[Zeroizing<String>]) -> HttpResponse {
    let recovery_codes = codes.iter().map(|code| code.as_str()).collect();
    HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(RecoveryCodes { recovery_codes })
}

/// Switches two-step login off. Needs a recent login.
#[utoipa::path(delete, path = "/api/v1/auth/mfa/totp", tag = "Second factor",
    responses((status = 204, description = "Off"), (status = 409, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn disable_totp(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Recent(caller, ()): Recent,
) -> Result<HttpResponse, Problem> {
    accounts.disable_mfa(caller.user(), &caller.actor(&edge)).await.map_err(refusal)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Makes new recovery codes and voids the old ones. Needs a recent login.
#[utoipa::path(post, path = "/api/v1/auth/mfa/recovery-codes", tag = "Second factor",
    responses((status = 200, body = RecoveryCodes), (status = 409, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn replace_recovery_codes(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Recent(caller, ()): Recent,
) -> Result<HttpResponse, Problem> {
    let codes = accounts.replace_recovery_codes(caller.user(), &caller.actor(&edge)).await.map_err(refusal)?;
    Ok(shown_once(&codes))
}

/// The devices from which the account logs in without a second factor.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TrustedDeviceList {
    trusted_devices: Vec<TrustedDevice>,
    count: usize,
}

/// The caller's trusted devices, newest first.
#[utoipa::path(get, path = "/api/v1/auth/trusted-devices", tag = "Second factor",
    responses((status = 200, body = TrustedDeviceList)))]
pub async fn trusted_devices(
    accounts: web::Data<Accounts>,
    caller: Caller,
) -> Result<web::Json<TrustedDeviceList>, Problem> {
    let trusted_devices = accounts.trusted_devices(caller.user()).await?;
    Ok(web::Json(TrustedDeviceList { count: trusted_devices.len(), trusted_devices }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ForgetQuery {
    /// The one device to forget; without it, all.
    id: Option<Uuid>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Forgotten {
    devices_removed: usize,
}

/// Forgets one of the caller's trusted devices, or all.
#[utoipa::path(delete, path = "/api/v1/auth/trusted-devices", tag = "Second factor", params(ForgetQuery),
    responses((status = 200, body = Forgotten), (status = 404, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn forget_trusted_devices(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    By(caller, query): By<web::Query<ForgetQuery>>,
) -> Result<web::Json<Forgotten>, Problem> {
    let which = query.id.map(TrustedDeviceId);
    let devices_removed = accounts.forget_trusted_devices(caller.user(), which, &caller.actor(&edge)).await?;
    if which.is_some() && devices_removed == 0 {
        return Err(Problem::not_found());
    }
    Ok(web::Json(Forgotten { devices_removed }))
}
