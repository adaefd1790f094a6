//! Pages of the documentation, and their blocks of code.
//!
//! | behind the language | the block is |
//! | --- | --- |
//! | `run` | carried out in the reader's shell, and must succeed |
//! | `listens=PORT` | carried out likewise, in a terminal of its own, until the port answers; it runs on |
//! | `output` | what the block before must have printed; `…` stands for anything |
//! | `file=NAME` | written to a file in the folder where the shell is |
//! | `compiled=NAME` | the same as the file of this name in `tests/docs/`, which tests use |
//! | `unrun` | for a program that the tests do not install: only its brackets are checked |

use std::path::Path;

/// What becomes of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    Run,
    Listens(u16),
    Output,
    File(String),
    Compiled(String),
    Unrun,
    /// An example of data: nothing to be carried out.
    Shown,
}

/// A fenced block of code.
#[derive(Clone, Debug)]
pub struct Block {
    pub place: String,
    pub language: String,
    pub purpose: Purpose,
    pub text: String,
    /// The heading above it.
    pub heading: String,
}

/// The blocks of a page, whose path is that below the root of the repository.
pub fn blocks(path: &str) -> Vec<Block> {
    blocks_of(path, &std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap())
}

fn blocks_of(path: &str, page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut heading = String::new();
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line.starts_with('#') {
            line.trim_start_matches('#').trim().clone_into(&mut heading);
        }
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let indentation = line.len() - line.trim_start().len();
        let text = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
        let text = text.map(|line| line.get(indentation..).unwrap_or_default().to_owned() + "\n").collect();
        let place = format!("{path}:{}", index + 1);
        let (language, purpose) = info.split_once(' ').unwrap_or((info, ""));
        let purpose = purpose_of(purpose).unwrap_or_else(|| panic!("{place}: what is {purpose:?}?"));
        blocks.push(Block { place, language: language.to_owned(), purpose, text, heading: heading.clone() });
    }
    blocks
}

fn purpose_of(word: &str) -> Option<Purpose> {
    Some(match word.split_once('=').unwrap_or((word, "")) {
        ("", "") => Purpose::Shown,
        ("run", "") => Purpose::Run,
        ("output", "") => Purpose::Output,
        ("unrun", "") => Purpose::Unrun,
        ("listens", port) => Purpose::Listens(port.parse().ok()?),
        ("compiled", name) if !name.is_empty() => Purpose::Compiled(name.to_owned()),
        ("file", name) if !name.is_empty() => Purpose::File(name.to_owned()),
        _ => return None,
    })
}

/// Whether brackets are closed in the order in which they are opened, as far as that can be told without the grammar.
pub fn is_balanced(text: &str) -> bool {
    let mut open = Vec::new();
    text.chars().all(|c| match c {
        '(' | '[' | '{' => {
            open.push(c);
            true
        }
        ')' => open.pop() == Some('('),
        ']' => open.pop() == Some('['),
        '}' => open.pop() == Some('{'),
        _ => true,
    }) && open.is_empty()
}

/// Whether a text is the one that is shown, in which `…` stands for anything within a line.
pub fn is_as_shown(text: &str, shown: &str) -> bool {
    let (lines, expected): (Vec<&str>, Vec<&str>) = (text.trim().lines().collect(), shown.trim().lines().collect());
    let is_line = |line: &str, shown: &str| {
        let Some((begin, rest)) = shown.split_once('…') else { return line.trim_end() == shown.trim_end() };
        let mut pieces: Vec<&str> = rest.split('…').collect();
        let end = pieces.pop().unwrap_or_default();
        let Some(mut left) = line.strip_prefix(begin).and_then(|line| line.strip_suffix(end)) else { return false };
        pieces.iter().all(|piece| match left.split_once(piece) {
            Some((_, rest)) => {
                left = rest;
                true
            }
            None => false,
        })
    };
    lines.len() == expected.len() && lines.iter().zip(expected).all(|(line, shown)| is_line(line, shown))
}

#[test]
fn blocks_are_found_with_their_purpose() {
    let page = "# A\n```sh run\na\n```\n## B\n- c:\n\n  ```js file=d.mjs\n  e\n    f\n  ```\n\
                ```text output\n…g\n```\n```\nh\n```\n";
    let found = blocks_of("x.md", page);
    let found: Vec<_> = found.iter().map(|b| (&*b.heading, &*b.language, b.purpose.clone(), &*b.text)).collect();
    let expected = [
        ("A", "sh", Purpose::Run, "a\n"),
        ("B", "js", Purpose::File("d.mjs".to_owned()), "e\n  f\n"),
        ("B", "text", Purpose::Output, "…g\n"),
        ("B", "", Purpose::Shown, "h\n"),
    ];
    assert_eq!(found, expected);
    assert!(is_balanced("a(b[c]{d})") && !is_balanced("a(b]") && !is_balanced("(") && !is_balanced(")"));
    assert!(is_as_shown("abc\nd\n", "a…c\nd") && is_as_shown("abcd", "a…c…") && is_as_shown("a1b2c", "a…b…c"));
    assert!(!is_as_shown("abc\nd", "a…c") && !is_as_shown("abd", "a…c") && !is_as_shown("a2c", "a…b…c"));
}
