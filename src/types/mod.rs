//! The types that every module uses: ids, names, times and the like. They do not depend on the database, on HTTP or on
//! the configuration.

mod algorithm;
mod amr;
mod email_address;
mod ids;
mod label;
mod language;
mod patch;
mod rate;
mod requester;
mod roles;
mod scopes;
mod session_kind;
pub mod text;
mod thumbprint;
mod timestamp;
mod transport;

pub use algorithm::Algorithm;
pub use amr::Amr;
pub use email_address::{EmailAddress, EmailAddressError, ascii_domain, in_ascii, normalized_prefix};
pub use ids::{AuditId, ClientId, EmailId, Jti, KeyId, SessionId, TrustedDeviceId, UserId};
pub use label::{Label, LabelError};
pub use language::Language;
pub use patch::{Patch, not_null};
pub use rate::Rate;
pub use requester::{MAX_USER_AGENT, Requester};
pub use roles::{ADMIN, Role, Roles, RolesError, USER};
pub use scopes::{Audiences, AudiencesError, Scopes, ScopesError};
pub use session_kind::SessionKind;
pub use thumbprint::KeyThumbprint;
pub use timestamp::{Timestamp, as_millis};
pub use transport::Transport;
