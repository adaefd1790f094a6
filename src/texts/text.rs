//! A text before its language is known.

use super::Language;
use super::catalogue::{self, Value};
use crate::types::Timestamp;

/// A text of the catalogues, with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(super) key: &'static str,
    pub(super) values: Vec<(&'static str, TextValue)>,
}

/// A value in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TextValue {
    Plain(String),
    Number(i64),
    Time(Timestamp),
}

impl Text {
    /// Creates the text with this key.
    pub(crate) const fn of(key: &'static str) -> Self {
        Self { key, values: Vec::new() }
    }

    /// Adds a value.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.values.push((name, TextValue::Plain(value.into())));
        self
    }

    /// Adds a number, by which the text may choose its form.
    pub(crate) fn with_number(mut self, name: &'static str, value: i64) -> Self {
        self.values.push((name, TextValue::Number(value)));
        self
    }

    /// Adds a time. Pages show it as such, and other texts in words.
    pub(crate) fn with_time(mut self, name: &'static str, time: Timestamp) -> Self {
        self.values.push((name, TextValue::Time(time)));
        self
    }

    /// Returns the text in a language.
    pub(crate) fn in_language(&self, language: Language) -> String {
        let values = self.values.iter().map(|(name, value)| (*name, value.in_language(language)));
        catalogue::format(language, self.key, values)
    }
}

impl TextValue {
    /// Returns the value as a part of a text.
    pub(super) fn in_language(&self, language: Language) -> Value {
        match self {
            Self::Plain(text) => Value::Text(text.clone()),
            Self::Number(number) => Value::Number(*number),
            Self::Time(time) => Value::Text(in_words(*time, language)),
        }
    }
}

/// Returns a time in words, to the minute.
pub(crate) fn in_words(time: Timestamp, language: Language) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default();
    let time = time.to_zoned(jiff::tz::TimeZone::UTC);
    let parts = [
        // Without the separators of thousands.
        ("year", Value::Text(time.year().to_string())),
        ("month", Value::Number(time.month().into())),
        ("day", Value::Text(time.day().to_string())),
        ("time", Value::Text(time.strftime("%H:%M").to_string())),
    ];
    catalogue::format(language, TIME.key, parts)
}

/// Returns a time for programs, as the attribute `datetime` of pages has it.
pub(crate) fn machine_readable(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default().to_string()
}

/// Removes the marks that isolate values from a text in which nothing is written from right to left: programs for
/// emails may show them as boxes, and copy them.
pub(crate) fn without_isolation(text: &str) -> String {
    let is_right_to_left = |c| {
        matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}' | '\u{202b}' | '\u{202e}' | '\u{2067}')
    };
    if text.contains(is_right_to_left) { text.to_owned() } else { text.replace(['\u{2068}', '\u{2069}'], "") }
}

/// A time, made of its parts.
const TIME: Text = Text::of("time");

#[cfg(test)]
mod tests {
    use super::*;

    /// Removes the marks that isolate values.
    fn bare(text: &str) -> String {
        text.replace(['\u{2068}', '\u{2069}'], "")
    }

    #[test]
    fn a_time_is_written_as_people_write_it() {
        let in_language = |language| bare(&in_words(Timestamp::from_secs(1_700_000_000), language));
        assert_eq!(in_language(Language::English), "14 November 2023, 22:13 UTC");
        assert_eq!(in_language(Language::German), "14. November 2023, 22:13 Uhr (UTC)");
    }

    #[test]
    fn a_value_cannot_change_the_direction_of_a_text_or_leave_its_place() {
        let text = Text::of("welcome-people")
            .with("site", "a\u{202e}b\u{2069}c\u{2068}d\u{e000}")
            .in_language(Language::English);
        assert!(text.contains("\u{2068}abcd\u{2069}"), "{text:?}");
    }

    #[test]
    fn values_stay_isolated_where_something_is_written_from_right_to_left() {
        for (text, without) in [
            ("at \u{2068}shop\u{2069}", "at shop"),
            ("at \u{2068}חנות\u{2069}", "at \u{2068}חנות\u{2069}"),
            ("\u{202e}at \u{202c}\u{2068}shop\u{2069}", "\u{202e}at \u{202c}\u{2068}shop\u{2069}"),
        ] {
            assert_eq!(without_isolation(text), without);
        }
    }

    #[test]
    fn the_languages_for_tests_are_english_in_disguise() {
        let text = Text::of("welcome-people").with("site", "shop");
        let accented = text.in_language(Language::Accented);
        assert!(accented.starts_with('⟦') && accented.ends_with('⟧') && accented.contains("\u{2068}shop\u{2069}"));
        assert!(accented.contains("ȧȧ") && !accented.contains('e'), "{accented}");
        let mirrored = text.in_language(Language::RightToLeft);
        assert!(mirrored.starts_with('\u{202e}') && mirrored.contains("\u{2068}shop\u{2069}"), "{mirrored:?}");
    }
}
