//! The rules of the house that no compiler knows. A failure prints the rule's sentence and where it is broken.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const DIRECTION: &str = "Left may use right, never back: \
    cli → app → routes → http/openapi → */http → http → {admin, sweep} → accounts → sessions → tokens → keys → {revocations, limits, audit, mail, pages} \
    → devices → cache → db → config → secret → random → clock → {client, label, metrics}.";

/// Who may use whom: each rank uses those after it. `*/http` stands for the handlers of every room.
const RANKS: [&[&str]; 19] = [
    &["cli"],
    &["app"],
    &["routes"],
    &["http/openapi"],
    &["*/http"],
    &["http"],
    &["admin", "sweep"],
    &["accounts"],
    &["sessions"],
    &["tokens"],
    &["keys"],
    &["revocations", "limits", "audit", "mail", "pages"],
    &["devices"],
    &["cache"],
    &["db"],
    &["config"],
    &["secret"],
    &["random"],
    &["clock", "client", "label", "metrics"],
];

/// The longest that a file may be, in lines.
const LONGEST: usize = 600;

/// A file of the source: its path below `src/`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The room that the file belongs to, as it stands in [`RANKS`]; `None` for the crate's own page.
    fn room(&self) -> Option<String> {
        match self.path.split('/').collect::<Vec<_>>()[..] {
            ["lib.rs"] => None,
            ["main.rs"] | ["cli", ..] => Some("cli".to_owned()),
            ["http", "openapi.rs"] => Some("http/openapi".to_owned()),
            [room, .., "http.rs"] if room != "http" => Some("*/http".to_owned()),
            [room, ..] => Some(room.trim_end_matches(".rs").to_owned()),
            [] => None,
        }
    }

    fn is_handler(&self) -> bool {
        self.room().as_deref() == Some("*/http")
    }

    /// The lines that are compiled into the program, with their numbers: neither comments nor tests, nor what stands
    /// between quotes.
    fn code(&self) -> Vec<(usize, String)> {
        if self.path.ends_with("/tests.rs") {
            return Vec::new();
        }
        let lines =
            self.text.lines().take_while(|line| *line != "#[cfg(test)]" && !line.ends_with("#[cfg(test)] mod tests {"));
        lines.enumerate().map(|(index, line)| (index + 1, without_comment_and_quotes(line))).collect()
    }

    /// The paths that the code names from the crate's root, as `room` or `room::item`, with their lines.
    fn uses(&self) -> Vec<(usize, String)> {
        let code = self.code();
        let numbered = code.iter().flat_map(|(number, line)| line.chars().chain(['\n']).map(move |c| (*number, c)));
        let (numbers, text): (Vec<usize>, String) = numbered.unzip();
        let offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
        let mut found = Vec::new();
        for root in ["crate::", "keyturn::"] {
            for (start, _) in text.match_indices(root) {
                let is_whole = !text[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
                let line = numbers[offsets.binary_search(&start).unwrap()];
                if is_whole {
                    found.extend(first_segments(&text[start + root.len()..]).into_iter().map(|path| (line, path)));
                }
            }
        }
        found
    }
}

fn without_comment_and_quotes(line: &str) -> String {
    let (mut code, mut quoted, mut chars) = (String::new(), false, line.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            _ if quoted => {}
            c => code.push(c),
        }
    }
    code
}

/// The first two segments of each path that begins here: `a::b` of `a::b::c`, and for `{a, b::c}` both.
fn first_segments(text: &str) -> Vec<String> {
    let path = |text: &str| {
        let segments = text.split("::").take(2);
        let names = segments.map(|segment| {
            let end = segment.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(segment.len());
            (&segment[..end], end == segment.len())
        });
        let mut whole = String::new();
        for (name, goes_on) in names {
            if !name.is_empty() {
                let _ = write!(whole, "{}{name}", if whole.is_empty() { "" } else { "::" });
            }
            if !goes_on {
                break;
            }
        }
        whole
    };
    let Some(group) = text.strip_prefix('{') else { return vec![path(text)] };
    let (mut depth, mut parts, mut part) = (0_usize, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(std::mem::take(&mut part)),
            c => {
                depth = match c {
                    '{' => depth + 1,
                    '}' => depth - 1,
                    _ => depth,
                };
                part.push(c);
            }
        }
    }
    parts.push(part);
    parts.iter().map(|part| path(part.trim())).filter(|path| !path.is_empty()).collect()
}

/// The room of a path that code names.
fn room_of(path: &str) -> &str {
    match path.split_once("::") {
        Some(("http", "openapi")) => "http/openapi",
        Some((room, "http")) if room != "http" => "*/http",
        Some((room, _)) => room,
        None => path,
    }
}

