//! Source files, as the rules read them.

use std::path::{Path, PathBuf};

/// A file of Rust: its path, its text, and what of the text is compiled into the program.
pub struct Source {
    /// Below `src/` for the crate's own files, below the crate's root for others.
    pub path: String,
    pub text: String,
    /// The text without comments, tests and what stands between quotes, in the same lines.
    pub code: String,
    /// Only what stands between quotes outside tests, in the same lines.
    pub quoted: String,
    /// For each line whether it belongs to a test.
    is_test: Vec<bool>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let (code, quoted) = split(text);
        let is_test = if is_test_file(path) { vec![true; text.lines().count()] } else { test_lines(&code) };
        let without_tests = |text: &str| -> String {
            let lines = text.split('\n').enumerate();
            let kept = lines.map(|(index, line)| if is_test.get(index) == Some(&true) { "" } else { line });
            kept.collect::<Vec<_>>().join("\n")
        };
        let code = without_tests(&code);
        let quoted = without_tests(&quoted);
        Self { path: path.to_owned(), text: text.to_owned(), code, quoted, is_test }
    }

    /// Returns the room that the file belongs to; `None` for the crate's own page.
    pub fn room(&self) -> Option<&str> {
        match self.path.split('/').next()? {
            "lib.rs" => None,
            "main.rs" => Some("cli"),
            room => Some(room.trim_end_matches(".rs")),
        }
    }

    /// Returns whether the file is a store: `store.rs`, or in a folder `store`.
    pub fn is_store(&self) -> bool {
        self.path.ends_with("/store.rs") || self.path.contains("/store/")
    }

    /// Returns where a line of this file is.
    pub fn place(&self, line: usize) -> String {
        format!("src/{}:{line}", self.path)
    }

    /// Returns the lines of the program with their numbers.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Returns how many lines are no tests.
    pub fn length(&self) -> usize {
        self.is_test.iter().filter(|is_test| !**is_test).count()
    }

    /// Returns whether a line, counted from 1, belongs to a test.
    pub fn is_test(&self, line: usize) -> bool {
        self.is_test.get(line - 1) == Some(&true)
    }
}

/// Returns the number of the line at an offset.
pub fn line_at(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Returns whether no name goes on before this offset.
pub fn begins_name(text: &str, offset: usize) -> bool {
    !text[..offset].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Returns the name that the text begins with.
pub fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Returns the offset behind the parenthesis that closes the one that the text begins with.
pub fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(offset + c.len_utf8());
        }
    }
    None
}

/// Splits text into its code and what stands between quotes, in the same lines. Comments are dropped.
fn split(text: &str) -> (String, String) {
    let mut code = String::with_capacity(text.len());
    let mut quoted = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (taken, is_quoted) = token(rest, &code);
        let (token, after) = rest.split_at(taken);
        rest = after;
        match is_quoted {
            Some(true) => {
                code.push('"');
                quoted.push_str(token.trim_start_matches(['r', '#']));
                code.extend(token.chars().filter(|c| *c == '\n'));
                code.push('"');
            }
            Some(false) => {
                for sink in [&mut code, &mut quoted] {
                    sink.extend(token.chars().filter(|c| *c == '\n'));
                }
            }
            None => {
                code.push_str(token);
                if c == '\n' {
                    quoted.push('\n');
                }
            }
        }
    }
    (code, quoted)
}

/// Returns the length of the token that the text begins with, and whether it is a string, or a comment or character
/// (`Some(false)`); other code is taken character by character.
fn token(rest: &str, before: &str) -> (usize, Option<bool>) {
    let length_to = |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Some(false));
    }
    if rest.starts_with("/*") {
        return (length_to(2, "*/"), Some(false));
    }
    if rest.starts_with('r') && begins_name(before, before.len()) {
        let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
        if rest[1 + hashes..].starts_with('"') {
            return (length_to(2 + hashes, &format!("\"{}", "#".repeat(hashes))), Some(true));
        }
    }
    if rest.starts_with('"') {
        let mut is_escaped = false;
        for (offset, c) in rest.char_indices().skip(1) {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => return (offset + 1, Some(true)),
                _ => {}
            }
        }
        return (rest.len(), Some(true));
    }
    if let Some(character) = rest.strip_prefix("'\\") {
        return (
            2 + character.char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
            Some(false),
        );
    }
    let mut chars = rest.chars();
    let first = chars.next().map_or(0, char::len_utf8);
    if rest.starts_with('\'') {
        let second = chars.next().map_or(0, char::len_utf8);
        if chars.next() == Some('\'') {
            return (first + second + 1, Some(false));
        }
    }
    (first, None)
}

