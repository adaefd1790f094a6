//! `/api/v1/admin` and `/api/v1/sessions/cleanup`: accounts, their sessions, impersonation, statistics and cleanup.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::access::{By, ByAdministrator, ByRecentAdministrator};
use super::accounts::patch_label;
use super::path_id::PathId;
use super::schema::{Pagination, SessionList, SessionsRevoked, User};
use super::sessions::ListQuery;
use super::token_response::token_type;
use super::values::{Cursor, Hours, PageSize};
use crate::accounts::{Account, AccountQuery, AccountState, Position};
use crate::admin::stats;
use crate::admin::{Admin, ImpersonationReason, ImpersonationReasonError, Operator, UserChange};
use crate::http::field_text::must_be;
use crate::http::problem::Fields;
use crate::http::{Body, HttpContext, Problem, Query, pagination};
use crate::types::{
    EmailAddress, EmailAddressError, Label, Patch, Role, Roles, RolesError, SessionId, Timestamp, UserId, not_null,
    text,
};

/// The longest search, in characters.
const MAX_SEARCH: usize = 254;

/// Hours that statistics cover: a month at most, a day by default.
pub(super) const MAX_HOURS: u32 = 744;
const DEFAULT_HOURS: u32 = 24;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct UsersQuery {
    /// A part of an email address or a name.
    #[param(max_length = 254)]
    q: Option<String>,
    /// A role that the accounts have.
    #[param(value_type = Option<Role>, inline)]
    role: Option<String>,
    /// A state that the accounts are in.
    #[param(value_type = Option<AccountState>, inline)]
    state: Option<String>,
    /// 50 by default.
    #[param(value_type = Option<PageSize>, inline)]
    limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(value_type = Option<Cursor>, inline)]
    cursor: Option<String>,
}

/// An account as administrators see it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UserDetails {
    id: UserId,
    email: String,
    #[schema(required)]
    name: Option<String>,
    /// The language of pages and emails that was chosen, as a tag of BCP 47.
    #[schema(required)]
    language: Option<String>,
    roles: Roles,
    created_at: Timestamp,
    /// `null` without a password.
    #[schema(required)]
    password_changed_at: Option<Timestamp>,
    /// Whether the account has a password: whoever is invited has none yet.
    has_password: bool,
    #[schema(required)]
    last_login_at: Option<Timestamp>,
    #[schema(required)]
    email_verified_at: Option<Timestamp>,
    #[schema(required)]
    disabled_at: Option<Timestamp>,
    /// When the account is deleted, if that was asked for. Until then nobody can log in.
    deletes_at: Option<Timestamp>,
}

impl From<Account> for UserDetails {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            email: account.email,
            name: account.name,
            language: account.language,
            roles: account.roles,
            created_at: account.created_at,
            password_changed_at: account.password_changed_at,
            has_password: account.has_password,
            last_login_at: account.last_login_at,
            email_verified_at: account.email_verified_at,
            disabled_at: account.disabled_at,
            deletes_at: account.deletes_at,
        }
    }
}

/// An account with its second factor, as administrators see it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UserWithMfa {
    #[serde(flatten)]
    user: UserDetails,
    /// Whether logins need a second factor.
    mfa_enabled: bool,
}

impl UserWithMfa {
    /// Adds to an account whether logins need a second factor.
    pub(crate) fn new(account: Account, mfa_enabled: bool) -> Self {
        Self { user: account.into(), mfa_enabled }
    }
}

/// A page of accounts.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct UserList {
    users: Vec<UserDetails>,
    pagination: Pagination,
}

/// Lists accounts, newest first; with `q` those that have it in their email address or name, those that begin with it
/// first. A page can have fewer accounts than `limit`, even none, although others follow.
#[utoipa::path(get, path = "/api/v1/admin/users", tag = "Administration", params(UsersQuery),
    responses((status = 200, body = UserList)))]
pub(super) async fn list_users(
    admin: web::Data<Admin>,
    By { input: query, .. }: ByAdministrator<Query<UsersQuery>>,
) -> Result<web::Json<UserList>, Problem> {
    let mut fields = Fields::default();
    if query.q.as_deref().is_some_and(|q| text::visible(q).chars().count() > MAX_SEARCH) {
        fields.refuse("q", "too_long", &format!("has more than {MAX_SEARCH} characters"));
    }
    let role = query.role.as_deref().map(Role::parse);
    let role = role.and_then(|parsed| fields.check("role", parsed, |error| RolesError::code(*error)));
    let no_state = || must_be(AccountState::ALL.map(AccountState::name));
    let state = query.state.as_deref().map(|name| AccountState::parse(name).ok_or_else(no_state));
    let state = state.and_then(|parsed| fields.check("state", parsed, |_| "invalid"));
    let limit = pagination::limit(&mut fields, query.limit.as_deref());
    let after = pagination::cursor(&mut fields, query.cursor.as_deref(), Position::from_bytes);
    fields.into_result()?;
    let limit = limit.unwrap_or_default();
    let wanted = AccountQuery::new(query.q.as_deref(), role, state);
    let found = admin.list_users(wanted, after.flatten(), limit).await?;
    let next_cursor = found.next.map(|position| pagination::next_cursor(&position.to_bytes()));
    let pagination = Pagination { limit, has_more: next_cursor.is_some(), next_cursor };
    Ok(web::Json(UserList { users: found.accounts.into_iter().map(UserDetails::from).collect(), pagination }))
}

