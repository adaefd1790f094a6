//! The verifiers: those of other languages agree with the corpus, and all follow the feed of a server. The crate
//! keyturn-verify has tests of its own.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nothing here is a library"
)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::clients::python_command;
use crate::support::{Folder, variable};

mod bound;
mod key_changes;
mod live;
mod readme;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/verifiers/corpus.json");

#[track_caller]
fn run(mut command: Command) -> Output {
    let output = command.stdin(Stdio::null()).env("CORPUS", CORPUS).output().unwrap();
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{printed}{said}", output.status);
    output
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A folder with the package for Node beside the packages of npm.
fn node_folder() -> Folder {
    let folder = Folder::new();
    copy(&Path::new(ROOT).join("sdk/node"), folder.path());
    std::os::unix::fs::symlink(variable("KEYTURN_TEST_NODE_MODULES"), folder.path().join("node_modules")).unwrap();
    folder
}

fn node_command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(variable("KEYTURN_TEST_NODE"));
    command.args(arguments).current_dir(folder.path());
    command
}

fn node(folder: &Folder, arguments: &[&str]) -> Output {
    run(node_command(folder, arguments))
}

/// Python in a folder of the repository, with the package for it and the modules of PyPI.
fn verifying_python_command(folder: &str, arguments: &[&str]) -> Command {
    let mut command = python_command();
    let path = format!("{}:{ROOT}/sdk/python", variable("KEYTURN_TEST_PYTHON_PATH"));
    command.env("PYTHONPATH", path).args(arguments).current_dir(Path::new(ROOT).join(folder));
    command
}

fn python(folder: &str, arguments: &[&str]) -> Output {
    run(verifying_python_command(folder, arguments))
}

#[track_caller]
fn assert_agrees(output: &Output) {
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["wrong"], json!([]));
    assert!(read["cases"].as_u64().unwrap() >= 1000, "{read}");
}

#[test]
fn the_corpus_is_what_its_program_makes() {
    let made = python("tests/verifiers", &["generate.py"]).stdout;
    let kept = std::fs::read(CORPUS).unwrap();
    assert!(made == kept, "run python3 tests/verifiers/generate.py > tests/verifiers/corpus.json");
}

#[test]
fn the_verifier_for_node_agrees_with_the_corpus() {
    let folder = node_folder();
    assert_agrees(&node(&folder, &["test/corpus.mjs", &json!({"path": CORPUS}).to_string()]));
}

#[test]
fn the_verifier_for_node_follows_the_feed_and_serves_frameworks() {
    let folder = node_folder();
    node(&folder, &["--test", "test/follow.test.mjs", "test/middleware.test.mjs", "test/sessions.test.mjs"]);
}

#[test]
fn the_types_of_the_verifier_for_node_are_right() {
    let folder = node_folder();
    let program = folder.path().join("node_modules/typescript/bin/tsc");
    let mut command = Command::new(variable("KEYTURN_TEST_NODE"));
    command.arg(program).args(["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck"]);
    command.args(["--lib", "es2022,dom", "test/types.mts"]).current_dir(folder.path());
    run(command);
}

#[test]
fn the_verifier_for_python_agrees_with_the_corpus() {
    assert_agrees(&python("sdk/python/tests", &["corpus.py", &json!({"path": CORPUS}).to_string()]));
}

#[test]
fn the_verifier_for_python_follows_the_feed_and_serves_frameworks() {
    python("sdk/python/tests", &["-m", "unittest", "test_follow", "test_frameworks", "test_sessions"]);
}
