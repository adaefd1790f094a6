//! README.md, from `git clone` to a session that has ended.

use std::sync::Arc;

use crate::page::{Block, Purpose, blocks};
use crate::support::Deployment;
use crate::support::servers::free_port;
use crate::terminal::Terminal;

both_backends! {
    the_first_steps_lead_to_a_verified_token_and_an_ended_session,
}

/// A stand-in for cargo, which would build keyturn once more: it runs the program that was built for the tests, with
/// what the real one has in its environment.
pub fn cargo() -> String {
    format!(
        "[[ -f Cargo.toml && $1 == run && $2 == --release && $3 == -- ]] && shift 3
CARGO=/usr/bin/cargo CARGO_MANIFEST_DIR=$PWD CARGO_PKG_NAME=keyturn exec {} \"$@\"",
        env!("CARGO_BIN_EXE_keyturn")
    )
}

fn steps() -> Vec<Block> {
    blocks("README.md").into_iter().filter(|block| block.heading.starts_with(|c: char| c.is_ascii_digit())).collect()
}

async fn the_first_steps_lead_to_a_verified_token_and_an_ended_session(deployment: Arc<Deployment>) {
    // The server is started as it stands there, and takes the rest from its environment.
    let mut settings = deployment.settings(&[]);
    settings.retain(|(name, _)| !["BIND", "PUBLIC_URL"].contains(&&**name));
    let port = free_port();
    settings.push(("BIND".to_owned(), format!("127.0.0.1:{port}")));
    settings.push(("REPOSITORY".to_owned(), format!("file://{}", env!("CARGO_MANIFEST_DIR"))));
    let mut terminal = Terminal::new(&settings);
    terminal.program("cargo", &cargo());
    terminal.with_packages();
    terminal.replace("8080", port);
    terminal.follow(&steps()).await;
    // The greeting names the command that this reader has: of cargo, which the tests let build without optimisation.
    let greeting = terminal.logs();
    assert!(greeting.contains("    cargo run -- user create you@example.com --admin\n"), "{greeting}");
    // And leaves a clone in which nothing is to be committed.
    assert_eq!(terminal.run("the state of the clone", "git status --porcelain"), "");
    // What was ended is ended in the database too.
    assert_eq!(deployment.count("sessions WHERE revoked_at IS NOT NULL"), 1);
}

#[test]
fn there_are_ten_steps_at_most_and_each_is_carried_out() {
    let steps = steps();
    let mut headings: Vec<&str> = steps.iter().map(|block| &*block.heading).collect();
    headings.dedup();
    assert!((5..=10).contains(&headings.len()), "{headings:?}");
    for (index, heading) in headings.iter().enumerate() {
        assert!(heading.starts_with(&format!("{}. ", index + 1)), "{headings:?}");
        let own = || steps.iter().filter(|block| block.heading == *heading);
        let does = |block: &Block| !matches!(block.purpose, Purpose::Shown | Purpose::Output | Purpose::Unrun);
        assert!(own().any(does), "{heading}");
    }
}

#[test]
fn what_is_said_of_other_systems_has_a_source() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table =
        page.lines().skip_while(|line| !line.starts_with("| | keyturn |")).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<&str>> = table.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect();
    assert!(rows.len() > 8 && rows[0].len() == 8, "{rows:?}");
    for row in &rows[2..] {
        assert_eq!(row.len(), 8, "{row:?}");
        assert!(!row[1].is_empty(), "{row:?}");
        for cell in &row[2..] {
            let is_sourced = cell.starts_with('[') && cell.contains("](https://") && cell.ends_with(')');
            assert!(cell.is_empty() || is_sourced, "{cell}");
        }
    }
}

#[test]
fn links_within_the_repository_lead_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    for folder in ["", "docs", "docs/decisions", "docs/guides"] {
        let files = std::fs::read_dir(root.join(folder)).unwrap().map(|file| file.unwrap().path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    assert!(pages.len() > 20, "{pages:?}");
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.starts_with("http") || link.contains(' ') {
                continue;
            }
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if section.is_empty() {
                continue;
            }
            let text = std::fs::read_to_string(target).unwrap();
            let mut heads = text.lines().filter(|line| line.starts_with('#')).map(crate::api::anchor);
            let is_named = text.contains(&format!("<a id=\"{section}\"></a>"));
            assert!(is_named || heads.any(|head| head == section), "{}: {link}", page.display());
        }
    }
}
