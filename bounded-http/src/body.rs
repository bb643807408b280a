//! A request's body within its bounds.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Limits;

/// A request's body: not longer than [`Limits::body_bytes`], and there within [`Limits::body`].
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    left_bytes: usize,
    max_bytes: usize,
    deadline: Instant,
    within: Duration,
    /// Made when the body is first waited for: most requests have none.
    late: Option<Pin<Box<Sleep>>>,
}

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It has more bytes than it may.
    #[error("the request's body has more than {max_bytes} bytes")]
    TooLong {
        /// The most that it may have.
        max_bytes: usize,
    },
    /// It was not there in time.
    #[error("the request's body did not come within {within:?}")]
    TooSlow {
        /// The time that it had.
        within: Duration,
    },
    /// The connection ended, or its bytes are not HTTP.
    #[error("reading the request's body: {0}")]
    Lost(#[from] hyper::Error),
}

impl Body {
    pub(crate) fn new(incoming: Incoming, limits: &Limits) -> Body {
        Body {
            incoming,
            left_bytes: limits.body_bytes,
            max_bytes: limits.body_bytes,
            deadline: Instant::now() + limits.body,
            within: limits.body,
            late: None,
        }
    }

    fn too_long(&self) -> BodyError {
        BodyError::TooLong {
            max_bytes: self.max_bytes,
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Said to be too long: not even begun.
        if self.incoming.size_hint().lower() > self.left_bytes as u64 {
            return Poll::Ready(Some(Err(self.too_long())));
        }
        let deadline = self.deadline;
        let late = self.late.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if late.as_mut().poll(cx).is_ready() {
            let within = self.within;
            return Poll::Ready(Some(Err(BodyError::TooSlow { within })));
        }
        let Some(frame) = ready!(Pin::new(&mut self.incoming).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let frame = frame?;
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        Poll::Ready(Some(match self.left_bytes.checked_sub(bytes) {
            Some(left_bytes) => {
                self.left_bytes = left_bytes;
                Ok(frame)
            }
            None => Err(self.too_long()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
