//! `/admin`: what happens on the server, and whether it is well.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpResponse;
use minijinja::{Value, context};

use super::chart::{Bucket, chart, chart_of_states, shares};
use super::words::{DEVICES, LIMITS, LOGINS, REFRESHES, Words};
use super::{Console, Section, show};
use crate::admin::Health;
use crate::admin::stats::{HourlyStats, Stats};
use crate::cache::CacheStatus;
use crate::db::Condition;
use crate::http::Problem;
use crate::pages::handlers::ConsolePageResponses;
use crate::pages::reply::Answer;
use crate::pages::time_value;
use crate::pages::visitor::Visitor;
use crate::texts::{Language, Text};
use crate::types::Timestamp;

/// The periods that plots can cover: in hours, with the hours of each bar.
const PERIODS: [(u32, u32); 3] = [(24, 1), (168, 6), (744, 24)];

/// After this long without a look at the log of revocations, something is wrong.
const LOG_IS_LATE: Duration = Duration::from_secs(30);

/// After this long an email should have been delivered.
const EMAIL_IS_LATE: Duration = Duration::from_secs(600);

/// Shows plots of logins and refreshes, and the health of the server.
#[utoipa::path(get, path = "/admin", tag = "Pages", security(()),
    params(("hours" = Option<u32>, Query, description = "The hours that plots cover: 24, 168 or 744")),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_dashboard(visitor: Visitor) -> HttpResponse {
    show(visitor, dashboard).await
}

async fn dashboard(console: &Console<'_>) -> Answer {
    let language = console.language();
    let [shortest, ..] = PERIODS;
    let (hours, step) = match console.parameter("hours")? {
        None => shortest,
        Some(asked) => {
            let found = PERIODS.into_iter().find(|(hours, _)| hours.to_string() == asked);
            found.ok_or_else(Problem::not_found)?
        }
    };
    let stats = console.admin.stats(hours).await?;
    let periods = PERIODS.map(|(other, _)| {
        let href = format!("{}?hours={other}", console.visitor.path(Section::Dashboard.path()));
        context! { href, text => period_name(other).value(language), is_current => other == hours }
    });
    let plot = |words: &Words, counts: for<'a> fn(&'a HourlyStats) -> &'a BTreeMap<String, i64>| {
        chart(&buckets(&stats, hours, step, counts), words, language)
    };
    let values = context! {
        periods => periods.to_vec(),
        users => stats.users,
        live_sessions => stats.active_sessions,
        counted_at => time_value(stats.counted_at, language),
        devices => shares(&stats.sessions_by_device, &DEVICES, language),
        logins => plot(&LOGINS, |hour| &hour.logins),
        refreshes => plot(&REFRESHES, |hour| &hour.refreshes),
        limited => plot(&LIMITS, |hour| &hour.limited),
        live => chart_of_states(buckets(&stats, hours, step, |hour| &hour.live), &DEVICES, language),
        health => health(&console.admin.health().await?, stats.server_time, language),
        version => env!("CARGO_PKG_VERSION"),
    };
    let title = Text::of("admin-dashboard").value(language);
    Ok(console.page("admin/dashboard.html", Section::Dashboard, title, values))
}

fn period_name(hours: u32) -> Text {
    match hours {
        24 => Text::of("admin-period-day"),
        168 => Text::of("admin-period-week"),
        _ => Text::of("admin-period-month"),
    }
}

/// Returns the bars of a period of `hours`, each of `step` hours, the present one last.
fn buckets<'a>(
    stats: &'a Stats,
    hours: u32,
    step: u32,
    counts: fn(&'a HourlyStats) -> &'a BTreeMap<String, i64>,
) -> Vec<Bucket<'a>> {
    let length = i64::from(step).saturating_mul(3600);
    let current = stats.server_time.as_secs().div_euclid(length);
    let bars = i64::from(hours.checked_div(step).unwrap_or_default());
    let first = current.saturating_sub(bars).saturating_add(1);
    (first..=current)
        .map(|index| Bucket {
            begins: Timestamp::from_secs(index.saturating_mul(length)),
            counts: stats
                .hours
                .iter()
                .filter(|hour| hour.hour.as_secs().div_euclid(length) == index)
                .map(counts)
                .collect(),
        })
        .collect()
}

/// Returns the parts of the server with their states.
fn health(health: &Health, now: Timestamp, language: Language) -> Vec<Value> {
    let part = |name: Text, is_well: bool, state: Text| {
        context! { name => name.value(language), is_well, state => state.value(language) }
    };
    let engine = if health.is_postgres { "Postgres" } else { "SQLite" };
    let database = match health.database {
        Condition::Writable => Text::of("admin-database-well").with("engine", engine),
        Condition::NotWritable => Text::of("admin-database-read-only").with("engine", engine),
        Condition::Unavailable => Text::of("admin-database-away").with("engine", engine),
    };
    let cache = match health.cache {
        CacheStatus::Memory => Text::of("admin-cache-memory"),
        CacheStatus::Redis => Text::of("admin-cache-redis"),
        CacheStatus::Unavailable => Text::of("admin-cache-away"),
    };
    let millis = i64::try_from(health.clock_skew.as_millis()).unwrap_or(i64::MAX);
    let clock = Text::of("admin-clock-state").with_number("millis", millis);
    let age = i64::try_from(health.log_age.as_secs()).unwrap_or(i64::MAX);
    let outbox = &health.outbox;
    let waits = outbox.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
    let mail = Text::of("admin-mail-state").with_number("waiting", outbox.waiting).with_number("failed", outbox.failed);
    vec![
        part(Text::of("admin-database"), health.database == Condition::Writable, database),
        part(Text::of("admin-cache"), health.cache != CacheStatus::Unavailable, cache),
        part(Text::of("admin-mail"), outbox.failed == 0 && waits < EMAIL_IS_LATE, mail),
        part(Text::of("admin-clock"), health.is_clock_right, clock),
        part(
            Text::of("admin-log"),
            health.log_age < LOG_IS_LATE,
            Text::of("admin-log-state").with_number("seconds", age),
        ),
    ]
}
