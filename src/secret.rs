//! The master secret and the keys that are derived from it. They are zeroized when dropped and cannot be printed.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::{aead, digest, hkdf, hmac};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::random::Random;

/// `JWT_SECRET`, from which every other key of the server is derived (HKDF-SHA256, RFC 5869). Each purpose has a key of
/// its own, so a leaked key reveals nothing about the others.
///
/// While it is changed, what was derived from `JWT_SECRET_PREVIOUS` is accepted too. Until all servers know the new
/// secret, the previous one is in force: what is new is derived from it. Clones agree about that.
#[derive(Clone)]
pub struct MasterSecret {
    text: Zeroizing<String>,
    previous: Option<Zeroizing<String>>,
    is_in_force: Arc<AtomicBool>,
}

/// Why a text is not accepted as a secret. The text completes the sentence that begins with the name of the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// The secret is too short.
    #[error("must have at least {} characters", MasterSecret::MIN_LENGTH)]
    TooShort,
    /// The secret has few characters, or is a short text repeated.
    #[error("must be random: it repeats a few characters or a short text")]
    Repetitive,
    /// The secret is a sample that anybody can read somewhere.
    #[error("must be random: it is a sample, a placeholder or a sequence that anybody can guess")]
    Sample,
}

/// What stands in the secrets of examples, in lower case and without what is neither a letter nor a digit. None of them
/// is so short that a random secret could contain it.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "changethis",
    "changeit",
    "replaceme",
    "replacethis",
    "replacewith",
    "yoursecret",
    "yourjwt",
    "yourkey",
    "yoursuper",
    "yourlong",
    "yourrandom",
    "supersecret",
    "mysecret",
    "topsecret",
    "jwtsecret",
    "secretkey",
    "secrethere",
    "placeholder",
    "donotuse",
    "insecure",
    "bitslong",
    "characterslong",
    "randomstring",
    "opensslrand",
    "qwertyuiop",
    "asdfghjkl",
    "1234567890",
    "password123",
    "deadbeefdeadbeef",
];

/// Words whose hashes are found in examples, in hexadecimal digits.
const HASHED_WORDS: &[&str] = &["", "secret", "password", "changeme", "test", "admin", "keyturn", "jwt", "hello", "1"];

impl MasterSecret {
    /// The least number of characters of a secret: 64 hexadecimal digits carry 256 bits.
    pub const MIN_LENGTH: usize = 64;

    /// The least number of different pairs of neighbouring characters. 64 random hexadecimal digits have about 56, 64
    /// random decimal digits 46; few characters, or a short text repeated, have fewer.
    const MIN_PAIRS: usize = 32;

    /// Parses a secret and removes the white space around it.
    ///
    /// # Errors
    /// The secret is shorter than [`Self::MIN_LENGTH`], repeats a few characters or a short text, or is a sample.
    pub fn parse(text: &str) -> Result<Self, WeakSecret> {
        let text = text.trim();
        if text.chars().count() < Self::MIN_LENGTH {
            return Err(WeakSecret::TooShort);
        }
        let pairs: HashSet<(char, char)> = text.chars().zip(text.chars().skip(1)).collect();
        if pairs.len() < Self::MIN_PAIRS {
            return Err(WeakSecret::Repetitive);
        }
        if is_sample(text) {
            return Err(WeakSecret::Sample);
        }
        Ok(Self::from_text(Zeroizing::new(text.to_owned())))
    }

    fn from_text(text: Zeroizing<String>) -> Self {
        Self { text, previous: None, is_in_force: Arc::new(AtomicBool::new(true)) }
    }

    /// Returns the secret with one that it replaces, which is in force until [`Self::put_in_force`].
    #[must_use]
    pub fn with_previous(self, previous: Self) -> Self {
        Self { text: self.text, previous: Some(previous.text), is_in_force: Arc::new(AtomicBool::new(false)) }
    }

    /// Returns whether there is a previous secret.
    pub fn has_previous(&self) -> bool {
        self.previous.is_some()
    }

    /// Returns whether the two are the same secret, whatever they replace.
    pub fn is_same(&self, other: &Self) -> bool {
        self.fingerprint().ct_eq(&other.fingerprint()).into()
    }

