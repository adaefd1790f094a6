//! The documentation as its readers use it: every block of commands is carried out, every file is written and used.
//!
//! The word behind a block's language says what becomes of it; see [`page`].

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

mod api;
mod guides;
mod page;
mod quickstarts;
mod readme;
mod terminal;
mod verify;
