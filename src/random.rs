//! The one source of randomness, and the ids made from it.

use rand::Rng;
use uuid::Uuid;

use crate::clock::Timestamp;

/// A cryptographically secure source, seeded by the operating system.
#[derive(Clone, Copy, Default)]
pub struct Random;

impl Random {
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        #[expect(clippy::disallowed_methods, reason = "the one place where randomness is read")]
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }

    /// A UUID of version 7 (RFC 9562 §5.7): ids made later sort later, to the millisecond.
    pub fn id(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// [`Self::id`] with `place` (12 bits) before its random part: ids of one millisecond sort by it (RFC 9562 §6.2).
    pub fn id_in_place(&self, now: Timestamp, place: u16) -> Uuid {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let mut bytes: [u8; 10] = self.bytes();
        let [first, second, ..] = &mut bytes;
        [*first, *second] = place.to_be_bytes();
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    /// A number between 0 and 1, to spread things that should not come in step.
    pub fn fraction(&self) -> f64 {
        f64::from(u32::from_le_bytes(self.bytes())) / f64::from(u32::MAX)
    }
}
