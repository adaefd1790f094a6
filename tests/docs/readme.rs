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
    terminal.with_npm();
    terminal.replace("8080", port);
    terminal.follow(&steps()).await;
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
