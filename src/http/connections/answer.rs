//! The body of an answer, which the protocol gets in pieces.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;

use super::state::Work;

/// The bytes of a piece. The protocol copies what it gets into its buffer, until that has 32 KiB.
const PIECE: usize = 16 * 1024;

/// A body that is handed over in pieces as the client takes them. The request is under way until it is dropped.
pub(crate) struct Answer<B> {
    body: B,
    rest: Bytes,
    _work: Option<Work>,
}

impl<B> Answer<B> {
    /// Wraps the body of the answer to the request of `work`.
    pub(crate) fn new(body: B, work: Option<Work>) -> Self {
        Self { body, rest: Bytes::new(), _work: work }
    }
}

impl<B: MessageBody + Unpin> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(chunk)) => self.rest = chunk,
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}
