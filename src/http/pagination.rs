//! Pagination of lists: limits and cursors.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::Fields;

/// The default size of a page.
const DEFAULT_LIMIT: usize = 50;

/// The maximum size of a page.
pub(crate) const MAX_LIMIT: usize = 100;

/// The version of cursors. A cursor of another version is refused instead of being misread.
const CURSOR_VERSION: u8 = 1;

/// The maximum length of a cursor, in bytes. A position is an id, or an email address or name with an id.
pub(crate) const MAX_CURSOR: usize = 1024;

/// Why a limit or a cursor is refused.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum PageError {
    /// The limit is not a number, or is out of bounds.
    #[error("must be a number from 1 to {MAX_LIMIT}")]
    Limit,
    /// The cursor was not issued for this list.
    #[error("is not a next_cursor of this list")]
    Cursor,
}

impl PageError {
    const fn code(self) -> &'static str {
        match self {
            Self::Limit | Self::Cursor => "invalid",
        }
    }
}

/// Parses the parameter `limit`. Adds an error to `fields` and returns `None` if it is invalid.
pub(crate) fn limit(fields: &mut Fields, text: Option<&str>) -> Option<usize> {
    let parsed = match text {
        Some(text) => text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or(PageError::Limit),
        None => Ok(DEFAULT_LIMIT),
    };
    fields.check("limit", parsed, |error| error.code())
}

/// Parses the parameter `cursor` into a position with `parse`. Adds an error to `fields` and returns `None` if it is
/// invalid.
pub(crate) fn cursor<T>(
    fields: &mut Fields,
    text: Option<&str>,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<Option<T>> {
    let Some(text) = text else { return Some(None) };
    let bytes = Some(text).filter(|text| text.len() <= MAX_CURSOR).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let position = bytes.as_deref().and_then(|bytes| match bytes {
        [CURSOR_VERSION, position @ ..] => parse(position),
        _ => None,
    });
    fields.check("cursor", position.ok_or(PageError::Cursor), |error| error.code()).map(Some)
}

/// Returns the cursor of a position, for the client's next request.
pub(crate) fn next_cursor(position: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(position.len().saturating_add(1));
    bytes.push(CURSOR_VERSION);
    bytes.extend_from_slice(position);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Option<Vec<u8>>> {
        cursor(&mut Fields::default(), Some(text), |bytes| Some(bytes.to_vec()))
    }

    #[test]
    fn a_cursor_reads_back_as_the_position_that_it_was_made_of() {
        assert_eq!(read(&next_cursor(b"where it ended")), Some(Some(b"where it ended".to_vec())));
        assert_eq!(cursor(&mut Fields::default(), None, |_| Some(())), Some(None));
    }

    #[test]
    fn a_cursor_of_another_version_or_form_is_refused() {
        for wrong in ["", "!", "AA", "Ag", &URL_SAFE_NO_PAD.encode([2, 1, 1]), &"A".repeat(2000)] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_limit_is_a_number_from_1_to_100() {
        for (text, read) in [(None, Some(50)), (Some("1"), Some(1)), (Some("100"), Some(100))] {
            assert_eq!(limit(&mut Fields::default(), text), read);
        }
        for wrong in ["0", "101", "-1", "", "many", "1.5"] {
            assert_eq!(limit(&mut Fields::default(), Some(wrong)), None, "{wrong}");
        }
    }
}
