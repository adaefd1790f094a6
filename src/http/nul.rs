//! Refuses the character NUL (U+0000) in the texts of a request. No name, address or token has one, and Postgres stores
//! none. Bodies, forms and queries are searched before they are parsed, so no route can forget it; HTTP allows none in
//! headers, and the ids in paths are no texts.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::problem::FieldError;

/// How JSON writes the character: it is not allowed unescaped.
const ESCAPED: &[u8] = b"\\u0000";

/// Finds the first text with NUL in a JSON document. Texts that are no JSON have none.
pub(super) fn in_json(bytes: &[u8]) -> Option<FieldError> {
    if !bytes.windows(ESCAPED.len()).any(|window| window == ESCAPED) {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let found = serde_path_to_error::deserialize::<_, WithoutNul>(&mut deserializer).err()?;
    found.inner().is_data().then(|| error(&found.path().to_string()))
}

/// Finds the first field with NUL in a form or query (`application/x-www-form-urlencoded`).
pub(super) fn in_form(form: &[u8]) -> Option<FieldError> {
    let mut fields = url::form_urlencoded::parse(form);
    let (name, _) = fields.find(|(name, value)| [name, value].iter().any(|text| text.contains('\0')))?;
    Some(error(&name.replace('\0', "")))
}

fn error(field: &str) -> FieldError {
    FieldError::new(field, "contains_nul", "contains the character NUL (U+0000)")
}

/// A JSON document, of which only this is known: no text in it has NUL.
struct WithoutNul;

impl<'de> Deserialize<'de> for WithoutNul {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Search)
    }
}

struct Search;

impl<'de> Visitor<'de> for Search {
    type Value = WithoutNul;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without NUL")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<WithoutNul, E> {
        if text.contains('\0') { Err(E::custom("NUL")) } else { Ok(WithoutNul) }
    }

    fn visit_bool<E>(self, _: bool) -> Result<WithoutNul, E> {
        Ok(WithoutNul)
    }

    fn visit_i64<E>(self, _: i64) -> Result<WithoutNul, E> {
        Ok(WithoutNul)
    }

    fn visit_u64<E>(self, _: u64) -> Result<WithoutNul, E> {
        Ok(WithoutNul)
    }

    fn visit_f64<E>(self, _: f64) -> Result<WithoutNul, E> {
        Ok(WithoutNul)
    }

    fn visit_unit<E>(self) -> Result<WithoutNul, E> {
        Ok(WithoutNul)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<WithoutNul, A::Error> {
        while elements.next_element::<WithoutNul>()?.is_some() {}
        Ok(WithoutNul)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<WithoutNul, A::Error> {
        while members.next_entry::<WithoutNul, WithoutNul>()?.is_some() {}
        Ok(WithoutNul)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(found: Option<FieldError>) -> Option<String> {
        found.map(|error| error.field)
    }

    #[test]
    fn a_nul_is_found_wherever_it_stands_in_json() {
        for (json, expected) in [
            (r#"{"a": 1, "b": "x\u0000"}"#, Some("b")),
            (r#"{"a": [null, true, -1.5, "x", "\u0000"]}"#, Some("a[4]")),
            (r#"{"a": {"b": {"c": "\u0000"}}}"#, Some("a.b.c")),
            (r#"{"a": "\\u0000"}"#, None),
            (r#"{"a": "\\\u0000"}"#, Some("a")),
            (r#"{"a": "u0000", "b": "\u0001"}"#, None),
            (r#"{"a": "\u0000"#, None),
            (r#"\u0000"#, None),
        ] {
            assert_eq!(field(in_json(json.as_bytes())).as_deref(), expected, "{json}");
        }
        assert!(in_json(br#"{"\u0000": 1}"#).is_some());
    }

    #[test]
    fn a_nul_is_found_in_names_and_values_of_a_form() {
        for (form, expected) in
            [("a=1&b=%00", Some("b")), ("a=%2500&b=00", None), ("a%00b=1", Some("ab")), ("a=\0", Some("a")), ("", None)]
        {
            assert_eq!(field(in_form(form.as_bytes())).as_deref(), expected, "{form}");
        }
    }
}
