//! yamux, with a bound on the bytes that a connection holds.
//!
//! The protocol's own bound is a window for each stream, and every stream of every connection may be full. Here a
//! [`Inlet`] reads the headers of frames as they come by, and a [`Ledger`] has what each stream holds until it is read.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use yamux::{Config, Connection, ConnectionError, Mode};

use super::held::{Account, FRAME_BYTES, Inlet, Watch};

/// The protocol's specification, "Framing".
const HEADER_BYTES: usize = 12;
const DATA: u8 = 0;
const WINDOW_UPDATE: u8 = 1;
const SYN: u8 = 1;
const RST: u8 = 8;
/// Streams that a connection has books for: those that it may have, as many that are being let go of, and those that the
/// library turns away. Past it the other side opens streams that nobody has.
const MAX_BOOKED: usize = 1024;
/// The window that a stream begins with ("Flow Control"), and keeps: 20 Mbit/s at 100 ms for each stream. No frame may be
/// longer, and the library allocates all of it when its header is there.
const WINDOW: usize = 256 * 1024;
/// Streams that came in and that the swarm hasn't taken; more are reset. What the library itself opens before it waits.
const MAX_UNTAKEN: usize = 256;

/// For a connection of up to `max_streams` streams.
pub(super) fn config(max_streams: usize) -> Config {
    let mut config = Config::default();
    config
        .set_max_num_streams(max_streams)
        .set_max_connection_receive_window(Some(max_streams * WINDOW));
    config
}

type Number = u32;

/// What each stream of a connection holds.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    account: Account,
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    streams: HashMap<Number, Queue>,
    /// Streams that nobody has any more. The library lets go of what they hold when it can write next.
    gone: Vec<Number>,
    /// The connection can take no more now.
    full: bool,
    /// The connection's task.
    task: Option<Waker>,
}

/// The frames of a stream that have not been read to their end.
#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<usize>,
    /// How much of the first has been read.
    read: usize,
    held: usize,
}

impl Ledger {
    fn new(account: Account) -> Self {
        Self {
            account,
            books: Arc::default(),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number may come again when its stream is gone.
    fn open(&self, number: Number) -> io::Result<()> {
        let mut books = self.books();
        if let Some(at) = books.gone.iter().position(|gone| *gone == number) {
            books.gone.swap_remove(at);
            let queue = books.streams.remove(&number);
            self.account.release(queue.map_or(0, |queue| queue.held));
        }
        if books.streams.len() >= MAX_BOOKED {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "streams without end"));
        }
        books.streams.entry(number).or_default();
        Ok(())
    }

    /// A frame of so many bytes is about to come; false when it is for no stream that we have.
    fn begin(&self, number: Number, length: usize) -> bool {
        let mut books = self.books();
        let Some(queue) = books.streams.get_mut(&number) else {
            return false;
        };
        queue.frames.push_back(length);
        queue.held += FRAME_BYTES;
        self.account.hold(FRAME_BYTES);
        true
    }

    /// Bytes of the frame that comes last; false when its stream is gone by now.
    fn came(&self, number: Number, bytes: usize) -> bool {
        let mut books = self.books();
        let Some(queue) = books.streams.get_mut(&number) else {
            return false;
        };
        queue.held += bytes;
        self.account.hold(bytes);
        true
    }

    /// A frame's memory is given back when all of it is read.
    fn read(&self, number: Number, bytes: usize) {
        let mut books = self.books();
        let Some(queue) = books.streams.get_mut(&number) else {
            return;
        };
        queue.read += bytes;
        let mut released = 0;
        while let Some(&first) = queue.frames.front()
            && queue.read >= first
        {
            queue.frames.pop_front();
            queue.read -= first;
            released += first + FRAME_BYTES;
        }
        queue.held -= released;
        drop(books);
        self.account.release(released);
    }

    fn gone(&self, number: Number) {
        let mut books = self.books();
        books.gone.push(number);
        if let Some(task) = books.task.take() {
            task.wake();
        }
    }

    /// Before the library looks at the connection: which streams it will let go of.
    fn begin_poll(&self, cx: &Context<'_>) -> usize {
        let mut books = self.books();
        books.task = Some(cx.waker().clone());
        books.gone.len()
    }

    /// The library has done all that it can, so that the first `count` that were gone are let go of, unless it could not
    /// write.
    fn polled(&self, count: usize) {
        let mut books = self.books();
        if books.full {
            return;
        }
        let count = count.min(books.gone.len());
        let gone: Vec<Number> = books.gone.drain(..count).collect();
        let queues = gone.iter().filter_map(|number| books.streams.remove(number));
        let held = queues.map(|queue| queue.held).sum();
        drop(books);
        self.account.release(held);
    }
}

