//! What the server counts, for Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Counters of one server. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Counters>);

struct Counters {
    registry: Registry,
    refreshes: Family<Label<RefreshOutcome>, Counter>,
    checks: Family<Label<CheckSource>, Counter>,
    logins: Family<Label<LoginOutcome>, Counter>,
    limited: Family<Label<&'static str>, Counter>,
    revocations: Counter,
    batches: Histogram,
    requests: Family<Request, Counter>,
    request_seconds: Histogram,
    mails: Family<Label<MailOutcome>, Counter>,
    mails_waiting: Gauge,
    mails_failed: Gauge,
    cache_available: Gauge,
}

/// One label: its name and one of few values.
type Label<T> = [(&'static str, T); 1];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

macro_rules! named {
    ($(#[$meta:meta])* $type:ident { $($(#[$variant_meta:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$variant_meta])* $variant),+ }

        impl $type {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl EncodeLabelValue for $type {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                encoder.write_str(self.name())
            }
        }
    };
}

named!(
    /// How a refresh ended.
    RefreshOutcome {
        Rotated = "rotated",
        Replayed = "replayed",
        Recovered = "recovered",
        Followed = "followed",
        Invalid = "invalid",
        Reused = "reused",
        Revoked = "revoked",
        Expired = "expired",
        Unavailable = "unavailable",
    }
);
named!(
    /// What answered a check.
    CheckSource { Log = "log", Cache = "cache", Database = "database" }
);
named!(
    /// How a login ended.
    LoginOutcome { Succeeded = "succeeded", Refused = "refused", Unavailable = "unavailable" }
);

named!(
    /// What became of an attempt to deliver a mail.
    MailOutcome {
        Delivered = "delivered",
        /// To be tried again.
        Deferred = "deferred",
        /// The mail server does not take it, ever.
        Refused = "refused",
        /// It was tried for too long.
        GivenUp = "given_up",
        /// Its link was of no use any more.
        Expired = "expired",
    }
);

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("keyturn");
        let counters = Counters {
            refreshes: Family::default(),
            checks: Family::default(),
            logins: Family::default(),
            limited: Family::default(),
            revocations: Counter::default(),
            batches: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            requests: Family::default(),
            request_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            mails: Family::default(),
            mails_waiting: Gauge::default(),
            mails_failed: Gauge::default(),
            cache_available: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("refreshes", "Refreshes by outcome", counters.refreshes.clone());
        registry.register("checks", "Checks of access tokens by what answered them", counters.checks.clone());
        registry.register("logins", "Logins by outcome", counters.logins.clone());
        registry.register("limited", "Attempts refused by a limit", counters.limited.clone());
        registry.register("revocations", "Sessions ended", counters.revocations.clone());
        registry.register("rotation_batch", "Rotations carried out together", counters.batches.clone());
        registry.register("http_requests", "Requests by route and status", counters.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from the request's head to the answer's",
            Unit::Seconds,
            counters.request_seconds.clone(),
        );
        registry.register("mails", "Attempts to deliver a mail by outcome", counters.mails.clone());
        registry.register("mails_waiting", "Mails in the outbox", counters.mails_waiting.clone());
        registry.register("mails_failed", "Mails that were not delivered, of two weeks", counters.mails_failed.clone());
        registry.register("cache_available", "Whether the cache answers: 1 or 0", counters.cache_available.clone());
        Self(Arc::new(Counters { registry, ..counters }))
    }

    pub fn refreshed(&self, outcome: RefreshOutcome) {
        self.0.refreshes.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub fn checked(&self, source: CheckSource) {
        self.0.checks.get_or_create(&[("source", source)]).inc();
    }

    pub fn logged_in(&self, outcome: LoginOutcome) {
        self.0.logins.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub fn limited(&self, limit: &'static str) {
        self.0.limited.get_or_create(&[("limit", limit)]).inc();
    }

    pub fn revoked(&self, sessions: usize) {
        self.0.revocations.inc_by(u64::try_from(sessions).unwrap_or(u64::MAX));
    }

    pub fn rotation_batch(&self, rotations: usize) {
        self.0.batches.observe(f64::from(u32::try_from(rotations).unwrap_or(u32::MAX)));
    }

    pub fn mailed(&self, outcome: MailOutcome) {
        self.0.mails.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// What all servers together have in the outbox.
    pub fn outbox(&self, waiting: i64, failed: i64) {
        self.0.mails_waiting.set(waiting);
        self.0.mails_failed.set(failed);
    }

    pub fn answered(&self, method: &str, route: &str, status: u16, after: Duration) {
        let request = Request { method: method.to_owned(), route: route.to_owned(), status };
        self.0.requests.get_or_create(&request).inc();
        self.0.request_seconds.observe(after.as_secs_f64());
    }

    /// Logins and refreshes so far, by outcome, as far as there were any: `login.succeeded`, `refresh.rotated`.
    pub fn totals(&self) -> Vec<(String, u64)> {
        let logins = LoginOutcome::ALL.iter().filter_map(|outcome| {
            let total = self.0.logins.get(&[("outcome", *outcome)])?.get();
            Some((format!("login.{}", outcome.name()), total))
        });
        let refreshes = RefreshOutcome::ALL.iter().filter_map(|outcome| {
            let total = self.0.refreshes.get(&[("outcome", *outcome)])?.get();
            Some((format!("refresh.{}", outcome.name()), total))
        });
        logins.chain(refreshes).collect()
    }

    /// All counters in the OpenMetrics text format.
    pub fn encode(&self, cache_available: bool) -> String {
        self.0.cache_available.set(i64::from(cache_available));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.0.registry);
        text
    }
}
