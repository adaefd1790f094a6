//! What happened, for people: one closed set of events, each written to the log under the target `audit`.

use crate::db::types::{SessionId, UserId};

/// Something that an operator or the account's owner may want to know of later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Registered,
    LoggedIn,
    LoginFailed,
    LoggedOut,
    PasswordChanged,
    SessionsRevoked,
    RefreshRecovered,
    RefreshTokenReused,
    /// A refresh token of a later generation than the database knew was presented: the database has lost commits.
    RefreshFollowed,
}

impl Event {
    const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::LoggedIn => "logged_in",
            Self::LoginFailed => "login_failed",
            Self::LoggedOut => "logged_out",
            Self::PasswordChanged => "password_changed",
            Self::SessionsRevoked => "sessions_revoked",
            Self::RefreshRecovered => "refresh_recovered",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::RefreshFollowed => "refresh_followed",
        }
    }
}

/// Tells of `event`. Never holds an address, a token or a password.
pub fn record(event: Event, user: Option<UserId>, session: Option<SessionId>) {
    let user = user.map(tracing::field::display);
    let session = session.map(tracing::field::display);
    tracing::info!(target: "audit", event = event.name(), user, session);
}
