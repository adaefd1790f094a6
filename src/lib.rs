//! keyturn: an authentication server that issues access and refresh tokens, with sessions that can be listed and
//! revoked at any time.
//!
//! This page is the map of the source. `docs/architecture.md` describes the same at length, with the data model, the
//! background tasks, and what holds when Redis or the database is unavailable.
//!
//! # Rooms
//!
//! Each folder or file of `src/` is a room: one subject with its rules, and with its queries in a `store.rs`.
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`cli`] | the command line: `serve`, and the commands of operators |
//! | [`app`] | the server, assembled: opens database, cache and keys, starts background tasks, serves |
//! | [`api`] | every route: handlers, extractors, JSON, refusals as problem details, OpenAPI |
//! | [`pages`] | the HTML pages: those that links in emails lead to, the first page, the API explorer |
//! | [`http`] | HTTP without rules: connections, bodies, problem details, cookies, client addresses, pagination |
//! | [`admin`] | everything that operators do, for the API and the command line alike |
//! | [`oauth`] | the standard endpoints for backends (OAuth 2.0) as operations without HTTP |
//! | [`accounts`] | registration, logins, profiles, passwords, email addresses, recovery, import and export |
//! | [`mfa`] | the second factor: TOTP, recovery codes, challenges, trusted devices |
//! | [`throttle`] | rate limits, and delays after failed passwords and codes |
//! | [`passwords`] | password rules, hashing with Argon2id, imported hashes |
//! | [`sessions`] | sessions and their refresh tokens: open, refresh, check, list, revoke |
//! | [`mail`] | emails: their templates, the outbox, the delivery |
//! | [`dpop`] | proofs that a client holds a key (RFC 9449), each accepted once by all servers |
//! | [`tokens`] | access tokens (JWT), refresh tokens, and opaque tokens for links and challenges |
//! | [`keys`] | signing keys, sealed in the database and opened in a key ring |
//! | [`revocations`] | the log of revocations and its reader |
//! | [`audit`] | the append-only audit log |
//! | [`retention`] | the schedule by which each room deletes its old rows |
//! | [`clients`] | registered clients: their secrets, scopes and audiences |
//! | [`devices`] | the devices behind user agents, the places and networks behind IP addresses |
//! | [`cache`] | session entries, revocation marks and rate limits, in the process or in Redis |
//! | [`db`] | connections to SQLite or Postgres, schema, migrations |
//! | [`config`] | settings, parsed once |
//! | [`texts`] | texts for people in their languages: the catalogues, and the choice of a language |
//! | [`secret`] | the master secret and the keys derived from it |
//! | [`random`] | the source of randomness and of ids |
//! | [`clock`] | the time, which tests can set |
//! | [`metrics`] | counters and histograms for Prometheus |
//! | [`types`] | ids, times, roles, email addresses and other values that every room uses |
//!
//! # Who may use whom
//!
//! Left may use right, never back; rooms in braces do not use each other:
//!
//! ```text
//! cli → app → api → pages → http → admin → oauth → accounts → {mfa, throttle, passwords} → sessions → mail → dpop
//!     → tokens → keys → {revocations, audit, retention} → clients → devices → cache → db → config → texts → secret
//!     → random → clock → {metrics, types}
//! ```
//!
//! Only [`api`], [`pages`], [`http`], [`app`] and [`cli`] know actix, only [`db`] and stores know Diesel. A store is
//! private to its folder, and each table has one room that writes it. A handler parses, calls one operation and
//! answers; an operation knows neither HTTP nor SQL. `tests/architecture` checks all of this.
//!
//! # A login
//!
//! 1. The handler (`api/login.rs`) counts the attempt by IP address ([`throttle::Throttle::count_ip`]), parses the
//!    email address and calls [`accounts::Logins::login`].
//! 2. That reads the account and what it knows of the device and network, and has the attempt admitted
//!    ([`throttle::Throttle::admit`]): after too many failures it is refused before any work is done.
//! 3. The password is compared with the account's hash on a thread of the [`passwords::Hasher`]. Without an account
//!    this takes as long. A wrong password is counted and audited.
//! 4. One transaction locks the account, on the condition that it still has that hash and is not disabled, stores a
//!    newer hash if the parameters have changed, and resets the count of failures. If the account has a second factor
//!    and does not trust the device, a challenge ([`mfa`]) ends it here: the client completes the login with a code
//!    ([`accounts::Logins::complete`]), and steps 5 and 6 follow then.
//! 5. The same transaction records the login and inserts the session's row (`PreparedSession::insert`)
//!    with the digest of its first refresh token. It revokes the sessions that exceed the account's limit, and queues
//!    an email if the login is unusual.
//! 6. After the commit [`sessions::Sessions::finish_login`] puts the session's [`sessions::SessionSnapshot`] into the
//!    [`cache`], signs the access token ([`tokens::access`]) and returns both tokens.
//!
//! # A refresh
//!
//! 1. The handler (`api/refresh.rs`) takes the token from the body or the cookie and checks its MAC without I/O
//!    ([`sessions::Sessions::parse_refresh_token`]): a forged token is refused here. It counts the attempt by session
//!    and by IP address and calls [`sessions::Sessions::refresh`].
//! 2. That derives the successor from the token and a fresh salt ([`tokens::refresh::RefreshToken::successor`]) and
//!    queues a rotation with the [`sessions::Rotator`], which carries out all that wait together: a conditional
//!    `UPDATE` that changes a row only if the token is current and neither the session nor the account has ended.
//! 3. If the row was rotated, the new snapshot goes to the cache, with a mark from when on the former access token is
//!    superseded, and the client gets the new pair.
//! 4. If not, the row is read and the token judged. A repetition within the replay window gets the same successor,
//!    and so does a recovery. Any other token that was replaced counts as stolen.
//!
//! # A stolen token
//!
//! 1. A refresh token that was replaced is used again. One transaction marks the session's row as revoked and appends
//!    an entry to the log of revocations ([`sessions::Sessions::revoke_in`], [`revocations::append`]), writes the
//!    audit log and queues an email to the owner.
//! 2. After the commit [`sessions::Sessions::publish`] adds the entry to this server's copy of the log
//!    ([`revocations::RevocationLog`]) and marks the session in the cache ([`revocations::RevocationLog::mark`]). Then
//!    the refresh is refused.
//! 3. From then on [`sessions::Sessions::check`] refuses the session's access tokens. It verifies the token's
//!    signature and claims, then asks the log in memory, then the cache (mark, token's mark and snapshot in one round
//!    trip), and the database where these give no answer.
//! 4. Other servers see the mark in the cache that they share, or read the log ([`revocations::LogReader`]) twice a
//!    second.

#![allow(rustdoc::private_intra_doc_links, reason = "this page is the map of the whole source")]

mod accounts;
mod admin;
mod api;
pub mod app;
pub mod audit;
pub mod cache;
pub mod cli;
mod clients;
pub mod clock;
pub mod config;
pub mod db;
pub mod devices;
mod dpop;
mod http;
pub mod keys;
pub mod mail;
pub mod metrics;
mod mfa;
mod oauth;
mod pages;
mod passwords;
pub mod random;
mod retention;
mod revocations;
pub mod secret;
mod sessions;
pub mod texts;
mod throttle;
pub mod tokens;
pub mod types;
