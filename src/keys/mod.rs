//! The keys that sign access tokens. The servers generate them, store them encrypted in the database, publish their
//! public halves as a JWKS, and replace them in time.

pub mod keeper;
pub mod key_ring;
pub mod lifecycle;
mod low_s;
pub mod schedule;
pub(crate) mod secrets;
pub mod signing_key;
pub mod state;
mod store;

pub use keeper::KeyKeeper;
pub use key_ring::{Key, KeyRing};
pub use lifecycle::{KeyStatus, Keys};
pub use schedule::KeyPolicy;
pub use signing_key::{SigningKey, VerifyingKey};
pub use state::KeyState;
