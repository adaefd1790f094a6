//! The alerts. `docs/operations.md` says what to do about each.

/// A rule by which Prometheus alerts.
pub(super) struct Alert {
    /// The name.
    pub name: &'static str,
    /// What is wrong while this query has a result.
    pub condition: &'static str,
    /// How long that has to last.
    pub held: &'static str,
    /// `critical` if people cannot log in, refresh or be logged out, else `warning`.
    pub severity: &'static str,
    /// What it means, in a sentence.
    pub summary: &'static str,
}

const fn critical(name: &'static str, condition: &'static str, held: &'static str, summary: &'static str) -> Alert {
    Alert { name, condition, held, severity: "critical", summary }
}

const fn warning(name: &'static str, condition: &'static str, held: &'static str, summary: &'static str) -> Alert {
    Alert { name, condition, held, severity: "warning", summary }
}

/// All alerts.
#[rustfmt::skip]
pub(super) const ALERTS: &[Alert] = &[
    critical("KeyturnAbsent", "absent(keyturn_build_info)", "1m", "No server of keyturn is seen."),
    critical("KeyturnAnswersFail",
        "sum(rate(keyturn_http_requests_total{status=~\"5..\"}[5m])) / sum(rate(keyturn_http_requests_total[5m])) > 0.01",
        "5m", "More than one answer in a hundred is a 5xx."),
    warning("KeyturnDefect", "sum(increase(keyturn_http_requests_total{status=\"500\"}[5m])) > 0", "0m",
        "A request has met a defect: its id and the error are in the log."),
    critical("KeyturnRefreshesFail", "sum(rate(keyturn_refreshes_total{outcome=\"unavailable\"}[5m])) > 0", "2m",
        "Refreshes fail because the database cannot be reached or written."),
    warning("KeyturnRefreshTokensReused",
        "sum(increase(keyturn_refreshes_total{outcome=\"reused\"}[15m])) > 5 and \
         sum(rate(keyturn_refreshes_total{outcome=\"reused\"}[15m])) > 3 * \
         sum(rate(keyturn_refreshes_total{outcome=\"reused\"}[1d] offset 15m))",
        "0m", "Sessions end because old refresh tokens are presented: theft, or a client that stores them late."),
    warning("KeyturnReplaysRise",
        "sum(rate(keyturn_refreshes_total{outcome=~\"replayed|recovered\"}[15m])) / \
         sum(rate(keyturn_refreshes_total[15m])) > 0.2",
        "15m", "One refresh in five is a repetition: bad networks, or a client that throws answers away."),
    critical("KeyturnLostCommits", "sum(increase(keyturn_refreshes_total{outcome=\"caught_up\"}[15m])) > 0", "0m",
        "The database has lost commits, or JWT_SECRET has leaked."),
    warning("KeyturnGuessing",
        "sum(rate(keyturn_logins_total{outcome=\"refused\"}[10m])) > 1 and \
         sum(rate(keyturn_logins_total{outcome=\"refused\"}[10m])) > 5 * \
         sum(rate(keyturn_logins_total{outcome=\"succeeded\"}[10m]))",
        "5m", "Most logins are refused: passwords are being guessed."),
    warning("KeyturnLoginsWait",
        "sum(rate(keyturn_http_requests_total{status=\"503\",route=~\".*/auth/(login|register)\"}[5m])) > 0", "5m",
        "Logins are refused because too many passwords wait to be hashed, or the database cannot be reached."),
    warning("KeyturnCacheAway", "keyturn_cache_available == 0", "1m",
        "Redis cannot be read or written: every check asks the database."),
    warning("KeyturnRevocationsDelayed", "keyturn_revocation_log_age_seconds > 10", "30s",
        "A server does not read revocations: what other servers revoke may stay valid on it."),
    critical("KeyturnClockWrong", "keyturn_clock_skew_seconds > 5", "1m",
        "The clock of a server differs from the database's: it is not ready, and beyond a minute it issues no tokens."),
    warning("KeyturnEmailsWait", "max(keyturn_emails_oldest_seconds) > 900", "5m",
        "Emails are not delivered: `keyturn doctor` tells why."),
    warning("KeyturnEmailsRefused",
        "sum(rate(keyturn_emails_total{outcome=\"refused\"}[1h])) / sum(rate(keyturn_emails_total[1h])) > 0.1", "30m",
        "The mail server refuses one recipient in ten."),
    warning("KeyturnConnectionsRefused", "sum(increase(keyturn_connections_refused_total[15m])) > 100", "0m",
        "An address has too many connections: an attack, or a proxy that is not in TRUSTED_PROXIES."),
    warning("KeyturnDatabaseSlow",
        "histogram_quantile(0.99, sum by (le) (rate(keyturn_rotation_batch_bucket[5m]))) > 200", "10m",
        "Nearly as many refreshes as fit are carried out together: the database is too slow for the load."),
    warning("KeyturnAnswersSlow",
        "histogram_quantile(0.99, sum by (le) (rate(keyturn_http_request_duration_seconds_bucket[5m]))) > 2", "10m",
        "One answer in a hundred takes more than two seconds."),
    warning("KeyturnFilesRunOut",
        "process_open_fds / process_max_fds > 0.8 and on (job, instance) keyturn_build_info", "5m",
        "A server has nearly as many connections open as the system allows."),
];
