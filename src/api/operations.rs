//! Whether the server is alive and ready, and its metrics.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::cache::{Cache, CacheStatus};
use crate::db::{Condition, Db};
use crate::http::HttpContext;
use crate::metrics::Observed;
use crate::sessions::Sessions;

/// The sign of life of a process.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Liveness {
    /// Always `alive`.
    status: &'static str,
}

/// The state of a server, its database, its cache and its clock.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Readiness {
    /// `ready`; `degraded` without the cache that was configured; `unavailable` without a database that can be
    /// written, or with a clock that differs from the database's by more than five seconds.
    status: &'static str,
    /// `postgres` or `sqlite`, or `unavailable`.
    database: &'static str,
    /// Whether the database can be written, as of a second ago at most.
    writable: bool,
    /// `redis` or `memory`, or `unavailable`.
    cache: &'static str,
    redis_available: bool,
    /// `synchronized`, or `skewed` if it differs from the database's.
    clock: &'static str,
    version: &'static str,
}

/// Tells that the process runs.
#[utoipa::path(get, path = "/health/live", tag = "Operations", security(()),
    responses((status = 200, description = "The process runs", body = Liveness)))]
pub(super) async fn get_liveness() -> HttpResponse {
    HttpResponse::Ok().json(Liveness { status: "alive" })
}

/// Tells whether the server can serve requests: it can write to its database, and its clock is right.
#[utoipa::path(get, path = "/health/ready", tag = "Operations", security(()),
    responses((status = 200, body = Readiness),
        (status = 503, description = "The database cannot be written, or the clock is wrong", body = Readiness)))]
pub(super) async fn get_readiness(
    db: web::Data<Db>,
    cache: web::Data<Cache>,
    context: web::Data<HttpContext>,
) -> HttpResponse {
    let condition = db.condition().await;
    let answers = condition != Condition::Unavailable;
    let writable = condition == Condition::Writable;
    let is_clock_right = context.clock.is_right();
    let is_ready = writable && is_clock_right;
    let status = cache.status();
    let engine = if db.is_postgres() { "postgres" } else { "sqlite" };
    let readiness = Readiness {
        status: match (is_ready, status) {
            (false, _) => "unavailable",
            (true, CacheStatus::Unavailable) => "degraded",
            (true, CacheStatus::Redis | CacheStatus::Memory) => "ready",
        },
        database: if answers { engine } else { "unavailable" },
        writable,
        cache: status.name(),
        redis_available: status == CacheStatus::Redis,
        clock: if is_clock_right { "synchronized" } else { "skewed" },
        version: env!("CARGO_PKG_VERSION"),
    };
    HttpResponse::build(if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }).json(readiness)
}

/// Returns the metrics for Prometheus, in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "Operations", security(()),
    responses((status = 200, description = "Metrics", body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn get_metrics(
    context: web::Data<HttpContext>,
    cache: web::Data<Cache>,
    sessions: web::Data<Sessions>,
) -> HttpResponse {
    let text = context.metrics.encode(Observed {
        cache_available: cache.status() != CacheStatus::Unavailable,
        log_age: sessions.log.reader_progress().since_read(),
        clock_skew: context.clock.skew(),
    });
    HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(text)
}
