//! Metrics of a server, for Prometheus.

mod process;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The metrics of one server. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    counters: Arc<Counters>,
}

struct Counters {
    registry: Registry,
    refreshes: Family<Label<RefreshOutcome>, Counter>,
    checks: Family<Label<CheckSource>, Counter>,
    logins: Family<Label<LoginOutcome>, Counter>,
    limited: Family<Label<&'static str>, Counter>,
    /// The same by their names, which a family does not tell.
    limited_by_name: Mutex<BTreeMap<&'static str, u64>>,
    revocations: Counter,
    connections_refused: Counter,
    batches: Histogram,
    requests: Family<Request, Counter>,
    request_seconds: Histogram,
    emails: Family<Label<EmailOutcome>, Counter>,
    emails_waiting: Gauge,
    emails_failed: Gauge,
    emails_oldest: Seconds,
    log_age: Seconds,
    clock_skew: Seconds,
    /// When the process began, as a Unix time.
    started: f64,
    cache_available: Gauge,
    cache_faults: Family<Label<CacheAccess>, Counter>,
}

/// A gauge of seconds.
type Seconds = Gauge<f64, AtomicU64>;

/// The state of a server at the moment at which its metrics are read.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// Whether the cache is available.
    pub cache_available: bool,
    /// The time since the log of revocations was last read.
    pub log_age: Duration,
    /// How much the clock differs from the database's.
    pub clock_skew: Duration,
}