    /// Derives from this secret, and no longer from the previous one, whatever is new.
    pub fn put_in_force(&self) {
        self.is_in_force.store(true, Ordering::Relaxed);
    }

    /// Returns what tells the secret from others in the database. The secret does not follow from it.
    pub fn fingerprint(&self) -> [u8; 16] {
        fingerprint(&self.text)
    }

    /// Returns the fingerprint of the previous secret.
    pub fn previous_fingerprint(&self) -> Option<[u8; 16]> {
        self.previous.as_ref().map(|text| fingerprint(text))
    }

    /// Returns a secret for tests: another one for each name.
    #[cfg(test)]
    pub(crate) fn for_test(name: &str) -> Self {
        let bytes = hkdf_sha256(name.as_bytes(), b"test", &[]);
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::from_text(Zeroizing::new(text))
    }

    fn derive(&self, purpose: &'static str) -> Derived {
        Derived {
            current: derive(&self.text, purpose),
            previous: self.previous.as_ref().map(|text| derive(text, purpose)),
            is_in_force: Arc::clone(&self.is_in_force),
        }
    }

    /// Derives the key for the MAC of refresh tokens. Changing its purpose invalidates every refresh token.
    pub fn refresh_token_key(&self) -> MacKey {
        self.derive("refresh token mac").into_mac_key()
    }

    /// Derives the key that encrypts private signing keys in the database.
    pub fn signing_key_seal(&self) -> SealKey {
        self.derive("signing key seal").into_seal_key()
    }

    /// Derives the key that encrypts emails in the outbox.
    pub fn email_seal(&self) -> SealKey {
        self.derive("mail seal").into_seal_key()
    }

    /// Derives the key that encrypts TOTP secrets in the database.
    pub fn totp_seal(&self) -> SealKey {
        self.derive("totp seal").into_seal_key()
    }

    /// Derives the key for the MACs that stand for accounts and networks in the records of failed logins, so that the
    /// database does not store them in plain text.
    pub fn login_failure_key(&self) -> MacKey {
        self.derive("login failures").into_mac_key()
    }

    /// Derives the key for the nonces in proofs of DPoP.
    pub fn dpop_nonce_key(&self) -> MacKey {
        self.derive("dpop nonces").into_mac_key()
    }

    /// Derives the key for the MACs that stand for IP addresses and accounts in the names of rate limits, so that the
    /// cache does not store them in plain text.
    pub fn limit_key(&self) -> MacKey {
        self.derive("limit names").into_mac_key()
    }
}

/// Returns whether a secret looks like one from an example: it contains a placeholder, goes through an alphabet, or is
/// the hash of a common word.
fn is_sample(text: &str) -> bool {
    let words: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect());
    let neighbours = || text.chars().zip(text.chars().skip(1));
    // Of random hexadecimal digits, one pair in eight does.
    let steps = neighbours().filter(|(a, b)| u32::from(*a).abs_diff(u32::from(*b)) == 1).count();
    steps > neighbours().count() / 2
        || PLACEHOLDERS.iter().any(|placeholder| words.contains(placeholder))
        || HASHED_WORDS.iter().any(|word| is_hash_of(word, &words))
}

fn is_hash_of(word: &str, digits: &str) -> bool {
    [&digest::SHA256, &digest::SHA384, &digest::SHA512].into_iter().any(|algorithm| {
        let hash = digest::digest(algorithm, word.as_bytes());
        digits == hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    })
}

/// Derives 32 bytes from `input` by HKDF-SHA256 (RFC 5869), extract and expand.
pub fn hkdf_sha256(input: &[u8], salt: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut output = Zeroizing::new([0; 32]);
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(input);
    let filled = key.expand(info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(output.as_mut()));
    #[expect(clippy::expect_used, reason = "fails only for outputs over 255 hashes")]
    filled.expect("32 bytes are one hash");
    output
}

fn derive(text: &str, purpose: &'static str) -> Zeroizing<[u8; 32]> {
    hkdf_sha256(text.as_bytes(), b"keyturn", &[purpose.as_bytes()])
}