/// Reads the frames' headers.
#[derive(Debug)]
pub(super) struct Headers {
    ledger: Ledger,
    header: [u8; HEADER_BYTES],
    /// So much of it is here.
    have: usize,
    body: Option<Body>,
}

/// A frame's data on its way.
#[derive(Debug)]
struct Body {
    number: Number,
    left: usize,
    /// Held for the frame alone: its stream is gone, and the muxer throws it away when it is whole.
    stray: usize,
}

impl Headers {
    fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            header: [0; HEADER_BYTES],
            have: 0,
            body: None,
        }
    }

    fn header(&mut self, account: &Account) -> io::Result<()> {
        let [_, kind, _, flags, number @ .., l0, l1, l2, l3] = self.header;
        let number = Number::from_be_bytes(number);
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        self.have = 0;
        // What is reset in the moment that it is opened is no stream, and the muxer throws away what comes with it.
        let reset = flags & RST != 0;
        if matches!(kind, DATA | WINDOW_UPDATE) && flags & SYN != 0 && !reset {
            self.ledger.open(number)?;
        }
        if kind != DATA || length == 0 {
            return Ok(());
        }
        let left = usize::try_from(length).unwrap_or(usize::MAX);
        if left > WINDOW {
            let error = format!("a frame of {length} bytes where the window has {WINDOW}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        let stray = if !reset && self.ledger.begin(number, left) {
            0
        } else {
            account.hold(FRAME_BYTES);
            FRAME_BYTES
        };
        self.body = Some(Body { number, left, stray });
        Ok(())
    }
}

impl Watch for Headers {
    fn came(&mut self, account: &Account, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let Some(body) = &mut self.body else {
                let count = bytes.len().min(HEADER_BYTES - self.have);
                self.header[self.have..self.have + count].copy_from_slice(&bytes[..count]);
                self.have += count;
                bytes = &bytes[count..];
                if self.have == HEADER_BYTES {
                    self.header(account)?;
                }
                continue;
            };
            let count = bytes.len().min(body.left);
            if body.stray > 0 || !self.ledger.came(body.number, count) {
                account.hold(count);
                body.stray += count;
            }
            body.left -= count;
            bytes = &bytes[count..];
            if body.left == 0 {
                account.release(body.stray);
                self.body = None;
            }
        }
        Ok(())
    }

    fn wrote(&mut self, full: bool) {
        self.ledger.books().full = full;
    }
}

#[derive(Debug)]
pub(super) struct Stream {
    /// Dropped before it is said to be gone.
    stream: yamux::Stream,
    entry: Entry,
}

/// A stream's place in the ledger.
#[derive(Debug)]
struct Entry {
    ledger: Ledger,
    number: Number,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.gone(self.number);
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.entry.ledger.read(self.entry.number, read);
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// A connection with its streams.
#[derive(Debug)]
pub(super) struct Muxer<C> {
    connection: Connection<Inlet<C, Headers>>,
    ledger: Ledger,
    /// Streams that came in while nobody asked for them: the connection goes on only when it is asked for the next.
    untaken: VecDeque<Stream>,
    asks: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    pub(super) fn new(connection: C, account: Account, config: Config, mode: Mode) -> Self {
        let ledger = Ledger::new(account.clone());
        let inlet = Inlet::new(connection, account, Headers::new(ledger.clone()));
        Self {
            connection: Connection::new(inlet, config, mode),
            ledger,
            untaken: VecDeque::new(),
            asks: None,
        }
    }

    fn stream(&self, stream: yamux::Stream) -> Stream {
        let entry = Entry {
            ledger: self.ledger.clone(),
            number: stream.id().val(),
        };
        Stream { stream, entry }
    }

