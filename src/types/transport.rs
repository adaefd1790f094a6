//! Transports of tokens.

use serde::Deserialize;

use super::SessionKind;

/// The way in which a client sends and receives its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// In JSON bodies and the `Authorization` header.
    #[default]
    Bearer,
    /// In cookies that scripts cannot read.
    Cookie,
    /// Not at all: a browser session on this server's own pages has one cookie and no tokens.
    #[serde(skip)]
    Pages,
}

impl Transport {
    /// Returns the name, which [`Self::parse`] reads back.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Cookie => "cookie",
            Self::Pages => "pages",
        }
    }

    /// Returns the kind of the session that a login with this transport opens.
    pub const fn session_kind(self) -> SessionKind {
        match self {
            Self::Bearer | Self::Cookie => SessionKind::App,
            Self::Pages => SessionKind::Browser,
        }
    }

    /// Finds the transport with this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Bearer, Self::Cookie, Self::Pages].into_iter().find(|transport| transport.name() == name)
    }
}
