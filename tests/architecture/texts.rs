//! The catalogues of texts: complete in every language, and used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fluent_syntax::ast::{self, Expression, InlineExpression, PatternElement};
use fluent_syntax::parser;

use crate::assert_kept;
use crate::source::{document, entries, sources};

/// The languages with files of their own. The first is the one that the others are compared with.
const LANGUAGES: [&str; 2] = ["en", "de"];

/// The keys of a catalogue, with the values that each text has.
type Catalogue = BTreeMap<String, BTreeSet<String>>;

/// Reads a catalogue, and what is wrong with its files.
fn catalogue(language: &str) -> (Catalogue, Vec<String>) {
    let mut catalogue = Catalogue::new();
    let mut broken = Vec::new();
    for file in entries(&format!("src/texts/{language}")) {
        let path = format!("src/texts/{language}/{file}");
        let text = document(&path);
        let (keys, wrong) = read(&text);
        broken.extend(wrong.into_iter().map(|wrong| format!("{path}: {wrong}")));
        for (key, values) in keys {
            if catalogue.insert(key.clone(), values).is_some() {
                broken.push(format!("{path}: {key} is there twice"));
            }
        }
    }
    (catalogue, broken)
}

/// Reads the texts of a file.
fn read(text: &str) -> (Vec<(String, BTreeSet<String>)>, Vec<String>) {
    let mut broken = Vec::new();
    let resource = parser::parse(text).unwrap_or_else(|(resource, errors)| {
        broken.extend(errors.into_iter().map(|error| error.to_string()));
        resource
    });
    let mut keys = Vec::new();
    for entry in resource.body {
        match entry {
            ast::Entry::Message(message) if message.attributes.is_empty() => {
                let mut values = BTreeSet::new();
                match message.value {
                    Some(pattern) => of_pattern(&pattern, &mut values, &mut broken),
                    None => broken.push(format!("{} has no text", message.id.name)),
                }
                keys.push((message.id.name.to_owned(), values));
            }
            ast::Entry::Comment(_) | ast::Entry::GroupComment(_) | ast::Entry::ResourceComment(_) => {}
            other => broken.push(format!("is no plain text: {other:?}")),
        }
    }
    (keys, broken)
}

/// Adds the values of a text. Markup is left to templates.
fn of_pattern(pattern: &ast::Pattern<&str>, values: &mut BTreeSet<String>, broken: &mut Vec<String>) {
    for element in &pattern.elements {
        match element {
            PatternElement::TextElement { value } => {
                if value.contains(['<', '>', '\u{2068}', '\u{2069}']) {
                    broken.push(format!("has markup: {value}"));
                }
            }
            PatternElement::Placeable { expression: Expression::Inline(inline) } => of_inline(inline, values, broken),
            PatternElement::Placeable { expression: Expression::Select { selector, variants } } => {
                of_inline(selector, values, broken);
                variants.iter().for_each(|variant| of_pattern(&variant.value, values, broken));
            }
        }
    }
}

fn of_inline(inline: &InlineExpression<&str>, values: &mut BTreeSet<String>, broken: &mut Vec<String>) {
    match inline {
        InlineExpression::VariableReference { id } => {
            values.insert(id.name.to_owned());
        }
        InlineExpression::StringLiteral { .. } => {}
        other => broken.push(format!("has something other than values: {other:?}")),
    }
}

/// Returns the names that stand behind an opening in a text, up to the closing quotation mark, with what follows them.
fn named<'a>(text: &'a str, opening: &'a str) -> impl Iterator<Item = (String, &'a str)> {
    text.match_indices(opening).filter_map(move |(at, _)| {
        let is_name_before = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = text[at + opening.len()..].trim_start();
        let (key, rest) = rest.strip_prefix('"')?.split_once('"')?;
        (!is_name_before).then(|| (key.to_owned(), rest))
    })
}

/// Returns the templates of pages and emails.
fn templates() -> Vec<(PathBuf, String)> {
    let folders = ["src/pages/templates", "src/pages/templates/admin", "src/mail/templates"];
    let files =
        folders.into_iter().flat_map(|folder| entries(folder).into_iter().map(move |file| format!("{folder}/{file}")));
    let files = files.filter(|path| path.contains('.'));
    let files: Vec<_> = files.map(|path| (Path::new(&path).to_owned(), document(&path))).collect();
    assert!(files.len() > 20, "the templates are not where they were");
    files
}

/// Returns every use of a text: where it is, its key, and the names of its values if they stand beside it.
fn uses() -> Vec<(String, String, Option<BTreeSet<String>>)> {
    let mut uses = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        let program = |(index, line): (usize, &&str)| (!source.is_test(index + 1)).then(|| (*line).to_owned());
        let program: Vec<String> = lines.iter().enumerate().filter_map(program).collect();
        let found = named(&program.join("\n"), "Text::of(").map(|(key, _)| key).collect::<Vec<_>>();
        uses.extend(found.into_iter().map(|key| (format!("src/{}", source.path), key, None)));
    }
    for (path, text) in templates() {
        uses.extend(named(&text, "t(").map(|(key, rest)| (path.display().to_string(), key, Some(arguments(rest)))));
    }
    uses
}

