//! keyturn: access and refresh tokens, with sessions that can be seen and ended at once.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::as_conversions)]

pub mod accounts;
pub mod app;
pub mod audit;
pub mod cache;
pub mod clock;
pub mod config;
pub mod db;
pub mod http;
pub mod keys;
pub mod label;
pub mod limits;
pub mod metrics;
pub mod random;
pub mod revocations;
pub mod routes;
pub mod secret;
pub mod sessions;
pub mod tokens;
