//! `/api/v1/auth/mfa` and `/api/v1/auth/trusted-devices`: the second factor.

use std::net::IpAddr;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::access::{By, ByRecentUser, ByUser, shown_methods};
use super::caller::require_origin_for;
use super::dpop::{ProofRefusal, proven_key};
use super::refusals::invalid_code;
use super::schema::Device;
use super::token_response::{TokenResponse, token_response_with_device};
use super::values::Code;
use crate::accounts::login_completion::{CompleteError, SecondFactor};
use crate::accounts::two_step::{ConfirmTotpError, Confirmation};
use crate::accounts::{Logins, TwoStep};
use crate::http::{Body, HttpContext, Problem, Query};
use crate::mfa;
use crate::tokens::opaque::{Kind, OpaqueToken};
use crate::types::{Timestamp, Transport, TrustedDeviceId};

/// A method of the second factor.
#[derive(Clone, Copy, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    Totp,
    RecoveryCode,
}

impl From<Method> for mfa::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Totp => Self::Totp,
            Method::RecoveryCode => Self::RecoveryCode,
        }
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecondFactorRequest {
    /// `mfa_token` of the login's response.
    #[schema(value_type = String)]
    mfa_token: Zeroizing<String>,
    method: Method,
    #[schema(value_type = Code)]
    code: Zeroizing<String>,
    /// Whether later logins from this device need no second factor, for 30 days.
    #[serde(default)]
    remember_device: bool,
}

/// Completes a login with its second factor. With a proof in the header `DPoP` the session's tokens are bound to its
/// key (RFC 9449). A login that began with a proof needs one of the same key.
#[utoipa::path(post, path = "/api/v1/auth/mfa", tag = "Second factor", security(()),
    params(("DPoP" = Option<String>, Header,
        description = "A proof of the key that the tokens are bound to (RFC 9449)")),
    request_body = SecondFactorRequest,
    responses((status = 200, body = TokenResponse)))]
pub(super) async fn complete_login(
    request: HttpRequest,
    logins: web::Data<Logins>,
    context: web::Data<HttpContext>,
    Body(body, _): Body<SecondFactorRequest>,
) -> Result<HttpResponse, Problem> {
    let challenge = OpaqueToken::parse(Kind::MfaChallenge, body.mfa_token).ok_or(CompleteError::NoChallenge)?;
    let begun = logins.find_challenge(&challenge).await?;
    // One that began on a page opens a session there.
    let begun = begun.filter(|begun| begun.transport != Transport::Pages).ok_or(CompleteError::NoChallenge)?;
    require_origin_for(begun.transport, &request, &context)?;
    let proven = proven_key(&request, begun.transport).await?;
    match (begun.proven, proven) {
        (Some(_), None) => return Err(ProofRefusal::Required.into()),
        (Some(begun), Some(proven)) if begun != proven => return Err(ProofRefusal::OtherKey.into()),
        (Some(_) | None, _) => {}
    }
    let requester = context.requester(&request);
    let factor = SecondFactor {
        challenge,
        method: body.method.into(),
        code: body.code,
        remember_device: body.remember_device,
        proven,
    };
    let completed = logins.complete(begun.user, factor, &requester).await?;
    let device = completed.trusted_device.as_ref();
    let tokens = completed.logged_in.into_tokens()?;
    Ok(token_response_with_device(&context, StatusCode::OK, &tokens, completed.transport, device))
}

impl From<CompleteError> for Problem {
    fn from(error: CompleteError) -> Self {
        match error {
            CompleteError::NoChallenge => Self::unauthorized(
                "invalid_mfa_token",
                "The `mfa_token` is not valid or has expired: log in with the password again.",
            ),
            CompleteError::InvalidCode => invalid_code(),
            CompleteError::Attempt(error) => error.into(),
            CompleteError::Issue(error) => error.into(),
        }
    }
}

/// A secret for an authenticator app. It is shown only once.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TotpEnrolment<'a> {
    /// In Base32.
    secret: &'a str,
    otpauth_uri: &'a str,
    qr_svg: &'a str,
}

/// Creates a secret for an app. It counts once it is confirmed; a new one replaces it until then. Needs a recent login.
#[utoipa::path(post, path = "/api/v1/auth/mfa/totp", tag = "Second factor",
    responses((status = 201, body = TotpEnrolment)))]
pub(super) async fn enrol_totp(
    two_step: web::Data<TwoStep>,
    By { caller, .. }: ByRecentUser,
) -> Result<HttpResponse, Problem> {
    let enrolment = two_step.enrol_totp(caller.user()).await?;
    Ok(HttpResponse::Created().json(TotpEnrolment {
        secret: &enrolment.secret,
        otpauth_uri: &enrolment.otpauth_uri,
        qr_svg: &enrolment.qr_svg,
    }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmTotpRequest {
    /// The current code of the app.
    #[schema(value_type = Code)]
    code: Zeroizing<String>,
    /// Whether all sessions but the one that calls are revoked. They were opened without the second factor.
    #[serde(default)]
    revoke_other_sessions: bool,
}

/// Two-step login that was enabled, with codes to log in with when the app is lost, each valid once. They are shown
/// only once.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TwoStepEnabled<'a> {
    recovery_codes: Vec<&'a str>,
    /// The number of sessions that were revoked.
    sessions_revoked: usize,
}

/// Codes to log in with when the app is lost, each valid once. They are shown only once.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RecoveryCodes<'a> {
    recovery_codes: Vec<&'a str>,
}

/// Enables two-step login, and revokes the other sessions if wanted. The session that calls has shown the second factor
/// by this.
#[utoipa::path(post, path = "/api/v1/auth/mfa/totp/confirm", tag = "Second factor", request_body = ConfirmTotpRequest,
    responses((status = 200, body = TwoStepEnabled)))]
