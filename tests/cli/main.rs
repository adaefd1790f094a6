//! The program as operators use it: its command line, its files, its log and its end.

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

mod clients;
mod commands;
mod deployments;
mod emails;
mod hashes;
mod health;
mod installations;
mod json;
mod keys;
mod monitoring;
mod operating;
mod recipes;
mod second_factors;
mod service;
mod serving;
mod signals;
mod testing;
mod transfer;
mod users;

use std::io::Write as _;
use std::process::Stdio;

use support::Deployment;
use support::process::command;

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    /// Without the line that names the database.
    pub stderr: String,
    /// The database that the command says it uses.
    pub database: Option<String>,
}

/// Runs `keyturn` with these arguments to its end, with `input` on its standard input.
pub fn run_with_input(deployment: &Deployment, settings: &[(&str, &str)], arguments: &[&str], input: &str) -> Ran {
    let mut command = command(deployment, settings);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that needs no input may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let mut stderr = text(output.stderr);
    let mut database = None;
    if let Some(rest) = stderr.strip_prefix("keyturn uses the database ") {
        let (named, rest) = rest.split_once('\n').unwrap();
        (database, stderr) = (Some(named.to_owned()), rest.to_owned());
    }
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr, database }
}

pub fn run(deployment: &Deployment, arguments: &[&str]) -> Ran {
    run_with_input(deployment, &[], arguments, "")
}

impl Ran {
    /// Asserts success, and gives what was printed.
    #[track_caller]
    pub fn printed(self) -> String {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// Asserts failure, with nothing printed but an error, and gives that.
    #[track_caller]
    pub fn refused(self) -> String {
        assert_eq!((self.code, &*self.stdout), (Some(1), ""), "{self:?}");
        assert!(self.stderr.starts_with("keyturn: "), "{self:?}");
        self.stderr
    }
}
