//! The conformance kit for clients: it finds what bad clients do, and judges refreshes as the server does.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nothing here is a library"
)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

use std::process::{Command, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::clients::own_address;
use crate::support::{Backend, Server, variable};

const KIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/conformance");

/// What requests one after the other would run into.
const NO_LIMITS: [(&str, &str); 5] = [
    ("LIMIT_LOGIN_ACCOUNT", "off"),
    ("LIMIT_LOGIN_ADDRESS", "off"),
    ("LIMIT_REGISTER_ADDRESS", "off"),
    ("LIMIT_REFRESH_SESSION", "off"),
    ("LIMIT_REFRESH_ADDRESS", "off"),
];

both_backends! {
    the_fake_server_judges_refreshes_as_a_server_does,
}

fn node(test: &str) -> Command {
    let mut command = Command::new(variable("KEYTURN_TEST_NODE"));
    command.args(["--test", test]).current_dir(KIT).stdin(Stdio::null());
    command
}

#[track_caller]
fn run(mut command: Command) {
    let output = command.output().unwrap();
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{printed}{said}", output.status);
}

#[test]
fn the_example_of_a_client_passes() {
    run(node("test/example.test.mjs"));
}

#[test]
fn the_client_of_a_guide_passes() {
    run(node("test/guide.test.mjs"));
}

#[test]
fn bad_clients_are_found_out() {
    run(node("test/bad.test.mjs"));
}

async fn the_fake_server_judges_refreshes_as_a_server_does(backend: Backend) {
    let (address, url) = own_address();
    let address = address.iter().map(|(name, value)| (*name, value.as_str()));
    let server = Server::with(backend, &address.chain(NO_LIMITS).collect::<Vec<_>>()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut command = node("test/agreement.test.mjs");
    command.env("KEYTURN_URL", url).env("KEYTURN_CLOCK", format!("http://{}", listener.local_addr().unwrap()));
    tokio::select! {
        outcome = tokio::task::spawn_blocking(move || run(command)) => outcome.unwrap(),
        () = set_clock(&server, listener) => {}
    }
}

/// Sets the server's clock ahead by as many seconds as the path of each request says.
async fn set_clock(server: &Server, listener: TcpListener) {
    loop {
        let (mut caller, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let length = caller.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let seconds = request.strip_prefix("GET /").and_then(|rest| rest.split(' ').next()).unwrap();
        server.advance(seconds.parse().unwrap());
        caller.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
    }
}
