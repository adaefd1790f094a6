//! Pages of long lists: how many there are on one, and where it ended.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::Fields;

/// What a page holds unless the request says otherwise, and what it holds at the most.
const LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// The form of what a cursor holds. Another one is refused, not misread.
const CURSOR_VERSION: u8 = 1;

/// Bytes of a cursor's text at the most: a position is an id, or an address and an id.
const MAX_CURSOR: usize = 1024;

#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum InvalidPage {
    #[error("must be a number from 1 to {MAX_LIMIT}")]
    Limit,
    #[error("is not a next_cursor of this list")]
    Cursor,
}

impl InvalidPage {
    const fn code(self) -> &'static str {
        match self {
            Self::Limit | Self::Cursor => "invalid",
        }
    }
}

/// Reads `limit`; `None` after its error was noted.
pub fn limit(fields: &mut Fields, text: Option<&str>) -> Option<usize> {
    let parsed = match text {
        Some(text) => text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or(InvalidPage::Limit),
        None => Ok(LIMIT),
    };
    fields.check("limit", parsed, |error| error.code())
}

/// Reads `cursor` as the position that `parse` finds in it; `None` after its error was noted.
pub fn cursor<T>(fields: &mut Fields, text: Option<&str>, parse: impl FnOnce(&[u8]) -> Option<T>) -> Option<Option<T>> {
    let Some(text) = text else { return Some(None) };
    let bytes = Some(text).filter(|text| text.len() <= MAX_CURSOR).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let position = bytes.as_deref().and_then(|bytes| match bytes {
        [CURSOR_VERSION, position @ ..] => parse(position),
        _ => None,
    });
    fields.check("cursor", position.ok_or(InvalidPage::Cursor), |error| error.code()).map(Some)
}

/// The cursor of a position, for clients to hand back as it is.
pub fn next_cursor(position: &[u8]) -> String {
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
