//! The panels of the dashboard.

/// A panel with a curve for each query.
pub(super) struct Panel {
    /// The heading.
    pub title: &'static str,
    /// Grafana's name of the unit.
    pub unit: &'static str,
    /// What is drawn, each with the name of its curve.
    pub queries: &'static [(&'static str, &'static str)],
}

const fn panel(title: &'static str, unit: &'static str, queries: &'static [(&'static str, &'static str)]) -> Panel {
    Panel { title, unit, queries }
}

/// All panels, in the order of the page.
pub(super) const PANELS: &[Panel] = &[
    panel("Requests by status", "reqps", &[("sum by (status) (rate(keyturn_http_requests_total[5m]))", "{{status}}")]),
    panel(
        "Requests by route",
        "reqps",
        &[("topk(10, sum by (route) (rate(keyturn_http_requests_total[5m])))", "{{route}}")],
    ),
    panel(
        "Time to answer",
        "s",
        &[
            ("histogram_quantile(0.5, sum by (le) (rate(keyturn_http_request_duration_seconds_bucket[5m])))", "median"),
            ("histogram_quantile(0.99, sum by (le) (rate(keyturn_http_request_duration_seconds_bucket[5m])))", "99 %"),
        ],
    ),
    panel("Refreshes by outcome", "reqps", &[("sum by (outcome) (rate(keyturn_refreshes_total[5m]))", "{{outcome}}")]),
    panel("Logins by outcome", "reqps", &[("sum by (outcome) (rate(keyturn_logins_total[5m]))", "{{outcome}}")]),
    panel("Checks by source", "reqps", &[("sum by (source) (rate(keyturn_checks_total[5m]))", "{{source}}")]),
    panel(
        "Refused by limits",
        "reqps",
        &[
            ("sum by (limit) (rate(keyturn_limited_total[5m]))", "{{limit}}"),
            ("sum(rate(keyturn_connections_refused_total[5m]))", "connections"),
        ],
    ),
    panel("Sessions revoked", "reqps", &[("sum(rate(keyturn_revocations_total[5m]))", "revoked")]),
    panel(
        "Refreshes in one transaction",
        "short",
        &[
            ("histogram_quantile(0.5, sum by (le) (rate(keyturn_rotation_batch_bucket[5m])))", "median"),
            ("histogram_quantile(0.99, sum by (le) (rate(keyturn_rotation_batch_bucket[5m])))", "99 %"),
        ],
    ),
    panel(
        "Cache",
        "short",
        &[
            ("keyturn_cache_available", "available, {{instance}}"),
            ("sum by (access) (increase(keyturn_cache_faults_total[5m]))", "given up: {{access}}"),
        ],
    ),
    panel(
        "Emails",
        "short",
        &[
            ("max(keyturn_emails_waiting)", "waiting"),
            ("max(keyturn_emails_failed)", "given up"),
            ("sum by (outcome) (increase(keyturn_emails_total[5m]))", "{{outcome}}"),
        ],
    ),
    panel("Oldest email that waits", "s", &[("max(keyturn_emails_oldest_seconds)", "age")]),
    panel(
        "Behind the database",
        "s",
        &[
            ("keyturn_revocation_log_age_seconds", "revocations read, {{instance}}"),
            ("keyturn_clock_skew_seconds", "clock, {{instance}}"),
        ],
    ),
    panel(
        "Memory",
        "bytes",
        &[("process_resident_memory_bytes and on (job, instance) keyturn_build_info", "{{instance}}")],
    ),
    panel(
        "Cores in use",
        "short",
        &[("rate(process_cpu_seconds_total[5m]) and on (job, instance) keyturn_build_info", "{{instance}}")],
    ),
    panel(
        "Open files and connections",
        "short",
        &[("process_open_fds and on (job, instance) keyturn_build_info", "{{instance}}")],
    ),
    panel("Versions", "short", &[("count by (version, commit) (keyturn_build_info)", "{{version}} ({{commit}})")]),
];
