//! The command line.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::as_conversions)]
// They panic when nobody reads what they print: see `cli::output`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()) {
        Ok(code) => code,
        Err(error) if cli::output::is_unread(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            cli::output::complain!("keyturn: {error}");
            ExitCode::FAILURE
        }
    }
}
