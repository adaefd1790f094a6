//! Random tokens of the second factor: that of a login that waits for it, and that of a trusted device.
//!
//! A prefix and 43 characters of base64url, which hold 256 random bits. Only the SHA-256 is stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::random::Random;

/// What the token is for, by its prefix. Scanners for leaked secrets look for these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A login that waits for its second factor.
    Challenge,
    TrustedDevice,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Challenge => "ktm_",
            Self::TrustedDevice => "ktd_",
        }
    }
}

/// A token that was handed out, or that somebody presents. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    pub fn mint(kind: Kind, random: &Random) -> Self {
        let secret: Zeroizing<[u8; 32]> = Zeroizing::new(random.bytes());
        Self(Zeroizing::new(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(secret.as_slice()))))
    }

    /// `None` for what has not the form of such a token.
    pub fn parse(kind: Kind, text: impl Into<Zeroizing<String>>) -> Option<Self> {
        let text = text.into();
        let secret = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?;
        (secret.len() == 32).then_some(Self(text))
    }

    pub fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }

    /// The token itself, for its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_purpose_only() {
        let token = Token::mint(Kind::TrustedDevice, &Random);
        let text = || token.expose().to_owned();
        assert_eq!(Token::parse(Kind::TrustedDevice, text()).unwrap().digest(), token.digest());
        assert!(Token::parse(Kind::Challenge, text()).is_none());
        assert!(Token::parse(Kind::TrustedDevice, format!("{}AAAA", text())).is_none());
        assert!(Token::parse(Kind::TrustedDevice, String::new()).is_none());
    }
}
