//! A connection whose bytes are counted, and held to a cap where there is one, before anything is decrypted: what goes
//! over the wire is what a line costs.

use std::io;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncWrite, IoSlice, IoSliceMut};
use prometheus_client::metrics::counter::Counter;

use super::throttle::{Lane, Throttle, Waits};
use crate::activity::Activity;
use crate::swarm::metrics::{ByDirection, Metrics};

const RECEIVED: &str = "in";
const SENT: &str = "out";

/// What all connections have in common: the metrics, and the caps.
#[derive(Clone, Debug)]
pub(in crate::swarm) struct Meter {
    received: Way,
    sent: Way,
}

#[derive(Clone, Debug)]
struct Way {
    moved: Counter,
    throttle: Option<Throttle>,
}

#[derive(Debug)]
pub(in crate::swarm) struct Metered<C> {
    connection: C,
    received: Side,
    sent: Side,
}

/// One direction of one connection.
#[derive(Debug)]
struct Side {
    moved: Counter,
    lane: Option<Lane>,
}

impl Meter {
    /// `kib_per_sec` is for each direction; without it nothing is held back. With it, must be called in a runtime.
    pub(in crate::swarm) fn new(metrics: &Metrics, activity: &Activity, kib_per_sec: Option<NonZeroU32>) -> Self {
        metrics
            .bandwidth_limit
            .set(kib_per_sec.map_or(0, |limit| i64::from(limit.get()) * 1024));
        let way = |direction| {
            let label = ByDirection { direction };
            let waits = Waits {
                all: metrics.bandwidth_waits.get_or_create(&label).clone(),
                now: metrics.bandwidth_waiting.get_or_create(&label).clone(),
                activity: (direction == SENT).then(|| activity.clone()),
            };
            Way {
                moved: metrics.network_bytes.get_or_create(&label).clone(),
                throttle: kib_per_sec.map(|limit| Throttle::start(limit, waits)),
            }
        };
        Self {
            received: way(RECEIVED),
            sent: way(SENT),
        }
    }

    pub(in crate::swarm) fn wrap<C>(&self, connection: C) -> Metered<C> {
        Metered {
            connection,
            received: self.received.side(),
            sent: self.sent.side(),
        }
    }
}

impl Way {
    fn side(&self) -> Side {
        Side {
            moved: self.moved.clone(),
            lane: self.throttle.as_ref().map(Throttle::lane),
        }
    }
}

impl Side {
    /// Waits for a turn, lets `attempt` move at most so many bytes, and counts what it moved.
    fn poll(
        &self,
        cx: &mut Context<'_>,
        wanted: usize,
        attempt: impl FnOnce(&mut Context<'_>, usize) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let turn = match &self.lane {
            Some(lane) if wanted > 0 => Some((lane, ready!(lane.poll_turn(cx, wanted)))),
            _ => None,
        };
        let outcome = attempt(cx, turn.map_or(wanted, |(_, granted)| granted));
        let moved = match outcome {
            Poll::Ready(Ok(bytes)) => bytes,
            _ => 0,
        };
        if let Some((lane, granted)) = turn {
            lane.settle(granted, moved);
        }
        self.moved.inc_by(moved as u64);
        outcome
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Metered<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Self {
            connection, received, ..
        } = &mut *self;
        received.poll(cx, buffer.len(), |cx, most| {
            Pin::new(connection).poll_read(cx, &mut buffer[..most])
        })
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.received.lane.is_some() {
            let mut nothing = [];
            let first = buffers
                .iter_mut()
                .map(|buffer| &mut **buffer)
                .find(|buffer| !buffer.is_empty());
            return self.poll_read(cx, first.unwrap_or(&mut nothing));
        }
        let Self {
            connection, received, ..
        } = &mut *self;
        received.poll(cx, 0, |cx, _| Pin::new(connection).poll_read_vectored(cx, buffers))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Metered<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { connection, sent, .. } = &mut *self;
        sent.poll(cx, bytes.len(), |cx, most| {
            Pin::new(connection).poll_write(cx, &bytes[..most])
        })
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.sent.lane.is_some() {
            let first = buffers.iter().map(|buffer| &**buffer).find(|buffer| !buffer.is_empty());
            return self.poll_write(cx, first.unwrap_or_default());
        }
        let Self { connection, sent, .. } = &mut *self;
        sent.poll(cx, 0, |cx, _| Pin::new(connection).poll_write_vectored(cx, buffers))
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

    fn moved(metrics: &Metrics) -> (u64, u64) {
        let bytes = |direction| metrics.network_bytes.get_or_create(&ByDirection { direction }).get();
        (bytes("in"), bytes("out"))
    }

    #[test]
    fn both_ways_are_counted() {
        let metrics = Metrics::default();
        let mut connection = Meter::new(&metrics, &Activity::default(), None).wrap(Cursor::new(vec![7; 10]));
        let mut buffer = [0; 4];
        block_on(connection.read_exact(&mut buffer)).unwrap();
        block_on(connection.write_all(&[1, 2, 3])).unwrap();
        assert_eq!(moved(&metrics), (4, 3));
    }

    /// Every way of reading and writing meets the cap of 64 KiB/s; 16 KiB of each are saved up.
    #[tokio::test]
    async fn both_ways_are_held_to_the_cap() {
        let metrics = Metrics::default();
        let meter = Meter::new(&metrics, &Activity::default(), NonZeroU32::new(64));
        let begun = std::time::Instant::now();
        let at_least = |millis| assert!(begun.elapsed().as_millis() >= millis, "{:?}", begun.elapsed());
        let mut source = meter.wrap(Cursor::new(vec![7; 48 * 1024]));
        let mut buffer = vec![0; 32 * 1024];
        source.read_exact(&mut buffer).await.unwrap();
        at_least(250);
        let mut left = 16 * 1024;
        while left > 0 {
            let mut buffers = [IoSliceMut::new(&mut []), IoSliceMut::new(&mut buffer)];
            left -= source.read_vectored(&mut buffers).await.unwrap();
        }
        at_least(500);

        let mut sink = meter.wrap(Cursor::new(Vec::new()));
        sink.write_all(&buffer).await.unwrap();
        at_least(750);
        let parts = [IoSlice::new(&[]), IoSlice::new(&buffer[..4096])];
        let mut left = 16 * 1024;
        while left > 0 {
            left -= sink.write_vectored(&parts).await.unwrap();
        }
        at_least(1_000);
        assert_eq!(moved(&metrics), (48 * 1024, 48 * 1024));
        assert_eq!(metrics.bandwidth_limit.get(), 64 * 1024);
    }
}
