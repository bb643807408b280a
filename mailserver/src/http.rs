//! HTTP on the machine's own ports: [`bounded_http`] within limits for a poller or two and a person, so that a client can
//! neither hold it up nor use it up.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bounded_http::{Body, Eviction, Limits};
use hyper::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::ports::BindError;

/// From a request's head to its answer. nwaku's own handlers give up after 5 s.
const REQUEST_DEADLINE: Duration = Duration::from_secs(20);

const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);

const LIMITS: Limits = Limits {
    // A poller or two and a person use a handful. They are on this machine, so one source is all of them.
    connections: 64,
    per_source: 64,
    eviction: Eviction::OldestIdle,
    keep_alive: true,
    date: true,
    first_byte: Duration::from_secs(5),
    head: Duration::from_secs(5),
    // The request's own deadline comes first.
    body: CONNECTION_LIFETIME,
    connection: CONNECTION_LIFETIME,
    drain: Duration::from_secs(2),
    // The hashes and content topics of a store query are in its address.
    head_bytes: 128 * 1024,
    headers: 100,
    // REST has a bound of its own, by what is set; the others read none.
    body_bytes: usize::MAX,
};

/// Takes a port; 0 takes a free one.
pub async fn bind(flag: &'static str, address: IpAddr, port: u16) -> Result<TcpListener, BindError> {
    let address = SocketAddr::new(address, port);
    bounded_http::bind(address).map_err(|source| BindError::new(flag, address, source))
}

/// Serves until `shutdown` is done, then lets the requests under way finish for a moment.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let router = TowerToHyperService::new(router);
    let answer = move |request: Request<Body>, _: IpAddr| answer(router.call(request));
    bounded_http::serve(listener, LIMITS, |_| true, answer, shutdown).await;
}

async fn answer(routed: impl Future<Output = Result<Response, Infallible>>) -> Response {
    match tokio::time::timeout(REQUEST_DEADLINE, routed).await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => too_slow(),
    }
}

fn too_slow() -> Response {
    (
        StatusCode::REQUEST_TIMEOUT,
        [("connection", "close")],
        "request took too long",
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

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
    async fn a_port_in_use_is_named_with_the_fix() {
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
        for n in 0..LIMITS.connections * 3 {
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
        let closed = tokio::time::timeout(LIMITS.head * 6, stream.read_to_end(&mut Vec::new())).await;
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
