//! Ids of sessions and tokens.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A UUID (RFC 9562). In tokens it is accepted in its canonical form alone: hexadecimal digits in lower case, with
/// hyphens.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id {
    bytes: [u8; 16],
}

impl Id {
    /// Creates the id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { bytes }
    }

    /// Returns the bytes.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// Parses the canonical form. Returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 36 {
            return None;
        }
        let mut bytes = [0; 16];
        let mut digits = 0_usize;
        for (place, character) in text.iter().enumerate() {
            if matches!(place, 8 | 13 | 18 | 23) {
                if *character != b'-' {
                    return None;
                }
                continue;
            }
            let value = match character {
                b'0'..=b'9' => character - b'0',
                b'a'..=b'f' => character - b'a' + 10,
                _ => return None,
            };
            let byte = bytes.get_mut(digits / 2)?;
            *byte = *byte << 4 | value;
            digits += 1;
        }
        Some(Self { bytes })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.bytes.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a UUID in its canonical form"))
    }
}
