//! Who may use whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, begins_name, entries, line_at, name, sources};
use crate::{RANKS, ROOMS, assert_kept};

/// Returns the direction as documents print it.
pub fn direction() -> String {
    let rank = |rooms: &&[&str]| match rooms {
        [room] => (*room).to_owned(),
        rooms => format!("{{{}}}", rooms.join(", ")),
    };
    RANKS.iter().map(rank).collect::<Vec<_>>().join(" → ")
}

fn rank(room: &str) -> Option<usize> {
    RANKS.iter().position(|rooms| rooms.contains(&room))
}

/// Returns the rooms that the code names from the crate's root, with their lines.
fn uses(source: &Source) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for root in ["crate::", "keyturn::"] {
        for (start, _) in source.code.match_indices(root) {
            if begins_name(&source.code, start) && !source.code[..start].ends_with(':') {
                let line = line_at(&source.code, start);
                found.extend(first_names(&source.code[start + root.len()..]).into_iter().map(|room| (line, room)));
            }
        }
    }
    found
}

/// Returns the first name of each path that begins here: `a` of `a::b`, and `a` and `b` of `{a, b::{c, d}}`.
fn first_names(text: &str) -> Vec<&str> {
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let mut depth = 0_usize;
    let mut names = Vec::new();
    let mut is_expected = true;
    for (offset, c) in group.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            '{' => depth += 1,
            ',' if depth == 0 => is_expected = true,
            c if is_expected && !c.is_whitespace() => {
                names.push(name(&group[offset..]));
                is_expected = false;
            }
            _ => {}
        }
    }
    names
}

/// Returns the lines that climb out of the room instead of naming a path from the crate's root.
fn climbs(source: &Source) -> impl Iterator<Item = usize> {
    // In these files one `super` is the crate's root.
    let is_outermost = source.path.matches('/').count() == 0
        || (source.path.matches('/').count() == 1 && source.path.ends_with("/mod.rs"));
    let climb = if is_outermost { "super::" } else { "super::super" };
    source.lines().filter(move |(_, code)| code.contains(climb)).map(|(line, _)| line)
}

fn against_direction(source: &Source) -> Vec<String> {
    let Some(own) = source.room() else { return Vec::new() };
    let Some(own_rank) = rank(own) else { return vec![format!("{}: {own} has no rank", source.place(1))] };
    let mut broken = Vec::new();
    for (line, room) in uses(source) {
        match rank(room) {
            None => broken.push(format!("{}: {room} has no rank", source.place(line))),
            Some(used) if used <= own_rank && room != own => {
                broken.push(format!("{}: {own} uses {room}", source.place(line)));
            }
            Some(_) => {}
        }
    }
    broken.extend(climbs(source).map(|line| format!("{}: name it from the crate's root", source.place(line))));
    broken
}

#[test]
fn rooms_use_only_those_to_their_right() {
    let rule = format!("Left may use right, never back, and rooms of one rank not each other: {}.", direction());
    assert_kept(&rule, sources().iter().flat_map(against_direction));
}

#[test]
fn a_wrong_turn_is_seen_in_whatever_form() {
    for (path, text) in [
        ("keys/key_ring.rs", "use crate::sessions::Sessions;"),
        ("keys/key_ring.rs", "fn f() -> crate::tokens::access::Claims {"),
        ("db/mod.rs", "use crate::{clock::Clock, keys};"),
        ("db/mod.rs", "use crate::{\n    clock::{Clock, Timestamp},\n    cache::Cache,\n};"),
        ("sessions/check.rs", "use crate::http::Problem;"),
        ("sessions/check.rs", "let x = $crate::accounts::Logins;"),
        ("http/body.rs", "use crate::api::Caller;"),
        ("pages/handlers.rs", "use crate::api::configure;"),
        ("throttle/mod.rs", "use crate::mfa::Mfa;"),
        ("audit/mod.rs", "use super::keys;"),
        ("sessions/rotation/store.rs", "use super::super::keys;"),
        ("clock.rs", "let x = crate::random::Random;"),
        ("app/mod.rs", "use crate::cli;"),
        ("stray.rs", "fn f() {}"),
        ("accounts/login.rs", "use crate::stray::Thing;"),
    ] {
        assert_eq!(against_direction(&Source::new(path, text)).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        ("cli/serve.rs", "use keyturn::app::{self, App};"),
        ("api/login.rs", "use super::caller::Caller;\nuse crate::sessions::{Sessions, Subject};"),
        ("sessions/check.rs", "use crate::tokens::access;\n#[cfg(test)]\nmod tests { use crate::http::Problem; }"),
        ("sessions/rotation/mod.rs", "use super::SessionSnapshot;\npub(super) fn f() {}"),
        ("keys/key_ring.rs", "// see crate::sessions\nlet text = \"crate::sessions\";"),
        ("cache/redis/mod.rs", "use crate::cache::gcra;"),
        ("lib.rs", "use crate::app::App;"),
    ] {
        assert_kept(text, against_direction(&Source::new(path, text)));
    }
}

#[test]
fn no_rooms_use_each_other_in_a_circle() {
    let sources = sources();
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in &sources {
        if let Some(own) = source.room() {
            graph.entry(own).or_default().extend(uses(source).into_iter().map(|(_, room)| room).filter(|r| *r != own));
        }
    }
    assert!(graph["app"].len() > 15, "the search finds nothing at all");
    assert_kept("No room uses itself by way of others.", circle(&graph).map(|rooms| rooms.join(" → ")));

    let back =
        BTreeMap::from([("a", BTreeSet::from(["b"])), ("b", BTreeSet::from(["c"])), ("c", BTreeSet::from(["b"]))]);
    assert_eq!(circle(&back), Some(vec!["b", "c", "b"]));
}

/// Finds rooms that use each other in a circle, if there are any.
fn circle<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    fn visit<'a>(
        room: &'a str,
        graph: &BTreeMap<&'a str, BTreeSet<&'a str>>,
        path: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<&'a str>> {
        if let Some(start) = path.iter().position(|other| *other == room) {
            return Some([&path[start..], &[room]].concat());
        }
        if !done.insert(room) {
            return None;
        }
        path.push(room);
        let found = graph.get(room).into_iter().flatten().find_map(|used| visit(used, graph, path, done));
        path.pop();
        found
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|room| visit(room, graph, &mut Vec::new(), &mut done))
}

#[test]
fn every_module_of_the_crate_is_a_room_with_a_rank() {
    let modules = entries("src").into_iter().filter(|entry| entry != "lib.rs" && entry != "main.rs");
    let modules: BTreeSet<String> = modules.map(|entry| entry.trim_end_matches(".rs").to_owned()).collect();
    let rooms: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let ranked: BTreeSet<String> = RANKS.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(rooms, modules, "ROOMS (left) are the folders and files of src/");
    assert_eq!(rooms, ranked, "ROOMS (left) are those in RANKS");
    assert_eq!(RANKS.concat().len(), ROOMS.len(), "no room has two ranks");
}
