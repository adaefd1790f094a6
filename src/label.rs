//! Short texts that people give to themselves and to their devices.

/// A name: 1 to 100 characters on one line, without white space around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    #[error("must not be empty")]
    Empty,
    #[error("has more than {} characters", Label::MAX_CHARACTERS)]
    TooLong,
    #[error("holds a control character")]
    ControlCharacter,
}

impl LabelError {
    /// The stable name of the refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::ControlCharacter => "control_character",
        }
    }
}

impl Label {
    pub const MAX_CHARACTERS: usize = 100;

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
        Ok(Self(text.to_owned()))
    }

    pub fn into_string(self) -> String {
        self.0
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
