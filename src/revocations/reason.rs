//! The reasons of revocations.

/// Declares the reasons, each with its name in the database and the API.
macro_rules! reasons {
    ($($(#[$meta:meta])+ $reason:ident = $name:literal;)+) => {
        /// The reason why a session or an access token was revoked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Reason { $($(#[$meta])+ $reason),+ }

        impl Reason {
            /// Every reason.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$reason),+];

            /// Returns the name in the database and the API.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$reason => $name),+ }
            }

            /// Finds the reason with this name. One that this version does not know counts as an operator's.
            pub(crate) fn parse(name: &str) -> Self {
                match name {
                    $($name => Self::$reason,)+
                    _ => Self::EndedByOperator,
                }
            }
        }
    };
}

reasons! {
    /// The user logged out.
    Logout = "logout";
    /// The user revoked it from another session.
    EndedByOwner = "ended_by_owner";
    /// An administrator or the command line revoked it.
    EndedByOperator = "ended_by_operator";
    /// A superseded refresh token was reused.
    RefreshTokenReused = "refresh_token_reused";
    /// The password was changed.
    PasswordChanged = "password_changed";
    /// The user reported it as somebody else's.
    ReportedByOwner = "reported_by_owner";
    /// The owner of the account's email address proved it for the first time, by setting a password. Whoever opened the
    /// session may be somebody else.
    EmailProved = "email_proved";
    /// The account was disabled.
    AccountDisabled = "account_disabled";
    /// The account is to be deleted, or was deleted.
    AccountDeleted = "account_deleted";
    /// A login exceeded the limit on the sessions of an account, and this session was the least recently used.
    SessionLimit = "session_limit";
    /// The account changed, so the claims of its access tokens are out of date. Only access tokens are revoked for this
    /// reason, never a session.
    AccountChanged = "account_changed";
    /// Somebody who held the access token revoked it (RFC 7009). Only single access tokens are revoked for this reason.
    TokenRevoked = "token_revoked";
    /// The key that signed the access tokens was revoked. Only keys are revoked for this reason.
    KeyRevoked = "key_revoked";
    /// The client that the access tokens were issued to was deleted. Only clients are revoked for this reason.
    ClientDeleted = "client_deleted";
}
