//! The server as its clients see it: every test speaks HTTP to a real server, on both backends.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod admin;
mod alerts;
mod at_rest;
mod audit;
mod conventions;
mod degraded;
mod devices;
mod impersonation;
mod limits;
mod lockout;
mod mail;
mod mfa;
mod openapi;
mod pages;
mod people;
mod races;
mod recovery;
mod redis_layouts;
mod refresh;
mod rotation;
mod session_limit;
mod sessions;
mod statements;
mod step_up;
mod strangers;
mod sweep;
mod tls;
mod tokens;
