//! The operations of the standard endpoints for backends (OAuth 2.0), without HTTP.

mod client_credentials;
mod exchange;
mod introspection;
mod revocation;
mod target;

use crate::clients::Clients;
use crate::sessions::Sessions;

pub(crate) use client_credentials::{AuthenticatedByToken, ClientToken, GrantError};
pub(crate) use introspection::ActiveToken;
pub(crate) use revocation::RevokeError;
pub(crate) use target::{TargetError, Wanted};

/// The standard endpoints. Clones share everything.
#[derive(Clone)]
pub(crate) struct OAuth {
    sessions: Sessions,
    clients: Clients,
}

impl OAuth {
    /// Creates the operations from their parts.
    pub(crate) fn new(sessions: Sessions, clients: Clients) -> Self {
        Self { sessions, clients }
    }
}
