//! What commands print. Whoever reads it may stop (`keyturn user list | head`): then `say!` gives an error, which ends
//! the command, and `main` ends in silence.

use std::error::Error;
use std::fmt;
use std::io::{self, Write as _};

/// Prints a line on standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::print(format_args!($($text)*)) };
}

/// Prints a line on standard error, if somebody reads it.
macro_rules! complain {
    ($($text:tt)*) => { $crate::cli::output::print_error(format_args!($($text)*)) };
}

pub(crate) use {complain, say};

pub fn print(line: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

pub fn print_error(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether a command ended because nobody reads its output any more, which is no failure.
pub fn is_unread(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
