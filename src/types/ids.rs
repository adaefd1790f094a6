//! Ids: UUIDs (RFC 9562), with a type for each kind of id.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// The id of an account: `sub` of its access tokens.
    UserId
);
id!(
    /// The id of a session: `sid` of its access tokens.
    SessionId
);
id!(
    /// The id of an access token: its `jti` (RFC 7519 §4.1.7).
    Jti
);
id!(
    /// The id of a signing key: `kid` of the access tokens that it signs.
    KeyId
);
id!(
    /// The id of a registered client: `client_id` (RFC 6749 §2.2).
    ClientId
);
id!(
    /// The id of a trusted device, which logs in without a second factor.
    TrustedDeviceId
);
id!(
    /// The id of an email in the outbox.
    EmailId
);
id!(
    /// The id of an entry of the audit log. It begins with the time of the entry, so ids sort by time.
    AuditId
);
