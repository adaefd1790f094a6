//! The documents say what the constants say.

use crate::direction::direction;
use crate::source::document;
use crate::{ROOMS, TABLES, TASKS};

const PAGE: &str = "src/lib.rs";
const ARCHITECTURE: &str = "docs/architecture.md";
const CONTRIBUTING: &str = "CONTRIBUTING.md";

/// Returns the lines of a document, without the markers of doc comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.trim_start_matches("//!").trim())
}

/// Returns the rows of the table whose first column has this heading; a cell's backticks and brackets are dropped.
fn rows(text: &str, heading: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim_matches('|');
        line.split('|').map(|cell| cell.replace(['`', '[', ']'], "").trim().to_owned()).collect()
    };
    let is_heading = |line: &&str| line.starts_with('|') && cells(line)[0].eq_ignore_ascii_case(heading);
    let from_heading = lines(text).skip_while(|line| !is_heading(line));
    from_heading.take_while(|line| line.starts_with('|')).skip(2).map(cells).collect()
}

/// Compares the first columns of a table in a document with what is expected, in whatever order.
#[track_caller]
fn assert_table(path: &str, heading: &str, expected: impl IntoIterator<Item = Vec<String>>) {
    let mut expected: Vec<Vec<String>> = expected.into_iter().collect();
    let columns = expected[0].len();
    let rows = rows(&document(path), heading);
    assert!(!rows.is_empty(), "{path} has no table with the heading `| {heading} |`");
    let mut rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().take(columns).collect()).collect();
    rows.sort();
    expected.sort();
    let missing: Vec<_> = expected.iter().filter(|row| !rows.contains(row)).collect();
    let strange: Vec<_> = rows.iter().filter(|row| !expected.contains(row)).collect();
    assert!(missing.is_empty() && strange.is_empty(), "{path}\n  lacks {missing:?}\n  and should not have {strange:?}");
    assert_eq!(rows.len(), expected.len(), "{path} has a {heading} twice");
}

#[test]
fn the_direction_stands_in_every_document() {
    for path in [PAGE, ARCHITECTURE, CONTRIBUTING] {
        let text = document(path);
        let words: Vec<&str> = lines(&text).flat_map(str::split_whitespace).collect();
        assert!(words.join(" ").contains(&direction()), "{path} lacks the direction:\n{}", direction());
    }
}

#[test]
fn every_document_names_the_rooms_and_no_others() {
    for path in [PAGE, ARCHITECTURE, CONTRIBUTING] {
        assert_table(path, "room", ROOMS.iter().map(|(room, _)| vec![(*room).to_owned()]));
    }
}

#[test]
fn the_crates_page_says_what_each_room_is_for() {
    assert_table(PAGE, "room", ROOMS.iter().map(|(room, purpose)| vec![(*room).to_owned(), purpose.replace('`', "")]));
}

#[test]
fn the_documents_name_the_room_that_writes_each_table() {
    let tables = TABLES.iter().map(|(table, room)| vec![(*table).to_owned(), (*room).to_owned()]);
    assert_table(ARCHITECTURE, "table", tables);
}

#[test]
fn the_documents_name_each_background_task_and_its_room() {
    let tasks = TASKS.iter().map(|task| vec![task.name.to_owned(), task.room.to_owned()]);
    assert_table(ARCHITECTURE, "task", tasks);
}

#[test]
fn a_table_is_found_by_its_heading() {
    let text = "| Room | why |\n| --- | --- |\n| `a` | b `c` |\n\n\
                //! | table | room |\n//! | --- | --- |\n//! | [`d`] | e |\nf";
    assert_eq!(rows(text, "room"), [["a", "b c"]]);
    assert_eq!(rows(text, "table"), [["d", "e"]]);
    assert!(rows(text, "task").is_empty());
}