/// Returns the names of the values in a call, from behind its key on.
fn arguments(rest: &str) -> BTreeSet<String> {
    let mut depth = 1_usize;
    let mut names = BTreeSet::new();
    let mut is_quoted = false;
    for (offset, c) in rest.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' => depth += 1,
            ')' => depth -= 1,
            '=' if depth == 1 => {
                let name = rest[..offset].trim_end();
                let start = name.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
                names.insert(name[start..].to_owned());
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

#[test]
fn every_language_has_the_same_texts_with_the_same_values() {
    let rule = "Each catalogue in src/texts/ has the keys of the English one, and each text the same values.";
    let [(english, mut broken), (other, wrong)] = LANGUAGES.map(catalogue);
    broken.extend(wrong);
    assert!(english.len() > 50, "the catalogues are not where they were");
    for (key, values) in &english {
        match other.get(key) {
            None => broken.push(format!("{}: {key} is missing", LANGUAGES[1])),
            Some(others) if others != values => {
                broken.push(format!("{}: {key} has the values {others:?}, not {values:?}", LANGUAGES[1]));
            }
            Some(_) => {}
        }
    }
    let surplus = other.keys().filter(|key| !english.contains_key(*key));
    broken.extend(surplus.map(|key| format!("{}: {key} is in no other language", LANGUAGES[1])));
    assert_kept(rule, broken);
}

#[test]
fn every_text_is_used_and_every_used_text_exists() {
    let rule =
        "Each key that code (`Text::of`) or a template (`t`) uses is in the catalogues, and the other way round.";
    let (catalogue, _) = catalogue(LANGUAGES[0]);
    let uses = uses();
    let missing = uses.iter().filter(|(_, key, _)| !catalogue.contains_key(key));
    let mut broken: Vec<String> = missing.map(|(place, key, _)| format!("{place}: {key} is not there")).collect();
    let unused = catalogue.keys().filter(|key| !uses.iter().any(|(_, used, _)| used == *key));
    broken.extend(unused.map(|key| format!("{key} is used by nothing")));
    for (place, key, values) in &uses {
        if let (Some(given), Some(values)) = (values, catalogue.get(key))
            && given != values
        {
            broken.push(format!("{place}: {key} is given {given:?}, not {values:?}"));
        }
    }
    assert_kept(rule, broken);
}

#[test]
fn a_key_is_always_a_literal() {
    let rule = "A key stands where it is used: `t(\"key\")`, `Text::of(\"key\")`. Otherwise nobody knows what is used.";
    let is_literal = |rest: &str| rest.trim_start().starts_with('"');
    let mut broken = Vec::new();
    for (path, text) in templates() {
        let calls = text
            .match_indices("t(")
            .filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        let calls = calls.filter(|(at, _)| !is_literal(&text[at + 2..]));
        broken.extend(calls.map(|(at, _)| format!("{}: {}", path.display(), text[at..].lines().next().unwrap())));
    }
    for source in sources().iter().filter(|source| source.room() != Some("texts")) {
        let calls = source.lines().filter(|(_, code)| {
            code.split("Text::of(").skip(1).any(|rest| !rest.trim().is_empty() && !is_literal(rest))
        });
        broken.extend(calls.map(|(line, _)| source.place(line)));
    }
    assert_kept(rule, broken);
}

#[test]
fn what_is_wrong_with_a_catalogue_is_seen() {
    for (text, wrong) in [
        ("a = b", 0),
        ("a = { $b } c\nd = { $e ->\n    [1] f\n   *[2] { $g }\n}", 0),
        ("a = <b>c</b>", 1),
        ("a = { b }", 1),
        ("a =\n    .b = c", 1),
        ("-a = b", 1),
        ("a b", 1),
    ] {
        assert_eq!(read(text).1.is_empty(), wrong == 0, "{text}: {:?}", read(text).1);
    }
    let values = |text| read(text).0.into_iter().flat_map(|(_, values)| values).collect::<Vec<_>>();
    assert_eq!(values("a = { $b } c\nd = { $e ->\n    [1] f\n   *[2] { $g }\n}"), ["b", "e", "g"]);
    let call = r#", a=ui.link(base ~ "/x=(", t("b", c=1)), d=2) e=3"#;
    assert_eq!(arguments(call).into_iter().collect::<Vec<_>>(), ["a", "d"]);
    assert_eq!(named("t(\"a\") set(\"b\") t( \"c\")", "t(").map(|(key, _)| key).collect::<Vec<_>>(), ["a", "c"]);
}
