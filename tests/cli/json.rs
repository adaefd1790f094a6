//! `--json`: every command prints JSON with it, or refuses it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::commands::enable_totp;
use crate::support::{Deployment, PASSWORD, Process};
use crate::{Ran, run, run_with_input};

both_backends! {
    every_command_prints_json_or_refuses_to,
}

const EMAIL: &str = "ada@example.com";

/// Commands whose output has a form of its own.
const WITHOUT_JSON: [&str; 7] = [
    "completions bash",
    "config docs",
    "config openapi",
    "monitoring dashboard",
    "monitoring rules",
    "serve",
    "testing",
];

/// The commands below `path` that have none below them.
fn leaves(deployment: &Deployment, path: &str) -> BTreeSet<String> {
    let words: Vec<&str> = path.split_whitespace().chain(["--help"]).collect();
    let help = run(deployment, &words).printed();
    let own = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named = own.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> =
        named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    if names.is_empty() {
        return BTreeSet::from([path.trim().to_owned()]);
    }
    names.into_iter().flat_map(|name| leaves(deployment, &format!("{path} {name}"))).collect()
}

/// What a command has printed. The doctor fails where it finds something wrong, such as a Redis that is slow, and
/// prints JSON all the same.
#[track_caller]
fn parsed(name: &str, ran: &Ran) -> Value {
    assert!((ran.code == Some(0) || name == "doctor") && ran.stderr.is_empty(), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

async fn every_command_prints_json_or_refuses_to(process: Process) {
    let mut left = leaves(&process, "");
    assert!(left.len() > 30, "{left:?}");
    for command in WITHOUT_JSON {
        let name: Vec<&str> = command.split_whitespace().filter(|word| *word != "bash").collect();
        assert!(left.remove(&name.join(" ")), "{command}");
        let arguments: Vec<&str> = command.split_whitespace().chain(["--json"]).collect();
        let refused = run(&process, &arguments);
        assert_eq!((refused.code, &*refused.stdout), (Some(2), ""), "{refused:?}");
        assert!(refused.stderr.contains("leave off --json"), "{refused:?}");
    }

    let person = process.register().await;
    enable_totp(&process, &person).await;
    let session = person.session.to_string();
    let bind = process.address.to_string();
    let file = process.folder.path().join("people.ndjson").display().to_string();
    let mut ask = |name: &str, more: &[&str], input: &str| {
        left.remove(name);
        let arguments: Vec<&str> = name.split_whitespace().chain(more.iter().copied()).chain(["--json"]).collect();
        parsed(name, &run_with_input(&process, &[("BIND", &bind)], &arguments, input))
    };
    let client = ask("client create", &["--name", "gateway"], "");
    let client = client["client_id"].as_str().unwrap().to_owned();
    let keys = ask("key list", &[], "");
    let key = keys["keys"][0]["kid"].as_str().or(keys["keys"][0]["id"].as_str()).unwrap().to_owned();
    for (name, more, input) in [
        ("key export", &[&*key][..], ""),
        ("key rotate", &[], ""),
        ("key revoke", &[&*key], ""),
        ("secret status", &[], ""),
        ("client list", &[][..], ""),
        ("client show", &[&client], ""),
        ("client rotate-secret", &[&client], ""),
        ("client delete", &[&client], ""),
        ("config check", &[], ""),
        ("doctor", &[], ""),
        ("health", &[], ""),
        ("migrate", &[], ""),
        ("session list", &[&person.email], ""),
        ("session revoke", &[&session], ""),
        ("session cleanup", &[], ""),
        ("user create", &[EMAIL], PASSWORD),
        ("user invite", &["grace@example.com"], ""),
        ("user show", &[EMAIL], ""),
        ("user list", &[], ""),
        ("user disable", &[EMAIL], ""),
        ("user enable", &[EMAIL], ""),
        ("user delete", &[EMAIL], ""),
        ("user cancel-deletion", &[EMAIL], ""),
        ("user set-roles", &[EMAIL, "editor"], ""),
        ("user verify", &[EMAIL], ""),
        ("user unverify", &[EMAIL], ""),
        ("user send-reset", &[EMAIL], ""),
        ("user set-email", &[EMAIL, "ada@example.org"], ""),
        ("user set-password", &["ada@example.org"], "another of my passphrases"),
        ("user reset-mfa", &[&person.email], ""),
        ("user export", &[&file], ""),
        ("user import", &[&file], ""),
    ] {
        ask(name, more, input);
    }
    assert_eq!(ask("health", &["--live"], ""), json!({"status": "alive"}));
    assert_eq!(left, BTreeSet::new(), "commands that nobody has asked for JSON");
}
