//! Under 2,000 idle connections, 200 that send slowly and 200 that never read their answer, all from the very host that
//! the browser is on, a new browser is answered at once. Alone in its program: it takes all that the machine has.

#![expect(clippy::unwrap_used, reason = "a test whose sockets fail fails")]

use std::convert::Infallible;
use std::future::pending;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bounded_http::{Body, Eviction, Limits, bind, serve};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";
const SOON: Duration = Duration::from_secs(10);
/// What a person takes for at once.
const AT_ONCE: Duration = Duration::from_secs(2);
/// A whole answer that no socket buffer holds.
const LARGE: usize = 64 << 20;

/// As the page has them.
fn limits(eviction: Eviction) -> Limits {
    Limits {
        connections: 192,
        per_source: 64,
        eviction,
        keep_alive: false,
        date: false,
        first_byte: Duration::from_secs(5),
        head: Duration::from_secs(5),
        body: Duration::from_secs(5),
        connection: Duration::from_secs(30),
        drain: Duration::ZERO,
        head_bytes: 16 * 1024,
        headers: 64,
        body_bytes: 0,
    }
}

/// A server on a thread and a runtime of its own, as the daemon's page is.
fn served(eviction: Eviction) -> SocketAddr {
    let large = Bytes::from(vec![b'x'; LARGE]);
    let answer = move |request: Request<Body>, _: IpAddr| {
        let body = match request.uri().path() {
            "/large" => large.clone(),
            _ => Bytes::from_static(b"here"),
        };
        async { Response::new(Full::new(body)) }
    };
    let (tell, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            serve(listener, limits(eviction), |_| true, answer, pending()).await;
        });
    });
    address.recv().unwrap()
}

#[tokio::test]
async fn a_browser_is_answered_at_once() {
    for eviction in [Eviction::Oldest, Eviction::OldestIdle] {
        let address = served(eviction);
        let opened = Arc::new(AtomicUsize::new(0));
        let mut floods = JoinSet::new();
        for (count, first) in [
            (2000, &b""[..]),
            (200, b"GET / HTTP/1.1\r\nHost: local"),
            (200, b"GET /large HTTP/1.1\r\n\r\n"),
        ] {
            floods.spawn(flood(address, count, first, opened.clone()));
        }
        let late = Instant::now() + SOON * 3;
        while opened.load(Ordering::Relaxed) < 2400 {
            assert!(Instant::now() < late, "no flood");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut slowest = Duration::ZERO;
        for _ in 0..30 {
            let begun = Instant::now();
            assert!(browse(address).await, "{eviction:?}: no answer under the flood");
            slowest = slowest.max(begun.elapsed());
        }
        assert!(slowest < AT_ONCE, "{eviction:?}: {slowest:?}");
        let opened = opened.load(Ordering::Relaxed);
        eprintln!("{eviction:?}: slowest {slowest:?}, {opened} connections opened");
        floods.shutdown().await;
    }
}

/// As a browser does: asks again if the connection was closed.
async fn browse(address: SocketAddr) -> bool {
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut answer = Vec::new();
        if stream.write_all(GET).await.is_ok()
            && timeout(SOON, stream.read_to_end(&mut answer)).await.is_ok()
            && answer.ends_with(b"here")
        {
            return true;
        }
    }
    false
}

/// Keeps `count` connections open that have sent `first` and nothing more, and read nothing; replaces the oldest, a
/// thousand a second, when all are open.
async fn flood(address: SocketAddr, count: usize, first: &[u8], opened: Arc<AtomicUsize>) -> Infallible {
    let mut streams: Vec<TcpStream> = Vec::new();
    for next in (0..count).cycle() {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let _ = stream.write_all(first).await;
        opened.fetch_add(1, Ordering::Relaxed);
        if streams.len() < count {
            streams.push(stream);
        } else {
            streams[next] = stream;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    unreachable!("a cycle has no end")
}
