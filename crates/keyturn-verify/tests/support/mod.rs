//! A server that says what a test wants, in place of keyturn.

#![allow(dead_code, reason = "each test program uses a part")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyturn_verify::Moment;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub const ISSUER: &str = "https://auth.example";
pub const AUDIENCE: &str = "https://api.example";
/// The time for which the tokens of the corpus are made, in seconds since 1970.
pub const NOW: i64 = 1_800_000_000;

/// The corpus, from which tests take their keys and tokens.
pub fn corpus() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/verifiers/corpus.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Returns the token of a case.
pub fn token(name: &str) -> String {
    let corpus = corpus();
    let case = corpus["cases"].as_array().unwrap().iter().find(|case| case["name"] == name);
    case.unwrap()["token"].as_str().unwrap().to_owned()
}

/// Returns a new proof for a request at the current time, by the key of the corpus.
pub fn proof(token: &str, method: &str, url: &str) -> String {
    let mut jwk = corpus()["proof_key"].clone();
    let private = jwk.as_object_mut().unwrap().remove("d").unwrap();
    let bytes = |text: &Value| URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap();
    let point = [&[4][..], &bytes(&jwk["x"]), &bytes(&jwk["y"])].concat();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &bytes(&private), &point).unwrap();
    let system = SystemRandom::new();
    let mut jti = [0; 16];
    system.fill(&mut jti).unwrap();
    let claims = json!({
        "jti": URL_SAFE_NO_PAD.encode(jti),
        "htm": method,
        "htu": url,
        "iat": Moment::now().unix_secs(),
        "ath": URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())),
    });
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = key.sign(&system, message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// What the server says and has heard.
pub struct Script {
    pub keys: Mutex<Value>,
    pub key_requests: AtomicUsize,
    /// The text of the feed so far. Each reader gets all of it that was added since it has come.
    feed: watch::Sender<String>,
    /// Increased to end all connections of the feed.
    ends: watch::Sender<u32>,
    pub feed_requests: Mutex<Vec<String>>,
    /// What is answered to a request for the feed, unless it is 200.
    pub feed_status: AtomicUsize,
    pub active: Mutex<Option<bool>>,
    pub introspections: AtomicUsize,
    /// What every reader of the feed gets first.
    pub greeting: Mutex<String>,
}

/// A running server, which ends with the test's runtime.
pub struct Fake {
    pub url: String,
    pub script: Arc<Script>,
}

/// The text of an event.
pub fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// The text of a sync with a cursor.
pub fn sync(cursor: &str) -> String {
    let data = json!({"age_ms": 0, "server_time": "2027-01-15T08:00:00.000Z"});
    format!("event: sync\nid: {cursor}\ndata: {data}\n\n")
}

/// The text of the revocation of a session.
pub fn revoked(sid: &str) -> String {
    let at = "2027-01-15T08:00:00.000Z";
    let data = json!({"sid": sid, "jti": null, "reason": "logout", "revoked_at": at,
        "expires_at": "2027-01-15T08:16:00.000Z"});
    event("revoked", &data)
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Script {
            keys: Mutex::new(corpus()["keys"]["usual"].clone()),
            key_requests: AtomicUsize::new(0),
            feed: watch::channel(String::new()).0,
            ends: watch::channel(0).0,
            feed_requests: Mutex::default(),
            feed_status: AtomicUsize::new(200),
            active: Mutex::new(None),
            introspections: AtomicUsize::new(0),
            greeting: Mutex::new(format!("{}{}", event("reset", &json!({})), sync("1"))),
        });
        let own = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = Arc::clone(&own);
                tokio::spawn(async move {
                    // A verifier that hangs up ends the connection.
                    let _ = serve(stream, script).await;
                });
            }
        });
        Self { url, script }
    }

    /// Sends text to all readers of the feed.
    pub fn say(&self, text: &str) {
        self.script.feed.send_modify(|feed| feed.push_str(text));
    }

    /// Ends all connections of the feed.
    pub fn hang_up(&self) {
        self.script.ends.send_modify(|ends| *ends += 1);
    }

    pub fn key_requests(&self) -> usize {
        self.script.key_requests.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, script: Arc<Script>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap();
    if path == "/api/v1/revocations" {
        script.feed_requests.lock().unwrap().push(head.clone());
        return feed(stream, &script).await;
    }
    let length = head
        .to_ascii_lowercase()
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    stream.read_exact(&mut vec![0; length]).await?;
    let (status, body) = if path == "/.well-known/jwks.json" {
        script.key_requests.fetch_add(1, Ordering::SeqCst);
        (200, script.keys.lock().unwrap().to_string())
    } else {
        script.introspections.fetch_add(1, Ordering::SeqCst);
        let active = *script.active.lock().unwrap();
        active.map_or((503, "{}".to_owned()), |active| (200, json!({"active": active}).to_string()))
    };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

async fn feed(mut stream: BufReader<TcpStream>, script: &Script) -> std::io::Result<()> {
    let status = script.feed_status.load(Ordering::SeqCst);
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    if status != 200 {
        return Ok(());
    }
    let mut said = script.feed.subscribe();
    let mut ends = script.ends.subscribe();
    let mut sent = said.borrow_and_update().len();
    let greeting = script.greeting.lock().unwrap().clone();
    stream.write_all(greeting.as_bytes()).await?;
    loop {
        tokio::select! {
            _ = ends.changed() => return Ok(()),
            _ = said.changed() => {
                let text = said.borrow_and_update()[sent..].to_owned();
                sent += text.len();
                stream.write_all(text.as_bytes()).await?;
            }
        }
    }
}
