//! The server as its clients see it: every test speaks HTTP to a real server, on both backends.

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

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod account_languages;
mod account_limits;
mod account_pages;
mod accounts;
mod addresses;
mod admin;
mod alerts;
mod apache;
mod at_rest;
mod audit;
mod bad_heads;
mod brand;
mod browser;
mod browser_sessions;
mod cache_entries;
mod cache_faults;
mod clients;
mod clocks;
mod connections;
mod console;
mod console_acting;
mod console_changes;
mod console_lists;
mod console_pages;
mod console_server;
mod conventions;
mod cookies;
mod database_down;
mod degraded;
mod deletion;
mod devices;
mod dpop;
mod dpop_nonces;
mod dpop_proofs;
mod dpop_proxies;
mod dpop_replay;
mod echoes;
mod email_languages;
mod explorer;
mod export;
mod failover;
mod feed;
mod first_proof;
mod forward_auth;
mod impersonation;
mod introspection;
mod invitations;
mod key_revocation;
mod keys;
mod limits;
mod lockout;
mod log;
mod mail;
mod mail_faults;
mod mail_limits;
mod metrics;
mod mfa;
mod mfa_guesses;
mod mfa_step_up;
mod names;
mod new_passwords;
mod nul;
mod oauth_libraries;
mod oauth_refusals;
mod oauth_token;
mod openapi;
mod openapi_examples;
mod openapi_tools;
mod origins;
mod page_languages;
mod pages;
mod people;
mod people_in_browsers;
mod poolers;
mod postgres_urls;
mod preflights;
mod races;
mod readiness;
mod recovery;
mod redis_layouts;
mod refresh;
mod refused_refreshes;
mod repeated_revocations;
mod retention;
mod revocation_lifetime;
mod rotation;
mod secrets;
mod sent_again;
mod session_limit;
mod sessions;
mod setup;
mod statements;
mod step_up;
mod strangers;
mod strays;
mod strictness;
mod stuck_connections;
mod tls;
mod token_libraries;
mod token_revocation;
mod tokens;
mod trusted_devices;
mod unreadable;
mod user_search;
mod verified_email;
