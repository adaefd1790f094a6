//! The log of a server.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Error;

/// A running log, whose level can be changed.
pub(super) struct Log {
    change: Box<dyn Fn(EnvFilter) -> Result<(), Error> + Send>,
}

impl Log {
    /// Starts the log at a level of `LOG`: for people on a terminal, as JSON elsewhere.
    pub(super) fn start(level: &str) -> Self {
        let log = tracing_subscriber::fmt().with_env_filter(filter(level)).with_writer(stderr);
        if stderr().is_terminal() {
            let log = log.with_target(false).with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            Self { change: Box::new(move |filter| handle.reload(filter)) }
        } else {
            let log = log.json().flatten_event(true).with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            Self { change: Box::new(move |filter| handle.reload(filter)) }
        }
    }

    /// Changes the level.
    ///
    /// # Errors
    /// The log has ended.
    pub(super) fn set_level(&self, level: &str) -> Result<(), Error> {
        (self.change)(filter(level))
    }
}

/// Returns the filter of a level, which was checked with the configuration.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"))
}
