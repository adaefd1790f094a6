//! The server as its clients see it: every test speaks HTTP to a real server, on both backends.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod at_rest;
mod degraded;
mod races;
mod redis_layouts;
mod refresh;
mod rotation;
mod statements;
mod tls;
