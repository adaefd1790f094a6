//! Refresh tokens: opaque to clients, and verifiable by the server without I/O.
//!
//! A refresh token is `ktr_` and 92 characters of base64url, which encode:
//!
//! | Bytes | Content |
//! | --- | --- |
//! | 1 | version, currently 1 |
//! | 16 | id of the session |
//! | 4 | generation: the number of rotations before it |
//! | 32 | secret |
//! | 16 | HMAC-SHA256, truncated to 128 bits, over all of the above with a key derived from `JWT_SECRET` |
//!
//! The MAC makes a forged token recognizable at once, so nobody can revoke another user's session by guessing. It also
//! makes a superseded token recognizable without a history of tokens. The secret of the next generation is derived from
//! the secret of this one and from a salt in the row of the session. A token that is presented twice therefore gets the
//! same successor twice, and the row alone is not sufficient to derive a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::random::Random;
use crate::secret::{MacKey, hkdf_sha256};
use crate::types::SessionId;

/// The prefix of every refresh token, by which scanners find leaked tokens. Changing it invalidates every refresh
/// token.
pub const PREFIX: &str = "ktr_";

const VERSION: u8 = 1;
const SIGNED_LENGTH: usize = 1 + 16 + 4 + 32;
const LENGTH: usize = SIGNED_LENGTH + 16;

/// The SHA-256 of the text of a refresh token, which is stored instead of the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenDigest {
    bytes: [u8; 32],
}

impl TokenDigest {
    /// Returns the digest.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Compares the digest with a stored one in constant time.
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.bytes.ct_eq(stored).into()
    }
}

/// The random salt from which, with a token, its successor is derived. It is stored in the row of the session.
#[derive(Clone, Copy)]
pub struct RotationSalt(pub [u8; 32]);

/// A refresh token that this server, or another one with the same `JWT_SECRET`, issued.
#[derive(Clone)]
pub struct RefreshToken {
    /// The session of the token.
    pub session: SessionId,
    /// The number of rotations before the token.
    pub generation: u32,
    secret: Zeroizing<[u8; 32]>,
    text: Zeroizing<String>,
}

impl RefreshToken {
    /// Creates the first token of a session.
    pub fn first(session: SessionId, key: &MacKey, random: &Random) -> Self {
        Self::new(session, 0, Zeroizing::new(random.bytes()), key)
    }

    fn new(session: SessionId, generation: u32, secret: Zeroizing<[u8; 32]>, key: &MacKey) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH));
        bytes.push(VERSION);
        bytes.extend_from_slice(session.0.as_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes.extend_from_slice(secret.as_slice());
        let tag = key.tag(&bytes);
        bytes.extend_from_slice(&tag);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + LENGTH.div_ceil(3) * 4));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        Self { session, generation, secret, text }
    }

    /// Parses a presented token. Returns `None` if no server with this key issued it.
    pub fn parse(text: &str, key: &MacKey) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
        let (signed, tag) = bytes.split_at_checked(SIGNED_LENGTH)?;
        let is_authentic = key.is_tag(signed, tag);
        let (version, rest) = signed.split_first()?;
        if !is_authentic || *version != VERSION {
            return None;
        }
        let (session, rest) = rest.split_first_chunk::<16>()?;
        let (generation, rest) = rest.split_first_chunk::<4>()?;
        Some(Self {
            session: SessionId(Uuid::from_bytes(*session)),
            generation: u32::from_be_bytes(*generation),
            secret: Zeroizing::new(rest.try_into().ok()?),
            text: Zeroizing::new(text.to_owned()),
        })
    }

    /// Returns the next token of the session, which is the same for the same salt. Its secret is derived by HKDF-SHA256
    /// (RFC 5869) from the secret of this token, with the session and the next generation as context.
    pub fn successor(&self, salt: &RotationSalt, key: &MacKey) -> Self {
        let generation = self.generation.saturating_add(1);
        let secret =
            hkdf_sha256(self.secret.as_slice(), &salt.0, &[self.session.0.as_bytes(), &generation.to_be_bytes()]);
        Self::new(self.session, generation, secret, key)
    }

    /// Returns the next token of the session with the digest that is stored, under the secret that a server had when it
    /// issued that token.
    pub fn stored_successor(&self, salt: &RotationSalt, key: &MacKey, stored: &[u8]) -> Self {
        let mut successors = key.each().map(|key| self.successor(salt, &key));
        successors.find(|token| token.digest().matches(stored)).unwrap_or_else(|| self.successor(salt, key))
    }

    /// Returns the digest that is stored.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest { bytes: Sha256::digest(self.text.as_bytes()).into() }
    }

    /// Returns the text of the token, which only its owner may receive.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::MasterSecret;

    fn key(filler: char) -> MacKey {
        MasterSecret::for_test(&filler.to_string()).refresh_token_key()
    }

    fn first() -> RefreshToken {
        RefreshToken::first(SessionId(Uuid::from_u128(7)), &key('a'), &Random)
    }

    #[test]
    fn a_token_is_parsed_into_what_it_was_created_from() {
        let token = first();
        let read = RefreshToken::parse(token.expose(), &key('a')).unwrap();
        assert_eq!((read.session, read.generation), (token.session, 0));
        assert_eq!(token.expose().len(), PREFIX.len() + 92);
    }

    #[test]
    fn a_successor_is_the_same_for_the_same_salt_and_differs_for_another() {
        let token = first();
        let salt = RotationSalt([1; 32]);
        let other = RotationSalt([2; 32]);
        let successor = token.successor(&salt, &key('a'));
        assert_eq!(successor.generation, 1);
        assert_eq!(successor.expose(), token.successor(&salt, &key('a')).expose());
        assert_ne!(successor.expose(), token.successor(&other, &key('a')).expose());
        assert!(RefreshToken::parse(successor.expose(), &key('a')).is_some());
    }

    #[test]
    fn nothing_else_is_accepted_as_a_token() {
        let token = first();
        let text = token.expose();
        assert!(RefreshToken::parse(text, &key('b')).is_none(), "another server's");
        assert!(RefreshToken::parse(&text[..text.len() - 1], &key('a')).is_none(), "truncated");
        assert!(RefreshToken::parse(&format!("{text}A"), &key('a')).is_none(), "lengthened");
        assert!(RefreshToken::parse(&format!("{text}="), &key('a')).is_none(), "padded");
        assert!(RefreshToken::parse(text.strip_prefix(PREFIX).unwrap(), &key('a')).is_none(), "without prefix");
        assert!(RefreshToken::parse("", &key('a')).is_none());
        for position in PREFIX.len()..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(RefreshToken::parse(&changed, &key('a')).is_none(), "changed at {position}");
        }
    }

    #[test]
    fn a_token_of_another_version_is_refused_although_its_mac_is_valid() {
        let mut bytes = vec![VERSION + 1];
        bytes.extend_from_slice(&[0; SIGNED_LENGTH - 1]);
        let tag = key('a').tag(&bytes);
        bytes.extend_from_slice(&tag);
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        assert!(RefreshToken::parse(&text, &key('a')).is_none());
    }
}
