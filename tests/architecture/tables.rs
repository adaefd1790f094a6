//! Each table of the database is written by one room.

use std::collections::BTreeSet;

use crate::source::{Source, begins_name, closing, line_at, name, sources};
use crate::{TABLES, assert_kept};

/// Diesel's functions that begin a statement which writes.
const WRITES: [&str; 5] = ["insert_into(", "insert_or_ignore_into(", "replace_into(", "update(", "delete("];

/// How SQL that writes begins, before the name of its table.
const SQL_WRITES: [&str; 4] = ["INSERT INTO ", "UPDATE ", "DELETE FROM ", "TRUNCATE "];

/// Returns the tables that a file writes, with the lines; a table is `None` where it cannot be told.
fn writes(source: &Source) -> Vec<(usize, Option<String>)> {
    let mut writes = Vec::new();
    for function in WRITES {
        for (start, _) in source.code.match_indices(function) {
            if !begins_name(&source.code, start) {
                continue;
            }
            let open = start + function.len() - 1;
            let end = closing(&source.code[open..]).map_or(source.code.len(), |length| open + length);
            let subject = &source.code[open + 1..end - 1];
            let is_diesel = source.code[..start].ends_with("diesel::") || function.contains("into");
            let is_defined = source.code[..start].ends_with("fn ");
            let line = line_at(&source.code, start);
            match table_in(subject) {
                Some(table) => writes.push((line, Some(table))),
                None if is_diesel && !is_defined => writes.push((line, table_of_variable(source, start, subject))),
                None => {}
            }
        }
    }
    for statement in SQL_WRITES {
        for (start, _) in source.quoted.match_indices(statement) {
            let before = &source.quoted[..start];
            let table = name(&source.quoted[start + statement.len()..]);
            // The ends of other statements: ON CONFLICT … DO UPDATE SET, SELECT … FOR UPDATE.
            if begins_name(&source.quoted, start) && table != "SET" && !before.ends_with("FOR ") {
                writes.push((line_at(&source.quoted, start), Some(table.to_owned()).filter(|table| !table.is_empty())));
            }
        }
    }
    writes
}

/// Returns the table that code names first.
fn table_in(code: &str) -> Option<String> {
    let (before, _) = code.split_once("::table")?;
    let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    Some(before[start..].to_owned())
}

/// Returns the table of a variable (`own.filter(…)`), of what a method returns (`self.record()`) or of a macro's
/// argument (`$own`): the first that is named where it is defined.
fn table_of_variable(source: &Source, at: usize, subject: &str) -> Option<String> {
    let path = subject.trim().trim_start_matches(['&', '$', '*']).trim_start_matches("self.");
    let variable = name(path);
    if variable.is_empty() {
        return None;
    }
    let definition = format!("let {variable} =");
    let method = format!("fn {variable}(");
    let before = source.code[..at].rfind(&definition);
    let defined = before.or_else(|| source.code.find(&definition)).or_else(|| source.code.find(&method))?;
    table_in(&source.code[defined..])
}

fn owner(table: &str) -> Option<&'static str> {
    TABLES.iter().find(|(name, _)| *name == table).map(|(_, room)| *room)
}

fn foreign_writes(source: &Source) -> Vec<String> {
    let room = source.room();
    let broken = writes(source).into_iter().filter_map(|(line, table)| {
        let place = source.place(line);
        let Some(table) = table else { return Some(format!("{place}: which table is written cannot be told")) };
        match owner(&table) {
            None => Some(format!("{place}: {table} is not in TABLES")),
            Some(owner) if room != Some(owner) => Some(format!("{place}: {table} belongs to {owner}")),
            Some(_) => None,
        }
    });
    broken.collect()
}

#[test]
fn each_table_is_written_by_one_room() {
    let rule = "Only one room writes a table: it alone keeps what has to hold of its rows.";
    let sources = sources();
    assert_kept(rule, sources.iter().flat_map(foreign_writes));
    let written: BTreeSet<String> = sources.iter().flat_map(writes).filter_map(|(_, table)| table).collect();
    let unwritten = TABLES.iter().filter(|(table, _)| !written.contains(*table));
    assert_kept(
        "Each table is written, or the search does not see it.",
        unwritten.map(|(table, _)| (*table).to_owned()),
    );
}

#[test]
fn every_table_of_the_schema_has_a_room() {
    let schema = sources().into_iter().find(|source| source.path == "db/schema.rs").unwrap();
    let declarations = schema.code.split("diesel::table!").skip(1);
    let tables: BTreeSet<&str> = declarations
        .filter_map(|table| table.lines().map(str::trim).find(|line| line.ends_with(") {")).map(name))
        .collect();
    let owned: BTreeSet<&str> = TABLES.iter().map(|(table, _)| *table).collect();
    assert_eq!(owned, tables, "TABLES (left) are those of src/db/schema.rs");
}

#[test]
fn a_write_is_seen_in_whatever_form() {
    for text in [
        "diesel::insert_into(users::table).values(row)",
        "insert_into(users::table).values(row)",
        "diesel::update(users::table.find(id)).set(change)",
        "let own = users::table.find(id);\ndiesel::update(own).set(change)",
        "let own = users::table\n    .filter(id);\ndiesel::delete(own.filter(other)).execute(conn)",
        "macro_rules! lock { ($own:expr) => { diesel::update($own) } }\nlet own = users::table;",
        "diesel::delete(self.record());\nfn record(&self) -> Find<users::table, UserId> {}",
        "diesel::update(unknown).set(change)",
        "out.push_sql(\"UPDATE users SET name = \");",
        "sql_query(\"INSERT INTO users (id) VALUES ($1) \\\n    ON CONFLICT DO UPDATE SET id = 1\")",
        "sql_query(\"DELETE FROM users\")",
        "sql_query(format!(\"DELETE FROM {table}\"))",
    ] {
        assert_eq!(foreign_writes(&Source::new("mfa/store.rs", text)).len(), 1, "{text}");
    }
    for text in [
        "diesel::insert_into(totp_secrets::table).values(row)",
        "store::delete(conn, user)",
        "pub fn delete(conn: &mut Conn) {}",
        "let rows = users::table.find(id).first(conn)?;",
        "sql_query(\"SELECT id FROM users FOR UPDATE SKIP LOCKED\")",
    ] {
        assert_kept(text, foreign_writes(&Source::new("mfa/store.rs", text)));
    }
}
