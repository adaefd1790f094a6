//! Prints the output of commands. Whoever reads it may stop, as in `keyturn user list | head`: then `say!` returns an
//! error, which ends the command, and [`super::main`] reports success.

use std::error::Error;
use std::fmt;
use std::io::{self, Write as _};

use serde::Serialize;

/// Prints a line on standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::print(format_args!($($text)*)) };
}

/// Prints a line on standard error, if somebody reads it.
macro_rules! say_error {
    ($($text:tt)*) => { $crate::cli::output::print_error(format_args!($($text)*)) };
}

pub(crate) use {say, say_error};

/// The form in which a command prints what it has found or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Text for people.
    Text,
    /// JSON for programs.
    Json,
}

impl Form {
    /// Prints `text`, or `value` as JSON on one line.
    ///
    /// # Errors
    /// Nobody reads it any more.
    pub(super) fn say(self, value: &impl Serialize, text: fmt::Arguments<'_>) -> io::Result<()> {
        match self {
            Self::Text => print(text),
            Self::Json => say!("{}", to_json(value)?),
        }
    }
}

/// Returns a value as JSON on one line.
pub(super) fn to_json(value: &impl Serialize) -> io::Result<String> {
    serde_json::to_string(value).map_err(io::Error::other)
}

/// Prints a line on standard output.
///
/// # Errors
/// Nobody reads it any more.
pub(super) fn print(line: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Prints a line on standard error, if somebody reads it.
pub(super) fn print_error(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Returns whether a command ended because nobody reads its output any more, which is no failure.
pub(super) fn is_unread(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
