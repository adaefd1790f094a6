//! Verifies access tokens of keyturn: form, signature and claims, and whether session, token or key was revoked.
//!
//! [`Verifier::verify`] does no I/O. What it knows of keys and revocations comes from
//! `client::LiveVerifier` (feature `client`), which fetches the keys and follows the feed, or from
//! whatever calls [`Verifier::set_keys`] and [`Verifier::apply`].
//!
//! `docs/verifiers.md` of keyturn is the specification, which all verifiers share, and `tests/verifiers/corpus.json`
//! the cases that all of them pass.

mod claims;
mod demand;
pub mod dpop;
mod feed;
mod id;
mod json;
mod keys;
mod moment;
#[cfg(any(feature = "actix", feature = "tower"))]
mod presentation;
mod refusal;
mod remembered;
mod revoked;
mod token;
mod verifier;

#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "tower")]
pub mod tower;

pub use claims::{Act, Claims, Confirmation};
pub use demand::Demand;
pub use feed::{Event, MalformedEvent};
pub use id::Id;
pub use keys::{Algorithm, Key, Keys, MalformedKeys, has_lower_s};
pub use moment::Moment;
pub use refusal::Refusal;
pub use token::{Rules, VerifiedToken, VerifyingKey};
pub use verifier::{Verifier, WhenStale};
