//! Scopes and audiences: what clients may do, and whom tokens are for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Scopes (RFC 6749 §3.3): up to 32, without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes {
    names: Vec<String>,
}

/// The reason why a list of names is not accepted as scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopesError {
    /// A name is not a scope.
    #[error(
        "has a scope that is not 1 to {} printable ASCII characters without space, quote and backslash",
        Scopes::MAX_BYTES
    )]
    InvalidScope,
    /// The list is longer than [`Scopes::MAX`].
    #[error("has more than {} scopes", Scopes::MAX)]
    TooMany,
}

impl ScopesError {
    /// Returns the stable code of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidScope => "invalid_scope",
            Self::TooMany => "too_long",
        }
    }
}

impl Scopes {
    /// The most scopes of a client or token.
    pub const MAX: usize = 32;

    /// The longest scope, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// A scope as a regular expression (RFC 6749 §3.3, `scope-token`).
    pub const PATTERN: &str = r"^[\x21\x23-\x5B\x5D-\x7E]+$";

    /// Parses scopes, keeps their order and removes duplicates.
    ///
    /// # Errors
    /// A name is not a scope, or there are too many.
    pub fn parse<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Result<Self, ScopesError> {
        let names = unique(names, is_scope).ok_or(ScopesError::InvalidScope)?;
        if names.len() > Self::MAX { Err(ScopesError::TooMany) } else { Ok(Self { names }) }
    }

    /// Parses scopes that are separated by spaces, as in requests and tokens.
    ///
    /// # Errors
    /// A name is not a scope, or there are too many.
    pub fn parse_text(text: &str) -> Result<Self, ScopesError> {
        Self::parse(text.split(' ').filter(|name| !name.is_empty()))
    }

    /// Returns whether `name` is one of the scopes.
    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    /// Returns whether there are no scopes.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns whether each of the scopes is also one of `others`.
    pub fn are_within(&self, others: &Self) -> bool {
        self.names.iter().all(|name| others.contains(name))
    }

    /// Returns the scopes for which `keep` holds.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self { names: self.names.iter().filter(|name| keep(name)).cloned().collect() }
    }

    /// Returns the names of the scopes.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(" "))
    }
}

/// Audiences (RFC 7519 §4.1.3): names of those whom tokens may be for. Up to 32, without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Audiences {
    names: Vec<String>,
}

/// The reason why a list of names is not accepted as audiences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AudiencesError {
    /// A name is not an audience.
    #[error(
        "has an audience that is not 1 to {} printable ASCII characters without space, quote and backslash",
        Audiences::MAX_BYTES
    )]
    InvalidAudience,
    /// The list is longer than [`Audiences::MAX`].
    #[error("has more than {} audiences", Audiences::MAX)]
    TooMany,
}

impl AudiencesError {
    /// Returns the stable code of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidAudience => "invalid_audience",
            Self::TooMany => "too_long",
        }
    }
}

impl Audiences {
    /// The most audiences of a client.
    pub const MAX: usize = 32;

    /// The longest audience, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Parses audiences, keeps their order and removes duplicates.
    ///
    /// # Errors
    /// A name is not an audience, or there are too many.
    pub fn parse<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Result<Self, AudiencesError> {
        let names = unique(names, |name| is_token(name, Self::MAX_BYTES)).ok_or(AudiencesError::InvalidAudience)?;
        if names.len() > Self::MAX { Err(AudiencesError::TooMany) } else { Ok(Self { names }) }
    }

    /// Returns whether `name` is one of the audiences.
    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    /// Returns the names of the audiences.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// Returns the names in their order without duplicates, or `None` if one is not valid.
fn unique<T: Into<String>>(names: impl IntoIterator<Item = T>, is_valid: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let mut kept: Vec<String> = Vec::new();
    for name in names.into_iter().map(Into::into) {
        if !is_valid(&name) {
            return None;
        }
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    Some(kept)
}

fn is_scope(name: &str) -> bool {
    is_token(name, Scopes::MAX_BYTES)
}

/// Returns whether a text is a `scope-token` (RFC 6749 §3.3) of up to `max` bytes.
fn is_token(name: &str, max: usize) -> bool {
    (1..=max).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_those_of_rfc_6749() {
        let scopes = Scopes::parse_text(" introspect  orders:read introspect").unwrap();
        assert_eq!(scopes.names(), ["introspect", "orders:read"]);
        assert_eq!(scopes.to_string(), "introspect orders:read");
        assert!(Scopes::parse_text("").unwrap().is_empty());
        for wrong in ["", "a b", "a\"b", "a\\b", "é", "a\n", "a\0", &"a".repeat(65)] {
            assert_eq!(Scopes::parse([wrong]), Err(ScopesError::InvalidScope), "{wrong:?}");
        }
        let many = |count| (0..count).map(|number| format!("scope-{number}")).collect::<Vec<_>>();
        assert!(Scopes::parse(many(32)).is_ok());
        assert_eq!(Scopes::parse(many(33)), Err(ScopesError::TooMany));
    }

    #[test]
    fn scopes_are_within_others_that_have_them_all() {
        let scopes = |text| Scopes::parse_text(text).unwrap();
        assert!(scopes("a").are_within(&scopes("a b")) && scopes("").are_within(&scopes("")));
        assert!(!scopes("a c").are_within(&scopes("a b")));
        assert_eq!(scopes("a b c").filter(|name| name != "b"), scopes("a c"));
    }

    #[test]
    fn an_audience_is_a_name_or_an_address() {
        let audiences = Audiences::parse(["https://api.example/orders", "billing", "billing"]).unwrap();
        assert_eq!(audiences.names(), ["https://api.example/orders", "billing"]);
        assert!(audiences.contains("billing") && !audiences.contains("Billing"));
        for wrong in ["", "a b", "\u{e9}", &"a".repeat(256)] {
            assert_eq!(Audiences::parse([wrong]), Err(AudiencesError::InvalidAudience), "{wrong:?}");
        }
    }
}
