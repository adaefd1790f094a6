//! Names that users give to themselves and to their devices.

use super::text;

/// A name: 1 to 100 characters on one line, without white space around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    text: String,
}

/// The reason why a text is not accepted as a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The name is empty.
    #[error("must not be empty")]
    Empty,
    /// The name is longer than [`Label::MAX_CHARACTERS`].
    #[error("has more than {} characters", Label::MAX_CHARACTERS)]
    TooLong,
    /// The name contains a control character.
    #[error("contains a control character")]
    ControlCharacter,
}

impl LabelError {
    /// Returns the stable code of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::ControlCharacter => "control_character",
        }
    }
}

impl Label {
    /// The longest name, in characters.
    pub const MAX_CHARACTERS: usize = 100;

    /// Parses a name, removes the white space around it and what cannot be seen, and composes it (NFC).
    ///
    /// # Errors
    /// The name is empty, too long, or contains a control character.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let text = text::visible(text);
        if text.is_empty() {
            return Err(LabelError::Empty);
        }
        if text.chars().count() > Self::MAX_CHARACTERS {
            return Err(LabelError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(LabelError::ControlCharacter);
        }
        Ok(Self { text })
    }

    /// Makes a name of what a program calls the device on which it runs: replaces control characters by spaces and cuts
    /// off what is too long, because nobody is there to correct it. Returns `None` if nothing is left.
    pub fn of_device(text: &str) -> Option<Self> {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text::visible(&text);
        let text = text::cut(&text, Self::MAX_CHARACTERS).to_owned();
        (!text.is_empty()).then_some(Self { text })
    }

    /// Returns the name as an owned string.
    pub fn into_string(self) -> String {
        self.text
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_stored_as_it_is_seen() {
        assert_eq!(Label::parse(" \u{feff}A\u{200b}da\u{202e} ").unwrap().as_str(), "Ada");
        assert_eq!(Label::parse("Rene\u{301}").unwrap().as_str(), "Ren\u{e9}");
        assert_eq!(Label::parse("\u{200b}\u{3164}"), Err(LabelError::Empty));
        assert_eq!(Label::parse("a\nb"), Err(LabelError::ControlCharacter));
        assert_eq!(Label::parse(&"x".repeat(101)), Err(LabelError::TooLong));
        assert!(Label::parse(&format!("{}{}", "x".repeat(100), "\u{200b}".repeat(50))).is_ok());
    }

    #[test]
    fn the_name_of_a_device_is_never_refused() {
        let of = |text: &str| Label::of_device(text).map(Label::into_string);
        assert_eq!(of("Ada's\tphone\u{200b}\n"), Some("Ada's phone".to_owned()));
        assert_eq!(of(&"x".repeat(300)), Some("x".repeat(100)));
        assert_eq!(of(&format!("{}👩\u{200d}💻", "x".repeat(98))), Some("x".repeat(98)));
        assert_eq!(of(" \u{200b}\0"), None);
    }
}
