//! What is due for signing keys at some time, by their times and the configuration.

use std::time::Duration;

use super::state::KeyState;
use super::store::KeyRow;
use crate::clock::MAX_SKEW_TO_ISSUE;
use crate::config::Config;
use crate::types::{Algorithm, KeyId, Timestamp};

/// The time for which a server announces that it signs with an algorithm. It does so again after half of it.
const WANTED: Duration = Duration::from_secs(3600);

/// The configuration of signing keys.
#[derive(Clone, Debug)]
pub struct KeyPolicy {
    /// The algorithms that this server signs with. The first is for all tokens that no other was chosen for.
    pub algorithms: Vec<Algorithm>,
    /// The time that a key is published before it signs: twice the time that verifiers keep the published keys.
    pub lead: Duration,
    /// The lifetime of access tokens.
    pub token_ttl: Duration,
    /// The time after which a key is replaced, or `None` to leave that to operators.
    pub rotation_interval: Option<Duration>,
}

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Create a key for an algorithm that has none, which signs from this time on.
    Create {
        /// The algorithm.
        algorithm: Algorithm,
        /// The time from which on it signs.
        active_from: Timestamp,
    },
    /// Announce that this server signs with a key.
    Announce {
        /// The key.
        key: KeyId,
        /// The longest lifetime of its tokens in seconds.
        token_ttl: i64,
        /// The time until which the announcement counts.
        wanted_until: Timestamp,
    },
    /// Replace a key that has signed for the interval of rotation.
    Replace(KeyId),
    /// Retire a key whose algorithm no server signs with any more.
    Retire(KeyId),
    /// Erase the private half of a key that has ended.
    Erase(KeyId),
}

impl KeyPolicy {
    /// Returns the policy that `config` sets.
    pub fn new(config: &Config) -> Self {
        let algorithms = [vec![config.algorithm], config.keys.additional_algorithms.clone()].concat();
        Self {
            algorithms,
            lead: config.keys.jwks_max_age.saturating_mul(2),
            token_ttl: config.access_token_ttl,
            rotation_interval: config.keys.rotation_interval,
        }
    }

    /// Returns the lifetime of tokens in whole seconds.
    pub(super) fn token_ttl_secs(&self) -> i64 {
        i64::try_from(self.token_ttl.as_secs()).unwrap_or(i64::MAX)
    }

    /// Returns the time until which an announcement at `now` counts.
    pub(super) fn wanted_until(now: Timestamp) -> Timestamp {
        now.plus(WANTED)
    }

    /// Returns everything that is due at `now`. What follows from it is due once it was done.
    pub(super) fn due(&self, rows: &[KeyRow], now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        for algorithm in &self.algorithms {
            let open = rows.iter().find(|row| row.algorithm == algorithm.name() && row.times().is_open());
            actions.extend(match open {
                None => vec![Action::Create { algorithm: *algorithm, active_from: self.activation(rows, now) }],
                Some(row) => self.due_for_own(row, now),
            });
        }
        let ours = |row: &&KeyRow| self.algorithms.iter().any(|algorithm| row.algorithm == algorithm.name());
        let others = rows.iter().filter(|row| row.times().is_open() && !ours(row) && row.wanted_until <= now);
        // The key of another algorithm signs until one of this server's own does.
        if rows.iter().any(|row| ours(&row) && row.times().state(now) == KeyState::Active) {
            actions.extend(others.map(|row| Action::Retire(row.id)));
        }
        let ended = rows.iter().filter(|row| !row.times().state(now).verifies() && !row.sealed_private_key.is_empty());
        actions.extend(ended.map(|row| Action::Erase(row.id)));
        actions
    }

    /// Returns when a key that is created at `now` begins to sign: at once if no other one can.
    fn activation(&self, rows: &[KeyRow], now: Timestamp) -> Timestamp {
        let has_active = rows.iter().any(|row| row.times().state(now) == KeyState::Active);
        if has_active { now.plus(self.lead) } else { now }
    }

    fn due_for_own(&self, row: &KeyRow, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        let until = Self::wanted_until(now);
        let token_ttl = row.token_ttl.max(self.token_ttl_secs());
        if token_ttl > row.token_ttl || row.wanted_until.plus(WANTED / 2) < until {
            actions.push(Action::Announce { key: row.id, token_ttl, wanted_until: until });
        }
        let is_active = row.times().state(now) == KeyState::Active;
        if is_active && self.rotation_interval.is_some_and(|interval| now.since(row.active_from) >= interval) {
            actions.push(Action::Replace(row.id));
        }
        actions
    }
}

impl KeyRow {
    /// Returns the time for which tokens can be valid after the key has signed last, on whatever server.
    pub(super) fn token_lifetime(&self) -> Duration {
        self.token_ttl().saturating_add(MAX_SKEW_TO_ISSUE)
    }
}