fn fingerprint(text: &str) -> [u8; 16] {
    let bytes = derive(text, "fingerprint");
    let mut fingerprint = [0; 16];
    fingerprint.iter_mut().zip(bytes.iter()).for_each(|(to, from)| *to = *from);
    fingerprint
}

/// The bytes of the keys for one purpose, under the secret and the previous one.
struct Derived {
    current: Zeroizing<[u8; 32]>,
    previous: Option<Zeroizing<[u8; 32]>>,
    is_in_force: Arc<AtomicBool>,
}

impl Derived {
    fn into_mac_key(self) -> MacKey {
        let key = |bytes: &Zeroizing<[u8; 32]>| hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref());
        let previous = self.previous.as_ref().map(key);
        MacKey { keys: Versions { current: key(&self.current), previous, is_in_force: self.is_in_force } }
    }

    fn into_seal_key(self) -> SealKey {
        let key = |bytes: &Zeroizing<[u8; 32]>| {
            #[expect(clippy::expect_used, reason = "fails only for keys of another length")]
            let key = aead::UnboundKey::new(&aead::AES_256_GCM, bytes.as_ref()).expect("AES-256 takes 32 bytes");
            Arc::new(aead::LessSafeKey::new(key))
        };
        let previous = self.previous.as_ref().map(key);
        SealKey { keys: Versions { current: key(&self.current), previous, is_in_force: self.is_in_force } }
    }
}

/// A key under the secret, and that under the previous one.
#[derive(Clone)]
struct Versions<K> {
    current: K,
    previous: Option<K>,
    is_in_force: Arc<AtomicBool>,
}

impl<K> Versions<K> {
    /// Returns the key for what is new, and the other one.
    fn in_force(&self) -> (&K, Option<&K>) {
        match &self.previous {
            Some(previous) if !self.is_in_force.load(Ordering::Relaxed) => (previous, Some(&self.current)),
            previous => (&self.current, previous.as_ref()),
        }
    }
}

/// A key for HMAC-SHA256 (RFC 2104).
#[derive(Clone)]
pub struct MacKey {
    keys: Versions<hmac::Key>,
}

impl MacKey {
    /// Derives a key from another secret than `JWT_SECRET`.
    pub fn from_secret(secret: &[u8], purpose: &'static str) -> Self {
        let bytes = hkdf_sha256(secret, b"keyturn", &[purpose.as_bytes()]);
        let current = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref());
        Self { keys: Versions { current, previous: None, is_in_force: Arc::new(AtomicBool::new(true)) } }
    }

    /// Returns the first 128 bits of the MAC over `message`.
    pub fn tag(&self, message: &[u8]) -> [u8; 16] {
        tag(self.keys.in_force().0, message)
    }

    /// Returns the MAC over `message` that servers made before the secret was changed, or make after that.
    pub fn other_tag(&self, message: &[u8]) -> Option<[u8; 16]> {
        self.keys.in_force().1.map(|key| tag(key, message))
    }

    /// Returns whether `presented` is the MAC over `message`, under this secret or the previous one. Compares in
    /// constant time.
    pub fn is_tag(&self, message: &[u8], presented: &[u8]) -> bool {
        let is_under = |key: &hmac::Key| bool::from(tag(key, message).as_slice().ct_eq(presented));
        let (key, other) = self.keys.in_force();
        is_under(key) || other.is_some_and(is_under)
    }

    /// Returns the key under each secret alone, that in force first.
    pub fn each(&self) -> impl Iterator<Item = Self> {
        let (key, other) = self.keys.in_force();
        let alone = |key: &hmac::Key| {
            let is_in_force = Arc::clone(&self.keys.is_in_force);
            Self { keys: Versions { current: key.clone(), previous: None, is_in_force } }
        };
        [Some(alone(key)), other.map(alone)].into_iter().flatten()
    }
}

fn tag(key: &hmac::Key, message: &[u8]) -> [u8; 16] {
    let mut tag = [0; 16];
    let full = hmac::sign(key, message);
    tag.iter_mut().zip(full.as_ref()).for_each(|(to, from)| *to = *from);
    tag
}