/// A set of one label: its name and its value.
type Label<T> = [(&'static str, T); 1];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

/// Declares an enum of the values of a label, each with its name.
macro_rules! label_values {
    ($(#[$meta:meta])* $type:ident { $($(#[$variant_meta:meta])+ $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$variant_meta])+ $variant),+ }

        impl $type {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the value of the label.
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

label_values!(
    /// The outcome of a refresh.
    RefreshOutcome {
        /// The refresh token was rotated.
        Rotated = "rotated",
        /// The refresh was repeated within the replay window and got the same tokens.
        Replayed = "replayed",
        /// The refresh was repeated later, and the session had a recovery left.
        Recovered = "recovered",
        /// The token was newer than the database, which has lost commits.
        CaughtUp = "caught_up",
        /// The token was not issued by this server.
        Invalid = "invalid",
        /// A superseded token was reused, and the session was revoked.
        Reused = "reused",
        /// The session was revoked earlier.
        Revoked = "revoked",
        /// The session has expired.
        Expired = "expired",
        /// The request was a copy of an earlier refresh, whose answer was used.
        AlreadyRefreshed = "already_refreshed",
        /// A token that was replaced a moment ago was presented, which may be a copy of an earlier request.
        Doubted = "doubted",
        /// The session is bound to a key, whose possession was not proven.
        Unproven = "unproven",
        /// The database was unavailable.
        Unavailable = "unavailable",
    }
);

label_values!(
    /// The source that decided a check of an access token.
    CheckSource {
        /// The log of revocations in memory.
        Log = "log",
        /// The cache.
        Cache = "cache",
        /// The database.
        Database = "database",
    }
);

label_values!(
    /// What a call to the cache does.
    CacheAccess {
        /// It reads.
        Read = "read",
        /// It writes.
        Write = "write",
    }
);

label_values!(
    /// The outcome of a login.
    LoginOutcome {
        /// A session was opened.
        Succeeded = "succeeded",
        /// The credentials were wrong, or the login was not allowed.
        Refused = "refused",
        /// The database was unavailable.
        Unavailable = "unavailable",
    }
);

label_values!(
    /// The outcome of an attempt to deliver an email.
    EmailOutcome {
        /// The mail server accepted it.
        Delivered = "delivered",
        /// It failed and will be retried.
        Deferred = "deferred",
        /// The mail server refused it permanently.
        Refused = "refused",
        /// It failed, and the email is too old to be retried.
        GivenUp = "given_up",
        /// The link in the email had expired.
        Expired = "expired",
        /// Its recipient was sent too many, so it was not queued.
        Dropped = "dropped",
    }
);

impl Counters {
    /// Registers every metric under its name.
    fn register(&self, registry: &mut Registry) {
        registry.register("refreshes", "Refreshes by outcome", self.refreshes.clone());
        registry.register("checks", "Checks of access tokens by the source that decided them", self.checks.clone());
        registry.register("logins", "Logins by outcome", self.logins.clone());
        registry.register("limited", "Attempts refused by a rate limit", self.limited.clone());
        registry.register("revocations", "Sessions revoked", self.revocations.clone());
        let refused = self.connections_refused.clone();
        registry.register("connections_refused", "Connections refused because their address has too many", refused);
        registry.register("rotation_batch", "Refresh tokens rotated in one transaction", self.batches.clone());
        registry.register("http_requests", "HTTP requests by method, route and status", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to the head of its response",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register("emails", "Attempts to deliver an email by outcome", self.emails.clone());
        registry.register("emails_waiting", "Emails waiting in the outbox", self.emails_waiting.clone());
        registry.register("emails_failed", "Emails given up in the last two weeks", self.emails_failed.clone());
        let oldest = self.emails_oldest.clone();
        registry.register_with_unit("emails_oldest", "Age of the oldest email that waits", Unit::Seconds, oldest);
        let age = self.log_age.clone();
        registry.register_with_unit("revocation_log_age", "Time since revocations were read", Unit::Seconds, age);
        let skew = self.clock_skew.clone();
        registry.register_with_unit("clock_skew", "Difference from the database's clock", Unit::Seconds, skew);
        let build = [("version", env!("CARGO_PKG_VERSION")), ("commit", env!("BUILD_COMMIT"))];
        registry.register("build", "The build that runs", Info::new(build));
        registry.register("cache_available", "Whether the cache is available: 1 or 0", self.cache_available.clone());
        registry.register("cache_faults", "Times at which calls to the cache were given up", self.cache_faults.clone());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Creates metrics that are all zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("keyturn");
        let counters = Counters {
            refreshes: Family::default(),
            checks: Family::default(),
            logins: Family::default(),
            limited: Family::default(),
            limited_by_name: Mutex::default(),
            revocations: Counter::default(),
            connections_refused: Counter::default(),
            batches: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            requests: Family::default(),
            request_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            emails: Family::default(),
            emails_waiting: Gauge::default(),
            emails_failed: Gauge::default(),
            emails_oldest: Seconds::default(),
            log_age: Seconds::default(),
            clock_skew: Seconds::default(),
            started: unix_time(),
            cache_available: Gauge::default(),
            cache_faults: Family::default(),
            registry: Registry::default(),
        };
        counters.register(&mut registry);
        Self { counters: Arc::new(Counters { registry, ..counters }) }
    }

    /// Counts a refresh.
    pub fn refreshed(&self, outcome: RefreshOutcome) {
        self.counters.refreshes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Counts that the circuit breaker of the cache's reads or writes opened.
    pub fn cache_breaker_opened(&self, access: CacheAccess) {
        self.counters.cache_faults.get_or_create(&[("access", access)]).inc();
    }

    /// Counts a check of an access token.
    pub fn checked(&self, source: CheckSource) {
        self.counters.checks.get_or_create(&[("source", source)]).inc();
    }

    /// Counts a login.
    pub fn logged_in(&self, outcome: LoginOutcome) {
        self.counters.logins.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Counts an attempt that the rate limit with this name refused.
    pub fn limited(&self, limit: &'static str) {
        self.counters.limited.get_or_create(&[("limit", limit)]).inc();
        let mut by_name = self.counters.limited_by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let total = by_name.entry(limit).or_default();
        *total = total.saturating_add(1);
    }

    /// Counts revoked sessions.
    pub fn revoked(&self, sessions: usize) {
        self.counters.revocations.inc_by(u64::try_from(sessions).unwrap_or(u64::MAX));
    }

    /// Counts a connection that was refused because its address has too many.
    pub fn connection_refused(&self) {
        self.counters.connections_refused.inc();
    }

    /// Records how many refresh tokens one transaction rotated.
    pub fn rotation_batch(&self, rotations: usize) {
        self.counters.batches.observe(f64::from(u32::try_from(rotations).unwrap_or(u32::MAX)));
    }

    /// Counts an attempt to deliver an email.
    pub fn email_attempted(&self, outcome: EmailOutcome) {
        self.counters.emails.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Sets how many emails of all servers are waiting, for how long the oldest one has, and how many were given up.
    pub fn set_outbox(&self, waiting: i64, oldest: Duration, failed: i64) {
        self.counters.emails_oldest.set(oldest.as_secs_f64());
        self.counters.emails_waiting.set(waiting);
        self.counters.emails_failed.set(failed);
    }

    /// Counts an HTTP request and records the time until its response.
    pub fn request_completed(&self, method: &str, route: &str, status: u16, duration: Duration) {
        let request = Request { method: method.to_owned(), route: route.to_owned(), status };
        self.counters.requests.get_or_create(&request).inc();
        self.counters.request_seconds.observe(duration.as_secs_f64());
    }

    /// Returns the numbers of logins and refreshes by outcome, and of refusals by limit, without those that are zero.
    /// The names are such as `login.succeeded`, `refresh.rotated` and `limit.login-account`.
    pub fn totals(&self) -> Vec<(String, u64)> {
        let logins = LoginOutcome::ALL.iter().filter_map(|outcome| {
            let total = self.counters.logins.get(&[("outcome", *outcome)])?.get();
            Some((format!("login.{}", outcome.name()), total))
        });
        let refreshes = RefreshOutcome::ALL.iter().filter_map(|outcome| {
            let total = self.counters.refreshes.get(&[("outcome", *outcome)])?.get();
            Some((format!("refresh.{}", outcome.name()), total))
        });
        let limited = self.counters.limited_by_name.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let limited = limited.into_iter().map(|(name, total)| (format!("limit.{name}"), total));
        logins.chain(refreshes).chain(limited).collect()
    }

    /// Returns all metrics in the OpenMetrics text format.
    pub fn encode(&self, observed: Observed) -> String {
        self.counters.cache_available.set(i64::from(observed.cache_available));
        self.counters.log_age.set(observed.log_age.as_secs_f64());
        self.counters.clock_skew.set(observed.clock_skew.as_secs_f64());
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode_registry(&mut text, &self.counters.registry);
        process::encode(&mut text, self.counters.started);
        let _ = encode_eof(&mut text);
        text
    }
}

fn unix_time() -> f64 {
    #[expect(clippy::disallowed_methods, reason = "nobody decides anything by when the process began")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