/// Returns for each line whether it belongs to an item that is compiled for tests only.
fn test_lines(code: &str) -> Vec<bool> {
    let lines: Vec<&str> = code.lines().collect();
    let mut is_test = vec![false; lines.len()];
    let mut index = 0;
    while index < lines.len() {
        if !lines[index].trim_start().starts_with("#[cfg(test)]") {
            index += 1;
            continue;
        }
        let indentation = lines[index].len() - lines[index].trim_start().len();
        let item = (index + 1..lines.len()).find(|line| !lines[*line].trim_start().starts_with("#[")).unwrap_or(index);
        // A block ends with the brace that stands where the item begins, anything else with its first line.
        let is_end = |line: &str| line.trim_end() == format!("{}}}", " ".repeat(indentation));
        let end = if lines[item].trim_end().ends_with(';') {
            item
        } else {
            (item..lines.len()).find(|line| is_end(lines[*line])).unwrap_or(lines.len() - 1)
        };
        is_test[index..=end].fill(true);
        index = end + 1;
    }
    is_test
}

fn is_test_file(path: &str) -> bool {
    ["tests/", "benches/"].iter().any(|folder| path.starts_with(folder))
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
}

/// Returns the crate's own files.
pub fn sources() -> Vec<Source> {
    let sources = read("src", "src");
    assert!(sources.len() > 100, "the source is not where it was");
    sources
}

/// Returns the files of tests and benchmarks.
pub fn test_sources() -> Vec<Source> {
    ["tests", "benches"].into_iter().flat_map(|folder| read(folder, "")).collect()
}

/// Returns the text of a file of the repository.
pub fn document(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Returns the names in a folder of the repository.
pub fn entries(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads the Rust files in a folder, with paths below `base`.
fn read(folder: &str, base: &str) -> Vec<Source> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    files.sort();
    let base = root().join(base);
    let source = |file: &PathBuf| {
        let path = file.strip_prefix(&base).unwrap().to_str().unwrap();
        Source::new(path, &std::fs::read_to_string(file).unwrap())
    };
    files.iter().map(source).collect()
}

#[test]
fn comments_tests_and_quotes_are_no_code() {
    for (text, code) in [
        ("a(); // b", "a(); "),
        ("a(\"b // c\\\" d\"); e", "a(\"\"); e"),
        ("a(r#\"b \" c\"#); d", "a(\"\"); d"),
        ("a('\"', '\\'', 'b'); fn c<'d>() {}", "a(, , ); fn c<'d>() {}"),
        ("a(\"b \\\n    c\"); d", "a(\"\n\"); d"),
        ("a /* b\n c */ d", "a \n d"),
        ("a\n#[cfg(test)]\nmod tests;\nb", "a\n\n\nb"),
        ("a\n    #[cfg(test)]\n    fn b() {\n        c();\n    }\nd", "a\n\n\n\n\nd"),
        ("a\n#[cfg(test)]\nmod tests {\n    b;\n}", "a\n\n\n\n"),
    ] {
        assert_eq!(Source::new("a/mod.rs", text).code, code, "{text}");
    }
    let source = Source::new("a/mod.rs", "a(\"b \\\n    c\"); d // \"e\"\n\"f\"\n#[cfg(test)]\nmod tests { \"g\" }");
    assert_eq!(source.quoted, "\"b \\\n    c\"\n\"f\"\n\n");
    assert_eq!(source.length(), 3);
    assert_eq!(Source::new("a/tests.rs", "b").code, "");
}