/// A key for AES-256-GCM (NIST SP 800-38D).
#[derive(Clone)]
pub struct SealKey {
    keys: Versions<Arc<aead::LessSafeKey>>,
}

impl SealKey {
    /// Encrypts `plain` and binds it to `context`, without which it cannot be decrypted. Returns the nonce, the
    /// ciphertext and the tag, concatenated.
    pub fn seal(&self, plain: &[u8], context: &[u8], random: &Random) -> Vec<u8> {
        seal(self.keys.in_force().0, plain, context, random)
    }

    /// Decrypts bytes that [`Self::seal`] returned. Returns `None` if they were encrypted with another key or context.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (key, other) = self.keys.in_force();
        open(key, sealed, context).or_else(|| open(other?, sealed, context))
    }

    /// Returns whether bytes are encrypted under the new secret.
    pub fn is_current(&self, sealed: &[u8], context: &[u8]) -> bool {
        open(&self.keys.current, sealed, context).is_some()
    }

    /// Returns the bytes to be stored in the place of `sealed`, encrypted under the new secret. Returns `None` if they
    /// are, or can be decrypted under neither.
    pub fn reseal(&self, sealed: &[u8], context: &[u8], random: &Random) -> Option<Vec<u8>> {
        if self.is_current(sealed, context) {
            return None;
        }
        let plain = open(self.keys.previous.as_ref()?, sealed, context)?;
        Some(seal(&self.keys.current, &plain, context, random))
    }
}

fn seal(key: &aead::LessSafeKey, plain: &[u8], context: &[u8], random: &Random) -> Vec<u8> {
    let nonce: [u8; aead::NONCE_LEN] = random.bytes();
    let mut body = plain.to_vec();
    let sealed =
        key.seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::from(context), &mut body);
    #[expect(clippy::expect_used, reason = "fails only beyond 64 GiB")]
    sealed.expect("short enough for one nonce");
    [nonce.as_slice(), &body].concat()
}

fn open(key: &aead::LessSafeKey, sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_at_checked(aead::NONCE_LEN)?;
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = Zeroizing::new(body.to_vec());
    let length = key.open_in_place(nonce, aead::Aad::from(context), &mut body).ok()?.len();
    body.truncate(length);
    Some(body)
}

