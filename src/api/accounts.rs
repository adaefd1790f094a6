//! `/api/v1/auth/register`, `/api/v1/auth/me` and `/api/v1/auth/password/change`: an account and its profile.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::access::{By, ByUser, require_recent};
use super::caller::{Caller, require_origin_for};
use super::dpop::proven_key;
use super::refusals::{email_taken, weak_password};
use super::schema::{SessionsRevoked, User};
use super::token_response::{TokenResponse, token_response};
use crate::accounts::Accounts;
use crate::accounts::password::SetPasswordError;
use crate::accounts::profile::{Profile, ProfileChange};
use crate::accounts::registration::{NewAccount, RegisterError, Registered};
use crate::http::problem::Fields;
use crate::http::{Body, HttpContext, Problem};
use crate::passwords::{NewPassword, Password, WeakPassword};
use crate::sessions::SessionOptions;
use crate::throttle::{Limit, Throttle};
use crate::types::{
    EmailAddress, EmailAddressError, Label, LabelError, Patch, Roles, SessionId, Timestamp, Transport, not_null,
};

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterRequest {
    #[schema(value_type = EmailAddress)]
    email: String,
    #[schema(value_type = NewPassword)]
    password: Zeroizing<String>,
    #[schema(value_type = Option<Label>)]
    name: Option<String>,
    /// The name that the session has in lists.
    device_name: Option<String>,
    #[serde(default)]
    transport: Transport,
}

/// The tokens of the new account's first session, or where to go on.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the two responses, which are built where their parts are")]
pub(super) enum RegisterResponse<'a> {
    Tokens(TokenResponse<'a>),
    Unverified(VerificationRequired),
}

/// An account whose owner can log in once the email address is verified.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct VerificationRequired {
    /// Always true.
    email_verification_required: bool,
}

/// Creates an account and logs its owner in. With `REQUIRE_VERIFIED_EMAIL` the owner has to verify the address first.
/// With a proof in the header `DPoP` the session's tokens are bound to its key (RFC 9449). The account's language is
/// that of `ui_locales`, else of the header `Accept-Language`, if the server offers one of them.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "Accounts", security(()),
    params(("ui_locales" = Option<String>, Query,
        description = "Tags of languages with spaces between them, the best first (OpenID Connect Core §3.1.2.1)"),
        ("DPoP" = Option<String>, Header,
        description = "A proof of the key that the tokens are bound to (RFC 9449)")),
    request_body = RegisterRequest,
    responses((status = 201, body = RegisterResponse)))]
pub(super) async fn register_account(
    request: HttpRequest,
    accounts: web::Data<Accounts>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    Body(body, _): Body<RegisterRequest>,
) -> Result<HttpResponse, Problem> {
    let transport = body.transport;
    require_origin_for(transport, &request, &context)?;
    let requester = context.requester(&request);
    throttle.count_ip(Limit::RegisterAddress, &requester).await?;
    let (new, password, device_name) = new_account(body)?;
    let options = SessionOptions {
        kind: transport.session_kind(),
        device_name: device_name.map(Label::into_string),
        bound_to: proven_key(&request, transport).await?,
        parent: None,
    };
    match accounts.register(new, password, options, &requester).await? {
        Registered::LoggedIn(logged_in) => {
            let tokens = logged_in.into_tokens()?;
            Ok(token_response(&context, StatusCode::CREATED, &tokens, transport))
        }
        Registered::Unverified => {
            Ok(HttpResponse::Created().json(VerificationRequired { email_verification_required: true }))
        }
    }
}

fn new_account(body: RegisterRequest) -> Result<(NewAccount, NewPassword, Option<Label>), Problem> {
    let mut fields = Fields::default();
    let password = fields.check("password", NewPassword::parse(body.password), WeakPassword::code);
    let email = EmailAddress::parse(&body.email);
    let email = fields.check("email", email, |error| EmailAddressError::code(*error));
    let name = optional_label(&mut fields, "name", body.name.as_deref());
    let device_name = body.device_name.as_deref().and_then(Label::of_device);
    let Some((email, password)) = email.zip(password) else { return Err(fields.into_problem()) };
    fields.into_result()?;
    Ok((NewAccount { email, name, roles: Roles::default() }, password, device_name))
}

/// Parses the label in a field that may be missing. Returns `None` without one, or after adding its error.
pub(super) fn optional_label(fields: &mut Fields, field: &str, text: Option<&str>) -> Option<Label> {
    fields.check(field, Label::parse(text?), |error| LabelError::code(*error))
}

