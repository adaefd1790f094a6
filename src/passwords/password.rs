//! Passwords in memory, and the rules for new ones.

use std::collections::BTreeSet;

use unicode_normalization::{UnicodeNormalization, is_nfc};
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

use super::advice::Advice;

/// A password in composed form (NFC), so that it is the same from every keyboard. It is zeroized when dropped and
/// cannot be printed.
#[derive(Clone)]
pub(crate) struct Password {
    composed: Zeroizing<String>,
    /// The password as it was typed, if it differs.
    typed: Option<Zeroizing<String>>,
}

/// Why a password is not accepted. The text gives advice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WeakPassword {
    /// The password is too short.
    #[error(
        "A password has at least {} bytes. A few words that do not belong together are easy to keep in mind.",
        Password::MIN_BYTES
    )]
    TooShort,
    /// The password is too long.
    #[error("A password has at most {} bytes.", Password::MAX_BYTES)]
    TooLong,
    /// The password is easy to guess.
    #[error("This password is easy to guess. {0}")]
    Guessable(Advice),
}

impl WeakPassword {
    /// Returns the stable code of the error.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::TooShort => "password_too_short",
            Self::TooLong => "password_too_long",
            Self::Guessable(_) => "password_guessable",
        }
    }
}

impl Password {
    /// The minimum length of a new password, in bytes of its composed form.
    pub(crate) const MIN_BYTES: usize = 8;
    /// The maximum length of a password, in bytes of its composed form.
    pub(crate) const MAX_BYTES: usize = 1024;

    /// Parses a password for a login. Every password that could have been set is accepted, also in a system that
    /// accounts were imported from.
    ///
    /// # Errors
    /// The password is empty or too long.
    pub(crate) fn parse(text: impl Into<Zeroizing<String>>) -> Result<Self, WeakPassword> {
        let text = text.into();
        let (composed, typed) = match compose(&text) {
            Some(composed) => (composed, Some(text)),
            None => (text, None),
        };
        match composed.len() {
            0 => Err(WeakPassword::TooShort),
            1..=Self::MAX_BYTES => Ok(Self { composed, typed }),
            _ => Err(WeakPassword::TooLong),
        }
    }

    /// Returns the composed form.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.composed.as_bytes()
    }

    /// Returns the forms in which the password may have been hashed: composed, as by keyturn, or as typed, as by other
    /// systems.
    pub(crate) fn spellings(&self) -> impl Iterator<Item = &[u8]> {
        [Some(&self.composed), self.typed.as_ref()].into_iter().flatten().map(|text| text.as_bytes())
    }
}

/// A new password of the right length, which is not judged yet: that takes milliseconds, so only the threads that hash
/// passwords do it, after everything that is cheaper.
pub(crate) struct NewPassword {
    password: Password,
}

impl NewPassword {
    /// Parses a new password. There are no composition rules (NIST SP 800-63B §3.1.1.2).
    ///
    /// # Errors
    /// The password is too short or too long.
    pub(crate) fn parse(text: impl Into<Zeroizing<String>>) -> Result<Self, WeakPassword> {
        let password = Password::parse(text)?;
        if password.composed.len() < Password::MIN_BYTES {
            return Err(WeakPassword::TooShort);
        }
        Ok(Self { password })
    }

    /// Returns the password if it takes more than 10^8 guesses, where the guesser knows the texts in `personal`, such
    /// as the email address and the name. Takes up to ten milliseconds or so.
    ///
    /// # Errors
    /// The password is easy to guess.
    pub(super) fn judge(self, personal: &[String]) -> Result<Password, WeakPassword> {
        let known = personal.iter().flat_map(|text| words(text)).chain(["keyturn".to_owned()]).collect::<Vec<_>>();
        let known = known.iter().map(String::as_str).collect::<Vec<_>>();
        let estimate = zxcvbn(beginning(&self.password.composed), &known);
        if estimate.score() < Score::Three {
            return Err(WeakPassword::Guessable(Advice::new(estimate.feedback())));
        }
        Ok(self.password)
    }
}

