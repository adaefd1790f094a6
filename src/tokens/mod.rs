//! Tokens: access tokens, which anybody can verify, refresh tokens, which only keyturn can verify, and opaque tokens
//! for all other purposes.

pub mod access;
pub mod client;
pub mod opaque;
pub mod refresh;
pub mod verified;
