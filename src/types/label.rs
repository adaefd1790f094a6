//! Names that users give to themselves and to their devices.

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

    /// Parses a name and removes the white space around it.
    ///
    /// # Errors
    /// The name is empty, too long, or contains a control character.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(LabelError::Empty);
        }
        if text.chars().count() > Self::MAX_CHARACTERS {
            return Err(LabelError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(LabelError::ControlCharacter);
        }
        Ok(Self { text: text.to_owned() })
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
