//! The keys that sign access tokens. The server generates them, stores them encrypted in the database and publishes
//! their public halves as a JWKS.

pub mod key_ring;
pub mod low_s;
pub mod signing_key;
mod store;

pub use key_ring::KeyRing;
pub use signing_key::{SigningKey, VerifyingKey};
