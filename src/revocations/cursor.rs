//! The position of a reader of the feed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::store::{Cursor, Snapshot};

/// The most running transactions that a cursor names. One with more begins at the first of them.
const MAX_RUNNING: usize = 16;

/// The position of a reader of the feed, opaque to it. Any server goes on from what was visible in the database; the
/// one that wrote the cursor does so from its own count, and repeats nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FeedCursor {
    /// The identity of the database: a cursor of another one means nothing here.
    pub(super) database: i64,
    /// The process that wrote the cursor.
    pub(super) process: u64,
    /// The number of the last entry that this process has told.
    pub(super) number: u64,
    /// What was visible in the database: nothing else was left out.
    pub(super) snapshot: Snapshot,
}

impl FeedCursor {
    /// Parses a cursor. Returns `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let [database, process, number, end, running @ ..] = words else { return None };
        let running = running.iter().map(|id| i64::from_be_bytes(*id)).collect::<Vec<_>>();
        (running.len() <= MAX_RUNNING).then(|| Self {
            database: i64::from_be_bytes(*database),
            process: u64::from_be_bytes(*process),
            number: u64::from_be_bytes(*number),
            snapshot: Snapshot { end: i64::from_be_bytes(*end), running },
        })
    }

    /// Returns where a reader goes on that was told everything that was read up to `cursor`.
    pub(super) fn new(cursor: Cursor, process: u64, number: u64) -> Self {
        let Cursor { mut snapshot, database } = cursor;
        if snapshot.running.len() > MAX_RUNNING {
            snapshot.end = snapshot.running.iter().copied().fold(snapshot.end, i64::min);
            snapshot.running.clear();
        }
        Self { database, process, number, snapshot }
    }
}

impl fmt::Display for FeedCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(8 * (4 + self.snapshot.running.len()));
        bytes.extend(self.database.to_be_bytes());
        bytes.extend(self.process.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.snapshot.end.to_be_bytes());
        bytes.extend(self.snapshot.running.iter().flat_map(|id| id.to_be_bytes()));
        formatter.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(end: i64, running: Vec<i64>) -> FeedCursor {
        FeedCursor::new(Cursor { snapshot: Snapshot { end, running }, database: -5 }, u64::MAX, 9)
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is_one() {
        for running in [vec![], vec![3], (3..19).collect()] {
            let cursor = cursor(20, running);
            let text = cursor.to_string();
            assert_eq!(FeedCursor::parse(&text), Some(cursor));
            for foreign in ["", "0", "a b", &text[1..], &format!("{text}A"), &text[..32], "\u{e9}"] {
                assert_eq!(FeedCursor::parse(foreign), None, "{foreign}");
            }
        }
        assert_eq!(FeedCursor::parse(&URL_SAFE_NO_PAD.encode([0; 8 * (4 + MAX_RUNNING + 1)])), None, "too long");
    }

    #[test]
    fn a_cursor_with_many_running_transactions_begins_at_the_first() {
        let short = cursor(40, (5..40).collect());
        assert_eq!(short.snapshot, Snapshot { end: 5, running: Vec::new() });
    }
}
