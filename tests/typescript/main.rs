//! The client for TypeScript: what it does by itself, and beside a server.

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

use std::path::Path;
use std::process::{Command, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::clients::own_address;
use crate::support::servers::free_port;
use crate::support::{Backend, Folder, Server, variable};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What tests of a client would run into, which log in all the time.
const NO_LIMITS: [(&str, &str); 6] = [
    ("LIMIT_LOGIN_ACCOUNT", "off"),
    ("LIMIT_LOGIN_ADDRESS", "off"),
    ("LIMIT_REGISTER_ADDRESS", "off"),
    ("LIMIT_REFRESH_SESSION", "off"),
    ("LIMIT_REFRESH_ADDRESS", "off"),
    ("LIMIT_SEARCH_ACCOUNT", "off"),
];

both_backends! {
    a_client_offers_what_people_need,
    only_four_answers_end_a_session,
    the_time_of_a_device_does_not_matter,
    a_client_that_is_killed_goes_on,
    a_household_is_logged_out_by_nothing,
    browser_tabs_share_a_session_without_a_lock,
    browser_cookies_are_out_of_reach_of_scripts,
    a_server_refreshes_once_for_all_its_loaders,
    components_show_who_is_logged_in_a_browser,
    browser_elements_show_sessions_and_change_security,
    browser_elements_are_for_everybody,
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

/// A folder with a package of `sdk/`, beside the packages of npm and the one for tests.
fn sources(name: &str) -> Folder {
    let folder = Folder::new();
    let sdk = Path::new(ROOT).join("sdk");
    for entry in std::fs::read_dir(sdk.join(name)).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        match name.to_str().unwrap() {
            // What somebody has built there by hand.
            "dist" | "node_modules" => {}
            "src" | "test" => copy(&entry.path(), &folder.path().join(name)),
            _ => drop(std::fs::copy(entry.path(), folder.path().join(name)).unwrap()),
        }
    }
    let modules = folder.path().join("node_modules");
    std::fs::create_dir(&modules).unwrap();
    for entry in std::fs::read_dir(variable("KEYTURN_TEST_NODE_MODULES")).unwrap().map(Result::unwrap) {
        std::os::unix::fs::symlink(entry.path(), modules.join(entry.file_name())).unwrap();
    }
    // A copy, which finds what it imports beside itself.
    let testing = modules.join("@keyturn/testing");
    copy(&sdk.join("testing/src"), &testing.join("src"));
    std::fs::copy(sdk.join("testing/package.json"), testing.join("package.json")).unwrap();
    folder
}

/// The client, built.
fn package() -> Folder {
    let folder = sources("typescript");
    run(node(&folder, &["node_modules/typescript/bin/tsc"]));
    folder
}

fn node(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(variable("KEYTURN_TEST_NODE"));
    command.args(arguments).current_dir(folder.path()).env("OPENAPI", Path::new(ROOT).join("docs/openapi.json"));
    command.env("KEYTURN_TEST_CHROMIUM", variable("KEYTURN_TEST_CHROMIUM"));
    command.env("KEYTURN_BINARY", env!("CARGO_BIN_EXE_keyturn"));
    command
}

#[track_caller]
fn run(mut command: Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{printed}{said}", output.status);
    println!("{printed}");
}

fn test(file: &str) {
    let folder = package();
    run(node(&folder, &["--test", file]));
}

/// Runs tests beside a server: one that they start themselves, or one on Postgres and Redis, whose clock they set ahead
/// by asking for `/SECONDS`.
async fn test_beside_a_server(backend: Backend, file: &str) {
    if backend == Backend::Embedded {
        return test(file);
    }
    let (address, url) = own_address();
    let address: Vec<(&str, &str)> = address.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let app = format!("http://127.0.0.1:{}", free_port());
    let pages = [("ALLOWED_ORIGINS", &*app)];
    let server = Server::with(backend, &[&address[..], &NO_LIMITS, &pages].concat()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clock = format!("http://{}", listener.local_addr().unwrap());
    let folder = package();
    let mut command = node(&folder, &["--test", file]);
    command.env("KEYTURN_URL", url).env("KEYTURN_CLOCK", clock).env("KEYTURN_ALLOWED_ORIGIN", &app);
    let tests = tokio::task::spawn_blocking(move || run(command));
    let set_clock = async {
        loop {
            let (mut caller, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = caller.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let seconds = request.strip_prefix("GET /").and_then(|rest| rest.split(' ').next()).unwrap();
            server.advance(seconds.parse().unwrap());
            caller.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        }
    };
    tokio::select! {
        outcome = tests => outcome.unwrap(),
        () = set_clock => {}
    }
}

#[test]
fn the_types_are_right() {
    let folder = package();
    run(node(&folder, &["node_modules/typescript/bin/tsc", "-p", "test"]));
}

#[test]
fn apps_test_with_a_server_of_their_own() {
    let folder = sources("testing");
    run(node(&folder, &["--test", "test/testing.test.mjs"]));
}

#[test]
fn the_package_is_small_and_its_types_are_the_servers() {
    test("test/package.test.mjs");
}

#[test]
fn the_client_passes_the_conformance_kit() {
    let folder = package();
    let kit = Path::new(ROOT).join("sdk/conformance/main.js");
    let program = variable("KEYTURN_TEST_NODE");
    run(node(&folder, &[kit.to_str().unwrap(), "--", &program, "test/conformance.mjs"]));
}

#[test]
fn calls_get_the_token_where_they_should() {
    test("test/fetch.test.mjs");
}

#[test]
fn a_logout_wins_in_any_order() {
    test("test/interleavings.test.mjs");
}

#[test]
fn a_phone_needs_hardly_anything() {
    test("test/phone.test.mjs");
}

#[test]
fn a_client_leaves_nothing_behind() {
    test("test/disposal.test.mjs");
}

async fn a_client_offers_what_people_need(backend: Backend) {
    test_beside_a_server(backend, "test/account.test.mjs").await;
}

async fn only_four_answers_end_a_session(backend: Backend) {
    test_beside_a_server(backend, "test/faults.test.mjs").await;
}

async fn the_time_of_a_device_does_not_matter(backend: Backend) {
    test_beside_a_server(backend, "test/clocks.test.mjs").await;
}

async fn a_client_that_is_killed_goes_on(backend: Backend) {
    test_beside_a_server(backend, "test/crash.test.mjs").await;
}

async fn a_household_is_logged_out_by_nothing(backend: Backend) {
    test_beside_a_server(backend, "test/household.test.mjs").await;
}

async fn browser_tabs_share_a_session_without_a_lock(backend: Backend) {
    test_beside_a_server(backend, "test/tabs.test.mjs").await;
}

async fn browser_cookies_are_out_of_reach_of_scripts(backend: Backend) {
    test_beside_a_server(backend, "test/cookies.test.mjs").await;
}

async fn a_server_refreshes_once_for_all_its_loaders(backend: Backend) {
    test_beside_a_server(backend, "test/ssr.test.mjs").await;
}

async fn components_show_who_is_logged_in_a_browser(backend: Backend) {
    test_beside_a_server(backend, "test/react.test.mjs").await;
}

async fn browser_elements_show_sessions_and_change_security(backend: Backend) {
    test_beside_a_server(backend, "test/elements.test.mjs").await;
}

async fn browser_elements_are_for_everybody(backend: Backend) {
    test_beside_a_server(backend, "test/elements_for_everybody.test.mjs").await;
}
