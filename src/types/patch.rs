//! Changes of optional values.

use serde::{Deserialize, Deserializer};

/// A change of an optional value. In JSON a missing field keeps the value, `null` clears it, and a value replaces it
/// (RFC 7396 §1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Leaves the value as it is.
    #[default]
    Keep,
    /// Removes the value.
    Clear,
    /// Replaces the value.
    Set(T),
}

impl<T> Patch<T> {
    /// Returns whether the change keeps the value.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// Converts the new value, if there is one.
    ///
    /// # Errors
    /// `convert` refuses the value.
    pub fn try_map<U, E>(self, convert: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(convert(value)?),
        })
    }

    /// Returns the value after the change, or `None` if the change keeps it.
    pub fn changed(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

/// Deserializes a field that is present. A missing field is the default if it has `#[serde(default)]`.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

/// Deserializes a field that may be missing, and is kept then, but not `null`, where nothing can be cleared.
///
/// # Errors
/// The field is `null`, or of another type.
pub fn not_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Change {
        #[serde(default)]
        name: Patch<String>,
    }

    #[test]
    fn a_missing_field_keeps_null_clears_and_a_value_sets() {
        let read = |json| serde_json::from_str::<Change>(json).unwrap().name;
        assert_eq!(read("{}"), Patch::Keep);
        assert_eq!(read(r#"{"name":null}"#), Patch::Clear);
        assert_eq!(read(r#"{"name":"Ada"}"#), Patch::Set("Ada".to_owned()));
        assert!(serde_json::from_str::<Change>(r#"{"name":7}"#).is_err());
    }
}
