//! The source of randomness, and the ids that are generated from it.

use rand::Rng;
use uuid::Uuid;

use crate::types::Timestamp;

/// A cryptographically secure random number generator, seeded by the operating system.
#[derive(Clone, Copy, Default)]
pub struct Random;

impl Random {
    /// Returns `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        #[expect(clippy::disallowed_methods, reason = "the only place that reads randomness")]
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }

    /// Generates a UUID of version 7 (RFC 9562 §5.7). Ids sort by the millisecond in which they were generated.
    pub fn id(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// Generates an id as [`Self::id`] does, with the lower 12 bits of `sequence` before its random part: ids of one
    /// millisecond sort by their sequence (RFC 9562 §6.2).
    pub fn sequential_id(&self, now: Timestamp, sequence: u16) -> Uuid {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let mut bytes: [u8; 10] = self.bytes();
        let [first, second, ..] = &mut bytes;
        [*first, *second] = sequence.to_be_bytes();
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    /// Returns a number from 0 to 1, to add jitter to intervals.
    pub fn fraction(&self) -> f64 {
        f64::from(u32::from_le_bytes(self.bytes())) / f64::from(u32::MAX)
    }
}
