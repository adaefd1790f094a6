//! The catalogues, and how a text is made of them.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use super::Language;
use super::pseudo::{self, BRACKETS};

const ENGLISH: [&str; 5] = [
    include_str!("en/pages.ftl"),
    include_str!("en/account.ftl"),
    include_str!("en/events.ftl"),
    include_str!("en/emails.ftl"),
    include_str!("en/admin.ftl"),
];
const GERMAN: [&str; 5] = [
    include_str!("de/pages.ftl"),
    include_str!("de/account.ftl"),
    include_str!("de/events.ftl"),
    include_str!("de/emails.ftl"),
    include_str!("de/admin.ftl"),
];

/// Places in a text for values that are put in later. They are of the private use area, and removed from other values.
pub(super) const PLACES: std::ops::RangeInclusive<char> = '\u{e000}'..='\u{e00f}';

/// A value in a text.
pub(super) enum Value {
    /// A text, which is isolated from the direction of the text around it.
    Text(String),
    /// A number, by which the text may choose its form.
    Number(i64),
    /// A place of [`PLACES`].
    Place(char),
}

type Bundle = FluentBundle<FluentResource>;

/// The catalogue of each language, in the order of [`Language::ALL`].
static CATALOGUES: LazyLock<[Bundle; 4]> = LazyLock::new(|| Language::ALL.map(bundle));

fn bundle(language: Language) -> Bundle {
    // The languages for tests have the plural forms of English.
    let (rules, files) = match language {
        Language::German => ("de", GERMAN),
        Language::English | Language::Accented | Language::RightToLeft => ("en", ENGLISH),
    };
    let mut bundle = Bundle::new_concurrent(rules.parse().into_iter().collect());
    bundle.set_transform(match language {
        Language::English | Language::German => None,
        Language::Accented => Some(pseudo::accented),
        Language::RightToLeft => Some(pseudo::right_to_left),
    });
    for file in files {
        // What is wrong with a file fails a test; the rest of it is used.
        let resource = FluentResource::try_new(file.to_owned()).unwrap_or_else(|(resource, _)| resource);
        if let Err(errors) = bundle.add_resource(resource) {
            tracing::error!(?errors, language = language.tag(), "a catalogue of texts has a key twice");
        }
    }
    bundle
}

fn of(language: Language) -> Option<&'static Bundle> {
    let index = Language::ALL.iter().position(|other| *other == language).unwrap_or_default();
    CATALOGUES.get(index)
}

/// Returns whether there is a text with this key in a language.
pub(super) fn has(language: Language, key: &str) -> bool {
    of(language).is_some_and(|bundle| bundle.has_message(key))
}

/// Returns the text with this key in a language. Without one, which is a defect, the key is returned.
pub(super) fn format<'a>(language: Language, key: &str, values: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let text = of(language).and_then(|bundle| Some((bundle, bundle.get_message(key)?.value()?)));
    let Some((bundle, pattern)) = text else {
        tracing::error!(key, language = language.tag(), "a text is missing");
        return key.to_owned();
    };
    let mut arguments = FluentArgs::new();
    for (name, value) in values {
        let value = match value {
            Value::Text(text) => FluentValue::from(without_marks(&text)),
            Value::Number(number) => FluentValue::from(number),
            Value::Place(place) => FluentValue::from(place.to_string()),
        };
        arguments.set(name, value);
    }
    let mut errors = Vec::new();
    let text = bundle.format_pattern(pattern, Some(&arguments), &mut errors);
    if !errors.is_empty() {
        tracing::error!(?errors, key, language = language.tag(), "a text lacks a value");
    }
    match language {
        Language::Accented => format!("{}{text}{}", BRACKETS.0, BRACKETS.1),
        Language::English | Language::German | Language::RightToLeft => text.into_owned(),
    }
}

/// Removes what could change the direction of the text around a value, or be taken for a place.
fn without_marks(text: &str) -> String {
    let is_mark = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') || PLACES.contains(&c);
    text.chars().filter(|c| !is_mark(*c)).collect()
}
