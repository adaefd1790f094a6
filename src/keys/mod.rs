//! The keys that access tokens are signed with: made by the server, kept sealed in the database, published as JWKS.

pub mod http;
pub mod jwks;
pub mod ring;
pub mod signing_key;
mod store;

pub use ring::Ring;
pub use signing_key::{SigningKey, VerifyingKey};
