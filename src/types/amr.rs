//! Authentication method references.

use serde::{Deserialize, Serialize};

/// The methods by which a user has authenticated: the claim `amr` (RFC 8176 §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amr {
    methods: Vec<String>,
}

impl Amr {
    /// Creates the claim from the names of methods, such as `pwd` and `otp`.
    pub fn new(methods: &[&str]) -> Self {
        Self { methods: methods.iter().map(|method| (*method).to_owned()).collect() }
    }

    /// Returns the claim that a token has.
    pub fn from_token(methods: Vec<String>) -> Self {
        Self { methods }
    }

    /// Returns the claim for a password alone.
    pub fn password() -> Self {
        Self::new(&["pwd"])
    }

    /// Returns whether a second factor is among the methods.
    pub fn has_second_factor(&self) -> bool {
        self.methods.iter().any(|method| method == "mfa")
    }

    /// Returns the names of the methods.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }
}
