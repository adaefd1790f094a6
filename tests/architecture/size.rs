//! How long files, lines and functions may be, and other measures.

use crate::assert_kept;
use crate::source::{Source, closing, line_at, sources, test_sources};

/// The most lines of a file, without its tests.
const LONGEST_FILE: usize = 400;

/// The most lines of a file of tests.
const LONGEST_TEST_FILE: usize = 600;

/// The most characters of a line.
const WIDEST_LINE: usize = 120;

/// The most lines of a function.
const LONGEST_FUNCTION: usize = 60;

#[test]
fn a_file_can_be_read_at_a_sitting() {
    let rule = format!("No file has more than {LONGEST_FILE} lines without its tests.");
    let long = sources().into_iter().filter(|source| source.length() > LONGEST_FILE);
    assert_kept(&rule, long.map(|source| format!("src/{}: {} lines", source.path, source.length())));
}

#[test]
fn a_file_of_tests_can_be_read_at_a_sitting() {
    let rule = format!("No file of tests has more than {LONGEST_TEST_FILE} lines.");
    let length = |source: &Source| source.text.lines().count();
    let own = sources().into_iter().filter(|source| source.path.ends_with("/tests.rs"));
    let long = own.chain(test_sources()).filter(|source| length(source) > LONGEST_TEST_FILE);
    assert_kept(&rule, long.map(|source| format!("{}: {} lines", source.path, length(&source))));
}

#[test]
fn a_line_fits_the_screen() {
    let rule = format!("No line has more than {WIDEST_LINE} characters, unless it is one string.");
    let is_string = |line: &str| line.trim_start().trim_start_matches('(').starts_with('"');
    let wide = |prefix: &str, source: &Source| -> Vec<String> {
        let is_wide = |line: &str| line.chars().count() > WIDEST_LINE && !is_string(line);
        let lines = source.text.lines().enumerate().filter(|(_, line)| is_wide(line));
        lines.map(|(index, _)| format!("{prefix}{}:{}", source.path, index + 1)).collect()
    };
    let own = sources().into_iter().flat_map(|source| wide("src/", &source));
    assert_kept(&rule, own.chain(test_sources().into_iter().flat_map(|source| wide("", &source))));
}

/// Returns the functions of a program, with the line where each begins and how many it has.
fn functions(source: &Source) -> Vec<(usize, usize)> {
    let lines: Vec<(usize, &str)> = source.lines().collect();
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let mut functions = Vec::new();
    for (index, (number, line)) in lines.iter().enumerate() {
        if !line.split_whitespace().any(|word| word == "fn") {
            continue;
        }
        let after = &lines[index..];
        let is_level = |other: &str| indentation(other) == indentation(line);
        let head = after.iter().position(|(_, line)| line.trim_end().ends_with(['{', ';', '}']) && is_level(line));
        let Some(head) = head else { continue };
        if !after[head].1.trim_end().ends_with('{') {
            continue;
        }
        let closes = |line: &str| is_level(line) && line.trim_start().starts_with('}');
        let length = after.iter().skip(head + 1).position(|(_, line)| closes(line)).map(|end| head + end + 2);
        functions.push((*number, length.unwrap_or(usize::MAX)));
    }
    functions
}

#[test]
fn a_function_can_be_seen_at_a_glance() {
    let rule = format!("No function has more than {LONGEST_FUNCTION} lines.");
    let sources = sources();
    assert!(sources.iter().map(|source| functions(source).len()).sum::<usize>() > 800, "the search sees no functions");
    let long = sources.iter().flat_map(|source| {
        let long = functions(source).into_iter().filter(|(_, length)| *length > LONGEST_FUNCTION);
        long.map(|(line, length)| format!("{}: {length} lines", source.place(line)))
    });
    assert_kept(&rule, long);

    let text = "fn a() {\n    b\n}\nimpl C {\n    fn d(\n        e: F,\n    ) -> G {\n        h\n    }\n    \
                fn i();\n}\nfn j() {}";
    assert_eq!(functions(&Source::new("a.rs", text)), [(1, 3), (5, 5)]);
}

#[test]
fn fields_have_names() {
    let rule = "`self.0.` stands less than once in a thousand lines: a type with something inside names its field.";
    let sources = sources();
    let lines: usize = sources.iter().map(Source::length).sum();
    let places = sources.iter().flat_map(|source| {
        let nameless = source.lines().filter(|(_, code)| code.contains("self.0."));
        nameless.map(|(line, _)| source.place(line))
    });
    let places: Vec<String> = places.collect();
    if places.len() * 1000 >= lines {
        assert_kept(rule, places);
    }
}

/// Returns the lines of `let (a, b) = (x, y);`.
fn tuple_lets(source: &Source) -> Vec<usize> {
    let mut lines = Vec::new();
    for (start, _) in source.code.match_indices("let (") {
        let before = source.code[..start].trim_end();
        let is_statement = before.is_empty() || before.ends_with([';', '{', '}']);
        let pattern = start + "let ".len();
        let Some(end) = closing(&source.code[pattern..]) else { continue };
        let Some(value) = source.code[pattern + end..].trim_start().strip_prefix("= (") else { continue };
        let value_start = source.code.len() - value.len() - 1;
        let Some(length) = closing(&source.code[value_start..]) else { continue };
        let is_whole = source.code[value_start + length..].trim_start().starts_with(';');
        if is_statement && is_whole {
            lines.push(line_at(&source.code, start));
        }
    }
    lines
}

#[test]
fn a_let_binds_one_value() {
    let rule = "No `let (a, b) = (x, y);`: two values have a line each.";
    assert_kept(rule, sources().iter().flat_map(|s| tuple_lets(s).into_iter().map(|line| s.place(line))));

    let text = "let (a, b) = (c, d(e));\nlet (mut f,\n    g) = (\n    h,\n    i\n);";
    assert_eq!(tuple_lets(&Source::new("a.rs", text)), [1, 2]);
    let text =
        "let (a, b) = c();\nif let (Some(a), b) = (c, d) {}\nlet (a, b) = (c, d).e();\nlet Some(a) = (b) else {};";
    assert!(tuple_lets(&Source::new("a.rs", text)).is_empty());
}
