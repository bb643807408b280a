//! Each bound over real sockets on loopback: what is slow ends, what is long is refused, who comes gets in.

#![expect(clippy::unwrap_used, reason = "a test whose sockets fail fails")]

use std::future::pending;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bounded_http::{Body, BodyError, Eviction, Limits, bind, exchange, serve};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";
/// Longer than any deadline here, far shorter than a test may take.
const SOON: Duration = Duration::from_secs(10);
/// A whole answer that no socket buffer holds.
const LARGE: usize = 64 << 20;

const LIMITS: Limits = Limits {
    connections: 192,
    per_source: 64,
    eviction: Eviction::Oldest,
    keep_alive: false,
    date: false,
    first_byte: Duration::from_millis(300),
    head: Duration::from_millis(300),
    body: Duration::from_millis(300),
    connection: Duration::from_secs(5),
    drain: Duration::from_secs(2),
    head_bytes: 16 * 1024,
    headers: 64,
    body_bytes: 100,
};

/// The same for all: making it takes longer than sending it.
fn large() -> Bytes {
    static LARGE_ANSWER: OnceLock<Bytes> = OnceLock::new();
    LARGE_ANSWER.get_or_init(|| vec![b'x'; LARGE].into()).clone()
}

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    /// Requests that came.
    asked: Arc<AtomicUsize>,
    /// Lets one answer for `/wait` go.
    go: Arc<Notify>,
}

async fn answer(request: Request<Body>, peer: IpAddr, go: Arc<Notify>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let (status, text) = match head.uri.path() {
        "/wait" => {
            go.notified().await;
            (StatusCode::OK, Bytes::from_static(b"waited"))
        }
        "/large" => (StatusCode::OK, large()),
        "/peer" => (StatusCode::OK, peer.to_string().into()),
        _ => match body.collect().await {
            Ok(body) => (StatusCode::OK, [b"got ", &body.to_bytes()[..]].concat().into()),
            Err(BodyError::TooLong { max_bytes }) => (StatusCode::PAYLOAD_TOO_LARGE, max_bytes.to_string().into()),
            Err(BodyError::TooSlow { .. }) => (StatusCode::REQUEST_TIMEOUT, "slow".into()),
            Err(BodyError::Lost(_)) => (StatusCode::BAD_REQUEST, "lost".into()),
        },
    };
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    response
}

fn served(limits: Limits) -> Served {
    served_to(limits, |_| true)
}

