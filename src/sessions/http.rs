//! `/api/v1/sessions`: refreshing, seeing and ending sessions.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Sessions;
use super::list::SessionView;
use super::refresh::RefreshError;
use super::revoke::Which;
use crate::audit::Actor;
use crate::db::types::SessionId;
use crate::http::body::OptionalBody;
use crate::http::caller::{By, Transport, require_own_origin};
use crate::http::problem::{Fields, ProblemDetails};
use crate::http::token_response::{TokenResponse, token_response};
use crate::http::{Body, Caller, Edge, Problem};
use crate::label::{Label, LabelError};
use crate::limits::Kind;
use crate::revocations::Reason;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    refresh_token: String,
}

/// Exchanges a refresh token, in the body or in its cookie, for the next pair. May be repeated: the same token
/// gets the same successor.
#[utoipa::path(post, path = "/api/v1/sessions/refresh", tag = "Sessions", security(()), request_body = Option<RefreshRequest>,
    responses((status = 200, body = TokenResponse), (status = 401, body = ProblemDetails, content_type = "application/problem+json"), (status = 429, body = ProblemDetails, content_type = "application/problem+json"), (status = 503, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn refresh(
    request: HttpRequest,
    sessions: web::Data<Sessions>,
    edge: web::Data<Edge>,
    body: OptionalBody<RefreshRequest>,
) -> Result<HttpResponse, Problem> {
    let (text, transport) = match body.0 {
        Some(body) => (body.refresh_token, Transport::Bearer),
        None => {
            let text = edge.cookies.refresh_token(&request).ok_or_else(|| refusal(RefreshError::Invalid))?;
            require_own_origin(&request, &edge, &Method::POST)?;
            (text, Transport::Cookie)
        }
    };
    let token = sessions.parse_refresh_token(&text).map_err(refusal)?;
    let client = edge.client(&request);
    let holder = Actor { session: Some(token.session), ..Actor::stranger(&client) };
    edge.limit(Kind::RefreshSession, token.session.0.as_bytes(), &holder).await?;
    edge.limit_address(Kind::RefreshAddress, &client).await?;
    let grant = sessions.refresh(&token, &client).await.map_err(refusal)?;
    Ok(token_response(&edge, StatusCode::OK, &grant, transport))
}

fn refusal(error: RefreshError) -> Problem {
    let detail = error.to_string();
    match error {
        RefreshError::Invalid => Problem::unauthorized("invalid_refresh_token", detail),
        RefreshError::Reused => Problem::unauthorized("refresh_token_reused", detail),
        RefreshError::Revoked => Problem::unauthorized("session_revoked", detail),
        RefreshError::Expired => Problem::unauthorized("session_expired", detail),
        RefreshError::Issue(error) => error.into(),
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Whether sessions that have ended are listed too.
    #[serde(default)]
    include_expired: bool,
}

/// The sessions of an account.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionList {
    sessions: Vec<SessionView>,
    count: usize,
    active_count: usize,
}

/// The caller's sessions, newest first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "Sessions", params(ListQuery),
    responses((status = 200, body = SessionList), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn list(
    sessions: web::Data<Sessions>,
    By(caller, query): By<web::Query<ListQuery>>,
) -> Result<web::Json<SessionList>, Problem> {
    let sessions = sessions.list(caller.user(), caller.session(), query.include_expired).await?;
    let active_count = sessions.iter().filter(|session| !session.is_expired).count();
    Ok(web::Json(SessionList { count: sessions.len(), active_count, sessions }))
}

/// One of the caller's sessions.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "Sessions", params(("id" = Uuid, Path)),
    responses((status = 200, body = SessionView), (status = 404, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn get(
    sessions: web::Data<Sessions>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<web::Json<SessionView>, Problem> {
    let found = sessions.find(session_id(&id)?, caller.user(), caller.session()).await?;
    found.map(web::Json).ok_or_else(Problem::not_found)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameRequest {
    /// `null` takes the name away.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    name: Option<String>,
}

/// Names one of the caller's sessions.
#[utoipa::path(patch, path = "/api/v1/sessions/{id}", tag = "Sessions", params(("id" = Uuid, Path)), request_body = RenameRequest,
    responses((status = 200, body = SessionView), (status = 404, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn rename(
    sessions: web::Data<Sessions>,
    edge: web::Data<Edge>,
    id: web::Path<String>,
    By(caller, Body(body)): By<Body<RenameRequest>>,
) -> Result<web::Json<SessionView>, Problem> {
    let session = session_id(&id)?;
    let mut fields = Fields::default();
    let name = body.name.map(|name| fields.check("name", Label::parse(&name), |error| LabelError::code(*error)));
    let name = match name {
        Some(None) => return Err(fields.into_problem()),
        Some(Some(name)) => Some(name.into_string()),
        None => None,
    };
    let renamed = sessions.rename(session, name, caller.user(), &caller.actor(&edge)).await?;
    renamed.map(web::Json).ok_or_else(Problem::not_found)
}

/// Ends one of the caller's other sessions.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "Sessions", params(("id" = Uuid, Path)),
    responses((status = 204, description = "Ended"), (status = 400, body = ProblemDetails, content_type = "application/problem+json"), (status = 404, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn delete(
    sessions: web::Data<Sessions>,
    edge: web::Data<Edge>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    revoke_other(&sessions, &edge, &caller, session_id(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DeleteQuery {
    /// The one session to end; without it, all but the caller's.
    session_id: Option<Uuid>,
}

/// How many sessions were ended.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Revoked {
    sessions_revoked: usize,
}

/// Ends all of the caller's sessions but the one that calls, or the one named.
#[utoipa::path(delete, path = "/api/v1/sessions", tag = "Sessions", params(DeleteQuery),
    responses((status = 200, body = Revoked), (status = 400, body = ProblemDetails, content_type = "application/problem+json"), (status = 404, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn delete_others(
    sessions: web::Data<Sessions>,
    edge: web::Data<Edge>,
    By(caller, query): By<web::Query<DeleteQuery>>,
) -> Result<web::Json<Revoked>, Problem> {
    let sessions_revoked = match query.session_id {
        Some(id) => revoke_other(&sessions, &edge, &caller, SessionId(id)).await?,
        None => revoke_others(&sessions, &edge, &caller).await?,
    };
    Ok(web::Json(Revoked { sessions_revoked }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// The session to end.
    session_id: Option<Uuid>,
    /// Whether to end all but the one that calls.
    #[serde(default)]
    all: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct RevokeResponse {
    success: bool,
    sessions_revoked: usize,
    message: String,
}

/// Ends one of the caller's other sessions, or all of them.
#[utoipa::path(post, path = "/api/v1/sessions/revoke", tag = "Sessions", request_body = RevokeRequest,
    responses((status = 200, body = RevokeResponse), (status = 400, body = ProblemDetails, content_type = "application/problem+json"), (status = 404, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn revoke(
    sessions: web::Data<Sessions>,
    edge: web::Data<Edge>,
    By(caller, Body(body)): By<Body<RevokeRequest>>,
) -> Result<web::Json<RevokeResponse>, Problem> {
    let sessions_revoked = match (body.session_id, body.all) {
        (Some(id), false) => revoke_other(&sessions, &edge, &caller, SessionId(id)).await?,
        (None, true) => revoke_others(&sessions, &edge, &caller).await?,
        (Some(_), true) | (None, false) => {
            let mut fields = Fields::default();
            fields.check::<(), _>("session_id", Err("is required, or all: true, but not both"), |_| "one_of");
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

async fn revoke_other(sessions: &Sessions, edge: &Edge, caller: &Caller, session: SessionId) -> Result<usize, Problem> {
    if session == caller.session() {
        return Err(Problem::bad_request("current_session", "This is the session that calls: log out to end it."));
    }
    sessions.revoke_own(session, caller.user(), &caller.actor(edge)).await?.ok_or_else(Problem::not_found)
}

async fn revoke_others(sessions: &Sessions, edge: &Edge, caller: &Caller) -> Result<usize, Problem> {
    let which = Which::AllOfExcept(caller.user(), caller.session());
    Ok(sessions.revoke_all(which, Reason::EndedByOwner, &caller.actor(edge)).await?)
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Summary {
    /// Live sessions of all accounts.
    active_sessions: i64,
    redis_available: bool,
    /// `redis`, `memory` or `unavailable`.
    cache: &'static str,
}

/// How many sessions there are, and whether the cache works.
#[utoipa::path(get, path = "/api/v1/sessions/summary", tag = "Sessions", responses((status = 200, body = Summary)))]
pub async fn summary(
    sessions: web::Data<Sessions>,
    edge: web::Data<Edge>,
    _caller: Caller,
) -> Result<web::Json<Summary>, Problem> {
    let mode = edge.cache.mode();
    Ok(web::Json(Summary {
        active_sessions: sessions.count_live().await?,
        redis_available: mode == crate::cache::Mode::Redis,
        cache: mode.name(),
    }))
}

/// What is no id at all is the id of nothing.
fn session_id(text: &str) -> Result<SessionId, Problem> {
    Uuid::try_parse(text).map(SessionId).map_err(|_| Problem::not_found())
}
