//! The acceptor: lets connections in, makes room for them, and ends them.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Body as HttpBody;
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::exchange::{Link, converse};
use super::table::{Occupant, Place, Table};
use super::{Body, Limits, Source};

/// What a peer may still be sending when it was answered; more than that is cut off.
const LEFTOVER_BYTES: usize = 1024 * 1024;
const LEFTOVER: Duration = Duration::from_secs(1);
/// After an error of `accept` that closing a connection did not mend, such as too few file descriptors in the system.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

struct Open {
    task: AbortHandle,
    answering: Arc<AtomicUsize>,
}

impl Occupant for Open {
    fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed) > 0
    }
}

/// Serves until `shutdown` is done; then the port is free, and the requests that are being answered may take
/// [`Limits::drain`] to their end.
///
/// `admits` is asked once for each connection; one that is not admitted is closed without a word, so that a stranger
/// learns nothing and costs nothing. `answer` gets the peer's address in its plain form, IPv4 as IPv4.
pub async fn serve<F, A, B>(
    listener: TcpListener,
    limits: Limits,
    mut admits: impl FnMut(IpAddr) -> bool,
    answer: F,
    shutdown: impl Future<Output = ()>,
) where
    F: Fn(Request<Body>, IpAddr) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut acceptor = Acceptor::new(limits);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = acceptor.tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if admits(peer.ip()) => {
                    acceptor.take(stream, peer.ip(), answer.clone()).await;
                    // In a flood the branch above would come too seldom.
                    while acceptor.tasks.try_join_next().is_some() {}
                }
                Ok(_) => {}
                Err(error) => acceptor.refused(&error).await,
            },
        }
    }
    drop(listener);
    acceptor.drain().await;
}

struct Acceptor {
    limits: Limits,
    table: Arc<Mutex<Table<Open>>>,
    tasks: JoinSet<()>,
    closing: watch::Sender<bool>,
    /// To accept a connection.
    failures: u64,
}

impl Acceptor {
    fn new(limits: Limits) -> Acceptor {
        Acceptor {
            limits,
            table: Arc::new(Mutex::new(Table::new(&limits))),
            tasks: JoinSet::new(),
            closing: watch::Sender::new(false),
            failures: 0,
        }
    }

    async fn take<F, A, B>(&mut self, stream: TcpStream, peer: IpAddr, answer: F)
    where
        F: Fn(Request<Body>, IpAddr) -> A + Send + Sync + 'static,
        A: Future<Output = Response<B>> + Send + 'static,
        B: HttpBody + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (limits, table) = (self.limits, self.table.clone());
        let link = Link {
            answering: Arc::default(),
            closing: self.closing.subscribe(),
        };
        let answering = link.answering.clone();
        let (placed, place) = oneshot::channel();
        let task = self.tasks.spawn(async move {
            let Ok(place) = place.await else { return };
            let _seat = Seat { table, place };
            let peer = peer.to_canonical();
            let whole = connection(stream, &limits, link, move |request| answer(request, peer));
            // Too slow is closed without a word, too.
            let _ = timeout(limits.connection, whole).await;
        });
        let (place, evicted) = lock(&self.table).admit(Source::of(peer), Open { task, answering });
        for other in evicted {
            other.task.abort();
        }
        // The receiver waits in the task that was just spawned.
        let _ = placed.send(place);
        // Let those who are here already be read before the next one may push them out.
        tokio::task::yield_now().await;
    }

    async fn refused(&mut self, error: &io::Error) {
        // A peer that was gone before it was accepted is nobody's trouble.
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        self.failures += 1;
        if self.failures.is_power_of_two() {
            tracing::warn!(%error, failures = self.failures, "accepting HTTP connections");
        }
        // Most likely the process has no file descriptors left.
        if let Some(other) = lock(&self.table).make_room() {
            other.task.abort();
        }
        sleep(ACCEPT_PAUSE).await;
    }

    /// Who is being answered gets the answer; who is not is closed.
    async fn drain(mut self) {
        self.closing.send_replace(true);
        for idle in lock(&self.table).take_idle() {
            idle.task.abort();
        }
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(self.limits.drain, drained).await;
        self.tasks.shutdown().await;
    }
}

/// Gives the place back however the connection ends, also when its task is aborted.
struct Seat {
    table: Arc<Mutex<Table<Open>>>,
    place: Place,
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.table).leave(self.place);
    }
}

/// Only ever held for a moment and never across an await.
fn lock(table: &Mutex<Table<Open>>) -> MutexGuard<'_, Table<Open>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connection<F, A, B>(stream: TcpStream, limits: &Limits, link: Link, answer: F)
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if matches!(timeout(limits.first_byte, stream.readable()).await, Ok(Ok(())))
        && let Some(stream) = converse(stream, limits, link, answer).await
    {
        part(stream).await;
    }
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
