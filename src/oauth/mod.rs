//! The operations of the standard endpoints for backends (OAuth 2.0), without HTTP.

mod introspection;

use crate::sessions::Sessions;

pub(crate) use introspection::ActiveToken;

/// The standard endpoints. Clones share everything.
#[derive(Clone)]
pub(crate) struct OAuth {
    sessions: Sessions,
}

impl OAuth {
    /// Creates the operations from their parts.
    pub(crate) fn new(sessions: Sessions) -> Self {
        Self { sessions }
    }
}
