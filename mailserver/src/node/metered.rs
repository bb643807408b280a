//! A connection whose bytes are counted, before anything is decrypted: what goes over the wire is what a line costs.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncWrite, IoSlice, IoSliceMut};
use prometheus_client::metrics::counter::Counter;

use crate::counters::{ByDirection, Counters};

#[derive(Debug)]
pub(super) struct Metered<C> {
    connection: C,
    received: Counter,
    sent: Counter,
}

impl<C> Metered<C> {
    pub(super) fn new(connection: C, counters: &Counters) -> Self {
        let counter = |direction| counters.network_bytes.get_or_create(&ByDirection { direction }).clone();
        Self {
            connection,
            received: counter("in"),
            sent: counter("out"),
        }
    }
}

/// Adds what went through, if it did.
fn count(counter: &Counter, moved: io::Result<usize>) -> Poll<io::Result<usize>> {
    if let Ok(bytes) = moved {
        counter.inc_by(bytes as u64);
    }
    Poll::Ready(moved)
}

impl<C: AsyncRead + Unpin> AsyncRead for Metered<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.connection).poll_read(cx, buffer));
        count(&self.received, read)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.connection).poll_read_vectored(cx, buffers));
        count(&self.received, read)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Metered<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.connection).poll_write(cx, bytes));
        count(&self.sent, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.connection).poll_write_vectored(cx, buffers));
        count(&self.sent, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::{AsyncReadExt, AsyncWriteExt, Cursor};

    use super::*;

    #[test]
    fn both_ways_are_counted() {
        let counters = Counters::new();
        let mut connection = Metered::new(Cursor::new(vec![7; 10]), &counters);
        let mut buffer = [0; 4];
        block_on(connection.read_exact(&mut buffer)).unwrap();
        block_on(connection.write_all(&[1, 2, 3])).unwrap();
        let bytes = |direction| counters.network_bytes.get_or_create(&ByDirection { direction }).get();
        assert_eq!((bytes("in"), bytes("out")), (4, 3));
    }
}
