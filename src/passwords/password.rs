//! Passwords in memory, and the rules for new ones.

use unicode_normalization::{UnicodeNormalization, is_nfc};
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

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
    Guessable(String),
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

    /// Parses a new password. It must take more than 10^8 guesses, where the guesser knows the texts in `personal`,
    /// such as the email address and the name. There are no composition rules (NIST SP 800-63B §3.1.1.2). Takes up to
    /// tens of milliseconds.
    ///
    /// # Errors
    /// The password is too short, too long or easy to guess.
    pub(crate) fn parse_new(text: impl Into<Zeroizing<String>>, personal: &[&str]) -> Result<Self, WeakPassword> {
        let password = Self::parse(text)?;
        if password.composed.len() < Self::MIN_BYTES {
            return Err(WeakPassword::TooShort);
        }
        let known = personal.iter().flat_map(|text| words(text)).chain(["keyturn".to_owned()]).collect::<Vec<_>>();
        let estimate = zxcvbn(beginning(&password.composed), &known.iter().map(String::as_str).collect::<Vec<_>>());
        if estimate.score() < Score::Three { Err(WeakPassword::Guessable(advice(&estimate))) } else { Ok(password) }
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

/// Returns the first characters, by which the strength is estimated. For a hundred characters that may each stand for
/// several letters zxcvbn takes a second, and a strong password is recognised long before that.
fn beginning(text: &str) -> &str {
    const ESTIMATED_CHARS: usize = 32;
    text.char_indices().nth(ESTIMATED_CHARS).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
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

fn advice(estimate: &zxcvbn::Entropy) -> String {
    let feedback = estimate.feedback();
    let warning = feedback.and_then(|feedback| feedback.warning()).map_or_else(
        || "Guessers try common words and personal details first.".to_owned(),
        |warning| warning.to_string(),
    );
    let suggestions = feedback.into_iter().flat_map(|feedback| feedback.suggestions()).map(ToString::to_string);
    [warning].into_iter().chain(suggestions).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSONAL: [&str; 2] = ["zorvane.thrumbeck@quellorin.example", "Zorvane Ó Thrumbeck"];

    fn set(text: &str) -> Result<Password, WeakPassword> {
        Password::parse_new(text.to_owned(), &PERSONAL)
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
    fn what_is_known_of_the_person_is_refused_to_that_person_alone() {
        for text in ["zorvanethrumbeck", "Thrumbeck1!", "zorvane.thrumbeck", "quellorinZorvane", "keyturn2026"] {
            assert_eq!(refusal(text).code(), "password_guessable", "{text}");
        }
        assert!(Password::parse_new("quellorinZorvane".to_owned(), &["q@example.com"]).is_ok());
    }
}
