//! The states of signing keys. A key is published before it signs, and stays published until its last token has
//! expired.

use std::time::Duration;

use crate::types::Timestamp;

/// The state of a signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// The key is published and does not sign yet.
    Next,
    /// The key signs.
    Active,
    /// The key signs no more. Its tokens are valid until they expire.
    Retired,
    /// The last token of the key has expired, so the key is published no more.
    Removed,
    /// The key was revoked, and with it all of its tokens.
    Revoked,
}

impl KeyState {
    /// Every state, in the order of a key's life.
    pub const ALL: [Self; 5] = [Self::Next, Self::Active, Self::Retired, Self::Removed, Self::Revoked];

    /// Returns the name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Removed => "removed",
            Self::Revoked => "revoked",
        }
    }

    /// Returns whether a key in this state is published, and verifies tokens.
    pub const fn verifies(self) -> bool {
        matches!(self, Self::Next | Self::Active | Self::Retired)
    }
}

/// A transition that is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key that is {} cannot be {action}", .state.name())]
pub struct TransitionError {
    /// The state that the key is in.
    pub state: KeyState,
    /// The transition.
    pub action: &'static str,
}

/// The times of a signing key, from which its state at any time follows. So the transitions that are planned take place
/// on all servers at the same time, also on one that cannot reach the database at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTimes {
    /// The time at which the key was created and published.
    pub created_at: Timestamp,
    /// The time from which on the key signs.
    pub active_from: Timestamp,
    /// The time from which on the key signs no more; in the future if that is planned.
    pub retired_at: Option<Timestamp>,
    /// The time at which the last token of a retired key has expired.
    pub remove_after: Option<Timestamp>,
    /// The time at which the key was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl KeyTimes {
    /// Returns the times of a key that is published at `now` and signs from `active_from` on.
    pub const fn new(now: Timestamp, active_from: Timestamp) -> Self {
        Self { created_at: now, active_from, retired_at: None, remove_after: None, revoked_at: None }
    }

    /// Returns the state at `now`.
    pub fn state(&self, now: Timestamp) -> KeyState {
        let is_past = |time: Option<Timestamp>| time.is_some_and(|time| now >= time);
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if is_past(self.remove_after) {
            KeyState::Removed
        } else if is_past(self.retired_at) {
            KeyState::Retired
        } else if now >= self.active_from {
            KeyState::Active
        } else {
            KeyState::Next
        }
    }

    /// Returns whether no end of the key is planned. There is one such key for each use and algorithm.
    pub const fn is_open(&self) -> bool {
        self.retired_at.is_none() && self.revoked_at.is_none()
    }

    /// Lets a next key sign at once.
    ///
    /// # Errors
    /// The key is not a next one.
    pub fn activate(self, now: Timestamp) -> Result<Self, TransitionError> {
        match self.state(now) {
            KeyState::Next => Ok(Self { active_from: now, ..self }),
            state => Err(TransitionError { state, action: "activated" }),
        }
    }

    /// Plans the end of a next or active key: it is retired at `at`, and removed `token_lifetime` later.
    ///
    /// # Errors
    /// The key has ended, or its end is planned already.
    pub fn retire(self, at: Timestamp, token_lifetime: Duration, now: Timestamp) -> Result<Self, TransitionError> {
        match self.state(now) {
            KeyState::Next | KeyState::Active if self.is_open() => {
                Ok(Self { retired_at: Some(at), remove_after: Some(at.plus(token_lifetime)), ..self })
            }
            state => Err(TransitionError { state, action: "retired" }),
        }
    }

    /// Cancels the planned end of a key, whose successor was revoked before it signed.
    ///
    /// # Errors
    /// The key has ended, or no end is planned.
    pub fn keep(self, now: Timestamp) -> Result<Self, TransitionError> {
        match self.state(now) {
            KeyState::Next | KeyState::Active if !self.is_open() => {
                Ok(Self { retired_at: None, remove_after: None, ..self })
            }
            state => Err(TransitionError { state, action: "kept" }),
        }
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// The key is revoked, or removed: then no token of it is valid.
    pub fn revoke(self, now: Timestamp) -> Result<Self, TransitionError> {
        match self.state(now) {
            KeyState::Next | KeyState::Active | KeyState::Retired => Ok(Self { revoked_at: Some(now), ..self }),
            state => Err(TransitionError { state, action: "revoked" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(960);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn a_key_goes_from_next_to_removed() {
        let times = KeyTimes::new(at(0), at(600)).retire(at(10_000), LIFETIME, at(700)).unwrap();
        for (secs, state) in [
            (0, KeyState::Next),
            (599, KeyState::Next),
            (600, KeyState::Active),
            (9_999, KeyState::Active),
            (10_000, KeyState::Retired),
            (10_959, KeyState::Retired),
            (10_960, KeyState::Removed),
        ] {
            assert_eq!(times.state(at(secs)), state, "{secs}");
            assert_eq!(state.verifies(), state != KeyState::Removed);
        }
        assert_eq!(times.revoke(at(700)).unwrap().state(at(0)), KeyState::Revoked);
    }

    #[test]
    fn what_is_not_possible_in_a_state_is_an_error() {
        let open = KeyTimes::new(at(0), at(600));
        let planned = open.retire(at(1_000), LIFETIME, at(700)).unwrap();
        let revoked = open.revoke(at(1)).unwrap();
        assert_eq!(open.activate(at(600)).unwrap_err().state, KeyState::Active);
        assert_eq!(open.activate(at(300)).unwrap().state(at(300)), KeyState::Active);
        assert_eq!(planned.retire(at(2_000), LIFETIME, at(700)).unwrap_err().state, KeyState::Active);
        assert_eq!(planned.keep(at(999)), Ok(open));
        for (result, state) in [
            (open.keep(at(1)), KeyState::Next),
            (planned.keep(at(1_000)), KeyState::Retired),
            (planned.activate(at(1_000)), KeyState::Retired),
            (planned.revoke(at(9_000)), KeyState::Removed),
            (revoked.revoke(at(1)), KeyState::Revoked),
            (revoked.retire(at(1), LIFETIME, at(1)), KeyState::Revoked),
            (revoked.keep(at(1)), KeyState::Revoked),
        ] {
            assert_eq!(result.unwrap_err().state, state);
        }
        assert_eq!(planned.revoke(at(9_000)).unwrap_err().to_string(), "a key that is removed cannot be revoked");
    }
}
