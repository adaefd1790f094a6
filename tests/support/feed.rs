//! A reader of the feed of revocations, over Server-Sent Events, which comes back with its cursor as a backend does.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::task::JoinHandle;

use super::http::Request;

/// The path of the feed.
pub const FEED: &str = "/api/v1/revocations";

/// What a reader was told.
#[derive(Default)]
pub struct Told {
    /// The sessions, each with its last entry, unless the reader is a light one.
    pub sessions: HashMap<String, Value>,
    /// When each session was told first.
    pub arrivals: HashMap<String, Instant>,
    pub keys: HashMap<String, Value>,
    pub clients: HashMap<String, Value>,
    pub resets: usize,
    pub syncs: usize,
    /// The last sync, and when it arrived.
    pub last_sync: Option<(Instant, Value)>,
    is_light: bool,
    pub byes: usize,
    pub connections: usize,
    pub cursor: Option<String>,
}

/// A reader; it ends when dropped.
pub struct Reader {
    told: Arc<Mutex<Told>>,
    task: JoinHandle<()>,
}

impl Reader {
    /// Follows the feed of the servers at `addresses`, one after the other when a connection ends. It begins with
    /// `cursor`.
    pub fn start(addresses: Vec<SocketAddr>, authorization: &str, cursor: Option<String>) -> Self {
        let told = Arc::new(Mutex::new(Told { cursor, ..Told::default() }));
        let task = tokio::spawn(follow(addresses, authorization.to_owned(), told.clone()));
        Self { told, task }
    }

    /// A reader that notes only when it is told of each session.
    pub fn light(addresses: Vec<SocketAddr>, authorization: &str) -> Self {
        let reader = Self::start(addresses, authorization, None);
        reader.told.lock().unwrap().is_light = true;
        reader
    }

    /// Looks at what it was told.
    pub fn told<T>(&self, look: impl FnOnce(&Told) -> T) -> T {
        look(&self.told.lock().unwrap())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(addresses: Vec<SocketAddr>, authorization: String, told: Arc<Mutex<Told>>) {
    for address in addresses.iter().cycle() {
        let cursor = told.lock().unwrap().cursor.clone();
        let mut request = Request::new(*address, "GET", FEED).header("accept", "text/event-stream");
        request = request.header("authorization", &authorization);
        if let Some(cursor) = cursor {
            request = request.header("last-event-id", &cursor);
        }
        let _ = read(request, &told).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads events until the connection ends.
async fn read(request: Request, told: &Mutex<Told>) -> std::io::Result<()> {
    let mut stream = BufReader::new(request.begin().await?.stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        if line.starts_with("HTTP/1.1 ") {
            assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        }
    }
    told.lock().unwrap().connections += 1;
    let mut text = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        if length == 0 {
            return Ok(());
        }
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).await?;
        text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            told.lock().unwrap().take(&event);
        }
    }
}

impl Told {
    fn take(&mut self, event: &str) {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let Some(name) = field("event") else { return };
        let data = field("data").unwrap();
        let now = Instant::now();
        if self.is_light && name == "revoked" {
            let session = data.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next());
            let Some(session) = session else { return };
            self.arrivals.entry(session.to_owned()).or_insert(now);
            return;
        }
        let data: Value = serde_json::from_str(data).unwrap();
        match name {
            "reset" => {
                self.resets += 1;
                self.sessions.clear();
                self.keys.clear();
                self.clients.clear();
            }
            "revoked" => {
                // The token of a client itself belongs to no session.
                let Some(session) = data["sid"].as_str().map(str::to_owned) else { return };
                self.arrivals.entry(session.clone()).or_insert(now);
                self.sessions.insert(session, data);
            }
            "key" => {
                self.keys.insert(data["kid"].as_str().unwrap().to_owned(), data);
            }
            "sync" => {
                self.cursor = Some(field("id").unwrap().to_owned());
                self.syncs += 1;
                self.last_sync = Some((now, data));
            }
            "client" => {
                self.clients.insert(data["client_id"].as_str().unwrap().to_owned(), data);
            }
            "bye" => self.byes += 1,
            other => panic!("an unknown event: {other}"),
        }
    }
}
