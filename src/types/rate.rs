//! Rate limits.

use std::num::NonZeroU32;
use std::time::Duration;

/// A limit on how often something may be attempted: `burst` attempts at once, then as many again spread evenly over
/// `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The most attempts at once.
    pub burst: NonZeroU32,
    /// The time in which `burst` attempts become available again.
    pub period: Duration,
}
