//! What is handed out: access tokens, which anybody can verify, and refresh tokens, which only keyturn can.

pub mod access;
pub mod refresh;
pub mod verified;
