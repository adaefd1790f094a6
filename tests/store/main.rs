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
mod values;

use std::sync::Arc;

use keyturn::db::{Conn, migrate};

use support::Deployment;

/// A connection to a database that has no tables yet.
fn empty(deployment: &Arc<Deployment>) -> Conn {
    std::fs::create_dir_all(deployment.data_dir()).unwrap();
    deployment.conn()
}

/// A connection to a database with all tables.
fn migrated(deployment: &Arc<Deployment>) -> Conn {
    let mut conn = empty(deployment);
    migrate::apply(&mut conn, |_| Ok(())).unwrap();
    conn
}
