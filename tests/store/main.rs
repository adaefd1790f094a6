//! The database as the stores see it: both engines migrate alike, keep every value as it was, and fail alike.

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

mod migrations;
mod postgres;
mod values;

use std::sync::Arc;

use keyturn::db::{Channel, Conn, migrate};

use support::Deployment;

/// A connection to a database that has no tables yet.
fn empty(deployment: &Arc<Deployment>) -> Channel {
    std::fs::create_dir_all(deployment.data_dir()).unwrap();
    deployment.conn().into()
}

/// A connection to a database with all tables.
fn migrated(deployment: &Arc<Deployment>) -> Conn {
    let mut channel = empty(deployment);
    migrate::apply(&mut channel, |_| Ok(())).unwrap();
    channel.into_conn()
}
