//! The requests of one connection and their answers, over anything that bytes go through.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::{Body as HttpBody, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::{Body, Limits};

/// What hyper takes at least for a request's head (`max_buf_size`).
const LEAST_HEAD_BYTES: usize = 8192;

/// What a connection and the server know of each other.
#[derive(Clone)]
pub(crate) struct Link {
    /// Requests being answered, from a head to the beginning of its answer.
    pub(crate) answering: Arc<AtomicUsize>,
    /// Whether the server ends: then the request that is being answered is the last.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Serves one connection without a listener, as a test or a fuzzer does. Returns the stream when the conversation ended
/// well, and nothing when the peer's bytes are no HTTP, or too slow.
pub async fn exchange<S, F, A, B>(stream: S, limits: &Limits, answer: F) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (_open, closing) = watch::channel(false);
    let answering = Arc::default();
    converse(stream, limits, Link { answering, closing }, answer).await
}

pub(crate) async fn converse<S, F, A, B>(stream: S, limits: &Limits, link: Link, answer: F) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Link { answering, mut closing } = link;
    let (limits, answer) = (*limits, Arc::new(answer));
    let service = service_fn(move |request: Request<Incoming>| {
        let under_way = Answering::begin(answering.clone());
        let answered = answer(request.map(|body| Body::new(body, &limits)));
        let whole = async move {
            let response = answered.await;
            drop(under_way);
            Ok::<_, Infallible>(response)
        };
        // Behind a pointer, because hyper gives a stream back only where nothing is pinned to its place.
        Box::pin(whole) as Pin<Box<dyn Future<Output = _> + Send>>
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes.max(LEAST_HEAD_BYTES))
        .max_headers(limits.headers)
        .auto_date_header(limits.date)
        .keep_alive(limits.keep_alive);
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
    let mut last = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            // A server that is gone ends, too.
            _ = closing.changed(), if !last => {
                Pin::new(&mut connection).graceful_shutdown();
                last = true;
            }
        }
    };
    // However it ended, it is the client's affair: a reset, a malformed head, a deadline.
    ended.ok().map(|()| connection.into_parts().io.into_inner())
}

/// Counts a request under way; dropping it, also with its aborted task, counts it out again.
struct Answering(Arc<AtomicUsize>);

impl Answering {
    fn begin(count: Arc<AtomicUsize>) -> Answering {
        count.fetch_add(1, Ordering::Relaxed);
        Answering(count)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
