//! Shows how far a long command is: with a bar on a terminal, with a line now and then elsewhere.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::say_error;

/// Lines of input between two lines of progress, where there is no bar.
const LINES_PER_REPORT: u64 = 10_000;

/// Progress through the lines of a file, on standard error.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    /// Lines read when progress was last reported.
    reported: u64,
}

impl Progress {
    /// Creates the progress through a file of `size` bytes, if that is known.
    pub(super) fn new(size: Option<u64>) -> Self {
        let bar = io::stderr().is_terminal().then(|| bar(size));
        Self { bar, started: Instant::now(), reported: 0 }
    }

    /// Shows how far the input is read.
    pub(super) fn advance(&mut self, lines: u64, bytes: u64, rejected: u64) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = lines.saturating_mul(1000).checked_div(millis).unwrap_or(0);
        let state = format!("{lines} lines, {rate} a second, {rejected} rejected");
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            bar.set_message(state);
        } else if lines.saturating_sub(self.reported) >= LINES_PER_REPORT {
            self.reported = lines;
            say_error!("{state}");
        }
    }

    /// Prints a line above the bar.
    pub(super) fn print(&self, line: fmt::Arguments<'_>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say_error!("{line}")),
            None => say_error!("{line}"),
        }
    }

    /// Leaves the bar on the terminal as it is.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

fn bar(size: Option<u64>) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{bar:30} {percent:>3} %  {msg}  {eta} to go"),
        None => (ProgressBar::no_length(), "{spinner} {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
