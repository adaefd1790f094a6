//! One-time tokens: what a link in a mail carries.
//!
//! `kto_` and 43 characters of base64url, which hold 256 random bits. The server keeps the SHA-256 alone, with what the
//! token is good for. Using one deletes its row in the transaction that acts, so of many uses at once one succeeds.

mod store;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::db::types::{SessionId, UserId};
use crate::db::{Conn, DbResult};
use crate::mail::{Link, Mail, Page};
use crate::random::Random;

/// What every one-time token begins with. Scanners for leaked secrets look for it.
pub const PREFIX: &str = "kto_";

/// Characters of a token.
const LENGTH: usize = PREFIX.len() + 43;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    VerifyEmail,
    ResetPassword,
    /// The account's present address agrees to a change of address.
    ChangeEmailOld,
    /// The account's next address does.
    ChangeEmailNew,
    /// "This wasn't me": ends the session that the token names, or all of the account's.
    NotMe,
}

impl Purpose {
    const ALL: [Self; 5] =
        [Self::VerifyEmail, Self::ResetPassword, Self::ChangeEmailOld, Self::ChangeEmailNew, Self::NotMe];

    /// The name in the database.
    const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmailOld => "change_email_old",
            Self::ChangeEmailNew => "change_email_new",
            Self::NotMe => "not_me",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// How long a token is good.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::VerifyEmail | Self::ChangeEmailOld | Self::ChangeEmailNew => Duration::from_secs(DAY),
            Self::ResetPassword => Duration::from_secs(30 * MINUTE),
            Self::NotMe => Duration::from_secs(7 * DAY),
        }
    }

    /// The page that its link leads to.
    pub const fn page(self) -> Page {
        match self {
            Self::VerifyEmail => Page::VerifyEmail,
            Self::ResetPassword => Page::ResetPassword,
            Self::ChangeEmailOld | Self::ChangeEmailNew => Page::ConfirmEmailChange,
            Self::NotMe => Page::NotMe,
        }
    }

    /// Whether a token takes the place of those that the account has. Each alert has a link of its own, whatever comes
    /// after it.
    const fn replaces(self) -> bool {
        !matches!(self, Self::NotMe)
    }
}

/// A token that somebody presents. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct OneTimeToken(Zeroizing<String>);

impl OneTimeToken {
    /// `None` for what has not the form of a token.
    pub fn parse(text: impl Into<Zeroizing<String>>) -> Option<Self> {
        let text = text.into();
        let encoded = text.strip_prefix(PREFIX)?;
        let is_token = text.len() == LENGTH
            && encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        is_token.then_some(Self(text))
    }

    fn mint(random: &Random) -> Self {
        let secret: Zeroizing<[u8; 32]> = Zeroizing::new(random.bytes());
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
        Self(text)
    }

    fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }

    /// The token itself, for its mail, or for the form of the page that the mail leads to.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Whose a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    pub user: UserId,
    pub purpose: Purpose,
    /// The session that the token is about.
    pub session: Option<SessionId>,
}

/// Issues a token in the caller's transaction and answers the link that carries it. It takes the place of those that
/// the account has for the same purpose, but for "this wasn't me".
pub fn issue(conn: &mut Conn, mail: &Mail, bearer: Bearer, random: &Random, now: Timestamp) -> DbResult<Link> {
    let Bearer { user, purpose, .. } = bearer;
    if purpose.replaces() {
        store::delete(conn, user, &[purpose.name()])?;
    }
    let (token, expires_at) = (OneTimeToken::mint(random), now.plus(purpose.lifetime()));
    store::insert(conn, &token.digest(), bearer, now, expires_at)?;
    Ok(mail.link(purpose.page(), token.expose(), expires_at))
}

/// Whose a token is, if it is good at `now` for one of `purposes`. It stays good.
pub fn look(conn: &mut Conn, token: &OneTimeToken, purposes: &[Purpose], now: Timestamp) -> DbResult<Option<Bearer>> {
    let found = store::find(conn, &token.digest(), now)?;
    Ok(found.filter(|bearer| purposes.contains(&bearer.purpose)))
}

/// Uses a token up, in the caller's transaction. Answers whether it was good for that purpose, which it is once only.
pub fn redeem(conn: &mut Conn, token: &OneTimeToken, bearer: Bearer, now: Timestamp) -> DbResult<bool> {
    store::redeem(conn, &token.digest(), bearer, now)
}

/// Makes the tokens that an account has for `purposes` worth nothing, in the caller's transaction.
pub fn void(conn: &mut Conn, user: UserId, purposes: &[Purpose]) -> DbResult<()> {
    let names: Vec<&str> = purposes.iter().map(|purpose| purpose.name()).collect();
    store::delete(conn, user, &names)
}

/// Removes tokens that are good no more. Answers how many, `limit` at most.
pub fn purge(conn: &mut Conn, now: Timestamp, limit: i64) -> DbResult<usize> {
    store::purge(conn, now, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_random_bits_and_a_prefix() {
        let (one, other) = (OneTimeToken::mint(&Random), OneTimeToken::mint(&Random));
        assert_ne!(one.expose(), other.expose());
        let secret = one.expose().strip_prefix(PREFIX).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(secret).unwrap().len(), 32);
        assert_eq!(OneTimeToken::parse(one.expose().to_owned()).unwrap().digest(), one.digest());
    }

    #[test]
    fn nothing_else_is_taken_for_a_token() {
        let token = OneTimeToken::mint(&Random);
        let text = token.expose();
        let shorter = text[..text.len() - 1].to_owned();
        let dotted = format!("{shorter}.");
        for other in [String::new(), shorter, format!("{text}A"), dotted, text.replace("kto_", "ktr_")] {
            assert!(OneTimeToken::parse(other.clone()).is_none(), "{other}");
        }
    }

    #[test]
    fn purposes_are_known_by_their_names() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::parse(purpose.name()), Some(purpose));
        }
        assert_eq!(Purpose::parse("other"), None);
    }
}
