//! Texts about fields and parameters, made of errors of serde.

use super::problem::FieldError;

/// The name of what a query is made of.
pub(super) const PARAMETER: &str = "parameter";

/// Describes an error of serde at `path`. The name of a field that is missing, unknown or repeated is only in the text
/// of the error, between backticks. The value that was sent is never repeated in the result. `kind` is what the request
/// is made of: fields or parameters.
pub(super) fn describe(text: &str, path: &str, kind: &str) -> FieldError {
    let named = text.split('`').nth(1).unwrap_or(path);
    if text.starts_with("missing field") {
        FieldError::new(named, "missing", "is required")
    } else if text.starts_with("unknown field") {
        FieldError::new(named, "unknown", &format!("is not a {kind} of this request"))
    } else if text.starts_with("duplicate field") {
        FieldError::new(named, "duplicate", "is there twice")
    } else if text.starts_with("invalid type: null") {
        FieldError::new(path, "wrong_type", "must not be null")
    } else if text.starts_with("unknown variant") {
        // The text that was sent comes before, and may be anything.
        let expected = text.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
        FieldError::new(path, "invalid", &must_be(expected.split('`').skip(1).step_by(2)))
    } else if text.contains("`true` or `false`") {
        FieldError::new(path, "invalid", &must_be(["true", "false"]))
    } else if text.starts_with("UUID parsing failed") {
        FieldError::new(path, "invalid", NO_UUID)
    } else if kind == PARAMETER {
        let is_number = text.contains("digit") || text.contains("number");
        FieldError::new(path, "invalid", if is_number { "must be a number" } else { "is not one that it may be" })
    } else {
        FieldError::new(path, "wrong_type", "is of the wrong type")
    }
}

/// The refusal of a text that is no id.
pub(crate) const NO_UUID: &str = "is not a UUID, such as 01a2003e-d8aa-7ec7-a93b-e076a8923cfc";

/// The refusal of a text that is no time.
pub(crate) const NO_TIME: &str = "is not a time of RFC 3339, such as 2026-11-22T09:30:00Z";

/// Returns the text that lists the values that a field may have.
pub(crate) fn must_be<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let values: Vec<&str> = values.into_iter().collect();
    match values.as_slice() {
        [] => "is not one of the values it may have".to_owned(),
        [only] => format!("must be {only}"),
        [others @ .., last] => format!("must be {} or {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_listed_as_people_write_them() {
        for (values, text) in [
            (&["bearer"][..], "must be bearer"),
            (&["true", "false"], "must be true or false"),
            (&["csv", "json", "ndjson"], "must be csv, json or ndjson"),
            (&[], "is not one of the values it may have"),
        ] {
            assert_eq!(must_be(values.iter().copied()), text);
        }
    }
}
