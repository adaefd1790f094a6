//! `/api/v1/sessions` and logging out: a caller's sessions are listed, renamed and revoked.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::access::{By, ByUser};
use super::caller::{AccessError, Caller, authenticate, require_own_origin};
use super::path_id::PathId;
use super::schema::{Session, SessionList, SessionsRevoked};
use super::strictness::Unread;
use crate::audit::Actor;
use crate::cache::{Cache, CacheStatus};
use crate::http::problem::Fields;
use crate::http::{Body, HttpContext, Problem, Query};
use crate::revocations::Reason;
use crate::sessions::{SessionSelector, Sessions};
use crate::types::{Label, LabelError, SessionId};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Whether sessions that have ended are listed too.
    #[serde(default)]
    pub include_expired: bool,
}

/// Lists the caller's sessions, newest first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "Sessions", params(ListQuery),
    responses((status = 200, body = SessionList)))]
pub(super) async fn list_sessions(
    sessions: web::Data<Sessions>,
    By { caller, input: query, .. }: ByUser<Query<ListQuery>>,
) -> Result<web::Json<SessionList>, Problem> {
    let found = sessions.list(caller.user(), query.include_expired).await?;
    Ok(web::Json(SessionList::new(found, caller.session())))
}

/// Returns one of the caller's sessions.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "Sessions", params(("id" = Uuid, Path)),
    responses((status = 200, body = Session)))]
pub(super) async fn get_session(
    sessions: web::Data<Sessions>,
    By { caller, input: PathId(session), .. }: ByUser<PathId<SessionId>>,
) -> Result<web::Json<Session>, Problem> {
    let found = sessions.find(session, caller.user()).await?.ok_or_else(Problem::not_found)?;
    Ok(web::Json(Session::new(found, caller.session())))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameRequest {
    /// `null` removes the name.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required, value_type = Option<Label>)]
    name: Option<String>,
}

/// Renames one of the caller's sessions.
#[utoipa::path(patch, path = "/api/v1/sessions/{id}", tag = "Sessions", params(("id" = Uuid, Path)),
    request_body = RenameRequest,
    responses((status = 200, body = Session)))]
pub(super) async fn rename_session(
    sessions: web::Data<Sessions>,
    context: web::Data<HttpContext>,
    By { caller, input, .. }: ByUser<(PathId<SessionId>, Body<RenameRequest>)>,
) -> Result<web::Json<Session>, Problem> {
    let (PathId(session), Body(request, _)) = input;
    let mut fields = Fields::default();
    let name = request.name.map(|name| fields.check("name", Label::parse(&name), |error| LabelError::code(*error)));
    fields.into_result()?;
    let renamed = sessions.rename(session, name.flatten(), caller.user(), &caller.actor(&context)).await?;
    Ok(web::Json(Session::new(renamed.ok_or_else(Problem::not_found)?, caller.session())))
}

/// Revokes one of the caller's other sessions.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "Sessions", params(("id" = Uuid, Path)),
    responses((status = 204, description = "The session is revoked")))]
pub(super) async fn revoke_session(
    sessions: web::Data<Sessions>,
    context: web::Data<HttpContext>,
    By { caller, input: PathId(session), .. }: ByUser<PathId<SessionId>>,
) -> Result<HttpResponse, Problem> {
    revoke_other(&sessions, &context, &caller, session).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeQuery {
    /// The one session to revoke; without it, all but the one that calls.
    session_id: Option<Uuid>,
}

/// Revokes all of the caller's sessions but the one that calls, or the one that is named.
#[utoipa::path(delete, path = "/api/v1/sessions", tag = "Sessions", params(RevokeQuery),
    responses((status = 200, body = SessionsRevoked)))]
