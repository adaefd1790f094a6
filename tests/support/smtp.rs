//! A mail server that belongs to one test, and the emails that it has taken.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::clients::python_command;
use super::folder::Folder;
use super::servers::freeze;
use super::until;

/// A mail server (aiosmtpd) of the test's own; killed when dropped.
pub struct SmtpServer {
    folder: Folder,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

/// An email as the mail server got it.
#[derive(Clone, Debug, Deserialize)]
pub struct Received {
    /// The sender and the recipients of the envelope.
    pub from: String,
    pub to: Vec<String>,
    /// What the client called itself.
    pub greeting: String,
    pub encrypted: bool,
    pub user: Option<String>,
    #[serde(flatten)]
    pub mail: Mail,
}

/// What an email says, as Python's parser decodes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    #[serde(rename = "type")]
    pub content_type: String,
    pub text: Option<String>,
    pub html: Option<String>,
    pub raw: String,
}

impl SmtpServer {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with options of `smtp_server.py`.
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { folder: Folder::new(), port: 0, arguments, child: None };
        server.start_again();
        server
    }

    /// Starts it on the same port, after it was stopped.
    pub fn start_again(&mut self) {
        let mut command = python();
        command.arg(self.folder.path()).arg("--port").arg(self.port.to_string()).args(&self.arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        self.child = Some(child);
        self.port = port.trim().parse().unwrap_or_else(|_| panic!("the mail server does not start: {port:?}"));
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Lets it hold connections and answer nothing (SIGSTOP), or go on (SIGCONT).
    pub fn freeze(&self, frozen: bool) {
        freeze(self.child.as_ref().expect("runs"), frozen);
    }

    /// Without encryption.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The folder in which the emails are, each in a file of JSON.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// All emails so far, in the order of their arrival.
    pub fn mails(&self) -> Vec<Received> {
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        // The names are counted, for those that arrived within one tick of the file system's clock.
        files.sort_by_key(|path| (path.metadata().unwrap().modified().unwrap(), path.clone()));
        files.iter().map(|path| parse(&std::fs::read(path).unwrap())).collect()
    }

    /// All emails to `address` so far.
    pub fn mails_to(&self, address: &str) -> Vec<Received> {
        self.mails().into_iter().filter(|mail| mail.to.iter().any(|to| to == address)).collect()
    }

    /// Waits for emails to `address` and gives the latest.
    pub async fn mail_to(&self, address: &str) -> Received {
        until("an email", async || self.mails_to(address).pop()).await
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::ops::Deref for Received {
    type Target = Mail;

    fn deref(&self) -> &Mail {
        &self.mail
    }
}

impl Mail {
    /// Reads a file.
    pub fn read(path: &Path) -> Self {
        let output = python().arg("--read").arg(path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        parse(&output.stdout)
    }

    /// A header that is there once.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let values: Vec<&str> =
            self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect();
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        values[0]
    }

    pub fn subject(&self) -> &str {
        self.header("subject")
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        self.text.as_deref().expect("has a text")
    }

    #[track_caller]
    pub fn html(&self) -> &str {
        self.html.as_deref().expect("has HTML")
    }

    /// The one-time link in the text.
    #[track_caller]
    pub fn link(&self) -> url::Url {
        let links: Vec<&str> = self.text().lines().filter(|line| line.starts_with("http")).collect();
        assert_eq!(links.len(), 1, "{}", self.text());
        links[0].parse().unwrap()
    }

    /// The token in the link.
    #[track_caller]
    pub fn token(&self) -> String {
        let link = self.link();
        let token = link.query_pairs().find_map(|(name, value)| (name == "token").then(|| value.into_owned()));
        token.unwrap_or_else(|| panic!("no token in {link}"))
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> T {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

fn python() -> Command {
    let mut command = python_command();
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/smtp_server.py"));
    command
}
