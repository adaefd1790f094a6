//! The program `keyturn`; its command line is in `keyturn::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyturn::cli::main()
}
