//! Kinds of sessions.

use serde::Serialize;

/// The kind of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// A login of an app, which has access and refresh tokens.
    App,
    /// A login on this server's pages, whose secret is in a cookie. It ends the sessions that were opened within it.
    Browser,
}

impl SessionKind {
    /// Returns the name, which [`Self::parse`] reads back.
    pub const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Browser => "browser",
        }
    }

    /// Finds the kind with this name. Every other text stands for an app: only what is known to be a browser session
    /// opens pages.
    pub fn parse(name: &str) -> Self {
        if name == Self::Browser.name() { Self::Browser } else { Self::App }
    }
}
