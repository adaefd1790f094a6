//! `/api/v1/auth`: accounts and logging in.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Accounts;
use super::email::{Email, EmailError};
use super::hasher::HasherError;
use super::lockout::GuessError;
use super::login::{LoggedIn, LoginError, Wishes};
use super::mfa::token::{self, Token};
use super::mfa::{self, http as mfa_http};
use super::password::{Password, WeakPassword};
use super::profile::{ChangePasswordError, Profile, ProfileChange};
use super::reauthenticate::ReauthenticateError;
use super::register::{RegisterError, Registration};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::db::types::SessionId;
use crate::http::body::present;
use crate::http::caller::{self, By, Transport, require_own_origin};
use crate::http::problem::{Fields, ProblemDetails};
use crate::http::token_response::{TokenResponse, token_response};
use crate::http::{Body, Caller, Edge, Problem};
use crate::label::{Label, LabelError};
use crate::limits::Kind;
use crate::revocations::Reason;
use crate::sessions::revoke::Which;
use crate::sessions::{Sessions, Subject};

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    email: String,
    #[schema(value_type = String, format = Password)]
    password: Zeroizing<String>,
    name: Option<String>,
    /// What the session's owner will see it as.
    device_name: Option<String>,
    #[serde(default)]
    transport: Transport,
}

