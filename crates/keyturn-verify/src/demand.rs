//! What an application demands of a valid token.

use crate::{Moment, Refusal, VerifiedToken};

/// What an application demands of a valid token, beyond its validity. The default demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    role: Option<String>,
    scope: Option<String>,
    amr: Option<String>,
    is_owner: bool,
    max_age_secs: Option<u32>,
}

impl Demand {
    /// Demands a role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// Demands scopes, separated by spaces.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Demands a method of authentication, such as `mfa`.
    #[must_use]
    pub fn amr(mut self, method: impl Into<String>) -> Self {
        self.amr = Some(method.into());
        self
    }

    /// Demands that nobody acts for the user.
    #[must_use]
    pub const fn owner(mut self) -> Self {
        self.is_owner = true;
        self
    }

    /// Demands that the user authenticated at most so many seconds ago (RFC 9470). keyturn's clients get there by
    /// `POST /api/v1/auth/reauthenticate`.
    #[must_use]
    pub const fn max_age_secs(mut self, seconds: u32) -> Self {
        self.max_age_secs = Some(seconds);
        self
    }

    /// Checks a valid token.
    ///
    /// # Errors
    /// The token has not what is demanded: the first of role, scope, owner, method and age that it has not.
    pub fn check(&self, token: &VerifiedToken, now: Moment) -> Result<(), Refusal> {
        let claims = &token.claims;
        if self.role.as_ref().is_some_and(|role| !claims.has_role(role)) {
            return Err(Refusal::MissingRole);
        }
        if self.scope.as_ref().is_some_and(|scope| !claims.has_scope(scope)) {
            return Err(Refusal::MissingScope);
        }
        if self.is_owner && claims.act.is_some() {
            return Err(Refusal::Acting);
        }
        if self.amr.as_ref().is_some_and(|method| !claims.has_amr(method)) {
            return Err(Refusal::MissingAmr);
        }
        let Some(max_age) = self.max_age_secs else { return Ok(()) };
        let age = claims.auth_time.map(|at| now.unix_secs().saturating_sub(at));
        if age.is_some_and(|age| age <= i64::from(max_age)) { Ok(()) } else { Err(Refusal::LoginTooOld) }
    }
}
