//! Roles of an account.

use serde::{Deserialize, Serialize};

use super::text::is_invisible;

/// The role that every account has.
pub const USER: &str = "user";

/// The role of administrators.
pub const ADMIN: &str = "admin";

/// The roles of an account: up to 32, without duplicates, always with `user`. A role has 1 to 64 characters, which are
/// ASCII letters, digits, `.`, `_`, `:` and `-`, and it begins with a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roles {
    names: Vec<String>,
}

/// The name of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    name: String,
}

impl Role {
    /// Parses the name of a role.
    ///
    /// # Errors
    /// The name is not a valid role.
    pub fn parse(name: &str) -> Result<Self, RolesError> {
        if name.contains(is_invisible) {
            return Err(RolesError::InvisibleCharacter);
        }
        if is_role(name) { Ok(Self { name: name.to_owned() }) } else { Err(RolesError::InvalidRole) }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// The reason why a list of names is not accepted as the roles of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolesError {
    /// A name is not a valid role.
    #[error(
        "has a role that is not 1 to {} letters, digits and . _ : -, beginning with a letter or digit",
        Roles::MAX_BYTES
    )]
    InvalidRole,
    /// A name has a character that cannot be seen.
    #[error("has a role that contains an invisible character")]
    InvisibleCharacter,
    /// The list is longer than [`Roles::MAX`].
    #[error("has more than {} roles", Roles::MAX)]
    TooMany,
}

impl RolesError {
    /// Returns the stable code of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRole => "invalid_role",
            Self::InvisibleCharacter => "invisible_character",
            Self::TooMany => "too_long",
        }
    }
}

impl Default for Roles {
    /// Returns the roles of a new account.
    fn default() -> Self {
        Self { names: vec![USER.to_owned()] }
    }
}

impl Roles {
    /// The most roles of an account.
    pub const MAX: usize = 32;

    /// The longest name of a role, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The names of roles as a regular expression.
    pub const PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._:-]*$";

    /// Parses the roles of an account and keeps their order. Adds `user` in front if it is missing, and removes
    /// duplicates. The API, the command line and imports all use this function.
    ///
    /// # Errors
    /// A name is not a valid role, or there are too many.
    pub fn parse(names: Vec<String>) -> Result<Self, RolesError> {
        let mut roles: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            if name.contains(is_invisible) {
                return Err(RolesError::InvisibleCharacter);
            }
            if !is_role(&name) {
                return Err(RolesError::InvalidRole);
            }
            if !roles.contains(&name) {
                roles.push(name);
            }
        }
        if !roles.iter().any(|role| role == USER) {
            roles.insert(0, USER.to_owned());
        }
        if roles.len() > Self::MAX { Err(RolesError::TooMany) } else { Ok(Self { names: roles }) }
    }

    /// Returns these roles with another one.
    ///
    /// # Errors
    /// They are too many then.
    pub fn with(&self, role: &Role) -> Result<Self, RolesError> {
        Self::parse(self.names.iter().chain([&role.name]).cloned().collect())
    }

    /// Returns the roles that a token says, which were valid when it was issued.
    pub fn from_token(names: Vec<String>) -> Self {
        Self { names }
    }

    /// Returns the roles of a new administrator.
    pub fn administrator() -> Self {
        Self { names: vec![USER.to_owned(), ADMIN.to_owned()] }
    }

    /// Returns whether the account has `role`.
    pub fn contains(&self, role: &str) -> bool {
        self.names.iter().any(|name| name == role)
    }

    /// Returns the roles without `role`.
    #[must_use]
    pub fn without(mut self, role: &str) -> Self {
        self.names.retain(|name| name != role);
        self
    }

    /// Returns the names of the roles.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

fn is_role(name: &str) -> bool {
    (1..=Roles::MAX_BYTES).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Vec<String>, RolesError> {
        Roles::parse(names.iter().map(|name| (*name).to_owned()).collect()).map(|roles| roles.names)
    }

    #[test]
    fn every_account_keeps_the_role_user_and_has_none_twice() {
        assert_eq!(parse(&[]).unwrap(), ["user"]);
        assert_eq!(parse(&["admin", "a-1_b", "admin"]).unwrap(), ["user", "admin", "a-1_b"]);
        assert_eq!(parse(&["admin", "user"]).unwrap(), ["admin", "user"]);
    }

    #[test]
    fn a_role_needs_no_quoting_and_may_be_of_another_system() {
        for right in ["Editor", "org:billing.read", "editor:news", "1st", "a", &"a".repeat(64)] {
            assert_eq!(parse(&[right]).unwrap(), ["user", right]);
        }
        for wrong in ["", "-a", ".a", "a b", "a,b", "a/b", "é", "a\n", &"a".repeat(65)] {
            assert_eq!(parse(&[wrong]), Err(RolesError::InvalidRole), "{wrong}");
        }
    }

    #[test]
    fn a_role_that_looks_like_another_is_refused_by_name() {
        for wrong in ["admin\u{200b}", "\u{feff}admin", "ad\u{ad}min"] {
            assert_eq!(parse(&[wrong]), Err(RolesError::InvisibleCharacter));
        }
    }

    #[test]
    fn an_account_has_32_roles_at_most_with_its_role_as_user() {
        let many = |count| (0..count).map(|number| format!("role-{number}")).collect();
        assert_eq!(Roles::parse(many(31)).map(|roles| roles.names().len()), Ok(32));
        assert_eq!(Roles::parse(many(32)), Err(RolesError::TooMany));
    }
}
