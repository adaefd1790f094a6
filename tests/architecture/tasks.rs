//! What works in the background.

use crate::source::{Source, begins_name, line_at, sources};
use crate::{ROOMS, TASKS, assert_kept};

/// Tasks and threads that end by themselves: file, code, and why they are not waited for where they are started.
const SHORT_LIVED: &[(&str, &str, &str)] = &[
    ("accounts/recovery.rs", "spawn(queueing", "the answer must not tell by its time whether there is an account"),
    ("api/audit_export.rs", "spawn(async move", "entries are read while those before them are sent"),
    ("revocations/feed.rs", "spawn(async move", "readers of the feed are told that the server ends"),
    ("cache/latest.rs", "spawn(async move", "a value is read to its end also if who wants it gives up"),
    ("cache/redis/lane.rs", "spawn(Arc::clone(self).connect(", "a call does not wait for a connection that takes long"),
    ("cache/redis/mod.rs", "calls.spawn(", "the marks of a cluster's slots are set at once, and awaited"),
    ("cli/serve.rs", "spawn(move || devices.warm_up())", "the patterns of user agents are compiled beside requests"),
    (
        "cli/testing.rs",
        "spawn(move ||",
        "it ends the server when standard input ends, and the process ends it otherwise",
    ),
    ("cli/transfer.rs", "spawn(move ||", "a file is read while the database is busy with what was read before"),
    ("db/pool.rs", "spawn(watch(", "each operation is watched, so that a connection that does not answer is left"),
    ("sessions/browser.rs", "spawn(async move", "a page does not wait until the use of its session is recorded"),
    ("clients/mod.rs", "spawn(async move", "a client does not wait until its use is noted"),
    ("cache/redis/entries.rs", "calls.spawn(", "in a cluster each entry is a call of its own"),
    ("mail/delivery.rs", "self.tasks.spawn(", "several emails are delivered at once, by the task of the delivery"),
];

/// Returns where tasks and threads are started, with the code from there on.
fn spawns(source: &Source) -> Vec<(usize, &str)> {
    let found = ["spawn(", "spawn_local("].into_iter().flat_map(|call| source.code.match_indices(call));
    let called =
        found.filter(|(start, _)| begins_name(&source.code, *start) && !source.code[..*start].ends_with("fn "));
    let with_receiver = |start: usize| source.code[..start].rfind('\n').map_or(0, |newline| newline + 1);
    called.map(|(start, _)| (line_at(&source.code, start), &source.code[with_receiver(start)..])).collect()
}

fn is_at(spawn: &str, source: &Source, file: &str, code: &str) -> bool {
    source.path == file && code.lines().next().is_some_and(|line| line.contains(spawn))
}

#[test]
fn every_task_in_the_background_is_listed() {
    let rule = "Each task or thread that the code starts is in TASKS, or in SHORT_LIVED with a reason.";
    let sources = sources();
    let unlisted = sources.iter().flat_map(|source| {
        let is_listed = |code: &str| {
            TASKS.iter().any(|task| is_at(task.spawn, source, task.file, code))
                || SHORT_LIVED.iter().any(|(file, spawn, _)| is_at(spawn, source, file, code))
        };
        let unlisted = spawns(source).into_iter().filter(move |(_, code)| !is_listed(code));
        unlisted.map(|(line, code)| format!("{}: {}", source.place(line), code.lines().next().unwrap_or("").trim()))
    });
    assert_kept(rule, unlisted);
}

#[test]
fn every_task_that_is_listed_is_started_once() {
    let rule = "Each entry of TASKS and SHORT_LIVED is started at one place.";
    let sources = sources();
    let tasks = TASKS.iter().map(|task| (task.file, task.spawn));
    let listed = tasks.chain(SHORT_LIVED.iter().map(|(file, spawn, _)| (*file, *spawn)));
    let count = |file: &str, spawn: &str| {
        let at = |source| spawns(source).into_iter().filter(|(_, code)| is_at(spawn, source, file, code)).count();
        sources.iter().map(at).sum::<usize>()
    };
    let broken = listed.filter(|(file, spawn)| count(file, spawn) != 1);
    assert_kept(rule, broken.map(|(file, spawn)| format!("{file}: {spawn} {} times", count(file, spawn))));
    let strays = TASKS.iter().filter(|task| !ROOMS.iter().any(|(room, _)| *room == task.room));
    assert_kept("Each task belongs to a room.", strays.map(|task| task.name.to_owned()));
}
