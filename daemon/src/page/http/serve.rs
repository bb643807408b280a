//! The page's port: [`bounded_http`] within the page's limits. It has a thread with a runtime of its own, and nothing that
//! happens here reaches the supervisor but a sentence when the port cannot be had.
//!
//! A connection carries one request, and the oldest one makes room for a new one, whatever it is doing. A browser sends its
//! request at once and is answered at once, so it is gone before it is the oldest; what gathers age is the idle and the
//! slow. Sparing those that are being answered would look kinder, but a backup and a restore alone take long here.

use std::future::{Future, pending};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bounded_http::{Body, Eviction, Limits};
use hyper::{Request, Response};
use tokio::net::TcpListener;

use super::neighbours::Neighbours;
use super::response::Answer;
use super::upload;

pub(in crate::page) use bounded_http::bind;

/// For everything: reading, answering, and the peer's reading of it. What a form's own body may take is less
/// ([`super::routes`]).
const WHOLE: Duration = Duration::from_secs(30);
pub(super) const LIMITS: Limits = Limits {
    // Each costs some 10 KiB at worst.
    connections: 192,
    // A browser uses six; a source that opens a thousand a second leaves each one 64 ms.
    per_source: 64,
    eviction: Eviction::Oldest,
    keep_alive: false,
    // The box's clock may be wrong, and nobody needs a date here.
    date: false,
    first_byte: Duration::from_secs(5),
    head: Duration::from_secs(5),
    body: WHOLE,
    connection: WHOLE,
    // The page ends with the process.
    drain: Duration::ZERO,
    head_bytes: 16 * 1024,
    headers: 64,
    body_bytes: upload::MOST_BYTES,
};

/// Accepts for ever.
pub(in crate::page) async fn accept<F, A>(listener: TcpListener, mut neighbours: Neighbours, answer: F)
where
    F: Fn(Request<Body>, IpAddr) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Answer>> + Send + 'static,
{
    let admits = move |peer| neighbours.admits(peer, Instant::now());
    bounded_http::serve(listener, LIMITS, admits, answer, pending()).await;
}
