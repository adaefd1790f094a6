//! The position of a reader of the feed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::store::{Cursor, Position};

/// The position of a reader of the feed, opaque to it. Any server goes on from the position in the database; the one
/// that wrote the cursor does so from its own count, and repeats nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FeedCursor {
    /// The identity of the database: a cursor of another one means nothing here.
    pub(super) database: i64,
    /// Entries from this position on may have been left out.
    pub(super) position: Position,
    /// The process that wrote the cursor.
    pub(super) process: u64,
    /// The number of the last entry that this process has told.
    pub(super) number: u64,
}

impl FeedCursor {
    /// Parses a cursor. Returns `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let [database, position, process, number] = *bytes.as_chunks::<8>().0 else { return None };
        Some(Self {
            database: i64::from_be_bytes(database),
            position: i64::from_be_bytes(position),
            process: u64::from_be_bytes(process),
            number: u64::from_be_bytes(number),
        })
    }

    /// Returns where a reader goes on that was told everything that was read up to `cursor`.
    pub(super) fn new(cursor: Cursor, process: u64, number: u64) -> Self {
        Self { database: cursor.database, position: cursor.position, process, number }
    }
}

impl fmt::Display for FeedCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(32);
        bytes.extend(self.database.to_be_bytes());
        bytes.extend(self.position.to_be_bytes());
        bytes.extend(self.process.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        formatter.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is_one() {
        let cursor = FeedCursor { database: -5, position: 7, process: u64::MAX, number: 9 };
        let text = cursor.to_string();
        assert_eq!(FeedCursor::parse(&text), Some(cursor));
        for foreign in ["", "0", "a b", &text[1..], &format!("{text}A"), "\u{e9}"] {
            assert_eq!(FeedCursor::parse(foreign), None, "{foreign}");
        }
    }
}
