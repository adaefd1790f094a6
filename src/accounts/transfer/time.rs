//! Times as other systems write them.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Visitor};

use crate::types::Timestamp;

/// Numbers from this on are milliseconds since 1970, smaller ones seconds: as seconds it is in the year 5138, as
/// milliseconds in 1973.
const FIRST_MILLIS: u64 = 100_000_000_000;

/// The same for numbers with a fraction.
const FIRST_MILLIS_WITH_FRACTION: f64 = 100_000_000_000.0;

/// The error of a text or number that is no time.
pub(super) const NOT_A_TIME: &str = "not a time";

/// How systems write that something never happened: MySQL, and .NET and Go.
const NEVER: [&str; 2] = ["0000-00-00", "0001-01-01"];

/// Deserializes a time: in RFC 3339 or the like, as UTC if it has no offset, or as seconds or milliseconds since 1970.
/// Null, an empty text, 0 and the dates that stand for "never" are none.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    deserializer.deserialize_any(TimeVisitor)
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Option<Timestamp>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let text = text.trim();
        if text.is_empty() || NEVER.iter().any(|never| text.starts_with(never)) {
            return Ok(None);
        }
        Timestamp::parse(text).or_else(|| Timestamp::parse_utc(text)).map(Some).ok_or_else(|| E::custom(NOT_A_TIME))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let millis = if number < FIRST_MILLIS { number.saturating_mul(1000) } else { number };
        let time = i64::try_from(millis).map(Timestamp::from_millis).map_err(|_| E::custom(NOT_A_TIME))?;
        Ok((number > 0).then_some(time))
    }

    /// Reads a number with a fraction or an exponent, as JSON may write any number: `1614834367.25`, `1.614834367e9`.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        let millis = if number < FIRST_MILLIS_WITH_FRACTION { number * 1000.0 } else { number };
        // The text of a whole number, because there is no other conversion that says when it does not fit.
        let whole = format!("{millis:.0}").parse::<i64>().ok().filter(|_| number >= 0.0);
        let time = whole.map(Timestamp::from_millis).ok_or_else(|| E::custom(NOT_A_TIME))?;
        Ok((number > 0.0).then_some(time))
    }

    /// Refuses negative numbers: no account is older than 1970.
    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Err(E::custom(NOT_A_TIME))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<String>, String> {
        let time = deserialize(&mut serde_json::Deserializer::from_str(json)).map_err(|error| error.to_string())?;
        Ok(time.map(|time| time.to_string()))
    }

    #[test]
    fn a_time_is_read_as_many_systems_write_it() {
        for json in [
            r#""2021-03-04T05:06:07Z""#,
            r#""2021-03-04T07:06:07+02:00""#,
            r#""2021-03-04 05:06:07+00""#,
            r#""2021-03-04T05:06:07""#,
            r#""2021-03-04 05:06:07.000000""#,
            r#""2021-03-04T05:06:07.0000000+00:00""#,
            "1614834367",
            "1614834367000",
            "1614834367.0",
            "1.614834367e9",
            "1614834367000.0",
            "1.614834367E12",
            "1614834366.9999999",
        ] {
            assert_eq!(read(json).unwrap().unwrap(), "2021-03-04T05:06:07.000Z", "{json}");
        }
        assert_eq!(read("1614834367.25").unwrap().unwrap(), "2021-03-04T05:06:07.250Z");
        assert_eq!(read(r#""2021-03-04""#).unwrap().unwrap(), "2021-03-04T00:00:00.000Z");
        assert_eq!(read(r#""2021-03-04T05:06:07.123456""#).unwrap().unwrap(), "2021-03-04T05:06:07.123Z");
    }

    #[test]
    fn never_is_no_time() {
        for json in [
            "null",
            "0",
            "0.0",
            "-0.0",
            r#""""#,
            r#""0001-01-01T00:00:00Z""#,
            r#""0001-01-01T00:00:00""#,
            r#""0000-00-00 00:00:00""#,
            r#""0000-00-00""#,
        ] {
            assert_eq!(read(json).unwrap(), None, "{json}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for json in [
            r#""yesterday""#,
            r#""2021-03-04 05:06:07 UTC""#,
            r#""04.03.2021""#,
            r#""2021-13-04T05:06:07""#,
            r#""05:06:07""#,
            "18446744073709551615",
            "1e30",
            "-1",
            "-1614834367",
            "-1614834367.5",
        ] {
            assert!(read(json).unwrap_err().contains(NOT_A_TIME), "{json}");
        }
        for json in ["true", "[]", "{}", "1e999"] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
