//! How far a long command has come: a bar for people on a terminal, a line now and then elsewhere.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::complain;

/// Lines of input from one line of progress to the next, where there is no bar.
const TOLD_EVERY: u64 = 10_000;

/// Progress through the lines of a file, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    /// Lines when progress was last told.
    told: u64,
}

impl Progress {
    /// `size` is that of the file in bytes, where it is known.
    pub fn new(size: Option<u64>) -> Self {
        let bar = io::stderr().is_terminal().then(|| bar(size));
        Self { bar, begun: Instant::now(), told: 0 }
    }

    /// Tells how far the input is read.
    pub fn advance(&mut self, lines: u64, bytes: u64, rejected: u64) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = lines.saturating_mul(1000).checked_div(millis).unwrap_or(0);
        let state = format!("{lines} lines, {rate} a second, {rejected} rejected");
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            bar.set_message(state);
        } else if lines.saturating_sub(self.told) >= TOLD_EVERY {
            self.told = lines;
            complain!("{state}");
        }
    }

    /// Prints a line above the bar.
    pub fn tell(&self, line: fmt::Arguments<'_>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| complain!("{line}")),
            None => complain!("{line}"),
        }
    }

    /// Leaves the bar as it is.
    pub fn finish(&self) {
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
