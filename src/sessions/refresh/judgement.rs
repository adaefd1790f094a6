//! Judges a presented refresh token by its session's row, without I/O.

use std::time::Duration;

use super::{IdempotencyKey, Policy};
use crate::sessions::store::TokenFamily;
use crate::tokens::refresh::RefreshToken;
use crate::types::{KeyThumbprint, Timestamp};

/// The debt that a recovery adds to a session. Each rotation subtracts one.
const RECOVERY_COST: i32 = 8;

/// The debt that a recovery with the key of the rotation adds, which only the client of the rotation has.
const RECOVERY_COST_WITH_KEY: i32 = 1;

/// The time after a rotation in which a request that was sent before it can still arrive. TCP sends its bytes again for
/// up to two minutes, and proxies hold requests for some minutes at the most.
const ECHO_HORIZON: Duration = Duration::from_secs(300);

/// The time in which a doubted token may be repeated, so that two copies of one request are one echo.
const DOUBT_INTERVAL: Duration = Duration::from_secs(1);

/// A refresh token as it was presented.
#[derive(Clone, Copy)]
pub(crate) struct Presented<'a> {
    /// The token.
    pub token: &'a RefreshToken,
    /// The key of the refresh, if the client sent one.
    pub key: Option<IdempotencyKey>,
    /// The key whose possession the client has proven (RFC 9449).
    pub proven: Option<KeyThumbprint>,
    /// The time at which the request had arrived, by which windows are judged: waiting for the database is not the
    /// client's fault.
    pub arrived: Timestamp,
}

impl Presented<'_> {
    /// Returns the time after which a rotation is one that this request may repeat; `None` without a replay window.
    pub(super) fn repeats_since(&self, policy: &Policy) -> Option<Timestamp> {
        (!policy.replay_window.is_zero()).then(|| self.arrived.minus(policy.replay_window))
    }

    fn is_in_window_of(&self, family: &TokenFamily, policy: &Policy) -> bool {
        self.repeats_since(policy).is_some_and(|since| family.snapshot.issued_at > since)
    }
}

/// The judgement of a presented token by its session's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sessions) enum Judgement {
    Current,
    Replay,
    /// The token is current, and the request repeats the refresh that issued it: cookies belong to all tabs, so the
    /// answer to one can be in the request of another.
    Repeated,
    /// The successor is issued again, and the debt of the session becomes `debt`.
    Recover {
        debt: i32,
    },
    /// The token is newer than the row.
    CatchUp,
    /// The request is a copy of the one that replaced the token.
    Echo,
    /// A replaced token was presented by a request that arrived before the last rotation.
    Overtaken,
    /// A replaced token was presented for the first time, which may be an echo. The doubt is to be recorded.
    Doubt,
    /// The token was doubted less than [`DOUBT_INTERVAL`] before.
    DoubtedBefore,
    /// A replaced token of a live session was used.
    Reused,
    /// A replaced token of an ended session was used. Nothing changes.
    ReusedAfterEnd,
    Revoked,
    Expired,
}

/// Judges a token by its session's row. The key that the session is bound to was proven before.
pub(in crate::sessions) fn judge(
    family: &TokenFamily,
    presented: Presented<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Judgement {
    let generation = i64::from(presented.token.generation);
    let current = family.snapshot.generation;
    let digest = presented.token.digest();
    let is_parent = generation.saturating_add(1) == current
        && family.parent_digest.as_deref().is_some_and(|parent| digest.matches(parent));
    let is_current = generation == current && digest.matches(&family.token_digest);
    let revoked = family.revoked_at.is_some() || family.disabled_at.is_some();
    let expired = now >= family.snapshot.deadline();
    if revoked || expired {
        let is_known = is_current || is_parent || generation > current || is_echo(family, generation, presented.key);
        return match (is_known, revoked) {
            (false, _) => Judgement::ReusedAfterEnd,
            (true, true) => Judgement::Revoked,
            (true, false) => Judgement::Expired,
        };
    }
    let is_in_window = presented.is_in_window_of(family, policy);
    if is_current {
        let is_repeated = is_in_window && has_rotation_key(family, presented.key);
        return if is_repeated { Judgement::Repeated } else { Judgement::Current };
    }
    if generation > current {
        return Judgement::CatchUp;
    }
    if is_parent {
        if is_in_window {
            return Judgement::Replay;
        }
        let debt = debt_after_recovery(family, presented.key);
        let limit = i64::from(policy.recoveries).saturating_mul(i64::from(RECOVERY_COST));
        // Who holds the key of the session is its client, so asking again costs nothing.
        let is_bound = family.snapshot.bound_to.is_some();
        if !family.access_seen && (is_bound || i64::from(debt) <= limit) {
            return Judgement::Recover { debt };
        }
    }
    judge_replaced(family, presented)
}

/// Returns the debt of the session if its current generation is issued again.
fn debt_after_recovery(family: &TokenFamily, key: Option<IdempotencyKey>) -> i32 {
    if family.recovered || family.snapshot.bound_to.is_some() {
        return family.recovery_debt;
    }
    let cost = if has_rotation_key(family, key) { RECOVERY_COST_WITH_KEY } else { RECOVERY_COST };
    family.recovery_debt.saturating_add(cost)
}

fn has_rotation_key(family: &TokenFamily, key: Option<IdempotencyKey>) -> bool {
    key.is_some_and(|key| key.matches(family.rotation_key.as_deref()))
}

/// Judges a replaced token of a live session: theft, unless the request may be an echo of one that the client has given
/// up. An echo comes once; a thief, and a client that has only this token, come again.
fn judge_replaced(family: &TokenFamily, presented: Presented<'_>) -> Judgement {
    let generation = i64::from(presented.token.generation);
    let arrived = presented.arrived;
    if is_echo(family, generation, presented.key) {
        return Judgement::Echo;
    }
    if arrived < family.snapshot.issued_at {
        return Judgement::Overtaken;
    }
    match (family.doubted_generation, family.doubted_at) {
        (Some(doubted), Some(at)) if generation <= doubted => {
            if arrived.since(at) < DOUBT_INTERVAL {
                Judgement::DoubtedBefore
            } else {
                Judgement::Reused
            }
        }
        _ if arrived.since(family.snapshot.issued_at) < ECHO_HORIZON => Judgement::Doubt,
        _ => Judgement::Reused,
    }
}

/// Returns whether `key` is that of the rotation that replaced the token of `generation`.
fn is_echo(family: &TokenFamily, generation: i64, key: Option<IdempotencyKey>) -> bool {
    let rotation_key = match family.snapshot.generation.saturating_sub(generation) {
        1 => family.rotation_key.as_deref(),
        2 => family.former_rotation_key.as_deref(),
        _ => None,
    };
    key.is_some_and(|key| key.matches(rotation_key))
}
