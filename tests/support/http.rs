//! An HTTP/1.1 client that sends what a test says and nothing else, on a connection for each request.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::PATIENCE;
use super::declared::assert_declared;

/// A request that has not been sent yet.
#[derive(Clone)]
pub struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        Self { address, method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    pub fn target(&self) -> &str {
        &self.target
    }

    /// Adds a header. `Host`, `Connection: close` and the body's `Content-Length` are added at the end where the test
    /// gave none of its own.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn bearer(self, access_token: &str) -> Self {
        self.header("authorization", &format!("Bearer {access_token}"))
    }

    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request and waits for the answer.
    pub async fn send(self) -> Response {
        let what = format!("{} {}", self.method, self.target);
        self.try_send().await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// [`Self::send`] to a server that may be gone, or go meanwhile.
    pub async fn try_send(self) -> Result<Response> {
        let (method, target) = (self.method.clone(), self.target.clone());
        let answer = self.begin().await?.answer().await?;
        assert_declared(&method, &target, &answer);
        Ok(answer)
    }

    /// Sends the request, and again for as long as the answer is that it may be sent again (503). Answers also how
    /// often that was.
    pub async fn persist(self) -> (Response, usize) {
        let begun = Instant::now();
        let mut times = 0;
        loop {
            let answer = self.clone().send().await;
            if answer.status != 503 {
                return (answer, times);
            }
            assert_eq!(answer.json()["retryable"], Value::Bool(true), "{answer:?}");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            assert!(begun.elapsed() < PATIENCE, "{answer:?}");
            times += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends the request and reads nothing yet. Who drops what this gives hangs up.
    pub async fn begin(self) -> Result<Pending> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        // A server that refuses early need not read all; then its answer says why.
        let _ = stream.write_all(&self.bytes()).await;
        Ok(Pending { stream })
    }

    /// The request as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let has = |name: &str| self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        if !has("host") {
            add("host", &self.address.to_string());
        }
        if !has("connection") {
            add("connection", "close");
        }
        let is_framed = has("content-length") || has("transfer-encoding");
        if !is_framed && (!self.body.is_empty() || !matches!(self.method.as_str(), "GET" | "HEAD")) {
            add("content-length", &self.body.len().to_string());
        }
        self.headers.iter().for_each(|(name, value)| add(name, value));
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// Sends all before any answer is read, each on a connection of its own, and gives the answers in the same order.
pub async fn at_once(requests: impl IntoIterator<Item = Request>) -> Vec<Response> {
    let sent: Vec<_> = requests.into_iter().map(|request| tokio::spawn(request.send())).collect();
    let mut answers = Vec::with_capacity(sent.len());
    for answer in sent {
        answers.push(answer.await.unwrap());
    }
    answers
}

/// A request that was sent and whose answer has not been read.
pub struct Pending {
    pub stream: TcpStream,
}

impl Pending {
    /// Returns once the server is at work on the request, which has the header `Expect: 100-continue` (RFC 9110,
    /// section 10.1.1). A connection that it has not yet accepted is lost when it ends.
    pub async fn under_way(&mut self) {
        let mut interim = *b"HTTP/1.1 100 Continue\r\n\r\n";
        let read = tokio::time::timeout(PATIENCE, self.stream.read_exact(&mut interim)).await;
        read.expect("the server is at work on the request").unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// Reads until the server closes the connection.
    pub async fn answer(mut self) -> Result<Response> {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await;
        match read.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
            // After an early refusal the connection may be reset once the answer has been sent.
            Err(error) if bytes.is_empty() => Err(error),
            Ok(_) | Err(_) => Response::parse(&bytes),
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::InvalidData, "the connection ended before the answer did");
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(invalid)?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(Error::other)?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.get(9..12)?.parse().ok()).ok_or_else(invalid)?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let mut response = Self { status, headers, body: bytes[end + 4..].to_vec() };
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = unchunked(&response.body).ok_or_else(invalid)?;
        }
        let announced = response.header("content-length").and_then(|length| length.parse::<usize>().ok());
        // The answer to HEAD announces a body and has none.
        if announced.is_some_and(|length| length != response.body.len() && !response.body.is_empty()) {
            return Err(invalid());
        }
        Ok(response)
    }

    /// The first header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all_headers(name).first().copied()
    }

    pub fn all_headers(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The `Set-Cookie` headers of the cookie `name`: value and attributes, as they were sent.
    pub fn set_cookies(&self, name: &str) -> Vec<(String, String)> {
        let all = self.all_headers("set-cookie").into_iter();
        let own = all.filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        own.map(|rest| rest.split_once(';').unwrap_or((rest, "")))
            .map(|(value, attributes)| (value.to_owned(), attributes.trim().to_owned()))
            .collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{} {}", self.status, self.text());
        self
    }

    /// Asserts a refusal in the form of RFC 9457.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) -> &Self {
        self.assert_status(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body = self.json();
        assert_eq!((body["code"].as_str(), body["status"].as_u64()), (Some(code), Some(status.into())), "{body}");
        self
    }

    /// Asserts that exactly one field of the request was refused.
    #[track_caller]
    pub fn assert_invalid(&self, field: &str) {
        self.assert_problem(422, "invalid_input");
        let body = self.json();
        let fields = body["errors"].as_array().unwrap().iter();
        assert_eq!(fields.map(|error| error["field"].as_str().unwrap()).collect::<Vec<_>>(), [field]);
    }
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + length)?);
        rest = rest.get(end + 2 + length + 2..)?;
    }
}
