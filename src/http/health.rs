//! Whether the server is alive and ready, and what it counts.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::edge::Edge;
use crate::cache::Mode;
use crate::db::Db;

/// The state of a server and of what it stands on.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Readiness {
    /// `ready`, `degraded` without the cache that was configured, or `unavailable` without the database.
    status: &'static str,
    /// `postgres` or `sqlite`, or `unavailable`.
    database: &'static str,
    /// `redis` or `memory`, or `unavailable`.
    cache: &'static str,
    redis_available: bool,
    version: &'static str,
}

/// The process runs.
#[utoipa::path(get, path = "/health/live", tag = "Operations", security(()), responses((status = 200, description = "Alive")))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "alive"}))
}

/// The server can do its work: its database answers.
#[utoipa::path(get, path = "/health/ready", tag = "Operations", security(()),
    responses((status = 200, body = Readiness), (status = 503, description = "The database does not answer", body = Readiness)))]
pub async fn ready(db: web::Data<Db>, edge: web::Data<Edge>) -> HttpResponse {
    let answers = db.is_there().await;
    let mode = edge.cache.mode();
    let engine = if db.is_postgres() { "postgres" } else { "sqlite" };
    let readiness = Readiness {
        status: match (answers, mode) {
            (false, _) => "unavailable",
            (true, Mode::Unavailable) => "degraded",
            (true, Mode::Redis | Mode::Memory) => "ready",
        },
        database: if answers { engine } else { "unavailable" },
        cache: mode.name(),
        redis_available: mode == Mode::Redis,
        version: env!("CARGO_PKG_VERSION"),
    };
    HttpResponse::build(if answers { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }).json(readiness)
}

/// Counters for Prometheus, in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "Operations", security(()),
    responses((status = 200, description = "Counters", body = String)))]
pub async fn metrics(edge: web::Data<Edge>) -> HttpResponse {
    let text = edge.metrics.encode(edge.cache.mode() != Mode::Unavailable);
    HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(text)
}