/// Returns an account.
#[utoipa::path(get, path = "/api/v1/admin/users/{id}", tag = "Administration", params(("id" = Uuid, Path)),
    responses((status = 200, body = UserWithMfa)))]
pub(super) async fn get_user(
    admin: web::Data<Admin>,
    By { input: PathId(user), .. }: ByAdministrator<PathId<UserId>>,
) -> Result<web::Json<UserWithMfa>, Problem> {
    let account = admin.user(user).await?.ok_or_else(Problem::not_found)?;
    Ok(web::Json(UserWithMfa::new(account, admin.has_mfa(user).await?)))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateUserRequest {
    /// Whether the account is disabled. Disabling it revokes its sessions.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false)]
    disabled: Option<bool>,
    /// All roles of the account; `user` is always among them.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Roles, required = false)]
    roles: Option<Vec<String>>,
    /// `null` removes the name; without this field it stays.
    #[serde(default)]
    #[schema(value_type = Option<Label>)]
    name: Patch<String>,
    /// Another email address, which counts as not verified unless `verified` is true. An email tells the former one.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = EmailAddress, required = false)]
    email: Option<String>,
    /// Whether the email address counts as verified.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false)]
    verified: Option<bool>,
}

/// Changes an account: all that the request says, or nothing.
#[utoipa::path(patch, path = "/api/v1/admin/users/{id}", tag = "Administration", params(("id" = Uuid, Path)),
    request_body = UpdateUserRequest,
    responses((status = 200, body = UserDetails)))]
pub(super) async fn update_user(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input, .. }: ByRecentAdministrator<(PathId<UserId>, Body<UpdateUserRequest>)>,
) -> Result<web::Json<UserDetails>, Problem> {
    let (PathId(user), Body(request, _)) = input;
    let mut fields = Fields::default();
    let roles = request.roles.map(Roles::parse);
    let roles = roles.and_then(|parsed| fields.check("roles", parsed, |error| RolesError::code(*error)));
    let name = patch_label(&mut fields, "name", request.name);
    let email = request.email.as_deref().map(EmailAddress::parse);
    let email = email.and_then(|parsed| fields.check("email", parsed, |error| EmailAddressError::code(*error)));
    fields.into_result()?;
    let change = UserChange { disabled: request.disabled, roles, role: None, name, email, verified: request.verified };
    let updated = admin.update_user(user, change, &Operator::Administrator(caller.actor(&context))).await?;
    Ok(web::Json(updated.account.into()))
}

/// Lists the sessions of an account, newest first.
#[utoipa::path(get, path = "/api/v1/admin/users/{id}/sessions", tag = "Administration",
    params(("id" = Uuid, Path), ListQuery),
    responses((status = 200, body = SessionList)))]
pub(super) async fn list_user_sessions(
    admin: web::Data<Admin>,
    By { caller, input, .. }: ByAdministrator<(PathId<UserId>, Query<ListQuery>)>,
) -> Result<web::Json<SessionList>, Problem> {
    let (PathId(user), query) = input;
    let found = admin.list_sessions(user, query.include_expired).await?.ok_or_else(Problem::not_found)?;
    Ok(web::Json(SessionList::new(found, caller.session())))
}

/// Revokes all sessions of an account.
#[utoipa::path(delete, path = "/api/v1/admin/users/{id}/sessions", tag = "Administration",
    params(("id" = Uuid, Path)),
    responses((status = 200, body = SessionsRevoked)))]
pub(super) async fn revoke_user_sessions(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: PathId(user), .. }: ByRecentAdministrator<PathId<UserId>>,
) -> Result<web::Json<SessionsRevoked>, Problem> {
    let by = Operator::Administrator(caller.actor(&context));
    let sessions_revoked = admin.revoke_sessions(user, &by).await?.ok_or_else(Problem::not_found)?;
    Ok(web::Json(SessionsRevoked { sessions_revoked }))
}

/// Revokes a session of any account.
#[utoipa::path(delete, path = "/api/v1/admin/sessions/{id}", tag = "Administration", params(("id" = Uuid, Path)),
    responses((status = 204, description = "The session is revoked")))]
pub(super) async fn revoke_any_session(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: PathId(session), .. }: ByRecentAdministrator<PathId<SessionId>>,
) -> Result<HttpResponse, Problem> {
    let by = Operator::Administrator(caller.actor(&context));
    admin.revoke_session(session, &by).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImpersonateRequest {
    /// Why the administrator acts for the account.
    #[schema(value_type = ImpersonationReason)]
    reason: String,
}

/// The administrator who acts for the owner of an account (RFC 8693 §4.1).
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Act {
    sub: UserId,
}

/// An access token with which an administrator acts for the owner of an account. There is no refresh token.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ImpersonationResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    /// Seconds until the access token expires; the session ends with it.
    expires_in: u64,
    session_id: SessionId,
    act: Act,
    server_time: Timestamp,
    user: User<'a>,
}

