//! The messages of a connection, over TCP or a Unix socket, in clear or over TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::backend::Message;
use rustls::{ClientConnection, StreamOwned};

/// Bytes that are read at a time.
const CHUNK_SIZE: usize = 8 * 1024;

/// A socket, whose calls block.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Sets the longest time that one call may block.
    pub(super) fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.set_read_timeout(timeout).and_then(|()| tcp.set_write_timeout(timeout)),
            Self::Unix(unix) => unix.set_read_timeout(timeout).and_then(|()| unix.set_write_timeout(timeout)),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(bytes),
            Self::Unix(unix) => unix.read(bytes),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(bytes),
            Self::Unix(unix) => unix.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket with or without TLS.
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Stream {
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_ref(),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(bytes),
            Self::Tls(tls) => tls.read(bytes),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }
}

/// A stream of messages.
pub(super) struct Messages {
    stream: Stream,
    incoming: BytesMut,
    chunk: Box<[u8]>,
    /// What the next [`Self::send`] sends.
    pub(super) outgoing: BytesMut,
    /// Until when everything has to be done, while the connection is being opened.
    deadline: Option<Instant>,
}

impl Messages {
    pub(super) fn new(stream: Stream, deadline: Option<Instant>) -> Self {
        let chunk = vec![0; CHUNK_SIZE].into_boxed_slice();
        Self { stream, incoming: BytesMut::new(), chunk, outgoing: BytesMut::new(), deadline }
    }

    /// Replaces the deadline by the longest time that one call may block.
    pub(super) fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.deadline = None;
        self.stream.socket().set_timeout(timeout)
    }

    /// Returns the server's certificate, if the stream is encrypted.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(tls) => tls.conn.peer_certificates()?.first().map(AsRef::as_ref),
        }
    }

    /// Returns whether the stream is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Sends what is in `outgoing`.
    pub(super) fn send(&mut self) -> io::Result<()> {
        self.limit_time()?;
        let sent = self.stream.write(&self.outgoing).map_err(or_timeout);
        self.outgoing.clear();
        sent
    }

    /// Waits for the next message.
    pub(super) fn receive(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = Message::parse(&mut self.incoming)? {
                return Ok(message);
            }
            self.limit_time()?;
            let read = match self.stream.read(&mut self.chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // So says TLS, at length.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
                read => read.map_err(or_timeout)?,
            };
            match self.chunk.get(..read) {
                Some(bytes) if read > 0 => self.incoming.extend_from_slice(bytes),
                _ => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
            }
        }
    }

    fn limit_time(&self) -> io::Result<()> {
        self.deadline.map_or(Ok(()), |deadline| self.stream.socket().set_timeout(Some(remaining(deadline)?)))
    }
}

/// Returns the time until `deadline`.
///
/// # Errors
/// It has passed.
pub(super) fn remaining(deadline: Instant) -> io::Result<Duration> {
    let remaining = deadline.saturating_duration_since(Instant::now());
    if remaining.is_zero() { Err(timeout()) } else { Ok(remaining) }
}

/// Returns `error`, which the system words differently if it is a timeout.
pub(super) fn or_timeout(error: io::Error) -> io::Error {
    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) { timeout() } else { error }
}

fn timeout() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "the server did not answer in time")
}
