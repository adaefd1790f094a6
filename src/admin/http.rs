//! `/api/v1/admin`: accounts, their sessions, figures, and acting for a person.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::impersonate::{Cause, ImpersonateError, InvalidCause};
use super::stats::Stats;
use super::users::{Change, InvalidRoles, Position, Roles, UserView};
use super::{Admin, Stop};
use crate::clock::Timestamp;
use crate::db::types::{SessionId, UserId};
use crate::http::body::present;
use crate::http::operator::{Operator, RecentOperator};
use crate::http::problem::{Fields, ProblemDetails};
use crate::http::{Body, Edge, Problem, page};
use crate::label::{Label, LabelError};
use crate::revocations::Reason;
use crate::sessions::list::SessionView;
use crate::sessions::{Sessions, Subject};
use crate::tokens::access::Act;

/// Characters that a search may have.
const MAX_SEARCH: usize = 254;

/// Hours that figures are shown for: a month, or unless asked otherwise a day.
const MAX_HOURS: u32 = 744;
const HOURS: u32 = 24;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UsersQuery {
    /// The beginning of an address or a name.
    q: Option<String>,
    /// 1 to 100, or 50.
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct UserList {
    users: Vec<UserView>,
    pagination: UserPagination,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct UserPagination {
    limit: usize,
    has_more: bool,
    next_cursor: Option<String>,
}

/// The accounts, the newest first; with `q`, those whose address or name begins with it, in the order of that.
#[utoipa::path(get, path = "/api/v1/admin/users", tag = "Administration", params(UsersQuery),
    responses((status = 200, body = UserList), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn list_users(
    admin: web::Data<Admin>,
    Operator(_operator, query): Operator<web::Query<UsersQuery>>,
) -> Result<web::Json<UserList>, Problem> {
    let mut fields = Fields::default();
    let q = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty()).map(str::to_owned);
    let is_long = q.as_ref().is_some_and(|q| q.chars().count() > MAX_SEARCH);
    fields.check("q", if is_long { Err("is too long") } else { Ok(()) }, |_| "too_long");
    let limit = page::limit(&mut fields, query.limit.as_deref());
    let after = page::cursor(&mut fields, query.cursor.as_deref(), Position::from_bytes);
    fields.into_result()?;
    let limit = limit.unwrap_or_default();
    let found = admin.users(q, after.flatten(), limit).await?;
    let next_cursor = found.next.map(|position| page::next_cursor(&position.to_bytes()));
    let pagination = UserPagination { limit, has_more: next_cursor.is_some(), next_cursor };
    Ok(web::Json(UserList { users: found.users, pagination }))
}

/// One account.
#[utoipa::path(get, path = "/api/v1/admin/users/{id}", tag = "Administration", params(("id" = Uuid, Path)),
    responses((status = 200, body = UserView), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 404, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn get_user(
    admin: web::Data<Admin>,
    Operator(_operator, id): Operator<web::Path<String>>,
) -> Result<web::Json<UserView>, Problem> {
    admin.user(user_id(&id)?).await?.map(web::Json).ok_or_else(Problem::not_found)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUserRequest {
    /// Whether the account is kept from logging in. Its sessions end at once.
    disabled: Option<bool>,
    /// All roles that it is to have; `user` is always among them.
    roles: Option<Vec<String>>,
    /// `null` takes the name away; a request without it leaves it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
}

/// Changes an account: all that the request says or nothing.
#[utoipa::path(patch, path = "/api/v1/admin/users/{id}", tag = "Administration", params(("id" = Uuid, Path)), request_body = ChangeUserRequest,
    responses((status = 200, body = UserView), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 404, body = ProblemDetails, content_type = "application/problem+json"), (status = 409, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn change_user(
    admin: web::Data<Admin>,
    edge: web::Data<Edge>,
    id: web::Path<String>,
    RecentOperator(caller, Body(body)): RecentOperator<Body<ChangeUserRequest>>,
) -> Result<web::Json<UserView>, Problem> {
    let user = user_id(&id)?;
    let mut fields = Fields::default();
    let roles = body.roles.and_then(|roles| fields.check("roles", Roles::parse(roles), |e| InvalidRoles::code(*e)));
    let name = body
        .name
        .map(|name| name.and_then(|name| fields.check("name", Label::parse(&name), |error| LabelError::code(*error))));
    fields.into_result()?;
    let change = Change { disabled: body.disabled, roles, name };
    let changed = admin.change(user, change, &caller.actor(&edge)).await?;
    Ok(web::Json(changed.map_err(stopped)?))
}

fn stopped(stop: Stop) -> Problem {
    match stop {
        Stop::NotOperator => Problem::forbidden("forbidden", "This is for administrators."),
        Stop::NotFound => Problem::not_found(),
        Stop::OwnAccount => Problem::conflict("own_account", "This is not possible with the account that calls."),
        Stop::Disabled => Problem::conflict("user_disabled", "The account is disabled."),
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UserSessionsQuery {
    /// Whether sessions that have ended are listed too.
    #[serde(default)]
    include_expired: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct UserSessions {
    sessions: Vec<SessionView>,
    count: usize,
    active_count: usize,
}

/// The sessions of an account, newest first.
#[utoipa::path(get, path = "/api/v1/admin/users/{id}/sessions", tag = "Administration", params(("id" = Uuid, Path), UserSessionsQuery),
    responses((status = 200, body = UserSessions), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 404, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn list_user_sessions(
    admin: web::Data<Admin>,
    edge: web::Data<Edge>,
    id: web::Path<String>,
    Operator(caller, query): Operator<web::Query<UserSessionsQuery>>,
) -> Result<web::Json<UserSessions>, Problem> {
    let found = admin.sessions_of(user_id(&id)?, &caller.actor(&edge), query.include_expired).await?;
    let sessions = found.ok_or_else(Problem::not_found)?;
    let active_count = sessions.iter().filter(|session| !session.is_expired).count();
    Ok(web::Json(UserSessions { count: sessions.len(), active_count, sessions }))
}

/// How many sessions were ended.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UserSessionsRevoked {
    sessions_revoked: usize,
}

/// Ends all sessions of an account.
#[utoipa::path(delete, path = "/api/v1/admin/users/{id}/sessions", tag = "Administration", params(("id" = Uuid, Path)),
    responses((status = 200, body = UserSessionsRevoked), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 404, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn end_user_sessions(
    admin: web::Data<Admin>,
    edge: web::Data<Edge>,
    RecentOperator(caller, id): RecentOperator<web::Path<String>>,
) -> Result<web::Json<UserSessionsRevoked>, Problem> {
    let ended = admin.end_sessions_of(user_id(&id)?, &caller.actor(&edge)).await?;
    Ok(web::Json(UserSessionsRevoked { sessions_revoked: ended.ok_or_else(Problem::not_found)? }))
}

/// Ends one session, whoever owns it.
#[utoipa::path(delete, path = "/api/v1/admin/sessions/{id}", tag = "Administration", params(("id" = Uuid, Path)),
    responses((status = 204, description = "Ended"), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 404, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn end_session(
    sessions: web::Data<Sessions>,
    edge: web::Data<Edge>,
    RecentOperator(caller, id): RecentOperator<web::Path<String>>,
) -> Result<HttpResponse, Problem> {
    let session = Uuid::try_parse(&id).map(SessionId).map_err(|_| Problem::not_found())?;
    let ended = sessions.revoke(session, Reason::EndedByOperator, &caller.actor(&edge)).await?;
    if !ended && !sessions.exists(session).await? {
        return Err(Problem::not_found());
    }
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImpersonateRequest {
    /// Why: 3 to 200 characters, for the person to read.
    reason: String,
}

/// An access token to act for a person with. There is no refresh token.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ImpersonationResponse {
    access_token: String,
    token_type: &'static str,
    /// Seconds that the access token is good for; the session ends with it.
    expires_in: u64,
    session_id: SessionId,
    /// Who acts (RFC 8693 §4.1).
    act: Act,
    #[schema(value_type = String, format = DateTime)]
    server_time: Timestamp,
    user: Subject,
}

/// Lets the operator act for a person for a quarter of an hour.
#[utoipa::path(post, path = "/api/v1/admin/users/{id}/impersonate", tag = "Administration", params(("id" = Uuid, Path)), request_body = ImpersonateRequest,
    responses((status = 200, body = ImpersonationResponse), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 404, body = ProblemDetails, content_type = "application/problem+json"), (status = 409, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn impersonate(
    admin: web::Data<Admin>,
    edge: web::Data<Edge>,
    id: web::Path<String>,
    RecentOperator(caller, Body(body)): RecentOperator<Body<ImpersonateRequest>>,
) -> Result<HttpResponse, Problem> {
    let user = user_id(&id)?;
    let mut fields = Fields::default();
    let cause = fields.check("reason", Cause::parse(&body.reason), |error| InvalidCause::code(*error));
    let Some(cause) = cause else { return Err(fields.into_problem()) };
    let opened = admin.impersonate(user, cause, caller.standing(), &caller.actor(&edge)).await;
    let opened = opened.map_err(|error| match error {
        ImpersonateError::Stop(stop) => stopped(stop),
        ImpersonateError::Issue(error) => error.into(),
    })?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(ImpersonationResponse {
        access_token: opened.access_token,
        token_type: "Bearer",
        expires_in: opened.expires_in.as_secs(),
        session_id: opened.session,
        act: Act { sub: opened.operator },
        server_time: opened.server_time,
        user: opened.subject,
    }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct StatsQuery {
    /// How many hours back: 1 to 744, or 24.
    hours: Option<String>,
}

/// How many accounts and sessions there are, and what happened hour by hour.
#[utoipa::path(get, path = "/api/v1/admin/stats", tag = "Administration", params(StatsQuery),
    responses((status = 200, body = Stats), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn stats(
    admin: web::Data<Admin>,
    Operator(_operator, query): Operator<web::Query<StatsQuery>>,
) -> Result<web::Json<Stats>, Problem> {
    let hours = query.hours.as_deref().map_or(Ok(HOURS), |text| {
        text.parse().ok().filter(|hours| (1..=MAX_HOURS).contains(hours)).ok_or("must be a number from 1 to 744")
    });
    let mut fields = Fields::default();
    let Some(hours) = fields.check("hours", hours, |_| "invalid") else { return Err(fields.into_problem()) };
    Ok(web::Json(admin.stats(hours).await?))
}

/// What is no id at all is the id of nothing.
fn user_id(text: &str) -> Result<UserId, Problem> {
    Uuid::try_parse(text).map(UserId).map_err(|_| Problem::not_found())
}
