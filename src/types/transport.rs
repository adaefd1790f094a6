//! Transports of tokens.

use serde::Deserialize;

/// The way in which a client sends and receives its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// In JSON bodies and the `Authorization` header.
    #[default]
    Bearer,
    /// In cookies that scripts cannot read.
    Cookie,
}

impl Transport {
    /// Returns the name, which [`Self::parse`] reads back.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Cookie => "cookie",
        }
    }

    /// Finds the transport with this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Bearer, Self::Cookie].into_iter().find(|transport| transport.name() == name)
    }
}
