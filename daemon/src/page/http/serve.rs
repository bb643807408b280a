//! The page's own acceptor: one thread with a runtime of its own, a bounded crowd of connections, and a deadline for
//! everything that a peer can be slow at. Nothing that happens here reaches the supervisor but a sentence when the port
//! cannot be had.
//!
//! A connection carries one request. It costs a socket and a small task until its first byte comes; HTTP's buffers are
//! taken only then. Who has to make room ([`super::crowd`]) is closed at once.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::crowd::{Crowd, Guest, Source};
use super::neighbours::Neighbours;
use super::response::Answer;

/// Waiting connections that the kernel keeps while the thread is busy.
const BACKLOG: u32 = 1024;
/// For a request's first byte.
const FIRST_BYTE: Duration = Duration::from_secs(5);
/// For the rest of its head.
const HEAD: Duration = Duration::from_secs(5);
/// For everything: reading, answering, and the peer's reading of it.
const WHOLE: Duration = Duration::from_secs(30);
/// Longest request line and headers together; hyper takes no less than 8 KiB.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;
/// What a peer may still be sending when it was answered; more than that is cut off.
const LEFTOVER_BYTES: usize = 1024 * 1024;
const LEFTOVER: Duration = Duration::from_secs(1);
/// After an error of `accept` that closing the oldest connection did not fix.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Guests = Arc<Mutex<Crowd<AbortHandle>>>;

/// Takes the port, so that a failure is known before anything is promised.
pub(in crate::page) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts for ever.
pub(in crate::page) async fn accept<F, A>(listener: TcpListener, mut neighbours: Neighbours, answer: F)
where
    F: Fn(Request<Incoming>, IpAddr) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Answer>> + Send + 'static,
{
    let guests = Guests::default();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                refused(&error, &guests).await;
                continue;
            }
        };
        // Closed without a word: a stranger learns nothing, and costs nothing.
        if !neighbours.admits(peer.ip(), std::time::Instant::now()) {
            continue;
        }
        let (named, name) = tokio::sync::oneshot::channel();
        let (guests_then, answer) = (guests.clone(), answer.clone());
        let task = tokio::spawn(async move {
            if let Ok(guest) = name.await {
                let _seat = Seat {
                    guests: guests_then,
                    guest,
                };
                // Too slow is closed without a word, too.
                let from = peer.ip().to_canonical();
                let _ = timeout(WHOLE, converse(stream, move |request| answer(request, from))).await;
            }
        });
        let (guest, evicted) = lock(&guests).admit(Source::of(peer.ip()), task.abort_handle());
        for other in evicted {
            other.abort();
        }
        // The receiver waits in the task that was just spawned.
        let _ = named.send(guest);
        // Let those who are here already be read before the next one may push them out.
        tokio::task::yield_now().await;
    }
}

/// Gives the place back however the connection ends, also when its task is aborted.
struct Seat {
    guests: Guests,
    guest: Guest,
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.guests).leave(self.guest);
    }
}

/// Only ever held for a moment and never across an await.
fn lock(guests: &Guests) -> MutexGuard<'_, Crowd<AbortHandle>> {
    guests.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn refused(error: &io::Error, guests: &Guests) {
    // A peer that was gone before it was accepted is nobody's trouble.
    if error.kind() == io::ErrorKind::ConnectionAborted {
        return;
    }
    tracing::debug!(%error, "accept");
    if let Some(oldest) = lock(guests).evict_oldest() {
        oldest.abort();
    }
    sleep(ACCEPT_PAUSE).await;
}

async fn converse<F, A>(stream: TcpStream, answer: F)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Answer>> + Send + 'static,
{
    if matches!(timeout(FIRST_BYTE, stream.readable()).await, Ok(Ok(())))
        && let Some(stream) = exchange(stream, answer).await
    {
        part(stream).await;
    }
}

/// One request and its answer; nothing when the peer's bytes are no HTTP.
pub(super) async fn exchange<S, F, A>(stream: S, answer: F) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Answer>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        // The box's clock may be wrong, and nobody needs a date here.
        .auto_date_header(false)
        .keep_alive(false);
    let connection = pin!(http.serve_connection(TokioIo::new(stream), service).without_shutdown());
    connection.await.ok().map(|parts| parts.io.into_inner())
}

/// Ends a conversation so that the answer arrives: a socket that is closed over unread bytes takes back what was sent.
async fn part(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let mut bytes = [0; 4096];
        let mut left = LEFTOVER_BYTES;
        while left > 0 {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
    };
    let _ = timeout(LEFTOVER, drain).await;
}
