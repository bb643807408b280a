//! HTTP on the machine's own ports, so that a client can neither hold it up nor use it up.
//!
//! - A connection ends when a request's head is not there within [`HEAD_DEADLINE`], when a request with its body and
//!   answer takes longer than [`REQUEST_DEADLINE`], and in any case after [`CONNECTION_LIFETIME`].
//! - There are at most [`MAX_CONNECTIONS`]. One more ends the oldest that is not answering a request, or the oldest of
//!   all when every one is: whoever comes now gets in, and a flood of silent connections ends itself.
//!
//! Why not `axum::serve`: it bounds neither the number of connections nor their time.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

/// Connections at once. A poller or two and a person use a handful.
pub const MAX_CONNECTIONS: usize = 64;
/// From the first byte awaited to the end of the request's head; an idle connection is one that awaits its next.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// From a request's head to its answer. nwaku's own handlers give up after 5 s.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(20);
/// A connection's whole life: what bounds a client that does not read its answer.
pub const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);
/// How long requests under way may take at the end of the program.
const DRAIN: Duration = Duration::from_secs(2);
/// Accepting failed for lack of something (file descriptors); trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address that cannot be listened on; the message names the flag to change.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("port {port} ({flag}) on {address} is in use: stop the program that has it, or choose another --{flag}")]
    InUse {
        flag: &'static str,
        address: IpAddr,
        port: u16,
    },
    #[error("cannot listen on {address} port {port} ({flag}): {source}")]
    Other {
        flag: &'static str,
        address: IpAddr,
        port: u16,
        source: io::Error,
    },
}

/// Takes a port; 0 takes a free one.
pub async fn bind(flag: &'static str, address: IpAddr, port: u16) -> Result<TcpListener, BindError> {
    TcpListener::bind(SocketAddr::new(address, port))
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { flag, address, port },
            _ => BindError::Other {
                flag,
                address,
                port,
                source,
            },
        })
}

/// One connection as the acceptor sees it.
struct Open {
    task: AbortHandle,
    /// Requests being answered: 0 or 1, HTTP/1 answers one after the other.
    answering: Arc<AtomicUsize>,
}

/// Serves until `shutdown` is done, then lets the requests under way finish for a moment.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let mut tasks = JoinSet::new();
    let mut open: VecDeque<Open> = VecDeque::new();
    let mut failures: u64 = 0;
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = tasks.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => error.id(),
                };
                open.retain(|connection| connection.task.id() != id);
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if open.len() >= MAX_CONNECTIONS {
                        evict(&mut open);
                    }
                    let answering = Arc::new(AtomicUsize::new(0));
                    let task = tasks.spawn(connection(stream, router.clone(), answering.clone()));
                    open.push_back(Open { task, answering });
                }
                Err(error) => {
                    failures += 1;
                    if failures.is_power_of_two() {
                        tracing::warn!(%error, failures, "accepting HTTP connections");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    open.retain(|connection| {
        let answering = connection.answering.load(Ordering::Relaxed) > 0;
        if !answering {
            connection.task.abort();
        }
        answering
    });
    let drained = async { while tasks.join_next().await.is_some() {} };
    // Dropping the set ends what is left.
    let _ = tokio::time::timeout(DRAIN, drained).await;
}

/// Ends the oldest connection that answers nothing, or the oldest.
fn evict(open: &mut VecDeque<Open>) {
    let at = open
        .iter()
        .position(|connection| connection.answering.load(Ordering::Relaxed) == 0)
        .unwrap_or(0);
    if let Some(connection) = open.remove(at) {
        connection.task.abort();
    }
}

async fn connection(stream: TcpStream, router: Router, answering: Arc<AtomicUsize>) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = Answering::begin(answering.clone());
        let routed = router.call(request);
        async move {
            let response = match tokio::time::timeout(REQUEST_DEADLINE, routed).await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => too_slow(),
            };
            drop(answer);
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(stream), service);
    // However it ends, it is the client's affair: a reset, a malformed head, a deadline.
    let _ = tokio::time::timeout(CONNECTION_LIFETIME, connection).await;
}

fn too_slow() -> Response {
    (
        StatusCode::REQUEST_TIMEOUT,
        [("connection", "close")],
        "request took too long",
    )
        .into_response()
}

/// Counts a request under way; dropping it, even by an aborted task, counts it out again.
struct Answering(Arc<AtomicUsize>);

impl Answering {
    fn begin(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::oneshot,
    };

    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    struct Served {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        task: tokio::task::JoinHandle<()>,
    }

    async fn served(router: Router) -> Served {
        let listener = bind("rest-port", LOCAL, 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, router, async {
            let _ = stopped.await;
        }));
        Served { address, stop, task }
    }

    async fn ask(address: SocketAddr) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_the_mend() {
        let taken = bind("rest-port", LOCAL, 0).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind("rest-port", LOCAL, port).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "port {port} (rest-port) on 127.0.0.1 is in use: stop the program that has it, or choose another --rest-port"
            )
        );
    }

    /// Several times as many silent and half-spoken connections as there may be: whoever asks next is answered.
    #[tokio::test]
    async fn a_flood_of_silent_connections_keeps_nobody_out() {
        let served = served(Router::new().route("/", get(|| async { "here" }))).await;
        let mut held = Vec::new();
        for n in 0..MAX_CONNECTIONS * 3 {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            if n % 2 == 0 {
                let _ = stream.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await;
            }
            held.push(stream);
        }
        for _ in 0..10 {
            assert!(ask(served.address).await.unwrap().ends_with("here"));
        }
    }

    /// A connection that says nothing is closed by the server, not kept.
    #[tokio::test]
    async fn a_silent_connection_is_closed() {
        let served = served(Router::new().route("/", get(|| async { "here" }))).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        let closed = tokio::time::timeout(HEAD_DEADLINE * 6, stream.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok());
    }

    #[tokio::test]
    async fn the_end_waits_for_the_request_under_way_and_no_other() {
        let (entered, was_entered) = oneshot::channel::<()>();
        let entered = Arc::new(std::sync::Mutex::new(Some(entered)));
        let slow = move || async move {
            entered.lock().unwrap().take().unwrap().send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            "finished"
        };
        let served = served(Router::new().route("/", get(slow))).await;
        let idle = TcpStream::connect(served.address).await.unwrap();
        let asked = tokio::spawn(ask(served.address));
        was_entered.await.unwrap();
        served.stop.send(()).unwrap();
        assert!(asked.await.unwrap().unwrap().ends_with("finished"));
        served.task.await.unwrap();
        drop(idle);
        assert!(TcpStream::connect(served.address).await.is_err());
    }
}
