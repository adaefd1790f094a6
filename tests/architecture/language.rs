//! How comments speak.

use crate::assert_kept;
use crate::source::{Source, closing, sources};

/// Openings that are neither a verb nor a noun phrase.
const RIDDLES: [&str; 15] = [
    "Whether ",
    "What ",
    "How ",
    "Where ",
    "Who ",
    "Whom ",
    "Whose ",
    "Which ",
    "When ",
    "As ",
    "By ",
    "In ",
    "The same ",
    "Likewise",
    "That ",
];

/// Words that end like a verb in the third person and are none.
const NO_VERBS: [&str; 8] = ["As", "This", "Its", "Is", "Always", "Besides", "Perhaps", "Sometimes"];

/// A public item with a doc comment.
struct Documented<'a> {
    /// The line of the comment's beginning.
    line: usize,
    /// The first line of the comment.
    opening: &'a str,
    /// The first line of the item.
    item: &'a str,
}

impl Documented<'_> {
    fn is_function(&self) -> bool {
        let mut words = self.item.split_whitespace().skip(1);
        words.find(|word| !["const", "async", "unsafe", "extern"].contains(word)) == Some("fn")
    }

    /// Types, traits, constants, modules and macros; neither fields nor variants nor what is only used.
    fn is_named_thing(&self) -> bool {
        let kinds = ["struct", "enum", "union", "trait", "type", "const", "static", "mod"];
        !self.is_function() && self.item.split_whitespace().nth(1).is_some_and(|word| kinds.contains(&word))
    }
}

/// Returns the public items that have a doc comment, without those of tests.
fn documented(source: &Source) -> Vec<Documented<'_>> {
    let text: Vec<&str> = source.text.lines().map(str::trim).collect();
    let code: Vec<&str> = source.code.lines().collect();
    let mut items = Vec::new();
    for (index, line) in text.iter().enumerate() {
        let Some(opening) = line.strip_prefix("/// ") else { continue };
        let is_first = index == 0 || !text[index - 1].starts_with("///");
        if !is_first || source.is_test(index + 1) {
            continue;
        }
        let end = text[index..].iter().position(|line| !line.starts_with("///")).map(|length| index + length);
        let Some(item) = end.and_then(|end| behind_attributes(&code, end)) else { continue };
        if item.starts_with("pub ") || item.starts_with("pub(") {
            items.push(Documented { line: index + 1, opening, item });
        }
    }
    items
}

/// Returns the first line from `index` on that belongs to no attribute.
fn behind_attributes<'a>(code: &[&'a str], mut index: usize) -> Option<&'a str> {
    loop {
        let line = code.get(index)?.trim();
        let Some(attribute) = line.strip_prefix('#') else { return Some(line) };
        let whole = [&[attribute], code.get(index + 1..)?].concat().join("\n");
        let length = closing(&whole)?;
        index += whole[..length].matches('\n').count() + 1;
    }
}

fn begins_with_verb(opening: &str) -> bool {
    let word = opening.split(|c: char| !c.is_alphabetic() && c != '-').next().unwrap_or("");
    word.starts_with(char::is_uppercase) && word.ends_with('s') && !NO_VERBS.contains(&word)
}

fn is_riddle(opening: &str) -> bool {
    RIDDLES.iter().any(|riddle| opening.starts_with(riddle))
}

fn broken(is_broken: impl Fn(&Documented<'_>) -> bool) -> Vec<String> {
    let sources = sources();
    let broken = sources.iter().flat_map(|source| {
        let broken = documented(source).into_iter().filter(&is_broken);
        broken.map(|documented| format!("{}: {}", source.place(documented.line), documented.opening))
    });
    broken.collect()
}

#[test]
fn a_functions_comment_begins_with_a_verb() {
    let rule = "The comment of a public function begins with a verb in the third person (Returns, Creates, Reads).";
    assert_kept(rule, broken(|documented| documented.is_function() && !begins_with_verb(documented.opening)));
}

#[test]
fn a_types_comment_begins_with_a_noun() {
    let rule =
        "The comment of a public type begins with a noun phrase, not with What or How; that of an error may with Why.";
    assert_kept(rule, broken(|documented| documented.is_named_thing() && is_riddle(documented.opening)));
}

#[test]
fn comments_are_found_with_the_items_that_they_belong_to() {
    let text = "/// Returns a.\n/// And b.\n#[path(c,\n    d = \"]\")]\n#[must_use]\npub(super) async fn e() {}\n\
                /// What f is.\npub struct F {\n    /// Whether g.\n    pub g: fn(),\n}\n/// H.\nfn i() {}\n";
    let source = Source::new("a/mod.rs", text);
    let found: Vec<_> = documented(&source).iter().map(|d| (d.line, d.is_function(), d.is_named_thing())).collect();
    assert_eq!(found, [(1, true, false), (7, false, true), (9, false, false)]);
    assert!(begins_with_verb("Returns a.") && begins_with_verb("Locks, and reads."));
    assert!(!begins_with_verb("[`Self::a`] for b.") && !begins_with_verb("As a.") && !begins_with_verb("The a."));
    assert!(is_riddle("What a.") && !is_riddle("Asks.") && !is_riddle("Why a."));
}

#[test]
fn every_module_says_what_it_is_for() {
    let rule = "Each module opens with a sentence on what it is for (//!).";
    let silent =
        sources().into_iter().filter(|source| !source.text.starts_with("//! ") && !source.path.ends_with("/tests.rs"));
    assert_kept(rule, silent.map(|source| format!("src/{}", source.path)));
}