fn rank(room: &str) -> Option<usize> {
    RANKS.iter().position(|rooms| rooms.contains(&room))
}

fn sources() -> Vec<Source> {
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 60, "the source is not where it was");
    let source = |file: &PathBuf| {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        Source { path, text: std::fs::read_to_string(file).unwrap() }
    };
    files.iter().map(source).collect()
}

/// Fails with the rule's sentence and all that breaks it.
#[track_caller]
fn assert_kept(rule: &str, broken: impl IntoIterator<Item = String>) {
    let broken: Vec<String> = broken.into_iter().collect();
    assert!(broken.is_empty(), "\n{rule}\nBroken by:\n  {}\n", broken.join("\n  "));
}

fn against_direction(source: &Source) -> Vec<String> {
    let Some(own) = source.room() else { return Vec::new() };
    let place = |line: usize| format!("src/{}:{line}", source.path);
    let Some(own_rank) = rank(&own) else { return vec![format!("{}: {own} has no rank", place(1))] };
    let mut broken = Vec::new();
    for (line, path) in source.uses() {
        let room = room_of(&path);
        let same_folder = path.split("::").next() == source.path.split('/').next();
        match rank(room) {
            None => broken.push(format!("{}: {path} has no rank", place(line))),
            Some(used) if used < own_rank || (used == own_rank && !same_folder) => {
                broken.push(format!("{}: {own} uses {path}", place(line)));
            }
            Some(_) => {}
        }
    }
    let climbs = source.code().into_iter().filter(|(_, line)| line.contains("super::super"));
    broken.extend(climbs.map(|(line, _)| format!("{}: name it from the crate's root", place(line))));
    broken
}

#[test]
fn rooms_use_only_those_to_their_right() {
    assert_kept(DIRECTION, sources().iter().flat_map(against_direction));
}

#[test]
fn a_wrong_turn_is_seen_in_whatever_form() {
    for (path, text) in [
        ("keys/ring.rs", "use crate::sessions::Sessions;"),
        ("keys/ring.rs", "fn f() -> crate::tokens::access::Claims {"),
        ("db/mod.rs", "use crate::{clock::Clock, keys};"),
        ("db/mod.rs", "use crate::{\n    clock::{Clock, Timestamp},\n    cache::Cache,\n};"),
        ("sessions/check.rs", "use crate::http::Problem;"),
        ("sessions/check.rs", "use crate::sessions::http::list;"),
        ("http/caller.rs", "use crate::accounts::http::login;"),
        ("http/caller.rs", "use crate::http::openapi::methods;"),
        ("limits/mod.rs", "use crate::audit::Event;"),
        ("audit/mod.rs", "use super::super::keys;"),
        ("clock.rs", "let x = crate::random::Random;"),
        ("app.rs", "use crate::cli;"),
        ("stray.rs", "fn f() {}"),
        ("accounts/login.rs", "use crate::stray::Thing;"),
    ] {
        assert_eq!(against_direction(&Source::new(path, text)).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        ("cli/serve.rs", "use keyturn::app::{self, App};"),
        ("accounts/http.rs", "use crate::http::caller::{self, Caller};\nuse crate::sessions::{Sessions, Subject};"),
        ("http/openapi.rs", "        crate::accounts::http::register,"),
        ("sessions/check.rs", "use crate::tokens::access;\n#[cfg(test)]\nmod tests { use crate::http::Problem; }"),
        ("keys/ring.rs", "// see crate::sessions\nlet text = \"crate::sessions\";"),
        ("cache/redis.rs", "use crate::cache::gcra;"),
        ("lib.rs", "use crate::app::App;"),
    ] {
        assert_kept(text, against_direction(&Source::new(path, text)));
    }
}

/// Where `word` stands in code as a name of its own, of files that `allowed` does not let have it.
fn misplaced<'a>(word: &'a str, allowed: impl Fn(&Source) -> bool + 'a) -> impl Iterator<Item = String> + 'a {
    sources().into_iter().filter(move |source| !allowed(source)).flat_map(move |source| {
        let has =
            |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|name| name.starts_with(word));
        let lines = source.code().into_iter().filter(|(_, line)| has(line));
        lines.map(|(line, _)| format!("src/{}:{line}", source.path)).collect::<Vec<_>>()
    })
}