fn served_to(limits: Limits, admits: impl FnMut(IpAddr) -> bool + Send + 'static) -> Served {
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (asked, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (counted, gone) = (asked.clone(), go.clone());
    let take = move |request, peer| {
        counted.fetch_add(1, Ordering::Relaxed);
        answer(request, peer, gone.clone())
    };
    let task = tokio::spawn(serve(listener, limits, admits, take, async {
        if stopped.await.is_err() {
            pending::<()>().await;
        }
    }));
    Served {
        address,
        stop,
        task,
        asked,
        go,
    }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// From another of loopback's addresses, which is another host to the server.
    async fn connect_from(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await
    }

    async fn until_asked(&self, count: usize) {
        let late = Instant::now() + SOON;
        while self.asked.load(Ordering::Relaxed) < count {
            assert!(Instant::now() < late, "no request came");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// All until the server ends the connection; a reset is an end, too.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

/// One answer of a connection that goes on.
async fn one(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 4096];
    let count = timeout(SOON, stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

async fn is_open(stream: &mut TcpStream) -> bool {
    timeout(Duration::from_millis(50), stream.read(&mut [0; 16]))
        .await
        .is_err()
}

#[tokio::test]
async fn requests_are_answered() {
    let served = served(LIMITS);
    let answer = served.send(GET).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("got "),
        "{answer}"
    );
    assert!(!answer.to_lowercase().contains("date:"), "{answer}");
    assert!(served.send(b"GET /peer HTTP/1.1\r\n\r\n").await.ends_with("127.0.0.1"));
    let dated = self::served(Limits { date: true, ..LIMITS });
    assert!(dated.send(GET).await.to_lowercase().contains("date:"));
}

#[tokio::test]
async fn the_silent_and_the_slow_are_closed() {
    let served = served(LIMITS);
    let (mut silent, mut slow) = (served.connect().await, served.connect().await);
    slow.write_all(b"GET / HTTP/1.1\r\nHost: he").await.unwrap();
    let begun = Instant::now();
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(rest(&mut slow).await, "");
    assert!(begun.elapsed() < LIMITS.connection, "{:?}", begun.elapsed());
    // A byte now and then does not help.
    let mut dripping = served.connect().await;
    let begun = Instant::now();
    for byte in GET.iter().cycle() {
        let sent = dripping.write_all(&[*byte; 1]).await;
        if sent.is_err() || begun.elapsed() > SOON {
            break;
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert!(begun.elapsed() < LIMITS.connection, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn heads_and_bodies_are_bounded() {
    let served = served(LIMITS);
    let status = async |bytes: &[u8]| served.send(bytes).await.get(9..12).unwrap_or_default().to_owned();
    let post = |length: usize| {
        format!(
            "POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{}",
            "x".repeat(length)
        )
    };
    assert_eq!(status(post(100).as_bytes()).await, "200");
    assert_eq!(status(post(101).as_bytes()).await, "413");
    let chunk = |length: usize| format!("{length:x}\r\n{}\r\n", "x".repeat(length));
    let chunked = |chunks: &str| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    assert_eq!(status(chunked(&chunk(50).repeat(2)).as_bytes()).await, "200");
    assert_eq!(status(chunked(&chunk(50).repeat(3)).as_bytes()).await, "413");
    assert_eq!(status(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf").await, "408");
    // Announced, and not sent: refused before the first byte.
    let begun = Instant::now();
    assert_eq!(
        status(b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n").await,
        "413"
    );
    assert!(begun.elapsed() < LIMITS.body * 8, "{:?}", begun.elapsed());
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
    assert_eq!(status(many.as_bytes()).await, "431");
    let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(17_000));
    assert!(["431", ""].contains(&status(long.as_bytes()).await.as_str()));
}

#[tokio::test]
async fn connections_are_kept_or_not() {
    let kept = served(Limits {
        keep_alive: true,
        ..LIMITS
    });
    let mut stream = kept.connect().await;
    for _ in 0..3 {
        stream.write_all(GET).await.unwrap();
        assert!(one(&mut stream).await.ends_with("got "));
    }
    let begun = Instant::now();
    assert_eq!(rest(&mut stream).await, "", "no next request comes");
    assert!(begun.elapsed() < LIMITS.connection);
    let not = served(LIMITS);
    let answer = not.send(&GET.repeat(3)).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_does_not_read_its_answer_ends() {
    let served = served(Limits {
        connection: Duration::from_millis(500),
        ..LIMITS
    });
    let mut stream = served.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(rest(&mut stream).await.len() < LARGE, "cut off");
}

#[tokio::test]
async fn strangers_are_closed_without_a_word() {
    let served = served_to(LIMITS, |peer| peer != IpAddr::from([127, 0, 0, 9]));
    let mut stranger = served.connect_from(9).await;
    let _ = stranger.write_all(GET).await;
    assert_eq!(rest(&mut stranger).await, "");
    assert!(served.send(GET).await.ends_with("got "));
    assert_eq!(served.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_oldest_goes_whatever_it_is_doing_or_the_oldest_that_is_idle() {
    for (eviction, answered_stays) in [(Eviction::Oldest, false), (Eviction::OldestIdle, true)] {
        let served = served(Limits {
            connections: 3,
            eviction,
            first_byte: SOON * 3,
            connection: SOON * 3,
            ..LIMITS
        });
        let mut answered = served.connect().await;
        answered.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.unwrap();
        served.until_asked(1).await;
        let (mut idle, mut other) = (served.connect().await, served.connect().await);
        let mut newcomer = served.connect().await;
        assert_eq!(is_open(&mut answered).await, answered_stays, "{eviction:?}");
        assert_eq!(is_open(&mut idle).await, !answered_stays, "{eviction:?}");
        assert!(
            is_open(&mut other).await && is_open(&mut newcomer).await,
            "{eviction:?}"
        );
        served.go.notify_one();
        assert_eq!(rest(&mut answered).await.ends_with("waited"), answered_stays);
    }
}

#[tokio::test]
async fn a_source_makes_room_among_its_own() {
    let served = served(Limits {
        per_source: 4,
        first_byte: SOON * 3,
        connection: SOON * 3,
        ..LIMITS
    });
    let mut other = served.connect_from(2).await;
    let mut own = Vec::new();
    for _ in 0..20 {
        own.push(served.connect().await);
    }
    assert!(is_open(&mut other).await);
    let mut open = 0;
    for stream in &mut own {
        open += usize::from(is_open(stream).await);
    }
    assert_eq!(open, 4);
}

#[tokio::test]
async fn the_end_waits_for_answers_under_way_and_for_nothing_else() {
    let served = served(Limits {
        keep_alive: true,
        first_byte: SOON,
        head: SOON,
        ..LIMITS
    });
    let (mut answered, mut idle) = (served.connect().await, served.connect().await);
    answered.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.unwrap();
    served.until_asked(1).await;
    let mut kept = served.connect().await;
    kept.write_all(GET).await.unwrap();
    assert!(one(&mut kept).await.ends_with("got "));
    served.stop.send(()).unwrap();
    assert_eq!(
        (rest(&mut idle).await, rest(&mut kept).await),
        (String::new(), String::new())
    );
    assert!(TcpStream::connect(served.address).await.is_err(), "the port is free");
    assert!(is_open(&mut answered).await);
    served.go.notify_one();
    let answer = rest(&mut answered).await;
    assert!(answer.ends_with("waited"), "{answer}");
    timeout(SOON, served.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let served = served(Limits {
        drain: Duration::from_millis(300),
        ..LIMITS
    });
    let mut answered = served.connect().await;
    answered.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.unwrap();
    served.until_asked(1).await;
    served.stop.send(()).unwrap();
    timeout(LIMITS.connection / 2, served.task).await.unwrap().unwrap();
    assert_eq!(rest(&mut answered).await, "");
}

#[tokio::test]
async fn a_conversation_needs_no_socket() {
    let (mut peer, own) = tokio::io::duplex(1 << 16);
    peer.write_all(GET).await.unwrap();
    let answer = async |_request: Request<Body>| Response::new(Full::new(Bytes::from_static(b"here")));
    drop(exchange(own, &LIMITS, answer).await.expect("well ended"));
    let mut said = String::new();
    peer.read_to_string(&mut said).await.unwrap();
    assert!(said.ends_with("here"), "{said}");
}
