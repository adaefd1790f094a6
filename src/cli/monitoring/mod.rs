//! `keyturn monitoring`: a dashboard for Grafana and rules for Prometheus, each from one list.

mod alerts;
mod panels;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Outcome;
use alerts::ALERTS;
use panels::{PANELS, Panel};

#[derive(Clone, Copy, Subcommand)]
pub(super) enum Command {
    /// Print a dashboard for Grafana, as JSON.
    #[command(after_help = "Example:\n  keyturn monitoring dashboard > keyturn-dashboard.json")]
    Dashboard,
    /// Print alerting rules for Prometheus, as YAML.
    #[command(after_help = "Example:\n  keyturn monitoring rules > keyturn.rules.yaml")]
    Rules,
}

/// Prints what `command` asks for.
pub(super) fn run(command: Command) -> Outcome {
    let text = match command {
        Command::Dashboard => dashboard()?,
        Command::Rules => rules(),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the content of `deploy/monitoring/rules.yaml`.
fn rules() -> String {
    let mut text = "# Generated: keyturn monitoring rules > deploy/monitoring/rules.yaml\n\
        groups:\n  - name: keyturn\n    rules:\n"
        .to_owned();
    for alert in ALERTS {
        // Strings of JSON are strings of YAML.
        let quoted = |text: &str| Value::from(text).to_string();
        let _ = write!(
            text,
            "      - alert: {}\n        expr: {}\n        for: {}\n        labels:\n          severity: {}\n        \
             annotations:\n          summary: {}\n",
            alert.name,
            quoted(alert.condition),
            alert.held,
            alert.severity,
            quoted(alert.summary)
        );
    }
    text
}

/// Returns the content of `deploy/monitoring/dashboard.json`.
fn dashboard() -> Result<String, serde_json::Error> {
    let panels: Vec<Value> = (0_usize..).zip(PANELS).map(|(number, panel)| panel_json(number, panel)).collect();
    let page = json!({
        "uid": "keyturn",
        "title": "keyturn",
        "tags": ["keyturn"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" },
        ] },
        "panels": panels,
    });
    serde_json::to_string_pretty(&page).map(|text| text + "\n")
}

/// Returns a panel, three in a row.
fn panel_json(number: usize, panel: &Panel) -> Value {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let targets: Vec<Value> = ('A'..='Z')
        .zip(panel.queries)
        .map(|(name, (query, legend))| {
            json!({ "refId": name, "expr": query, "legendFormat": legend, "datasource": source })
        })
        .collect();
    json!({
        "id": number.saturating_add(1),
        "type": "timeseries",
        "title": panel.title,
        "datasource": source,
        "gridPos": { "h": 8, "w": 8, "x": number.checked_rem(3).unwrap_or(0) * 8, "y": number / 3 * 8 },
        "fieldConfig": { "defaults": { "unit": panel.unit, "min": 0 }, "overrides": [] },
        "targets": targets,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::metrics::{CacheAccess, CheckSource, EmailOutcome, LoginOutcome, Metrics, Observed, RefreshOutcome};

    /// Metrics that are of no use on a dashboard or for an alert, and why.
    const UNUSED: &[(&str, &str)] = &[("process_start_time_seconds", "tells of restarts, which alone are no fault")];

    /// Returns the names of all metrics of a server on which everything has happened once.
    fn exposed() -> BTreeSet<String> {
        let metrics = Metrics::new();
        metrics.refreshed(RefreshOutcome::Rotated);
        metrics.checked(CheckSource::Log);
        metrics.logged_in(LoginOutcome::Succeeded);
        metrics.limited("login_account");
        metrics.email_attempted(EmailOutcome::Delivered);
        metrics.cache_breaker_opened(CacheAccess::Read);
        metrics.request_completed("GET", "/", 200, Duration::ZERO);
        let observed = Observed { cache_available: true, log_age: Duration::ZERO, clock_skew: Duration::ZERO };
        let text = metrics.encode(observed);
        let names: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .map(|(name, kind)| match kind {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.to_owned(),
            })
            .collect();
        let registered = include_str!("../../metrics.rs").matches("registry.register").count();
        let own = names.iter().filter(|name| name.starts_with("keyturn_")).count();
        assert_eq!(own, registered, "a family without a series is not listed: let it happen above");
        names
    }

    /// Returns the names of all metrics that the dashboard and the rules ask for.
    fn used() -> BTreeSet<String> {
        let queries = PANELS.iter().flat_map(|panel| panel.queries).map(|(query, _)| *query);
        let words = queries
            .chain(ALERTS.iter().map(|alert| alert.condition))
            .flat_map(|query| query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')));
        let is_metric = |word: &&str| word.starts_with("keyturn_") || word.starts_with("process_");
        words.filter(is_metric).map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
    }

    #[test]
    fn every_metric_that_is_asked_for_is_there_and_every_one_that_is_there_is_asked_for() {
        let (used, mut exposed) = (used(), exposed());
        let missing: Vec<_> = used.difference(&exposed).collect();
        assert!(missing.is_empty(), "no server has {missing:?}");
        for (name, reason) in UNUSED {
            assert!(exposed.remove(*name) && !used.contains(*name), "{name} is excused: {reason}");
        }
        let idle: Vec<_> = exposed.difference(&used).collect();
        assert!(idle.is_empty(), "nobody looks at {idle:?}");
    }

    #[test]
    fn the_committed_files_are_the_generated_ones() {
        assert_eq!(rules(), include_str!("../../../deploy/monitoring/rules.yaml"));
        assert_eq!(dashboard().unwrap(), include_str!("../../../deploy/monitoring/dashboard.json"));
    }
}