#[test]
fn only_the_edge_knows_actix() {
    let rule = "actix stands only in http/, */http.rs, routes.rs, app.rs and cli/: what the rooms do can be read without HTTP.";
    let at_edge = |source: &Source| {
        let room = source.room().unwrap_or_default();
        source.is_handler() || ["http", "http/openapi", "routes", "app", "cli"].contains(&room.as_str())
    };
    assert_kept(rule, misplaced("actix", at_edge));
    assert!(misplaced("actix", |_| false).count() > 10, "the search finds nothing at all");
}

#[test]
fn only_stores_speak_sql() {
    let rule = "Diesel stands only in db/ and */store.rs: what the rooms do can be read without SQL.";
    let is_store = |source: &Source| source.path.starts_with("db/") || source.path.ends_with("/store.rs");
    assert_kept(rule, misplaced("diesel", is_store));
    assert!(misplaced("diesel", |_| false).count() > 10, "the search finds nothing at all");
}

#[test]
fn only_the_cache_knows_redis() {
    let rule = "deadpool_redis stands only in cache/redis.rs, deadpool besides in db/mod.rs, for its own pool.";
    assert_kept(rule, misplaced("deadpool_redis", |source| source.path == "cache/redis.rs"));
    assert_kept(rule, misplaced("deadpool", |source| ["cache/redis.rs", "db/mod.rs"].contains(&source.path.as_str())));
    assert!(misplaced("deadpool", |_| false).count() >= 2, "the search finds nothing at all");
}

#[test]
fn a_store_is_private_to_its_folder() {
    let rule = "A store.rs is private to its folder: `mod store;` in its mod.rs, and nobody else names it.";
    let sources = sources();
    let rooms: Vec<&str> = sources.iter().filter_map(|source| source.path.strip_suffix("/store.rs")).collect();
    assert!(rooms.len() >= 4, "{rooms:?}");
    for room in rooms {
        let page = sources.iter().find(|source| source.path == format!("{room}/mod.rs")).unwrap();
        let has = |line: &str| page.code().iter().any(|(_, own)| own == line);
        assert!(has("mod store;"), "\n{rule}\nBroken by:\n  src/{}\n", page.path);
        let exports = page.code().into_iter().filter(|(_, line)| line.starts_with("pub") && line.contains("store"));
        assert_kept(rule, exports.map(|(line, _)| format!("src/{}:{line}", page.path)));
        let named = |source: &&Source| source.code().iter().any(|(_, line)| line.contains(&format!("{room}::store")));
        assert_kept(rule, sources.iter().filter(named).map(|source| format!("src/{}", source.path)));
    }
}

#[test]
fn nothing_ends_the_process_by_surprise() {
    let rule = "No unwrap, todo, unimplemented or dbg outside tests, and no expect without its reason in #[expect(…)].";
    let mut broken = Vec::new();
    for source in sources() {
        let code = source.code();
        for (index, (line, text)) in code.iter().enumerate() {
            let has_reason = code[index.saturating_sub(4)..index]
                .iter()
                .any(|(_, line)| line.contains("#[expect(clippy::expect_used"));
            let is_wrong = [".unwrap()", ".unwrap_err()", "todo!", "unimplemented!", "dbg!"]
                .iter()
                .any(|word| text.contains(word))
                || (text.contains(".expect(") && !has_reason);
            if is_wrong {
                broken.push(format!("src/{}:{line}", source.path));
            }
        }
    }
    assert_kept(rule, broken);
}

#[test]
fn only_the_command_line_prints() {
    let rule = "Only main.rs and cli/ print: the server tells its log.";
    let prints = ["print!", "println!", "eprint!", "eprintln!"];
    let broken = sources().into_iter().filter(|source| source.room().as_deref() != Some("cli")).flat_map(|source| {
        let lines = source.code().into_iter().filter(|(_, text)| prints.iter().any(|word| text.contains(word)));
        lines.map(|(line, _)| format!("src/{}:{line}", source.path)).collect::<Vec<_>>()
    });
    assert_kept(rule, broken);
}

#[test]
fn a_file_can_be_read_at_a_sitting() {
    let rule = "No file has more than 600 lines.";
    let length = |source: &Source| source.text.lines().count();
    let long = sources().into_iter().filter(|source| length(source) > LONGEST);
    assert_kept(rule, long.map(|source| format!("src/{}: {} lines", source.path, length(&source))));
}

#[test]
fn every_module_says_what_it_is_for() {
    let rule = "Each module opens with a sentence on what it is for (//!).";
    let silent =
        sources().into_iter().filter(|source| !source.text.starts_with("//! ") && !source.path.ends_with("/tests.rs"));
    assert_kept(rule, silent.map(|source| format!("src/{}", source.path)));
}
