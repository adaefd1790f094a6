//! The socket of a connection, with its deadlines.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::web::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::places::Place;
use super::state::Connection;
use super::{Timeouts, bad_head};
use crate::clock::Clock;

/// The most that the protocol gets at once, in bytes.
const READ_AT_ONCE: usize = 8 * 1024;

/// The most heads that the protocol gets at once. It makes requests of all that it has, and each takes 6 KiB, however
/// short its head is.
const HEADS_AT_ONCE: usize = 4;

/// The most that is read behind a request that is under way, in bytes. Reading on is how a client is noticed that hangs
/// up.
const READ_AHEAD: usize = 4 * 1024;

/// The most that the system buffers beyond what is on its way to the client, in bytes. So an answer that a client takes
/// slowly makes progress in small steps.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 * 1024;

/// The answer to a head that does not arrive in time.
const REQUEST_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The socket of a connection. It is not read while answers wait that its client does not take, and ends when a
/// deadline passes.
pub(super) struct Stream {
    socket: TcpStream,
    timeouts: Timeouts,
    connection: Rc<Connection>,
    /// Runs until some time before the current deadline, or until it.
    timer: Pin<Box<Sleep>>,
    /// When the client has to have taken more, if it takes nothing at the moment.
    write_due: Option<Instant>,
    /// What was read and kept from the protocol, which is busy with what came before.
    ahead: BytesMut,
    /// The bytes that the protocol got since it was last told to wait.
    read_at_once: usize,
    /// What is left to send of the answer to a head that could not be read.
    bad_head_answer: Bytes,
    clock: Clock,
    _place: Place,
}

impl Stream {
    /// Wraps the socket of a new connection.
    ///
    /// # Errors
    /// The connection has failed.
    pub(super) fn new(socket: TcpStream, timeouts: Timeouts, place: Place, clock: Clock) -> io::Result<Self> {
        // The end of a long answer would wait until the client has confirmed what came before, which may take it 40 ms.
        socket.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT)?;
        let head_due = Instant::now() + timeouts.head;
        Ok(Self {
            socket,
            timeouts,
            connection: Rc::new(Connection::new(timeouts.keep_alive, head_due)),
            timer: Box::pin(sleep_until(head_due)),
            write_due: None,
            ahead: BytesMut::new(),
            read_at_once: 0,
            bad_head_answer: Bytes::new(),
            clock,
            _place: place,
        })
    }

    /// Returns the state that this shares with the requests.
    pub(super) fn connection(&self) -> Rc<Connection> {
        Rc::clone(&self.connection)
    }

    /// Returns whether the current deadline has passed, and otherwise has the task woken then. The timer is not set
    /// anew for each request: when it has run out, it is set to what the deadline is by then.
    fn is_overdue(&mut self, context: &mut Context<'_>) -> bool {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let due = match self.write_due {
                Some(due) => due,
                None if self.connection.is_busy() => now + self.timeouts.keep_alive,
                None => self.connection.head_due(),
            };
            if due <= now {
                return true;
            }
            self.timer.as_mut().reset(due);
        }
        false
    }

    /// Allows more time for a head that has begun to arrive and that this server had no time to read. Returns whether
    /// there is one. The system is asked, because the runtime may not know yet what has happened while the process
    /// stood still.
    fn admit_waiting_head(&self) -> bool {
        let mut first = [MaybeUninit::uninit()];
        let is_waiting = !self.connection.has_received()
            && socket2::SockRef::from(&self.socket).peek(&mut first).is_ok_and(|length| length > 0);
        if is_waiting {
            self.connection.postpone_head();
        }
        is_waiting
    }

    /// Reads for the protocol, which is told to wait now and then, so that it deals with what it has.
    fn poll_socket(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read_at_once >= READ_AT_ONCE {
            self.read_at_once = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        if !self.ahead.is_empty() {
            let length = end_of_heads(&self.ahead).min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(length));
        } else if read_at_most(Pin::new(&mut self.socket), context, buffer, READ_AT_ONCE)?.is_pending() {
            self.read_at_once = 0;
            return Poll::Pending;
        } else {
            let read = buffer.filled().get(before..).unwrap_or_default();
            let length = end_of_heads(read);
            self.ahead.extend_from_slice(read.get(length..).unwrap_or_default());
            buffer.set_filled(before.saturating_add(length));
        }
        let length = buffer.filled().len().saturating_sub(before);
        self.read_at_once = if self.ahead.is_empty() { self.read_at_once.saturating_add(length) } else { READ_AT_ONCE };
        if length > 0 {
            self.connection.received();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads a little behind the current request. Is ready when the client has hung up.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.ahead.is_empty() {
                self.connection.wait_to_read(context);
            }
            if self.ahead.len() >= READ_AHEAD {
                return Poll::Pending;
            }
            ready!(self.socket.poll_read_ready(context))?;
            let mut piece = [0; READ_AHEAD / 4];
            match self.socket.try_read(&mut piece) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(length) => self.ahead.extend_from_slice(piece.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Sends bytes to the client. Fails if it takes none for too long.
    fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = Pin::new(&mut self.socket).poll_write(context, bytes) {
            if self.write_due.take().is_some() {
                self.connection.postpone_head();
            }
            return Poll::Ready(result);
        }
        let due = *self.write_due.get_or_insert_with(|| Instant::now() + self.timeouts.write);
        if self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
        if self.is_overdue(context) { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Pending }
    }
}

/// Returns where the heads end that the protocol may get at once, which is behind everything as a rule. A head ends
/// with an empty line; bodies can have such lines too, and then are handed over in more than one piece.
fn end_of_heads(bytes: &[u8]) -> usize {
    let mut end: usize = 0;
    let mut heads: usize = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        end = end.saturating_add(line.len());
        heads = heads.saturating_add(usize::from(matches!(line, b"\n" | b"\r\n")));
        if heads == HEADS_AT_ONCE {
            return end;
        }
    }
    end
}