/// Creates an account and logs its owner in.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "Accounts", security(()), request_body = RegisterRequest,
    responses((status = 201, body = TokenResponse), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 409, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn register(
    request: HttpRequest,
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Body(body): Body<RegisterRequest>,
) -> Result<HttpResponse, Problem> {
    let transport = body.transport;
    let client = edge.client(&request);
    edge.limit_address(Kind::RegisterAddress, &client).await?;
    let registration = off_the_worker(move || registration(body)).await??;
    let grant = accounts.register(registration, &client).await.map_err(register_refusal)?;
    Ok(token_response(&edge, StatusCode::CREATED, &grant, transport))
}

fn registration(body: RegisterRequest) -> Result<Registration, Problem> {
    let mut fields = Fields::default();
    let personal = [body.email.as_str(), body.name.as_deref().unwrap_or_default()];
    let password = fields.check("password", Password::parse_new(body.password, &personal), WeakPassword::code);
    let email = fields.check("email", Email::parse(&body.email), |error| EmailError::code(*error));
    let name = label(&mut fields, "name", body.name.as_deref());
    let device_name = label(&mut fields, "device_name", body.device_name.as_deref());
    match (email, password, name, device_name) {
        (Some(email), Some(password), Some(name), Some(device_name)) => {
            Ok(Registration { email, password, name, device_name })
        }
        _ => Err(fields.into_problem()),
    }
}

/// The label in a field that may be missing; `None` after its error was noted.
#[expect(clippy::option_option, reason = "the outer says whether it could be read, the inner whether it was there")]
fn label(fields: &mut Fields, field: &str, text: Option<&str>) -> Option<Option<Label>> {
    match text {
        Some(text) => fields.check(field, Label::parse(text), |error| LabelError::code(*error)).map(Some),
        None => Some(None),
    }
}

fn register_refusal(error: RegisterError) -> Problem {
    match error {
        RegisterError::Closed => Problem::forbidden("registration_closed", "Strangers may not register here."),
        RegisterError::EmailTaken => Problem::conflict("email_taken", "There is an account with this address."),
        RegisterError::Hasher(error) => error.into(),
        RegisterError::Issue(error) => error.into(),
    }
}

impl From<GuessError> for Problem {
    fn from(error: GuessError) -> Self {
        match error {
            GuessError::TooManyFailures { retry_after } => Self::too_many_failures(retry_after),
            GuessError::Limited(limited) => limited.into(),
            GuessError::Database(error) => error.into(),
        }
    }
}

impl From<HasherError> for Problem {
    fn from(error: HasherError) -> Self {
        match error {
            HasherError::Busy => Self::unavailable("busy", "Too many people are logging in at the moment."),
            HasherError::Stored(_) | HasherError::Failed => Self::internal(&error),
        }
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    email: String,
    #[schema(value_type = String, format = Password)]
    password: Zeroizing<String>,
    device_name: Option<String>,
    #[serde(default)]
    transport: Transport,
    /// What an earlier login from this device was given. With cookies it is in one.
    #[schema(value_type = Option<String>)]
    trusted_device: Option<Zeroizing<String>>,
}

/// What a login answers: tokens, or that it waits for its second factor.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum LoginResponse<'a> {
    Tokens(TokenResponse<'a>),
    SecondFactor(SecondFactorRequired<'a>),
}

/// A login that waits for its second factor.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SecondFactorRequired<'a> {
    /// Always true.
    mfa_required: bool,
    mfa_token: &'a str,
    methods: [mfa::Method; 2],
    /// Seconds that the login waits.
    expires_in: u64,
}

/// Opens a session for the owner of an account, or asks for the second factor.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "Accounts", security(()), request_body = LoginRequest,
    responses((status = 200, body = LoginResponse), (status = 401, body = ProblemDetails, content_type = "application/problem+json"), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn login(
    request: HttpRequest,
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    Body(body): Body<LoginRequest>,
) -> Result<HttpResponse, Problem> {
    let client = edge.client(&request);
    edge.limit_address(Kind::LoginAddress, &client).await?;
    let mut fields = Fields::default();
    let email = fields.check("email", Email::parse(&body.email), |error| EmailError::code(*error));
    let device_name = label(&mut fields, "device_name", body.device_name.as_deref());
    let (Some(email), Some(device_name)) = (email, device_name) else { return Err(fields.into_problem()) };
    let password = Password::parse(body.password).ok();
    let cookie = || edge.cookies.trusted_device(&request).map(Zeroizing::new);
    let device = body.trusted_device.or_else(|| (body.transport == Transport::Cookie).then(cookie).flatten());
    let trusted_device = device.and_then(|text| Token::parse(token::Kind::TrustedDevice, text));
    let wishes = Wishes { device_name, transport: body.transport.name(), trusted_device };
    match accounts.login(&email, password, &wishes, &client).await.map_err(login_refusal)? {
        LoggedIn::Session(grant) => Ok(token_response(&edge, StatusCode::OK, &grant, body.transport)),
        LoggedIn::SecondFactor(token) => Ok(second_factor_required(&token)),
    }
}

fn second_factor_required(token: &Token) -> HttpResponse {
    HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(SecondFactorRequired {
        mfa_required: true,
        mfa_token: token.expose(),
        methods: mfa::Method::ALL,
        expires_in: mfa::challenge::LIFETIME.as_secs(),
    })
}

fn login_refusal(error: LoginError) -> Problem {
    match error {
        LoginError::InvalidCredentials => {
            Problem::unauthorized("invalid_credentials", "The address or the password is not right.")
        }
        LoginError::AccountDisabled => Problem::forbidden("account_disabled", "The account is disabled."),
        LoginError::Guess(error) => error.into(),
        LoginError::Hasher(error) => error.into(),
        LoginError::Issue(error) => error.into(),
    }
}

/// Ends the session that calls. A browser whose access token has expired is known by its refresh token's cookie.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "Accounts",
    responses((status = 204, description = "Logged out"), (status = 401, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn logout(
    request: HttpRequest,
    sessions: web::Data<Sessions>,
    edge: web::Data<Edge>,
) -> Result<HttpResponse, Problem> {
    let (session, by) = match caller::identify(&request, request.method()).await {
        Ok(caller) => (caller.session(), caller.actor(&edge)),
        Err(problem) => {
            let session = session_of_cookie(&request, &sessions, &edge).ok_or(problem)?;
            (session, Actor::stranger(&edge.client(&request)))
        }
    };
    sessions.revoke(session, Reason::Logout, &by).await?;
    let mut response = HttpResponse::NoContent();
    edge.cookies.clear(&mut response);
    Ok(response.finish())
}

fn session_of_cookie(request: &HttpRequest, sessions: &Sessions, edge: &Edge) -> Option<SessionId> {
    let text = edge.cookies.refresh_token(request)?;
    require_own_origin(request, edge, &Method::POST).ok()?;
    Some(sessions.parse_refresh_token(&text).ok()?.session)
}

/// How many sessions were ended.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionsRevoked {
    sessions_revoked: usize,
}

/// Ends all of the caller's sessions, the one that calls included.
#[utoipa::path(post, path = "/api/v1/auth/logout-all", tag = "Accounts",
    responses((status = 200, body = SessionsRevoked), (status = 401, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn logout_all(
    sessions: web::Data<Sessions>,
    edge: web::Data<Edge>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let which = Which::AllOf(caller.user());
    let sessions_revoked = sessions.revoke_all(which, Reason::Logout, &caller.actor(&edge)).await?;
    let mut response = HttpResponse::Ok();
    edge.cookies.clear(&mut response);
    Ok(response.json(SessionsRevoked { sessions_revoked }))
}

/// The account that calls, and the session and token that it calls with.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Me {
    user: Subject,
    /// Whether mails tell of unusual logins. Some alerts are sent in any case.
    alerts: bool,
    /// Whether a login needs a second factor.
    mfa_enabled: bool,
    session_id: SessionId,
    #[schema(value_type = String, format = DateTime)]
    access_token_expires_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    server_time: Timestamp,
}

/// The caller.
#[utoipa::path(get, path = "/api/v1/auth/me", tag = "Accounts", responses((status = 200, body = Me), (status = 401, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn me(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    caller: Caller,
) -> Result<web::Json<Me>, Problem> {
    let profile = accounts.profile(caller.user()).await?.ok_or_else(Problem::invalid_token)?;
    Ok(web::Json(describe(profile, &caller, &edge)))
}

fn describe(profile: Profile, caller: &Caller, edge: &Edge) -> Me {
    Me {
        user: profile.user,
        alerts: profile.alerts,
        mfa_enabled: profile.has_mfa,
        session_id: caller.session(),
        access_token_expires_at: caller.access_token_expires_at(),
        server_time: edge.clock.now(),
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMeRequest {
    /// `null` takes the name away; a request without it changes nothing.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    /// Whether mails tell of unusual logins.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false)]
    alerts: Option<bool>,
}

/// A field that may be missing and is not `null`.
fn not_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    bool::deserialize(deserializer).map(Some)
}

/// Changes what the caller's account says of its owner and what it tells them.
#[utoipa::path(patch, path = "/api/v1/auth/me", tag = "Accounts", request_body = UpdateMeRequest,
    responses((status = 200, body = Me), (status = 401, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn update_me(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    By(caller, Body(body)): By<Body<UpdateMeRequest>>,
) -> Result<web::Json<Me>, Problem> {
    let mut fields = Fields::default();
    let name = match body.name {
        None => None,
        Some(name) => Some(label(&mut fields, "name", name.as_deref()).ok_or_else(|| fields.into_problem())?),
    };
    let profile = match (name, body.alerts) {
        (None, None) => accounts.profile(caller.user()).await?,
        (name, alerts) => {
            let change = ProfileChange { name, alerts };
            accounts.change_profile(caller.user(), change, &caller.actor(&edge)).await?
        }
    };
    Ok(web::Json(describe(profile.ok_or_else(Problem::invalid_token)?, &caller, &edge)))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReauthenticateRequest {
    #[schema(value_type = String, format = Password)]
    password: Zeroizing<String>,
    /// Of the app, or a recovery code. Needed where two-step login is switched on.
    #[schema(value_type = Option<String>)]
    code: Option<Zeroizing<String>>,
}

/// Renews the login of the session that calls, for what needs a recent one. The answer holds no refresh token: the one
/// in hand stays good.
#[utoipa::path(post, path = "/api/v1/auth/reauthenticate", tag = "Accounts", request_body = ReauthenticateRequest,
    responses((status = 200, body = TokenResponse), (status = 401, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn reauthenticate(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    By(caller, Body(body)): By<Body<ReauthenticateRequest>>,
) -> Result<HttpResponse, Problem> {
    if body.code.is_some() {
        mfa_http::limit(&edge, &caller).await?;
    }
    let password = Password::parse(body.password).ok();
    let grant = accounts.reauthenticate(caller.claims(), password, body.code, &caller.actor(&edge)).await;
    Ok(token_response(&edge, StatusCode::OK, &grant.map_err(reauthenticate_refusal)?, caller.transport))
}

fn reauthenticate_refusal(error: ReauthenticateError) -> Problem {
    match error {
        ReauthenticateError::WrongPassword => {
            Problem::unauthorized("invalid_credentials", "The password is not right.")
        }
        ReauthenticateError::MfaRequired => {
            Problem::unauthorized("mfa_required", "This needs a code of the second factor, too.")
        }
        ReauthenticateError::InvalidCode => mfa_http::invalid_code(),
        ReauthenticateError::Ended => Problem::invalid_token(),
        ReauthenticateError::Guess(error) => error.into(),
        ReauthenticateError::Hasher(error) => error.into(),
        ReauthenticateError::Issue(error) => error.into(),
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePasswordRequest {
    #[schema(value_type = String, format = Password)]
    current_password: Zeroizing<String>,
    #[schema(value_type = String, format = Password)]
    new_password: Zeroizing<String>,
}

/// Changes the password and ends every other session.
#[utoipa::path(post, path = "/api/v1/auth/password/change", tag = "Accounts", request_body = ChangePasswordRequest,
    responses((status = 200, body = SessionsRevoked), (status = 401, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn change_password(
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
    By(caller, Body(body)): By<Body<ChangePasswordRequest>>,
) -> Result<web::Json<SessionsRevoked>, Problem> {
    let user = &caller.standing().subject;
    let (email, name) = (user.email.clone(), user.name.clone().unwrap_or_default());
    let new = off_the_worker(move || new_password(body.new_password, &[&email, &name])).await??;
    let current = Password::parse(body.current_password).ok();
    let changed = accounts.change_password(caller.user(), current, new, &caller.actor(&edge)).await;
    let sessions_revoked = changed.map_err(change_password_refusal)?;
    Ok(web::Json(SessionsRevoked { sessions_revoked }))
}

fn new_password(text: Zeroizing<String>, personal: &[&str]) -> Result<Password, Problem> {
    let mut fields = Fields::default();
    let password = fields.check("new_password", Password::parse_new(text, personal), WeakPassword::code);
    password.ok_or_else(|| fields.into_problem())
}

/// Judging a password takes up to tens of milliseconds, for which a worker's other requests should not wait.
async fn off_the_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    web::block(work).await.map_err(|error| Problem::internal(&error))
}

fn change_password_refusal(error: ChangePasswordError) -> Problem {
    match error {
        ChangePasswordError::WrongPassword => {
            Problem::unauthorized("invalid_credentials", "The current password is not right.")
        }
        ChangePasswordError::Guess(error) => error.into(),
        ChangePasswordError::Hasher(error) => error.into(),
        ChangePasswordError::Database(error) => error.into(),
    }
}

/// Forward authentication: proxies ask here, with the headers of the request that they hold, whether it may pass.
/// Whatever method or further path they ask with (Envoy asks with those of the request itself), the answer is the same.
#[utoipa::path(get, path = "/api/v1/auth/verify", tag = "For backends", responses(
    (status = 200, description = "The token is good", headers(
        ("X-Auth-User" = String, description = "The account's id"),
        ("X-Auth-Session" = String, description = "The session's id"),
        ("X-Auth-Email" = String, description = "The account's mail address"),
        ("X-Auth-Roles" = String, description = "The account's roles, with commas between them"))),
    (status = 401, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn verify(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = caller::identify(&request, &original_method(&request)).await?;
    let subject = &caller.standing().subject;
    let mut response = HttpResponse::Ok();
    let headers = [
        ("x-auth-user", subject.id.to_string()),
        ("x-auth-session", caller.session().to_string()),
        ("x-auth-email", subject.email.clone()),
        ("x-auth-roles", subject.roles.0.join(",")),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.insert_header((HeaderName::from_static(name), value));
        }
    }
    Ok(response.insert_header(("cache-control", "no-store")).finish())
}

/// The method of the request that a proxy asks about: in a header of Traefik and Caddy or of nginx, or, from Envoy,
/// the method that it asks with.
fn original_method(request: &HttpRequest) -> Method {
    let named = ["x-forwarded-method", "x-original-method"].iter().find_map(|name| request.headers().get(*name));
    let named = named.and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    named.unwrap_or_else(|| request.method().clone())
}
