//! Opaque tokens: random strings for links in emails, for logins that wait for a second factor, and for trusted
//! devices.
//!
//! A token is a prefix and 43 characters of base64url, which encode 256 random bits. The server stores its SHA-256 with
//! its purpose, account and expiry. Redeeming a token deletes its row in the transaction that acts on it, so only one
//! of several concurrent uses succeeds.

mod store;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::db::{Conn, DbResult};
use crate::random::Random;
use crate::types::{SessionId, Timestamp, UserId};

/// The number of characters that encode 256 bits.
const SECRET_LENGTH: usize = 43;

const MINUTE_SECS: u64 = 60;
const DAY_SECS: u64 = 24 * 60 * MINUTE_SECS;

/// The kind of a token, which determines its prefix. Scanners find leaked tokens by the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A token in the link of an email.
    Link,
    /// A token of a client whose login waits for its second factor.
    MfaChallenge,
    /// A token of a device that logs in without a second factor.
    TrustedDevice,
    /// The secret of a browser session, in its cookie.
    BrowserSession,
    /// The code with which the first administrator is created.
    SetUp,
    /// The mark of a form that may be sent once.
    Form,
}

impl Kind {
    /// Returns the prefix of every token of this kind. Changing it invalidates all issued tokens.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Link => "kto_",
            Self::MfaChallenge => "ktm_",
            Self::TrustedDevice => "ktd_",
            Self::BrowserSession => "ktb_",
            Self::SetUp => "kts_",
            Self::Form => "ktf_",
        }
    }
}

/// The purpose of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Verifies the email address of an account.
    VerifyEmail,
    /// Sets a new password.
    ResetPassword,
    /// Sets the first password of an account that an operator has created.
    Invitation,
    /// Confirms a change of email address for the current address.
    ChangeEmailOld,
    /// Confirms a change of email address for the new address.
    ChangeEmailNew,
    /// Reports a login as somebody else's ("this wasn't me"), which revokes the session of the token or all sessions of
    /// the account.
    ReportLogin,
    /// Cancels the deletion of an account.
    CancelDeletion,
    /// Completes a login with its second factor.
    MfaChallenge,
    /// Logs in without a second factor.
    TrustedDevice,
    /// Marks a form that was sent, so that it has no effect again.
    SentForm,
}

impl Purpose {
    const ALL: [Self; 10] = [
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::Invitation,
        Self::ChangeEmailOld,
        Self::ChangeEmailNew,
        Self::ReportLogin,
        Self::CancelDeletion,
        Self::MfaChallenge,
        Self::TrustedDevice,
        Self::SentForm,
    ];

    /// Returns the name in the database.
    const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::Invitation => "invitation",
            Self::ChangeEmailOld => "change_email_old",
            Self::ChangeEmailNew => "change_email_new",
            Self::ReportLogin => "report_login",
            Self::CancelDeletion => "cancel_deletion",
            Self::MfaChallenge => "mfa_challenge",
            Self::TrustedDevice => "trusted_device",
            Self::SentForm => "sent_form",
        }
    }

    /// Finds the purpose with this name.
    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// Returns the kind of the tokens for this purpose.
    const fn kind(self) -> Kind {
        match self {
            Self::VerifyEmail
            | Self::ResetPassword
            | Self::Invitation
            | Self::ChangeEmailOld
            | Self::ChangeEmailNew
            | Self::ReportLogin
            | Self::CancelDeletion => Kind::Link,
            Self::MfaChallenge => Kind::MfaChallenge,
            Self::TrustedDevice => Kind::TrustedDevice,
            Self::SentForm => Kind::Form,
        }
    }

    /// Returns how long a token is valid, at the longest.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::VerifyEmail | Self::ChangeEmailOld | Self::ChangeEmailNew => Duration::from_secs(DAY_SECS),
            Self::ResetPassword => Duration::from_secs(30 * MINUTE_SECS),
            // A browser keeps a page, and can send its form again, for as long as its tab is open.
            Self::ReportLogin | Self::Invitation | Self::SentForm => Duration::from_secs(7 * DAY_SECS),
            Self::MfaChallenge => Duration::from_secs(5 * MINUTE_SECS),
            Self::TrustedDevice | Self::CancelDeletion => Duration::from_secs(30 * DAY_SECS),
        }
    }

    /// Returns whether a new token replaces the account's other tokens for the same purpose.
    const fn replaces(self) -> bool {
        match self {
            Self::VerifyEmail
            | Self::ResetPassword
            | Self::Invitation
            | Self::ChangeEmailOld
            | Self::ChangeEmailNew
            | Self::CancelDeletion => true,
            // Each alert has its own link, and an account has several logins and devices.
            Self::ReportLogin | Self::MfaChallenge | Self::TrustedDevice | Self::SentForm => false,
        }
    }
}

/// A token as text. It is zeroized when dropped and cannot be printed.
#[derive(Clone)]
pub struct OpaqueToken {
    text: Zeroizing<String>,
}

impl OpaqueToken {
    /// Creates a token from random bits.
    pub(crate) fn generate(kind: Kind, random: &Random) -> Self {
        let secret: Zeroizing<[u8; 32]> = Zeroizing::new(random.bytes());
        let mut text = Zeroizing::new(String::with_capacity(kind.prefix().len() + SECRET_LENGTH));
        text.push_str(kind.prefix());
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
        Self { text }
    }