/// Parses the label of a change. Returns [`Patch::Keep`] after adding its error.
pub(super) fn patch_label(fields: &mut Fields, field: &str, change: Patch<String>) -> Patch<Label> {
    let parsed = change.try_map(|text| Label::parse(&text));
    fields.check(field, parsed, |error| LabelError::code(*error)).unwrap_or_default()
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Closed => {
                Self::forbidden("registration_closed", "This server does not let people register by themselves.")
            }
            RegisterError::EmailTaken => email_taken(),
            RegisterError::Weak(error) => weak_password("password", &error),
            RegisterError::Hasher(error) => error.into(),
            RegisterError::Issue(error) => error.into(),
        }
    }
}

/// The account that calls, and the session and token that it calls with.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Me<'a> {
    user: User<'a>,
    /// Whether emails tell of unusual logins. Some alerts are sent in any case.
    alerts: bool,
    /// The language of pages and emails that was chosen, as a tag of BCP 47.
    #[schema(required)]
    language: Option<&'a str>,
    /// Whether logins need a second factor.
    mfa_enabled: bool,
    session_id: SessionId,
    access_token_expires_at: Timestamp,
    server_time: Timestamp,
}

/// Returns the account that calls.
#[utoipa::path(get, path = "/api/v1/auth/me", tag = "Accounts",
    responses((status = 200, body = Me)))]
pub(super) async fn get_me(
    accounts: web::Data<Accounts>,
    context: web::Data<HttpContext>,
    By { caller, .. }: ByUser,
) -> Result<HttpResponse, Problem> {
    let profile = accounts.profile(caller.user()).await?.ok_or_else(Problem::invalid_token)?;
    Ok(describe(&profile, &caller, &context))
}

fn describe(profile: &Profile, caller: &Caller, context: &HttpContext) -> HttpResponse {
    HttpResponse::Ok().json(Me {
        user: User::from(&profile.subject),
        alerts: profile.alerts,
        language: profile.language.as_deref(),
        mfa_enabled: profile.mfa_enabled,
        session_id: caller.session(),
        access_token_expires_at: caller.access_token_expires_at(),
        server_time: context.clock.now(),
    })
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateMeRequest {
    /// `null` removes the name; without this field it stays.
    #[serde(default)]
    #[schema(value_type = Option<Label>)]
    name: Patch<String>,
    /// Whether emails tell of unusual logins.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false)]
    alerts: Option<bool>,
    /// A language of `UI_LANGUAGES`, for pages and emails. `null` leaves it to each request.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    language: Patch<String>,
}

/// Changes the profile of the account that calls. To disable alerts needs a recent login, and an email tells of it.
#[utoipa::path(patch, path = "/api/v1/auth/me", tag = "Accounts", request_body = UpdateMeRequest,
    responses((status = 200, body = Me)))]
pub(super) async fn update_me(
    accounts: web::Data<Accounts>,
    context: web::Data<HttpContext>,
    By { caller, input: Body(body, _), .. }: ByUser<Body<UpdateMeRequest>>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let name = patch_label(&mut fields, "name", body.name);
    let language = body.language.try_map(|tag| context.languages.parse_offered(&tag));
    let language = fields.check("language", language, |_| "not_offered").unwrap_or_default();
    fields.into_result()?;
    if body.alerts == Some(false) {
        // Whoever found an open session must not hide what they do next.
        require_recent(&caller).await?;
    }
    let change = ProfileChange { name, alerts: body.alerts, language };
    let profile = if change.is_empty() {
        accounts.profile(caller.user()).await?
    } else {
        accounts.update_profile(caller.user(), change, &caller.actor(&context)).await?
    };
    Ok(describe(&profile.ok_or_else(Problem::invalid_token)?, &caller, &context))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePasswordRequest {
    #[schema(value_type = Password)]
    current_password: Zeroizing<String>,
    #[schema(value_type = NewPassword)]
    new_password: Zeroizing<String>,
}

/// Changes the password and revokes every other session.
#[utoipa::path(post, path = "/api/v1/auth/password/change", tag = "Accounts", request_body = ChangePasswordRequest,
    responses((status = 200, body = SessionsRevoked)))]
pub(super) async fn change_password(
    accounts: web::Data<Accounts>,
    context: web::Data<HttpContext>,
    By { caller, input: Body(body, _), .. }: ByUser<Body<ChangePasswordRequest>>,
) -> Result<web::Json<SessionsRevoked>, Problem> {
    let new = NewPassword::parse(body.new_password).map_err(SetPasswordError::from)?;
    let current = Password::parse(body.current_password).ok();
    let sessions_revoked = accounts.change_password(caller.user(), current, new, &caller.actor(&context)).await?;
    Ok(web::Json(SessionsRevoked { sessions_revoked }))
}

impl From<SetPasswordError> for Problem {
    fn from(error: SetPasswordError) -> Self {
        match error {
            SetPasswordError::Weak(error) => weak_password("new_password", &error),
            SetPasswordError::Password(error) => error.into(),
        }
    }
}
