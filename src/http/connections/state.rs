//! What a connection and its requests have to know of each other.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// The state of one connection, which its stream and its requests share. All of them are polled by one task.
pub(crate) struct Connection {
    keep_alive: Duration,
    /// Whether a request has begun whose answer has not been handed over.
    is_busy: Cell<bool>,
    /// Whether the current request is waiting for its body.
    wants_body: Cell<bool>,
    /// Whether an answer has been handed over that the socket has not taken as a whole.
    has_unsent: Cell<bool>,
    /// Whether something has arrived since the last request began.
    has_received: Cell<bool>,
    /// Whether the client has hung up.
    has_ended: Cell<bool>,
    /// When the next head has to be complete, if no request is under way.
    head_due: Cell<Instant>,
    /// Whom to wake once all answers have been sent.
    waits_for_sent: Cell<Option<Waker>>,
    /// Whom to wake once the connection may be read again.
    waits_to_read: Cell<Option<Waker>>,
}

impl Connection {
    /// Creates the state of a connection whose first head has to be complete at `head_due`.
    pub(super) fn new(keep_alive: Duration, head_due: Instant) -> Self {
        Self {
            keep_alive,
            is_busy: Cell::new(false),
            wants_body: Cell::new(false),
            has_unsent: Cell::new(false),
            has_received: Cell::new(false),
            has_ended: Cell::new(false),
            head_due: Cell::new(head_due),
            waits_for_sent: Cell::default(),
            waits_to_read: Cell::default(),
        }
    }

    /// Begins a request, once the answers to all requests before it have been sent.
    pub(crate) async fn begin(self: Rc<Self>) -> Work {
        self.is_busy.set(true);
        self.has_received.set(false);
        let work = Work { connection: self };
        poll_fn(|context| {
            if !work.connection.has_unsent.get() {
                return Poll::Ready(());
            }
            work.connection.wait_for_sent(context);
            Poll::Pending
        })
        .await;
        work
    }

    /// Lets the connection be read for the body of the current request, until the result is dropped.
    pub(crate) fn read_body(self: Rc<Self>) -> BodyReading {
        self.wants_body.set(true);
        wake(&self.waits_to_read);
        BodyReading { connection: self }
    }

    /// Returns whether a request is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.get()
    }

    /// Returns whether an answer is due to a request. What the protocol sends otherwise is its own, about a head that
    /// it could not read.
    pub(super) fn owes_answer(&self) -> bool {
        self.is_busy.get() || self.has_unsent.get()
    }

    /// Returns whether the protocol may be given what arrives: the next head, or the body of the current request.
    pub(super) fn may_read(&self) -> bool {
        !self.is_busy.get() || self.wants_body.get()
    }

    /// Returns when the next head has to be complete, if no request is under way.
    pub(super) fn head_due(&self) -> Instant {
        self.head_due.get()
    }

    /// Allows another [`Connection::keep_alive`] for the next head.
    pub(super) fn postpone_head(&self) {
        self.head_due.set(Instant::now() + self.keep_alive);
    }

    /// Notes that something has arrived.
    pub(super) fn received(&self) {
        self.has_received.set(true);
    }

    /// Returns whether something has arrived since the last request began: a part of a head.
    pub(super) fn has_received(&self) -> bool {
        self.has_received.get()
    }

    /// Notes that the client has hung up.
    pub(super) fn ended(&self) {
        self.has_ended.set(true);
    }

    /// Notes that the socket has taken everything.
    pub(super) fn sent(&self) {
        self.has_unsent.set(false);
        wake(&self.waits_for_sent);
    }

    /// Has the task of `context` woken once the socket has taken everything.
    pub(super) fn wait_for_sent(&self, context: &Context<'_>) {
        self.waits_for_sent.set(Some(context.waker().clone()));
    }

    /// Has the task of `context` woken once [`Connection::may_read`] holds.
    pub(super) fn wait_to_read(&self, context: &Context<'_>) {
        self.waits_to_read.set(Some(context.waker().clone()));
    }
}

/// A request that is under way. Its answer has been handed over, or given up, once this is dropped.
pub(crate) struct Work {
    connection: Rc<Connection>,
}

impl Work {
    /// Runs `future`, and goes no further once the client has hung up. The protocol drops it then, but polls it before:
    /// also where the request and the end of its connection have arrived together.
    pub(crate) async fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|context| if self.connection.has_ended.get() { Poll::Pending } else { future.as_mut().poll(context) })
            .await
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.connection.is_busy.set(false);
        self.connection.has_unsent.set(true);
        self.connection.postpone_head();
        wake(&self.connection.waits_to_read);
    }
}

/// The time in which a request waits for its body.
pub(crate) struct BodyReading {
    connection: Rc<Connection>,
}

impl Drop for BodyReading {
    fn drop(&mut self) {
        self.connection.wants_body.set(false);
    }
}

fn wake(waiting: &Cell<Option<Waker>>) {
    if let Some(waker) = waiting.take() {
        waker.wake();
    }
}
