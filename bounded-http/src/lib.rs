//! HTTP/1 on a port that strangers can reach, so that no client can hold the server up or use it up.
//!
//! Everything that a client can be slow at has a deadline, everything that it can send has a bound, and so has the number
//! of connections ([`Limits`]). A new connection is always let in: when there is no room, another one is closed for it
//! ([`Eviction`]), so that a flood of silent connections ends itself and a new browser is answered at once. A source
//! cannot push out others: it makes room among its own connections first.
//!
//! A connection costs a socket and a small task until its first byte comes; HTTP's buffers are taken only then.
//!
//! Not `axum::serve` or hyper's own loop: neither bounds the number of connections, nor the time of one.

#![warn(missing_docs)]

mod body;
mod exchange;
mod serve;
mod table;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

pub use body::{Body, BodyError};
pub use exchange::exchange;
pub use serve::serve;
pub use table::Source;

/// Waiting connections that the kernel keeps while the program is busy.
const BACKLOG: u32 = 1024;

/// What a client may take of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections altogether.
    pub connections: usize,
    /// Connections of one [`Source`].
    pub per_source: usize,
    /// Which one is closed when one more comes than there is room for.
    pub eviction: Eviction,
    /// Whether a connection carries more than one request.
    pub keep_alive: bool,
    /// Whether answers are dated. A box whose clock may be wrong leaves it out.
    pub date: bool,
    /// For a connection's first byte.
    pub first_byte: Duration,
    /// For a request's head; of a connection that is kept alive, from the end of the answer before.
    pub head: Duration,
    /// For a request's body, from the end of its head. What takes longer is [`BodyError::TooSlow`].
    pub body: Duration,
    /// For a connection's whole life, which bounds a client that does not read its answer.
    pub connection: Duration,
    /// At the server's end, for the requests that are being answered.
    pub drain: Duration,
    /// Longest request line and headers together; hyper takes no less than 8 KiB.
    pub head_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Longest body. A longer one is [`BodyError::TooLong`].
    pub body_bytes: usize,
}

/// Which connection is closed for a new one. It is one of the newcomer's own source when that has as many as it may, and
/// one of the source that has most when the server is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The oldest, whatever it is doing. Right where a connection carries one request and answers are quick: a browser is
    /// gone before it is the oldest, and what gathers age is the idle and the slow.
    Oldest,
    /// The oldest that waits for a request or for its answer to be read; when there is none, the oldest. Right where
    /// connections are kept, or answers take long to make. A client that does not read its answer is not spared.
    OldestIdle,
}

/// Takes a port, so that a failure is known before anything is promised; port 0 takes a free one.
///
/// # Errors
/// The port is taken, the address is not the machine's, or the account may not have the port.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
