//! What was typed into a form that is refused: the page shows it again, each refusal at its field.

use std::collections::BTreeMap;

use minijinja::Value;
use zeroize::Zeroizing;

use crate::http::Problem;
use crate::http::body::FormBody;
use crate::http::problem::FieldError;
use crate::texts::{Language, Text};

/// Returns the value of a field that an empty value clears.
///
/// # Errors
/// The form lacks the field, and says nothing about it.
pub(super) fn required(form: &FormBody, name: &str) -> Result<Zeroizing<String>, Problem> {
    form.get(name).ok_or_else(|| Problem::invalid(vec![FieldError::new(name, "missing", "is required")]))
}

/// A form with what was typed and what of it was refused; or none.
#[derive(Default)]
pub(super) struct Typed {
    /// Why the form as a whole was not accepted.
    warning: Option<Text>,
    values: Vec<(&'static str, String)>,
    errors: Vec<(&'static str, Vec<Text>)>,
}

impl Typed {
    /// Keeps the fields of a form. Passwords and codes are typed again.
    pub(super) fn keep(form: &FormBody, fields: &[&'static str]) -> Self {
        let value = |name: &&'static str| Some((*name, form.get(name)?.as_str().to_owned()));
        Self { values: fields.iter().filter_map(value).collect(), ..Self::default() }
    }

    /// Refuses a field, sentence by sentence.
    #[must_use]
    pub(super) fn refuse(mut self, field: &'static str, sentences: Vec<Text>) -> Self {
        self.errors.push((field, sentences));
        self
    }

    /// Refuses the form as a whole.
    #[must_use]
    pub(super) fn warn(self, warning: Text) -> Self {
        Self { warning: Some(warning), ..self }
    }

    /// Returns what was typed into a field.
    pub(super) fn value(&self, field: &str) -> &str {
        self.values.iter().find(|(name, _)| *name == field).map_or("", |(_, value)| value)
    }

    /// Returns what was typed, by the names of the fields.
    pub(super) fn values(&self) -> Value {
        let values = self.values.iter().map(|(name, value)| (*name, Value::from(value.as_str())));
        Value::from(values.collect::<BTreeMap<_, _>>())
    }

    /// Returns the refusals by the names of their fields.
    pub(super) fn errors(&self, language: Language) -> Value {
        let sentences = |texts: &[Text]| texts.iter().map(|text| text.in_language(language)).collect::<Vec<_>>();
        let errors = self.errors.iter().map(|(name, texts)| (*name, Value::from(sentences(texts).join(" "))));
        Value::from(errors.collect::<BTreeMap<_, _>>())
    }

    /// Returns what the page says at its top, if the form or a field was refused.
    pub(super) fn alert(&self, language: Language) -> Option<Value> {
        let refused = || (!self.errors.is_empty()).then(|| Text::of("form-refused"));
        self.warning.clone().or_else(refused).map(|text| text.value(language))
    }
}
