//! `keyturn testing`: a server for the tests of an app.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use keyturn::types::Timestamp;
use serde_json::{Value, json};

use crate::support::http::Request;
use crate::support::servers::free_port;
use crate::support::{Folder, PASSWORD, Tokens, until};

/// A server that was started for tests.
struct Testing {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    ready: Value,
}

fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyturn"));
    // What is in the environment of somebody's tests is not for this server.
    command.env("DATABASE_URL", "postgres://nowhere.invalid/production").env("JWT_SECRET", "short").env("BIND", "x");
    command.env("TMPDIR", folder.path()).current_dir(folder.path()).arg("testing").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Testing {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut child = command(folder, arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = serde_json::from_str(&lines.next().expect("it is ready").unwrap()).unwrap();
        Self { input: child.stdin.take(), child, lines, ready }
    }

    fn tell(&mut self, line: &str) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(
            self.ready["url"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap(),
            method,
            path,
        )
    }

    async fn register(&self, email: &str) -> Tokens {
        let body = json!({"email": email, "password": PASSWORD});
        Tokens::of(&self.request("POST", "/api/v1/auth/register").json(&body).send().await)
    }

    async fn me(&self, tokens: &Tokens) -> u16 {
        self.request("GET", "/api/v1/auth/me").bearer(&tokens.access).send().await.status
    }

    fn data_dir(&self) -> PathBuf {
        self.ready["data_dir"].as_str().unwrap().into()
    }

    async fn ended(&mut self) -> Option<i32> {
        until("the server to end", async || self.child.try_wait().unwrap()).await.code()
    }
}

impl Drop for Testing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test]
async fn its_clock_is_set_ahead_and_nothing_is_limited() {
    let folder = Folder::new();
    let mut testing = Testing::start(&folder, &["ACCESS_TOKEN_TTL=60"]);
    let mut tokens = testing.register("ada@example.com").await;
    for _ in 0..30 {
        let body = json!({"email": tokens.email, "password": PASSWORD});
        tokens = Tokens::of(&testing.request("POST", "/api/v1/auth/login").json(&body).send().await);
    }
    assert_eq!(testing.me(&tokens).await, 200);
    let before = testing.tell(r#"{"advance_seconds": 0}"#);
    let after = testing.tell(r#"{"advance_seconds": 61}"#);
    assert!(after["now"].as_str() > before["now"].as_str(), "{before} {after}");
    assert_eq!(testing.me(&tokens).await, 401);
    for wrong in ["", "x", "{}", r#"{"advance_seconds": -1}"#, r#"{"advance_seconds": 99999999999}"#, r#"{"stop": 1}"#]
    {
        assert!(testing.tell(wrong)["error"].is_string(), "{wrong}");
    }
    // What was refused has not moved it.
    let last = testing.tell(r#"{"advance_seconds": 0}"#);
    let [after, last] = [&after, &last].map(|told| Timestamp::parse(told["now"].as_str().unwrap()).unwrap());
    assert!(last.since(after) < Duration::from_secs(3600));
}

#[tokio::test]
async fn it_leaves_nothing_behind_however_it_is_ended() {
    let folder = Folder::new();
    for signal in [None, Some("TERM"), Some("INT"), Some("QUIT")] {
        let mut testing = Testing::start(&folder, &[]);
        testing.register("ada@example.com").await;
        let outbox = testing.data_dir().join("outbox");
        until("an email", async || outbox.is_dir().then(|| is_empty(&outbox)).filter(|is_empty| !is_empty)).await;
        match signal {
            None => drop(testing.input.take()),
            Some(signal) => {
                let process = testing.child.id().to_string();
                assert!(Command::new("kill").args(["-s", signal, &process]).status().unwrap().success());
            }
        }
        assert_eq!(testing.ended().await, Some(0), "{signal:?}");
        assert!(is_empty(folder.path()), "{signal:?}");
    }
}

#[tokio::test]
async fn it_listens_on_the_port_that_is_asked_for() {
    let folder = Folder::new();
    let port = free_port();
    let testing = Testing::start(&folder, &[&format!("PORT={port}"), "PUBLIC_URL=http://auth.localhost"]);
    assert_eq!(testing.ready["url"], format!("http://127.0.0.1:{port}"));
    let second = command(&folder, &[&format!("PORT={port}")]).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains(&format!("cannot listen on port {port}")), "{said}");
}

#[test]
fn it_names_the_folder_that_it_cannot_create() {
    let folder = Folder::new();
    let missing = folder.path().join("missing");
    let output = command(&folder, &[]).env("TMPDIR", &missing).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("{}/keyturn-testing-", missing.display())), "{said}");
}

#[test]
fn it_refuses_settings_of_other_data_and_settings_that_do_not_exist() {
    let folder = Folder::new();
    for (argument, code, said) in [
        ("DATABASE_URL=postgres://localhost/production", 2, "DATABASE_URL cannot be set here"),
        ("REDIS_URL=redis://localhost", 2, "REDIS_URL cannot be set here"),
        ("DATA_DIR=data", 2, "DATA_DIR cannot be set here"),
        ("BIND=0.0.0.0:80", 2, "BIND cannot be set here"),
        ("REDIS_URL_FILE=/dev/null", 2, "REDIS_URL_FILE cannot be set here"),
        ("data_dir=data", 2, "DATA_DIR cannot be set here"),
        ("KEYTURN_DATA_DIR=data", 1, "is not a setting"),
        ("ACCESS_TOKEN_TTL", 2, "NAME=VALUE"),
        ("ACCESS_TOKEN_TTL=0", 1, "ACCESS_TOKEN_TTL"),
        ("ALOWED_ORIGINS=http://localhost", 1, "alowed_origins"),
        ("PORT=http", 1, "PORT"),
    ] {
        let output = command(&folder, &[argument]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{argument}: {stderr}");
        assert!(stderr.contains(said) && output.stdout.is_empty(), "{argument}: {stderr}");
        assert!(is_empty(folder.path()), "{argument}");
    }
}
