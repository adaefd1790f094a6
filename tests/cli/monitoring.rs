//! The rules for Prometheus: each alert fires on its fault, and none fires without one.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;

use crate::run;
use crate::support::{Deployment, Folder, variable};

embedded_only! {
    each_alert_fires_on_its_fault,
}

/// What a server without a fault tells, minute by minute.
const HEALTHY: &[(&str, &str)] = &[
    ("keyturn_build_info", "1+0x200"),
    ("keyturn_http_requests_total{status=\"200\",route=\"/api/v1/auth/login\"}", "0+600x200"),
    ("keyturn_refreshes_total{outcome=\"rotated\"}", "0+600x200"),
    ("keyturn_logins_total{outcome=\"succeeded\"}", "0+60x200"),
    ("keyturn_emails_total{outcome=\"delivered\"}", "0+60x200"),
    ("keyturn_emails_oldest_seconds", "0+0x200"),
    ("keyturn_cache_available", "1+0x200"),
    ("keyturn_revocation_log_age_seconds", "0.5+0x200"),
    ("keyturn_clock_skew_seconds", "0+0x200"),
    ("keyturn_rotation_batch_bucket{le=\"2\"}", "0+60x200"),
    ("keyturn_rotation_batch_bucket{le=\"256\"}", "0+60x200"),
    ("keyturn_rotation_batch_bucket{le=\"+Inf\"}", "0+60x200"),
    ("keyturn_http_request_duration_seconds_bucket{le=\"0.1\"}", "0+60x200"),
    ("keyturn_http_request_duration_seconds_bucket{le=\"8\"}", "0+60x200"),
    ("keyturn_http_request_duration_seconds_bucket{le=\"+Inf\"}", "0+60x200"),
    ("process_open_fds", "50+0x200"),
    ("process_max_fds", "1000+0x200"),
];

/// For each alert, the series of the fault. One with the name of a healthy series replaces it; without a value, it is
/// taken away.
const FAULTS: &[(&str, &[(&str, &str)])] = &[
    ("KeyturnAbsent", &[("keyturn_build_info", "")]),
    ("KeyturnAnswersFail", &[("keyturn_http_requests_total{status=\"502\",route=\"/\"}", "0+60x200")]),
    ("KeyturnDefect", &[("keyturn_http_requests_total{status=\"500\",route=\"/\"}", "0+1x200")]),
    ("KeyturnRefreshesFail", &[("keyturn_refreshes_total{outcome=\"unavailable\"}", "0+1x200")]),
    ("KeyturnRefreshTokensReused", &[("keyturn_refreshes_total{outcome=\"reused\"}", "0+0x150 10+10x50")]),
    ("KeyturnReplaysRise", &[("keyturn_refreshes_total{outcome=\"replayed\"}", "0+400x200")]),
    ("KeyturnLostCommits", &[("keyturn_refreshes_total{outcome=\"caught_up\"}", "0+0x150 1+0x50")]),
    ("KeyturnGuessing", &[("keyturn_logins_total{outcome=\"refused\"}", "0+600x200")]),
    ("KeyturnLoginsWait", &[("keyturn_http_requests_total{status=\"503\",route=\"/api/v1/auth/login\"}", "0+1x200")]),
    ("KeyturnCacheAway", &[("keyturn_cache_available", "0+0x200")]),
    ("KeyturnRevocationsDelayed", &[("keyturn_revocation_log_age_seconds", "0+60x200")]),
    ("KeyturnClockWrong", &[("keyturn_clock_skew_seconds", "6+0x200")]),
    ("KeyturnEmailsWait", &[("keyturn_emails_oldest_seconds", "0+60x200")]),
    ("KeyturnEmailsRefused", &[("keyturn_emails_total{outcome=\"refused\"}", "0+60x200")]),
    ("KeyturnConnectionsRefused", &[("keyturn_connections_refused_total", "0+60x200")]),
    ("KeyturnDatabaseSlow", &[("keyturn_rotation_batch_bucket{le=\"2\"}", "0+0x200")]),
    ("KeyturnAnswersSlow", &[("keyturn_http_request_duration_seconds_bucket{le=\"0.1\"}", "0+0x200")]),
    ("KeyturnFilesRunOut", &[("process_open_fds", "900+0x200")]),
];

/// A test of promtool: the series, and whether an alert fires after 160 minutes.
fn test(alert: &str, fault: &[(&str, &str)], expected: &str) -> String {
    let mut text = "  - interval: 1m\n    input_series:\n".to_owned();
    let is_replaced = |name: &str| fault.iter().any(|(faulty, _)| *faulty == name);
    let healthy = HEALTHY.iter().filter(|(name, _)| !is_replaced(name));
    for (series, values) in healthy.chain(fault).filter(|(_, values)| !values.is_empty()) {
        let _ = writeln!(text, "      - series: '{series}'\n        values: '{values}'");
    }
    let _ = write!(
        text,
        "    promql_expr_test:\n      - expr: 'count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}) or vector(0)'\n        \
         eval_time: 160m\n        exp_samples:\n          - labels: '{{}}'\n            value: {expected}\n"
    );
    text
}

async fn each_alert_fires_on_its_fault(deployment: Arc<Deployment>) {
    let folder = Folder::new();
    let rules = run(&deployment, &["monitoring", "rules"]).printed();
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let faults: Vec<&str> = FAULTS.iter().map(|(alert, _)| *alert).collect();
    assert_eq!(alerts, faults, "each alert has a fault");
    std::fs::write(folder.path().join("rules.yaml"), &rules).unwrap();
    let mut tests = "rule_files: [rules.yaml]\nevaluation_interval: 1m\ntests:\n".to_owned();
    for (alert, fault) in FAULTS {
        tests += &test(alert, fault, "1");
        tests += &test(alert, &[], "0");
    }
    std::fs::write(folder.path().join("tests.yaml"), tests).unwrap();
    for arguments in [["check", "rules", "rules.yaml"], ["test", "rules", "tests.yaml"]] {
        let output =
            Command::new(variable("KEYTURN_TEST_PROMTOOL")).args(arguments).current_dir(folder.path()).output();
        let output = output.unwrap();
        let printed = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
    }
}