/// The findings among rows that hold something encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealedRows {
    /// The rows that were not encrypted under the new secret.
    pub outdated: usize,
    /// The id of the last row that was examined, or `None` if there are no more.
    pub last: Option<Uuid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<WeakSecret> {
        MasterSecret::parse(text).err()
    }

    #[test]
    fn a_short_secret_is_refused() {
        let random = MasterSecret::for_test("a");
        assert_eq!(refusal(&random.text[1..]), Some(WeakSecret::TooShort));
        assert_eq!(refusal(&format!(" {}\n", &random.text[..63])), Some(WeakSecret::TooShort));
        assert_eq!(refusal(&format!(" {}\n", *random.text)), None);
    }

    #[test]
    fn a_secret_that_repeats_itself_is_refused() {
        for text in [
            "x".repeat(64),
            "ab".repeat(500),
            "changeme".repeat(8),
            "0123456789abcdef".repeat(4),
            "correct horse battery staple ".repeat(3),
            format!("changeme{}", "0".repeat(100)),
            ["aaab", "abba", "baab", "bbbb", "aaba"].concat().repeat(4),
        ] {
            assert_eq!(refusal(&text), Some(WeakSecret::Repetitive), "{text}");
        }
    }

    #[test]
    fn a_sample_from_an_example_is_refused() {
        for text in [
            "change-me-to-a-long-random-string-of-at-least-sixty-four-characters",
            "CHANGE_ME_before_production: this is not safe in any way at all, really!",
            "please replace this by the output of a generator of random numbers 0042",
            "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
            "<your-secret-here> <your-secret-here, which nobody else should ever know>",
            "$(openssl rand -hex 32) was meant to be run by a shell, which was not there",
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/abcd",
            "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA9876543210zyxwvu",
            "qwertyuiopasdfghjklzxcvbnmQWERTYUIOPASDFGHJKLZXCVBNM1234567890qwerty",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "5E884898DA28047151D0E56F8DC6292773603D0D6AABBDD62A11EF721D1542D8",
            "bd2b1aaf7ef4f09be9f52ce2d8d599674d81aa9d6a4421696dc4d93dd0619d682ce56b4d64a9ef097761ced99e0f67265b5f76085e5b0ee7ca4696b2ad6fe2b2",
        ] {
            assert_eq!(refusal(text), Some(WeakSecret::Sample), "{text}");
        }
    }

    #[test]
    fn a_random_secret_is_accepted_whatever_its_alphabet() {
        for _ in 0..100 {
            for alphabet in ["0123456789abcdef", "0123456789", "abcdefghijklmnopqrstuvwxyz"] {
                let bytes = Random.bytes::<64>();
                let characters = bytes.iter().map(|byte| alphabet.as_bytes()[usize::from(*byte) % alphabet.len()]);
                let text: String = characters.map(char::from).collect();
                assert_eq!(refusal(&text), None, "{text}");
            }
        }
    }

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_context() {
        let sealed = MasterSecret::for_test("a").signing_key_seal().seal(b"private", b"kid 1", &Random);
        assert_eq!(
            MasterSecret::for_test("a").signing_key_seal().open(&sealed, b"kid 1").unwrap().as_slice(),
            b"private"
        );
        assert!(MasterSecret::for_test("a").signing_key_seal().open(&sealed, b"kid 2").is_none());
        assert!(MasterSecret::for_test("b").signing_key_seal().open(&sealed, b"kid 1").is_none());
        assert!(MasterSecret::for_test("a").signing_key_seal().open(b"short", b"kid 1").is_none());
    }

    fn changed() -> MasterSecret {
        MasterSecret::for_test("new").with_previous(MasterSecret::for_test("old"))
    }

    #[test]
    fn a_changed_secret_accepts_what_both_have_made_and_makes_what_the_one_in_force_makes() {
        let (old, new, both) = (MasterSecret::for_test("old"), MasterSecret::for_test("new"), changed());
        for (in_force, other) in [(&old, &new), (&new, &old)] {
            let (key, alone) = (both.refresh_token_key(), in_force.refresh_token_key());
            assert_eq!(key.tag(b"m"), alone.tag(b"m"));
            assert_eq!(key.other_tag(b"m"), Some(other.refresh_token_key().tag(b"m")));
            assert!(key.is_tag(b"m", &alone.tag(b"m")) && key.is_tag(b"m", &other.refresh_token_key().tag(b"m")));
            assert!(!key.is_tag(b"n", &alone.tag(b"m")) && !key.is_tag(b"m", &[]));
            let tags: Vec<_> = key.each().map(|key| key.tag(b"m")).collect();
            assert_eq!(tags, [alone.tag(b"m"), other.refresh_token_key().tag(b"m")]);
            let sealed = both.totp_seal().seal(b"plain", b"1", &Random);
            assert!(in_force.totp_seal().open(&sealed, b"1").is_some());
            assert!(other.totp_seal().open(&sealed, b"1").is_none());
            assert!(both.totp_seal().open(&sealed, b"1").is_some());
            both.put_in_force();
        }
    }

    #[test]
    fn what_is_resealed_needs_the_previous_secret_no_more() {
        let (old, new, both) = (MasterSecret::for_test("old"), MasterSecret::for_test("new"), changed());
        let sealed = old.totp_seal().seal(b"plain", b"1", &Random);
        let resealed = both.totp_seal().reseal(&sealed, b"1", &Random).unwrap();
        assert_eq!(new.totp_seal().open(&resealed, b"1").unwrap().as_slice(), b"plain");
        assert!(both.totp_seal().reseal(&resealed, b"1", &Random).is_none());
        assert!(both.totp_seal().reseal(&sealed, b"2", &Random).is_none(), "of another row");
        assert!(new.totp_seal().reseal(&sealed, b"1", &Random).is_none(), "without the previous secret");
    }

    #[test]
    fn hkdf_agrees_with_the_first_test_case_of_rfc_5869() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let output = hkdf_sha256(&[0x0b; 22], &salt, &[&info]);
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf";
        assert_eq!(output.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
    }
}
