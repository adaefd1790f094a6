//! What is handed out: access tokens, which anybody can verify, refresh tokens, which only keyturn can, and the one-time
//! tokens of links in mails.

pub mod access;
pub mod one_time;
pub mod refresh;
pub mod verified;