/// Returns the first characters, by which the strength is estimated: 32 at the most, and fewer if they can be read in
/// more than 16 ways as letters. zxcvbn looks up each part of each reading, which could take half a second. What is
/// left has at least nine characters, and those of texts with so many signs are hard to guess.
fn beginning(text: &str) -> &str {
    const MAX_CHARS: usize = 32;
    const MAX_PARTS: usize = 16 * parts(MAX_CHARS);
    let mut signs = Signs::default();
    let end = text.char_indices().zip(1..).find_map(|((start, character), chars)| {
        signs.add(character);
        (chars > MAX_CHARS || signs.readings() * parts(chars) > MAX_PARTS).then_some(start)
    });
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Returns the number of parts that a text of `chars` characters has.
const fn parts(chars: usize) -> usize {
    chars * (chars + 1) / 2
}

/// The signs of a text that can stand for letters, as `4` does for `a`. zxcvbn judges each reading of them.
#[derive(Default)]
struct Signs {
    found: BTreeSet<char>,
}

impl Signs {
    /// The signs of each letter that has several, or shares one with another letter.
    const OF_LETTERS: [&str; 7] = ["4@", "({[<", "69", "1!|", "1|7", "$5", "+7"];
    /// The signs that stand for more than one letter.
    const SHARED: [char; 3] = ['1', '|', '7'];

    fn add(&mut self, character: char) {
        if Self::OF_LETTERS.iter().any(|signs| signs.contains(character)) {
            self.found.insert(character);
        }
    }

    /// Returns at least the number of readings that zxcvbn judges.
    fn readings(&self) -> usize {
        let ways = |signs: &&str| signs.chars().filter(|sign| self.found.contains(sign)).count().max(1);
        let is_shared = Self::SHARED.iter().any(|sign| self.found.contains(sign));
        Self::OF_LETTERS.iter().map(ways).product::<usize>() * if is_shared { 2 } else { 1 }
    }
}

/// Returns the composed form if it differs from `text`.
fn compose(text: &str) -> Option<Zeroizing<String>> {
    if is_nfc(text) {
        return None;
    }
    // NFC at most triples a text. With that capacity the string never reallocates, which would leave a copy behind.
    let mut composed = Zeroizing::new(String::with_capacity(text.len().saturating_mul(3)));
    composed.extend(text.nfc());
    Some(composed)
}

/// Splits a name or email address into what a guesser would try: the whole, the part before the `@`, and each word.
fn words(text: &str) -> impl Iterator<Item = String> {
    let text = text.nfc().collect::<String>();
    let name = text.split('@').next().unwrap_or_default().to_owned();
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 2);
    let words = words.map(str::to_owned).collect::<Vec<_>>();
    [text, name].into_iter().chain(words).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSONAL: [&str; 2] = ["zorvane.thrumbeck@quellorin.example", "Zorvane Ó Thrumbeck"];

    fn set(text: &str) -> Result<Password, WeakPassword> {
        NewPassword::parse(text.to_owned())?.judge(&PERSONAL.map(str::to_owned))
    }

    fn refusal(text: &str) -> WeakPassword {
        set(text).err().unwrap_or_else(|| panic!("{text:?} was accepted"))
    }

    #[test]
    fn length_is_bounded_in_bytes_of_the_composed_form() {
        let login = |text: &str| Password::parse(text.to_owned()).map(|password| password.as_bytes().len());
        assert_eq!(login(""), Err(WeakPassword::TooShort));
        assert_eq!(login("1"), Ok(1));
        assert_eq!(login(&"x".repeat(1024)), Ok(1024));
        assert_eq!(login(&"x".repeat(1025)), Err(WeakPassword::TooLong));
        assert_eq!(login(&"e\u{301}".repeat(512)), Ok(1024));
        assert_eq!(login(&"🗝".repeat(256)), Ok(1024));
        for text in ["", "xq7&Kw!", "e\u{301}e\u{301}e\u{301}"] {
            assert_eq!(refusal(text), WeakPassword::TooShort, "{text}");
        }
        assert!(set("xq7&Kw!9zP").is_ok());
    }

    #[test]
    fn a_password_is_the_same_from_every_keyboard() {
        let composed = Password::parse("cr\u{e8}me br\u{fb}l\u{e9}e".to_owned()).unwrap();
        let decomposed = Password::parse("cre\u{300}me bru\u{302}le\u{301}e".to_owned()).unwrap();
        assert_eq!(composed.as_bytes(), decomposed.as_bytes());
        assert_eq!(composed.spellings().collect::<Vec<_>>(), [composed.as_bytes()]);
        let typed = "cre\u{300}me bru\u{302}le\u{301}e".as_bytes();
        assert_eq!(decomposed.spellings().collect::<Vec<_>>(), [composed.as_bytes(), typed]);
    }

    #[test]
    fn a_password_of_words_needs_no_digits_and_no_symbols() {
        assert!(set("anvil thimble orchard").is_ok());
        assert!(set("драконья чешуя и мёд").is_ok());
    }

    #[test]
    fn what_is_common_is_refused_with_a_reason_and_advice() {
        for text in ["password", "Passw0rd!", "qwertyuiop", "abcdefgh1234", "aaaaaaaaaaaaaaaa", "19840229"] {
            let weak = refusal(text);
            assert_eq!(weak.code(), "password_guessable", "{text}");
            assert!(weak.to_string().contains("Add another word or two."), "{weak}");
        }
        assert!(refusal("password").to_string().contains("This is a top-10 common password."));
    }

    #[test]
    fn a_password_is_judged_by_its_first_32_characters() {
        assert!(set(&format!("anvil thimble orchard{}", "a".repeat(1000))).is_ok());
        assert!(set(&format!("{}anvil thimble", "é".repeat(19))).is_ok());
        assert_eq!(refusal(&format!("{}anvil thimble", "é".repeat(32))).code(), "password_guessable");
    }

    #[test]
    fn a_password_is_judged_in_a_bounded_number_of_readings() {
        for (text, expected) in [
            ("4@8({[<369!1|$5+7%204@8({[<369!1", "4@8({[<369!1"),
            ("({[<4@8(6931!|$5+7%2({[<4@8(6931", "({[<4@8(6931!"),
            ("1|!7({[<4@1|!7({[<4@1|!7({[<4@1|", "1|!7({[<4@"),
            ("L3tM31n!7-p4$$w0rd-L3tM31n!7-p4$", "L3tM31n!7-p4$$w0rd-L3tM31n!7-p4$"),
            ("12345678901234567890123456789012", "12345678901234567890123456789012"),
        ] {
            assert_eq!(beginning(text), expected);
        }
        assert!(set("4@8({[<369!1|$5+7%20").is_ok());
    }

    #[test]
    fn what_is_known_of_the_person_is_refused_to_that_person_alone() {
        for text in ["zorvanethrumbeck", "Thrumbeck1!", "zorvane.thrumbeck", "quellorinZorvane", "keyturn2026"] {
            assert_eq!(refusal(text).code(), "password_guessable", "{text}");
        }
        let of_another =
            NewPassword::parse("quellorinZorvane".to_owned()).unwrap().judge(&["q@example.com".to_owned()]);
        assert!(of_another.is_ok());
    }
}