pub(super) async fn revoke_other_sessions(
    sessions: web::Data<Sessions>,
    context: web::Data<HttpContext>,
    By { caller, input: query, .. }: ByUser<Query<RevokeQuery>>,
) -> Result<web::Json<SessionsRevoked>, Problem> {
    let sessions_revoked = match query.session_id {
        Some(id) => revoke_other(&sessions, &context, &caller, SessionId(id)).await?,
        None => revoke_others(&sessions, &context, &caller).await?,
    };
    Ok(web::Json(SessionsRevoked { sessions_revoked }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeRequest {
    /// The session to revoke.
    session_id: Option<Uuid>,
    /// Whether to revoke all but the one that calls.
    #[serde(default)]
    all: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RevokeResponse {
    success: bool,
    sessions_revoked: usize,
    message: String,
}

/// Revokes one of the caller's other sessions, or all of them.
#[utoipa::path(post, path = "/api/v1/sessions/revoke", tag = "Sessions", request_body = RevokeRequest,
    responses((status = 200, body = RevokeResponse)))]
pub(super) async fn revoke_sessions(
    sessions: web::Data<Sessions>,
    context: web::Data<HttpContext>,
    By { caller, input: Body(request, _), .. }: ByUser<Body<RevokeRequest>>,
) -> Result<web::Json<RevokeResponse>, Problem> {
    let sessions_revoked = match (request.session_id, request.all) {
        (Some(id), false) => revoke_other(&sessions, &context, &caller, SessionId(id)).await?,
        (None, true) => revoke_others(&sessions, &context, &caller).await?,
        (Some(_), true) | (None, false) => {
            let mut fields = Fields::default();
            fields.refuse("session_id", "one_of", "is required, or all: true, but not both");
            return Err(fields.into_problem());
        }
    };
    let message = match sessions_revoked {
        0 => "No session was live.".to_owned(),
        1 => "1 session was ended.".to_owned(),
        n => format!("{n} sessions were ended."),
    };
    Ok(web::Json(RevokeResponse { success: true, sessions_revoked, message }))
}

async fn revoke_other(
    sessions: &Sessions,
    context: &HttpContext,
    caller: &Caller,
    session: SessionId,
) -> Result<usize, Problem> {
    if session == caller.session() {
        return Err(Problem::bad_request("current_session", "This is the session that calls: log out to end it."));
    }
    let one = SessionSelector::OneOf(session, caller.user());
    let revoked = sessions.revoke(one, Reason::EndedByOwner, &caller.actor(context)).await?;
    if revoked == 0 && sessions.find(session, caller.user()).await?.is_none() {
        return Err(Problem::not_found());
    }
    Ok(revoked)
}

async fn revoke_others(sessions: &Sessions, context: &HttpContext, caller: &Caller) -> Result<usize, Problem> {
    let others = SessionSelector::AllOfExcept(caller.user(), caller.session());
    Ok(sessions.revoke(others, Reason::EndedByOwner, &caller.actor(context)).await?)
}

/// Revokes the session that calls. A browser whose access token has expired is recognised by the cookie of its refresh
/// token.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "Accounts",
    responses((status = 204, description = "Logged out")))]
pub(super) async fn log_out(
    request: HttpRequest,
    sessions: web::Data<Sessions>,
    context: web::Data<HttpContext>,
    unread: Unread,
) -> Result<HttpResponse, Problem> {
    let (session, by) = match authenticate(&request, request.method()).await {
        Ok(caller) => (caller.session(), caller.actor(&context)),
        Err(error) if error.is_unreadable() => return Err(error.into()),
        Err(error) => {
            let session = session_of_cookie(&request, &sessions, &context)?.ok_or(error)?;
            (session, Actor::anonymous(&context.requester(&request)))
        }
    };
    unread.require_known().await?;
    sessions.revoke(SessionSelector::One(session), Reason::Logout, &by).await?;
    let mut response = HttpResponse::NoContent();
    context.cookies.clear(&mut response);
    Ok(response.finish())
}

/// Returns the session of a request's refresh token, if it has one.
///
/// # Errors
/// The cookie cannot be read, or came from a page of another origin.
fn session_of_cookie(
    request: &HttpRequest,
    sessions: &Sessions,
    context: &HttpContext,
) -> Result<Option<SessionId>, AccessError> {
    let Some(text) = context.cookies.refresh_token(request)? else { return Ok(None) };
    require_own_origin(request, context, &Method::POST)?;
    Ok(sessions.parse_refresh_token(&text).ok().map(|token| token.session))
}

/// Revokes all of the caller's sessions, including the one that calls.
#[utoipa::path(post, path = "/api/v1/auth/logout-all", tag = "Accounts",
    responses((status = 200, body = SessionsRevoked)))]
pub(super) async fn log_out_everywhere(
    sessions: web::Data<Sessions>,
    context: web::Data<HttpContext>,
    By { caller, .. }: ByUser,
) -> Result<HttpResponse, Problem> {
    let all = SessionSelector::AllOf(caller.user());
    let sessions_revoked = sessions.revoke(all, Reason::Logout, &caller.actor(&context)).await?;
    let mut response = HttpResponse::Ok();
    context.cookies.clear(&mut response);
    Ok(response.json(SessionsRevoked { sessions_revoked }))
}

/// The number of sessions, and the state of the cache.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Summary {
    /// Live sessions of all accounts.
    active_sessions: i64,
    redis_available: bool,
    /// `redis`, `memory` or `unavailable`.
    cache: &'static str,
}

/// Returns how many sessions there are, and whether the cache works.
#[utoipa::path(get, path = "/api/v1/sessions/summary", tag = "Sessions",
    responses((status = 200, body = Summary)))]
pub(super) async fn get_session_summary(
    sessions: web::Data<Sessions>,
    cache: web::Data<Cache>,
    _caller: ByUser,
) -> Result<web::Json<Summary>, Problem> {
    let status = cache.status();
    Ok(web::Json(Summary {
        active_sessions: sessions.count_live().await?,
        redis_available: status == CacheStatus::Redis,
        cache: status.name(),
    }))
}
