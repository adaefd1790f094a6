//! A keep-alive HTTP/1.1 client that does as little as it can: it shares the cores with the server it measures.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection with at most one request in flight.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What the server answered.
pub struct Answer<'a> {
    pub status: u16,
    /// The status line and the headers.
    pub head: &'a [u8],
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends the bytes of a whole request and waits for the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
        };
        let end = head.length + head.content_length;
        while self.buffer.len() < end {
            self.read_more().await?;
        }
        let body = self.buffer.get(head.length..end).unwrap_or_default();
        let status = head.status;
        let head = self.buffer.get(..head.length).unwrap_or_default();
        Ok(Answer { status, head, body })
    }

    async fn read_more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        Ok(())
    }
}

impl Answer<'_> {
    /// The first cookie that the answer sets, as the header `Cookie` has it.
    pub fn cookie(&self) -> Option<&str> {
        let head = std::str::from_utf8(self.head).ok()?;
        let set = head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")));
        set?.1.split(';').next()
    }

    /// The string that the JSON body has under `key`, by its raw bytes: for values that need no unescaping, such as
    /// tokens.
    pub fn string(&self, key: &str) -> Option<&[u8]> {
        let mut rest = self.body;
        loop {
            let quote = rest.iter().position(|byte| *byte == b'"')?;
            rest = rest.get(quote + 1..)?;
            let value = rest.strip_prefix(key.as_bytes()).and_then(|rest| rest.strip_prefix(b"\":\""));
            if let Some(value) = value {
                return value.split(|byte| *byte == b'"').next();
            }
        }
    }
}

struct Head {
    status: u16,
    /// Bytes up to the body.
    length: usize,
    content_length: usize,
}

impl Head {
    /// `None` while the head is not complete.
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let mut head = Self { status: 0, length: 0, content_length: 0 };
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\r\n") else { return Ok(None) };
            if head.length == 0 {
                head.status = text.get(9..12).and_then(number).ok_or_else(|| invalid("status line"))?;
            } else if let Some(value) = header(text, b"content-length:") {
                head.content_length = number(value).ok_or_else(|| invalid("content-length"))?;
            } else if header(text, b"transfer-encoding:").is_some() {
                return Err(invalid("body: it has no content-length"));
            }
            head.length += line.len();
            if text.is_empty() {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }
}

fn header<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, value) = line.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then_some(value)
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the server sent an invalid {what}"))
}
