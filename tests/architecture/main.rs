//! The rules of the house that no compiler checks. A failure prints the rule and each place that breaks it.
//!
//! What the rules speak of stands here once: rooms, their direction, tables and background tasks.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nothing here is a library"
)]

mod direction;
mod documents;
mod doors;
mod language;
mod size;
mod source;
mod tables;
mod tasks;
mod texts;

/// The direction of the rooms: each may use those of the ranks after its own, and none else.
const RANKS: &[&[&str]] = &[
    &["cli"],
    &["app"],
    &["api"],
    &["pages"],
    &["http"],
    &["admin"],
    &["oauth"],
    &["accounts"],
    &["mfa", "throttle", "passwords"],
    &["sessions"],
    &["mail"],
    &["dpop"],
    &["tokens"],
    &["keys"],
    &["revocations", "audit", "retention"],
    &["clients"],
    &["devices"],
    &["cache"],
    &["db"],
    &["config"],
    &["texts"],
    &["secret"],
    &["random"],
    &["clock"],
    &["metrics", "types"],
];

/// The rooms of `src/`, and what each is for.
const ROOMS: &[(&str, &str)] = &[
    ("cli", "the command line: `serve`, and the commands of operators"),
    ("app", "the server, assembled: opens database, cache and keys, starts background tasks, serves"),
    ("api", "every route: handlers, extractors, JSON, refusals as problem details, OpenAPI"),
    ("pages", "the HTML pages: those that links in emails lead to, the first page, the API explorer"),
    ("http", "HTTP without rules: connections, bodies, problem details, cookies, client addresses, pagination"),
    ("admin", "everything that operators do, for the API and the command line alike"),
    ("oauth", "the standard endpoints for backends (OAuth 2.0) as operations without HTTP"),
    ("accounts", "registration, logins, profiles, passwords, email addresses, recovery, import and export"),
    ("mfa", "the second factor: TOTP, recovery codes, challenges, trusted devices"),
    ("throttle", "rate limits, and delays after failed passwords and codes"),
    ("passwords", "password rules, hashing with Argon2id, imported hashes"),
    ("sessions", "sessions and their refresh tokens: open, refresh, check, list, revoke"),
    ("mail", "emails: their templates, the outbox, the delivery"),
    ("dpop", "proofs that a client holds a key (RFC 9449), each accepted once by all servers"),
    ("tokens", "access tokens (JWT), refresh tokens, and opaque tokens for links and challenges"),
    ("keys", "signing keys, sealed in the database and opened in a key ring"),
    ("revocations", "the log of revocations and its reader"),
    ("audit", "the append-only audit log"),
    ("retention", "the schedule by which each room deletes its old rows"),
    ("clients", "registered clients: their secrets, scopes and audiences"),
    ("devices", "the devices behind user agents, the places and networks behind IP addresses"),
    ("cache", "session entries, revocation marks and rate limits, in the process or in Redis"),
    ("db", "connections to SQLite or Postgres, schema, migrations"),
    ("config", "settings, parsed once"),
    ("texts", "texts for people in their languages: the catalogues, and the choice of a language"),
    ("secret", "the master secret and the keys derived from it"),
    ("random", "the source of randomness and of ids"),
    ("clock", "the time, which tests can set"),
    ("metrics", "counters and histograms for Prometheus"),
    ("types", "ids, times, roles, email addresses and other values that every room uses"),
];

/// The tables of the database, each with the only room that writes it.
const TABLES: &[(&str, &str)] = &[
    ("users", "accounts"),
    ("email_changes", "accounts"),
    ("setup_codes", "accounts"),
    ("sessions", "sessions"),
    ("signing_keys", "keys"),
    ("secrets", "keys"),
    ("revocations", "revocations"),
    ("audit_log", "audit"),
    ("opaque_tokens", "tokens"),
    ("dpop_proofs", "dpop"),
    ("outbox", "mail"),
    ("email_counts", "mail"),
    ("totp_secrets", "mfa"),
    ("recovery_codes", "mfa"),
    ("mfa_challenges", "mfa"),
    ("trusted_devices", "mfa"),
    ("login_failures", "throttle"),
    ("hourly_counts", "admin"),
    ("leases", "retention"),
    ("clients", "clients"),
    ("client_secrets", "clients"),
    ("write_probes", "db"),
];

/// A task or thread that works in the background for as long as the server lives.
struct Task {
    name: &'static str,
    room: &'static str,
    /// Where it is started: the file below `src/`, and the code.
    file: &'static str,
    spawn: &'static str,
}

const TASKS: &[Task] = &[
    Task { name: "signals", room: "cli", file: "cli/signals.rs", spawn: "spawn(started)" },
    Task { name: "watchdog", room: "cli", file: "cli/service.rs", spawn: "spawn(feed_watchdog(app," },
    Task {
        name: "rotation",
        room: "sessions",
        file: "sessions/rotation/writers.rs",
        spawn: "spawn(move || writer.run())",
    },
    Task { name: "connections", room: "db", file: "db/pool.rs", spawn: "spawn(move || carry_out(&queue, &pool))" },
    Task { name: "hashers", room: "passwords", file: "passwords/hasher.rs", spawn: "spawn(move || work(&mut" },
    Task { name: "cache writer", room: "cache", file: "app/mod.rs", spawn: "spawn(base.cache.clone().run())" },
    Task { name: "listener", room: "db", file: "db/listen.rs", spawn: ".spawn(move || {" },
    Task { name: "log reader", room: "revocations", file: "app/mod.rs", spawn: "spawn(reader.run())" },
    Task { name: "feed", room: "revocations", file: "app/mod.rs", spawn: "spawn(app.feed.clone().run())" },
    Task { name: "mail delivery", room: "mail", file: "app/mod.rs", spawn: "spawn(delivery.run())" },
    Task { name: "throttle", room: "throttle", file: "app/mod.rs", spawn: "spawn(app.throttle.clone().run())" },
    Task { name: "retention", room: "retention", file: "app/mod.rs", spawn: "spawn(app.retention.clone().run())" },
    Task { name: "key follower", room: "keys", file: "app/mod.rs", spawn: "spawn(base.keys.clone().run())" },
    Task { name: "secret change", room: "admin", file: "app/mod.rs", spawn: "spawn(app.secret_change.clone().run())" },
    Task { name: "stats recorder", room: "admin", file: "app/mod.rs", spawn: "spawn(recorder.clone().run())" },
    Task {
        name: "Redis probe",
        room: "cache",
        file: "cache/redis/lane.rs",
        spawn: "spawn(Arc::clone(self).probe(pause))",
    },
];

/// Fails with the rule and everything that breaks it.
#[track_caller]
fn assert_kept(rule: &str, broken: impl IntoIterator<Item = String>) {
    let broken: Vec<String> = broken.into_iter().collect();
    assert!(broken.is_empty(), "\n{rule}\nBroken {} times:\n  {}\n", broken.len(), broken.join("\n  "));
}