    fn poll_came(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let gone = self.ledger.begin_poll(cx);
        let came = self.connection.poll_next_inbound(cx);
        if came.is_pending() {
            self.ledger.polled(gone);
        }
        let stream = match ready!(came) {
            Some(stream) => stream.map_err(failed)?,
            None => return Poll::Ready(Err(failed(ConnectionError::Closed))),
        };
        Poll::Ready(Ok(self.stream(stream)))
    }
}

fn failed(error: ConnectionError) -> io::Error {
    match error {
        ConnectionError::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        if let Some(stream) = self.untaken.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let came = self.poll_came(cx);
        if came.is_pending() {
            self.asks = Some(cx.waker().clone());
        }
        came
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let stream = ready!(self.connection.poll_new_outbound(cx)).map_err(failed)?;
        self.ledger.open(stream.id().val())?;
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.poll_close(cx).map_err(failed)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        let stream = ready!(self.poll_came(cx))?;
        if self.untaken.len() < MAX_UNTAKEN {
            self.untaken.push_back(stream);
            if let Some(asks) = self.asks.take() {
                asks.wake();
            }
        }
        // There may be more: the others of this task first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::super::held::Budget;
    use super::*;

    fn frame(kind: u8, flags: u8, number: Number, data: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, kind, 0, flags];
        frame.extend(number.to_be_bytes());
        frame.extend((data.len() as u32).to_be_bytes());
        frame.extend(data);
        frame
    }

    /// Streams that are opened and reset in one frame are none, and there is an end to those that nobody has.
    #[test]
    fn streams_that_nobody_has_are_not_kept_in_books() {
        let budget = Budget::default();
        let account = budget.account();
        let ledger = Ledger::new(account.clone());
        let mut headers = Headers::new(ledger.clone());
        for number in 0..10_000 {
            for kind in [WINDOW_UPDATE, DATA] {
                let reset = frame(kind, SYN | RST, 2 * number + 1, &[]);
                headers.came(&account, &reset).unwrap();
            }
            headers
                .came(&account, &frame(DATA, SYN | RST, 2 * number + 1, &[7; 10]))
                .unwrap();
        }
        assert!(ledger.books().streams.is_empty());
        assert_eq!(account.held(), 0);
        let mut opened = 0;
        while headers
            .came(&account, &frame(WINDOW_UPDATE, SYN, 2 * opened + 1, &[]))
            .is_ok()
        {
            opened += 1;
            assert!(opened < 10_000, "streams without end");
        }
        assert_eq!(ledger.books().streams.len(), MAX_BOOKED);
    }

    /// Whatever the cuts between reads, the bytes of a stream are held until it has read them or is gone.
    #[test]
    fn what_is_held_is_what_no_stream_has_read() {
        for cut in [1, 5, 12, 13, 100, 10_000] {
            let budget = Budget::default();
            let account = budget.account();
            let ledger = Ledger::new(account.clone());
            let mut headers = Headers::new(ledger.clone());
            let mut comes = |bytes: Vec<u8>| {
                for part in bytes.chunks(cut) {
                    headers.came(&account, part).unwrap();
                }
            };
            // A stream that begins with data, one that begins without, a ping, and data for nobody.
            comes(frame(DATA, SYN, 1, &[7; 100]));
            comes(frame(WINDOW_UPDATE, SYN, 3, &[]));
            comes(frame(DATA, 0, 3, &[7; 50]));
            comes(frame(2, 0, 0, &[]));
            comes(frame(DATA, 0, 5, &[7; 1000]));
            comes(frame(DATA, 0, 3, &[]));
            comes(frame(DATA, 0, 3, &[7; 30]));
            assert_eq!(account.held(), 180 + 3 * FRAME_BYTES, "cut at {cut}");
            ledger.read(3, 49);
            assert_eq!(account.held(), 180 + 3 * FRAME_BYTES);
            ledger.read(3, 2);
            assert_eq!(account.held(), 130 + 2 * FRAME_BYTES);
            // A stream that is gone holds what it has, and what comes for it, until the library has let go of it.
            ledger.gone(1);
            ledger.books().full = true;
            ledger.polled(1);
            comes(frame(DATA, 0, 1, &[7; 400]));
            assert_eq!(account.held(), 530 + 3 * FRAME_BYTES);
            ledger.books().full = false;
            ledger.polled(1);
            comes(frame(DATA, 0, 1, &[7; 400]));
            assert_eq!(account.held(), 30 + FRAME_BYTES);
            // Its number comes again before it is let go of.
            ledger.gone(3);
            comes(frame(DATA, SYN, 3, &[7; 40]));
            ledger.polled(1);
            assert_eq!(account.held(), 40 + FRAME_BYTES);
            // Half of a frame whose stream goes meanwhile.
            let late = frame(DATA, 0, 3, &[7; 80]);
            comes(late[..40].to_vec());
            ledger.gone(3);
            ledger.polled(1);
            comes(late[40..].to_vec());
            assert_eq!(account.held(), 0, "cut at {cut}");
        }
    }
}
