//! Points in time: whole milliseconds in UTC.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z. It is displayed and serialized as RFC 3339 in UTC with
/// milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    millis: i64,
}

impl Timestamp {
    /// Creates the point in time that is `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self { millis }
    }

    /// Returns the milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.millis
    }

    /// Returns the whole seconds since the epoch, rounded down: a NumericDate (RFC 7519 §2).
    pub const fn as_secs(self) -> i64 {
        self.millis.div_euclid(1000)
    }

    /// Creates the point in time that is `secs` seconds after the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_millis(secs.saturating_mul(1000))
    }

    /// Returns the point in time that is `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.millis.saturating_add(whole_millis(duration)))
    }

    /// Returns the point in time that is `duration` earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_millis(self.millis.saturating_sub(whole_millis(duration)))
    }

    /// Parses a time of RFC 3339 with any offset. Returns `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(|time: jiff::Timestamp| Self::from_millis(time.as_millisecond()))
    }

    /// Parses a time without an offset as UTC. Returns `None` for anything else.
    pub fn parse_utc(text: &str) -> Option<Self> {
        let time: jiff::civil::DateTime = text.parse().ok()?;
        let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Self::from_millis(time.timestamp().as_millisecond()))
    }

    /// Returns the time from `earlier` to `self`. Returns zero if `earlier` is later, as it can be on a server whose
    /// clock is behind.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.millis.saturating_sub(earlier.millis)).unwrap_or(0))
    }
}

fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.millis) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms", self.millis),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self::from_millis(time.as_millisecond()))
    }
}

/// Serializes a timestamp as milliseconds since the epoch, with `#[serde(with = "as_millis")]`.
pub mod as_millis {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Timestamp;

    /// Serializes the milliseconds since the epoch.
    ///
    /// # Errors
    /// The serializer fails.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_millis())
    }

    /// Deserializes the milliseconds since the epoch.
    ///
    /// # Errors
    /// The value is not an integer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_rfc_3339_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_700_000_000_007).to_string(), "2023-11-14T22:13:20.007Z");
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
