//! Points in time, on both of the machine's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A point in time. The claims of tokens are compared with the wall clock; the age of what is known about revocations
/// is measured on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The milliseconds since 1970-01-01T00:00:00Z.
    pub unix_millis: i64,
    /// The monotonic time.
    pub instant: Instant,
}

impl Moment {
    /// Returns the current time.
    pub fn now() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place; `Verifier::verify` takes a moment")]
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Self { unix_millis: i64::try_from(since).unwrap_or(i64::MAX), instant: Instant::now() }
    }

    /// Returns the whole seconds since 1970, rounded down: a NumericDate (RFC 7519 §2).
    pub const fn unix_secs(self) -> i64 {
        self.unix_millis.div_euclid(1000)
    }
}