pub(super) async fn confirm_totp(
    two_step: web::Data<TwoStep>,
    context: web::Data<HttpContext>,
    By { caller, input: Body(body, _), .. }: ByUser<Body<ConfirmTotpRequest>>,
) -> Result<HttpResponse, Problem> {
    let confirmation = Confirmation { code: body.code, revoke_other_sessions: body.revoke_other_sessions };
    let enabled = two_step.confirm_totp(caller.user(), confirmation, &caller.actor(&context)).await?;
    Ok(HttpResponse::Ok().json(TwoStepEnabled {
        recovery_codes: enabled.recovery_codes.iter().map(|code| code.as_str()).collect(),
        sessions_revoked: enabled.sessions_revoked,
    }))
}

impl From<ConfirmTotpError> for Problem {
    fn from(error: ConfirmTotpError) -> Self {
        match error {
            ConfirmTotpError::Mfa(error) => error.into(),
            ConfirmTotpError::Attempt(error) => error.into(),
        }
    }
}

/// Disables two-step login. Needs a recent login with the second factor.
#[utoipa::path(delete, path = "/api/v1/auth/mfa/totp", tag = "Second factor",
    responses((status = 204, description = "Two-step login is disabled")))]
pub(super) async fn disable_totp(
    two_step: web::Data<TwoStep>,
    context: web::Data<HttpContext>,
    By { caller, .. }: ByRecentUser,
) -> Result<HttpResponse, Problem> {
    two_step.disable_own(caller.user(), shown_methods(&caller, &context), &caller.actor(&context)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Replaces the recovery codes; the old ones are no longer valid. Needs a recent login with the second factor.
#[utoipa::path(post, path = "/api/v1/auth/mfa/recovery-codes", tag = "Second factor",
    responses((status = 200, body = RecoveryCodes)))]
pub(super) async fn replace_recovery_codes(
    two_step: web::Data<TwoStep>,
    context: web::Data<HttpContext>,
    By { caller, .. }: ByRecentUser,
) -> Result<HttpResponse, Problem> {
    let shown = shown_methods(&caller, &context);
    let codes = two_step.replace_recovery_codes(caller.user(), shown, &caller.actor(&context)).await?;
    let recovery_codes = codes.iter().map(|code| code.as_str()).collect();
    Ok(HttpResponse::Ok().json(RecoveryCodes { recovery_codes }))
}

/// A device from which the account logs in without a second factor.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TrustedDevice {
    id: TrustedDeviceId,
    device: Device,
    #[schema(required, value_type = Option<String>)]
    ip_address: Option<IpAddr>,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
}

impl From<mfa::TrustedDevice> for TrustedDevice {
    fn from(trusted: mfa::TrustedDevice) -> Self {
        let mfa::TrustedDevice { id, device, ip, created_at, last_used_at, expires_at } = trusted;
        Self { id, device: device.into(), ip_address: ip, created_at, last_used_at, expires_at }
    }
}

/// The devices from which an account logs in without a second factor, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TrustedDeviceList {
    trusted_devices: Vec<TrustedDevice>,
    count: usize,
}

/// Lists the caller's trusted devices, newest first.
#[utoipa::path(get, path = "/api/v1/auth/trusted-devices", tag = "Second factor",
    responses((status = 200, body = TrustedDeviceList)))]
pub(super) async fn list_trusted_devices(
    two_step: web::Data<TwoStep>,
    By { caller, .. }: ByUser,
) -> Result<web::Json<TrustedDeviceList>, Problem> {
    let found = two_step.mfa.trusted_devices(caller.user()).await?;
    let trusted_devices: Vec<TrustedDevice> = found.into_iter().map(TrustedDevice::from).collect();
    Ok(web::Json(TrustedDeviceList { count: trusted_devices.len(), trusted_devices }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TrustedDevicesQuery {
    /// The one device to delete; without it, all.
    id: Option<Uuid>,
}

/// The number of trusted devices that were deleted.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TrustedDevicesDeleted {
    devices_removed: usize,
}

/// Deletes one of the caller's trusted devices, or all. Needs a recent login with the second factor.
#[utoipa::path(delete, path = "/api/v1/auth/trusted-devices", tag = "Second factor", params(TrustedDevicesQuery),
    responses((status = 200, body = TrustedDevicesDeleted)))]
pub(super) async fn delete_trusted_devices(
    two_step: web::Data<TwoStep>,
    context: web::Data<HttpContext>,
    By { caller, input: query, .. }: ByRecentUser<Query<TrustedDevicesQuery>>,
) -> Result<web::Json<TrustedDevicesDeleted>, Problem> {
    let device = query.id.map(TrustedDeviceId);
    let shown = shown_methods(&caller, &context);
    let deleted = two_step.delete_trusted_devices(caller.user(), device, shown, &caller.actor(&context)).await?;
    if device.is_some() && deleted == 0 {
        return Err(Problem::not_found());
    }
    Ok(web::Json(TrustedDevicesDeleted { devices_removed: deleted }))
}