/// Opens a session in which the administrator acts for the owner of an account, for up to a quarter of an hour.
#[utoipa::path(post, path = "/api/v1/admin/users/{id}/impersonate", tag = "Administration",
    params(("id" = Uuid, Path)), request_body = ImpersonateRequest,
    responses((status = 200, body = ImpersonationResponse)))]
pub(super) async fn impersonate_user(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input, .. }: ByRecentAdministrator<(PathId<UserId>, Body<ImpersonateRequest>)>,
) -> Result<HttpResponse, Problem> {
    let (PathId(user), Body(request, _)) = input;
    let mut fields = Fields::default();
    let reason = ImpersonationReason::parse(&request.reason);
    let reason = fields.check("reason", reason, |error| ImpersonationReasonError::code(*error));
    let Some(reason) = reason else { return Err(fields.into_problem()) };
    let opened = admin.impersonate(user, reason, caller.snapshot(), &caller.actor(&context)).await?;
    Ok(HttpResponse::Ok().json(ImpersonationResponse {
        access_token: &opened.access_token,
        token_type: token_type(opened.is_bound),
        expires_in: opened.expires_in.as_secs(),
        session_id: opened.session,
        act: Act { sub: opened.impersonator },
        server_time: opened.server_time,
        user: User::from(&opened.subject),
    }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StatsQuery {
    /// How many hours to cover; 24 by default.
    #[param(value_type = Option<Hours>, inline)]
    hours: Option<String>,
}

/// The statistics of all servers.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Stats {
    users: i64,
    active_sessions: i64,
    /// Live sessions by the type of their device.
    sessions_by_device: BTreeMap<String, i64>,
    /// When users and sessions were counted, up to a minute ago.
    counted_at: Timestamp,
    /// The hours in which anything was counted, oldest first.
    hours: Vec<HourlyStats>,
    server_time: Timestamp,
}

/// The logins, refreshes and refusals of one hour, as far as servers have recorded them: up to a minute ago.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HourlyStats {
    hour: Timestamp,
    /// Logins by outcome.
    logins: BTreeMap<String, i64>,
    /// Refreshes by outcome.
    refreshes: BTreeMap<String, i64>,
    /// Attempts that were refused, by rate limit.
    limited: BTreeMap<String, i64>,
    /// The sessions that were live when the hour began, or when a server was started in it, by type of device.
    live: BTreeMap<String, i64>,
}

impl From<stats::HourlyStats> for HourlyStats {
    fn from(stats: stats::HourlyStats) -> Self {
        let stats::HourlyStats { hour, logins, refreshes, limited, live } = stats;
        Self { hour, logins, refreshes, limited, live }
    }
}

/// Returns how many accounts and sessions there are, and the logins and refreshes by hour.
#[utoipa::path(get, path = "/api/v1/admin/stats", tag = "Administration", params(StatsQuery),
    responses((status = 200, body = Stats)))]
pub(super) async fn get_statistics(
    admin: web::Data<Admin>,
    By { input: query, .. }: ByAdministrator<Query<StatsQuery>>,
) -> Result<web::Json<Stats>, Problem> {
    let hours = query.hours.as_deref().map_or(Ok(DEFAULT_HOURS), |text| {
        text.parse().ok().filter(|hours| (1..=MAX_HOURS).contains(hours)).ok_or("must be a number from 1 to 744")
    });
    let mut fields = Fields::default();
    let Some(hours) = fields.check("hours", hours, |_| "invalid") else { return Err(fields.into_problem()) };
    let stats = admin.stats(hours).await?;
    Ok(web::Json(Stats {
        users: stats.users,
        active_sessions: stats.active_sessions,
        sessions_by_device: stats.sessions_by_device,
        counted_at: stats.counted_at,
        hours: stats.hours.into_iter().map(HourlyStats::from).collect(),
        server_time: stats.server_time,
    }))
}

/// The result of a cleanup.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CleanupResponse {
    /// Sessions that have ended and are kept for the history.
    expired: i64,
    /// Sessions that were deleted.
    deleted: usize,
}

/// Deletes at once what the background would delete later.
#[utoipa::path(post, path = "/api/v1/sessions/cleanup", tag = "Administration",
    responses((status = 200, body = CleanupResponse)))]
pub(super) async fn clean_up_sessions(
    admin: web::Data<Admin>,
    _administrator: ByRecentAdministrator,
) -> Result<web::Json<CleanupResponse>, Problem> {
    let cleanup = admin.clean_up().await?;
    Ok(web::Json(CleanupResponse { expired: cleanup.sessions_kept, deleted: cleanup.sessions_deleted }))
}
