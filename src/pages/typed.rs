//! What was typed into a form, or into the filter of a list: where it is refused, the page shows it again, each refusal
//! at its field.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use minijinja::Value;
use zeroize::Zeroizing;

use crate::http::body::FormBody;
use crate::http::problem::FieldError;
use crate::http::{Problem, query};
use crate::texts::{Language, Text};
use crate::types::Timestamp;

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

    /// Keeps the parameters of a query, without white space around them. A form sends all of its fields, so an empty
    /// one is none.
    ///
    /// # Errors
    /// The query cannot be read.
    pub(super) fn of_query(request: &HttpRequest, fields: &[&'static str]) -> Result<Self, Problem> {
        let mut values = Vec::new();
        for name in fields {
            let value = query::parameter(request, name)?.map(|value| value.trim().to_owned());
            values.extend(value.filter(|value| !value.is_empty()).map(|value| (*name, value)));
        }
        Ok(Self { values, ..Self::default() })
    }

    /// Returns what was typed into a field, as `parse` reads it. Returns `None` if nothing was, or if it is refused.
    pub(super) fn read<T>(
        &mut self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
        refusal: Text,
    ) -> Option<T> {
        let text = Some(self.value(field)).filter(|text| !text.is_empty())?;
        let read = parse(text);
        if read.is_none() {
            self.errors.push((field, vec![refusal]));
        }
        read
    }

    /// Returns the beginning of the day in the field `from` and the end of the one in `to`, both in UTC.
    pub(super) fn days(&mut self) -> [Option<Timestamp>; 2] {
        let moment = |time: &'static str| move |day: &str| Timestamp::parse(&format!("{day}T{time}Z"));
        let from = self.read("from", moment("00:00:00.000"), Text::of("day-refused"));
        let to = self.read("to", moment("23:59:59.999"), Text::of("day-refused"));
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            self.errors.push(("to", vec![Text::of("days-reversed")]));
        }
        [from, to]
    }

    /// Returns whether a field was refused.
    pub(super) fn is_refused(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Returns the query that asks for the same once more.
    pub(super) fn query(&self) -> String {
        query::write(self.values.iter().map(|(name, value)| (*name, value.as_str())))
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
        let refused = || self.is_refused().then(|| Text::of("form-refused"));
        self.warning.clone().or_else(refused).map(|text| text.value(language))
    }
}
