//! `POST /api/v1/sessions/cleanup`: sweeping by hand.

use actix_web::web;
use serde::Serialize;

use super::Sweeper;
use crate::http::Problem;
use crate::http::operator::RecentOperator;
use crate::http::problem::ProblemDetails;

/// What was found and removed.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CleanedUp {
    /// Sessions that have ended and are kept for the history.
    expired: i64,
    /// Sessions that had been kept for long enough, and were removed.
    deleted: usize,
}

/// Removes at once what the background would remove later. For administrators.
#[utoipa::path(post, path = "/api/v1/sessions/cleanup", tag = "Administration",
    responses((status = 200, body = CleanedUp), (status = 401, body = ProblemDetails, content_type = "application/problem+json"), (status = 403, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn cleanup(sweeper: web::Data<Sweeper>, _: RecentOperator) -> Result<web::Json<CleanedUp>, Problem> {
    let deleted = sweeper.sweep().await?.sessions;
    Ok(web::Json(CleanedUp { expired: sweeper.kept().await?, deleted }))
}