/// Reads at most `limit` bytes.
fn read_at_most(
    socket: Pin<&mut TcpStream>,
    context: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
    limit: usize,
) -> Poll<io::Result<()>> {
    if buffer.remaining() <= limit {
        return socket.poll_read(context, buffer);
    }
    let mut part = ReadBuf::new(buffer.initialize_unfilled_to(limit));
    ready!(socket.poll_read(context, &mut part))?;
    let length = part.filled().len();
    buffer.advance(length);
    Poll::Ready(Ok(()))
}

impl AsyncRead for Stream {
    /// Reads the next head, or the body of the current request. The end of the stream is also what a deadline that has
    /// passed looks like.
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.write_due.is_some() {
            this.connection.wait_for_sent(context);
            return Poll::Pending;
        }
        if this.is_overdue(context) && !this.admit_waiting_head() {
            if this.connection.has_received() {
                // At most it is not told why.
                let _ = this.socket.try_write(REQUEST_TIMEOUT);
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read =
            if this.connection.may_read() { this.poll_socket(context, buffer) } else { this.poll_ahead(context) };
        let is_end = matches!(&read, Poll::Ready(result) if result.is_err() || buffer.filled().len() == before);
        if is_end {
            this.connection.ended();
        }
        read
    }
}

impl AsyncWrite for Stream {
    /// Writes an answer, or another one in the place of one without a request.
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.bad_head_answer.is_empty() {
            let answer = if this.connection.owes_answer() { None } else { bad_head::answer(bytes, &this.clock) };
            match answer {
                Some(answer) => this.bad_head_answer = answer,
                None => return this.poll_send(context, bytes),
            }
        }
        while !this.bad_head_answer.is_empty() {
            let rest = this.bad_head_answer.clone();
            let sent = ready!(this.poll_send(context, &rest))?;
            this.bad_head_answer.advance(sent);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    /// Notes that everything was written: the protocol flushes when it has nothing left.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.connection.sent();
        Pin::new(&mut this.socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::connections::places::Places;

    #[tokio::test]
    async fn the_end_of_an_answer_waits_for_no_confirmation() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        let second = Duration::from_secs(1);
        let timeouts = Timeouts { head: second, keep_alive: second, write: second };
        let place = Places::new(None, Vec::new()).take(address.ip()).unwrap();
        let stream = Stream::new(socket, timeouts, place, Clock::default()).unwrap();
        assert!(stream.socket.nodelay().unwrap());
    }

    #[test]
    fn four_heads_are_handed_over_at_once() {
        let (head, body) = ("GET / HTTP/1.1\r\nhost: x\r\n\r\n", "{\"email\": \"a\"}");
        let end = |text: &str| end_of_heads(text.as_bytes());
        for whole in ["", "GET / HT", head, &head[..head.len() - 2], &format!("{head}{body}"), &head.repeat(4)] {
            assert_eq!(end(whole), whole.len(), "{whole:?}");
        }
        assert_eq!(end(&head.repeat(9)), head.len() * 4);
        assert_eq!(end(&format!("{}{body}", head.repeat(4))), head.len() * 4);
        // Servers take lines without a carriage return too (RFC 9112 §2.2).
        assert_eq!(end(&"GET / HTTP/1.1\n\n".repeat(5)), "GET / HTTP/1.1\n\n".len() * 4);
    }
}