    /// Parses a presented token. Returns `None` if the text does not have the form of a token of this kind.
    pub fn parse(kind: Kind, text: impl Into<Zeroizing<String>>) -> Option<Self> {
        let text = text.into();
        let secret = text.strip_prefix(kind.prefix())?;
        let is_secret = secret.len() == SECRET_LENGTH
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        is_secret.then_some(Self { text })
    }

    /// Returns the SHA-256 of the token, which is stored instead of the token.
    pub fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.text.as_bytes()).to_vec()
    }

    /// Returns the text of the token, which only its owner may receive.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

/// The data of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// The purpose of the token.
    pub purpose: Purpose,
    /// The account that the token belongs to.
    pub user: UserId,
    /// The session that the token is about, if there is one.
    pub session: Option<SessionId>,
}

/// An issued token. Its owner may receive it only after the transaction is committed.
pub struct IssuedToken {
    /// The token.
    pub token: OpaqueToken,
    /// The time at which the token expires.
    pub expires_at: Timestamp,
}

/// Issues a token in the caller's transaction. A token in a link replaces the account's other tokens for the same
/// purpose, except one that reports a login.
pub fn issue(conn: &mut Conn, record: TokenRecord, random: &Random, now: Timestamp) -> DbResult<IssuedToken> {
    issue_until(conn, record, random, now, now.plus(record.purpose.lifetime()))
}

/// Issues a token as [`issue`] does, which is valid until `expires_at`.
pub fn issue_until(
    conn: &mut Conn,
    record: TokenRecord,
    random: &Random,
    now: Timestamp,
    expires_at: Timestamp,
) -> DbResult<IssuedToken> {
    if record.purpose.replaces() {
        revoke(conn, record.user, &[record.purpose])?;
    }
    let token = OpaqueToken::generate(record.purpose.kind(), random);
    store::insert(conn, &token.digest(), record, now, expires_at)?;
    Ok(IssuedToken { token, expires_at })
}

/// Records in the caller's transaction that a token which was given away without a record is used. Returns whether it
/// was not used before.
pub fn claim(conn: &mut Conn, token: &OpaqueToken, record: TokenRecord, now: Timestamp) -> DbResult<bool> {
    store::claim(conn, &token.digest(), record, now, now.plus(record.purpose.lifetime()))
}

/// Finds the data of a token if it is valid at `now` for one of `purposes`. The token stays valid.
pub fn find(
    conn: &mut Conn,
    token: &OpaqueToken,
    purposes: &[Purpose],
    now: Timestamp,
) -> DbResult<Option<TokenRecord>> {
    let found = store::find(conn, &token.digest(), now)?;
    Ok(found.filter(|record| purposes.contains(&record.purpose)))
}

/// Redeems a token in the caller's transaction, after which it is no longer valid. Returns whether it was valid.
pub fn redeem(conn: &mut Conn, token: &OpaqueToken, record: TokenRecord, now: Timestamp) -> DbResult<bool> {
    store::redeem(conn, &token.digest(), record, now)
}

/// Revokes the tokens of an account for `purposes` by deleting them and the rows that refer to them.
pub fn revoke(conn: &mut Conn, user: UserId, purposes: &[Purpose]) -> DbResult<()> {
    store::delete(conn, user, purposes)
}

/// Deletes the token of an account with this digest. Returns whether there was one.
pub fn delete(conn: &mut Conn, user: UserId, purpose: Purpose, digest: &[u8]) -> DbResult<bool> {
    store::delete_one(conn, user, purpose, digest)
}

/// Deletes up to `limit` tokens that expired at `before` or earlier. Returns their number.
pub fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire(conn, before, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_random_bits_and_a_prefix() {
        for kind in [Kind::Link, Kind::MfaChallenge, Kind::TrustedDevice, Kind::BrowserSession] {
            let one = OpaqueToken::generate(kind, &Random);
            let other = OpaqueToken::generate(kind, &Random);
            assert_ne!(one.expose(), other.expose());
            let secret = one.expose().strip_prefix(kind.prefix()).unwrap();
            assert_eq!(URL_SAFE_NO_PAD.decode(secret).unwrap().len(), 32);
            assert_eq!(OpaqueToken::parse(kind, one.expose().to_owned()).unwrap().digest(), one.digest());
        }
    }

    #[test]
    fn a_token_of_another_kind_or_form_is_refused() {
        let token = OpaqueToken::generate(Kind::Link, &Random);
        let text = token.expose();
        let shorter = text[..text.len() - 1].to_owned();
        let dotted = format!("{shorter}.");
        for other in [String::new(), shorter, format!("{text}A"), dotted, text.replace("kto_", "ktr_")] {
            assert!(OpaqueToken::parse(Kind::Link, other.clone()).is_none(), "{other}");
        }
        assert!(OpaqueToken::parse(Kind::TrustedDevice, text.to_owned()).is_none());
    }

    #[test]
    fn purposes_are_known_by_their_names() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::parse(purpose.name()), Some(purpose));
        }
        assert_eq!(Purpose::parse("other"), None);
    }
}
