//! The log of a server.

use std::fmt::Debug;
use std::io::{IsTerminal as _, stderr};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Filter, Layer as _, SubscriberExt as _};
use tracing_subscriber::reload::{self, Error, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt};

/// What actix reports as errors and is only what anybody can send: heads that are no HTTP, and connections that break.
/// The modules, and how their messages begin.
const OF_STRANGERS: [(&str, &str); 2] =
    [("actix_http::h1::dispatcher", "stream error"), ("actix_http::h1::decoder", "MAX_BUFFER_SIZE")];

/// A running log, whose level can be changed.
pub(super) struct Log {
    level: Handle<EnvFilter, Registry>,
}

impl Log {
    /// Starts the log at a level of `LOG`: for people on a terminal, as JSON elsewhere.
    pub(super) fn start(level: &str) -> Self {
        let lines = fmt::layer().with_writer(stderr);
        let lines = if stderr().is_terminal() {
            lines.with_target(false).boxed()
        } else {
            lines.json().flatten_event(true).boxed()
        };
        let (filter, level) = reload::Layer::new(filter(level));
        tracing_subscriber::registry().with(filter).with(lines.with_filter(WithoutStrangers)).init();
        Self { level }
    }

    /// Changes the level.
    ///
    /// # Errors
    /// The log has ended.
    pub(super) fn set_level(&self, level: &str) -> Result<(), Error> {
        self.level.reload(filter(level))
    }
}

/// Returns the filter of a level, which was checked with the configuration.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// A filter that hides [`OF_STRANGERS`].
struct WithoutStrangers;

impl<S> Filter<S> for WithoutStrangers {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let module = OF_STRANGERS.iter().find(|(module, _)| *module == event.metadata().target());
        module.is_none_or(|(_, beginning)| {
            let mut message = Message { beginning, is_found: false };
            event.record(&mut message);
            !message.is_found
        })
    }
}

/// A search for a message that begins so.
struct Message {
    beginning: &'static str,
    is_found: bool,
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.is_found |= field.name() == "message" && format!("{value:?}").starts_with(self.beginning);
    }
}
