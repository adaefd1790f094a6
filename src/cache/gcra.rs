//! The script by which Redis counts attempts for all servers.

use std::time::Duration;

use crate::types::Rate;

/// The generic cell rate algorithm (GCRA). The script documents its keys, arguments and reply.
pub const SCRIPT: &str = include_str!("gcra.lua");

/// The decision on attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The number of requested attempts that are allowed.
    pub granted: u32,
    /// The number of further attempts that would be allowed now.
    pub remaining: u32,
    /// The time until the next attempt is allowed, or zero if one was allowed.
    pub retry_after: Duration,
    /// The time until all attempts are available again.
    pub reset: Duration,
}

/// Returns the arguments of the script: the burst, the microseconds until another attempt is available, and the number
/// of requested attempts.
pub fn arguments(rate: Rate, requested: u32) -> [u64; 3] {
    let interval = rate.period.as_micros().checked_div(rate.burst.get().into()).unwrap_or_default();
    [rate.burst.get().into(), u64::try_from(interval).unwrap_or(u64::MAX).max(1), requested.into()]
}

/// Parses the reply of the script. Returns `None` if it has another form.
pub fn parse(reply: &[i64]) -> Option<Decision> {
    let &[granted, remaining, retry_after, reset] = reply else { return None };
    let millis = |count| u64::try_from(count).ok().map(Duration::from_millis);
    Some(Decision {
        granted: granted.try_into().ok()?,
        remaining: remaining.try_into().ok()?,
        retry_after: millis(retry_after)?,
        reset: millis(reset)?,
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn the_script_is_given_the_burst_and_the_time_for_one_more() {
        let rate =
            |burst, seconds| Rate { burst: NonZeroU32::new(burst).unwrap(), period: Duration::from_secs(seconds) };
        assert_eq!(arguments(rate(10, 60), 1), [10, 6_000_000, 1]);
        assert_eq!(arguments(rate(3, 10), 2), [3, 3_333_333, 2]);
        assert_eq!(arguments(rate(4_000_000, 1), 7), [4_000_000, 1, 7]);
    }

    #[test]
    fn a_reply_is_read_and_anything_else_is_refused() {
        let refused = Decision {
            granted: 0,
            remaining: 0,
            retry_after: Duration::from_millis(1500),
            reset: Duration::from_millis(4500),
        };
        assert_eq!(parse(&[0, 0, 1500, 4500]), Some(refused));
        assert_eq!(parse(&[1, 2, 0, 20]).map(|decision| (decision.granted, decision.remaining)), Some((1, 2)));
        for reply in [&[][..], &[1], &[1, 0, 0], &[-1, 0, 0, 0], &[1, -1, 0, 0], &[0, 0, -1, 0], &[1, 0, 0, 0, 0]] {
            assert_eq!(parse(reply), None, "{reply:?}");
        }
    }
}
