//! keyturn: access and refresh tokens, with sessions that can be seen and ended at once.
//!
//! This page is the map of the source. `docs/architecture.md` tells the same at length, with the data model and what
//! holds when Redis or the database is away.
//!
//! # Rooms
//!
//! | room | what it is for |
//! | --- | --- |
//! | `main.rs`, `cli/` | the command line |
//! | [`app`] | opens database, cache and keys, starts what works in the background, and serves |
//! | [`routes`] | every route of the server |
//! | `*/http.rs` | the handlers of a room: parse, call, answer |
//! | [`http`] | what handlers share: who calls and from where, bodies, cookies, refusals, health, OpenAPI |
//! | [`admin`] | what operators do: accounts, roles, acting for a person, figures |
//! | [`sweep`] | removing what was kept for long enough, on one server at a time |
//! | [`accounts`] | who may log in: register, login, profile, password, the threads that hash, import and export |
//! | [`sessions`] | one login on one device and its chain of refresh tokens: open, refresh, check, list, revoke |
//! | [`tokens`] | what is handed out: access tokens (JWT), refresh tokens (opaque), one-time tokens in links |
//! | [`keys`] | signing keys: sealed in the database, opened in a ring, published as JWKS |
//! | [`revocations`] | the log of what was ended, and its reader |
//! | [`limits`] | who may try how often |
//! | [`audit`] | what happened, for people |
//! | [`pages`] | the pages that links in mails lead to |
//! | [`mail`] | letters to people: posted in the transaction that they tell of, delivered after it |
//! | [`devices`] | the device behind a user agent, the place and the network behind an address |
//! | [`cache`] | session entries and marks, in the process or in Redis |
//! | [`db`] | connections to SQLite or Postgres, schema, migrations |
//! | [`config`] | settings, parsed once into types that cannot be wrong |
//! | [`secret`], [`random`], [`clock`], [`client`], [`label`], [`metrics`] | what all the others are made with |
//!
//! # Who may use whom
//!
//! Left may use right, never back:
//!
//! ```text
//! cli → app → routes → http/openapi → */http → http → {admin, sweep} → accounts → sessions → tokens → keys
//!     → {revocations, limits, audit, mail, pages} → devices → cache → db → config → secret → random
//!     → {clock, client, label, metrics}
//! ```
//!
//! A `store.rs` is private to its folder, and only it and `db/` speak SQL. A handler knows no rule, and an operation
//! knows neither HTTP nor SQL. One verb names handler, operation and query. `tests/architecture.rs` checks what of this
//! can be checked.
//!
//! # A login
//!
//! [`accounts::http::login`] counts the attempt of its address ([`limits`]) and calls [`accounts::Accounts::login`], which
//! reads the account, asks whether so many guesses from there are let in ([`accounts::lockout`]), compares the password on a thread of the [`accounts::hasher::Hasher`] (for an unknown address it does the
//! same work for nothing), and prepares a session ([`sessions::Sessions::opening`]). One transaction notes the login
//! and inserts the session's row. Then [`sessions::Sessions::opened`] puts the session's [`sessions::Standing`] into
//! the [`cache`] and signs the access token.
//!
//! # A refresh
//!
//! [`sessions::http::refresh`] reads the token ([`tokens::refresh::RefreshToken::parse`]; a forged one ends here,
//! without I/O), counts the attempt and calls [`sessions::Sessions::refresh`]. That derives the successor and hands a
//! rotation to the [`sessions::Rotator`], which carries it out together with all others that wait: one conditional
//! `UPDATE` each, or for all. If the token was current, the new standing goes to the cache and the pair to the client.
//! If not, the row is read and the token judged: a repetition gets the same successor again, and a token that is older
//! is theft.
//!
//! # A stolen token
//!
//! A refresh token older than its session's parent, or the parent without an excuse, ends the session: in one
//! transaction the row is marked and an entry appended to the log ([`revocations::append`]). Then this server's copy of
//! the log ([`revocations::Log`]) learns of it, and the cache gets a mark. From then on [`sessions::Sessions::check`]
//! refuses the session's access tokens: it asks the log in memory, then mark, token mark and entry in one round trip to
//! the cache, and where these do not answer, the database. Other servers see the mark, or read the log
//! ([`revocations::Reader`]) twice a second.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::as_conversions)]

pub mod accounts;
pub mod admin;
pub mod app;
pub mod audit;
pub mod cache;
pub mod client;
pub mod clock;
pub mod config;
pub mod db;
pub mod devices;
pub mod http;
pub mod keys;
pub mod label;
pub mod limits;
pub mod mail;
pub mod metrics;
pub mod pages;
pub mod random;
pub mod revocations;
pub mod routes;
pub mod secret;
pub mod sessions;
pub mod sweep;
pub mod tokens;
