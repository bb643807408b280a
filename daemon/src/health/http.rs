//! One HTTP request on a connection of its own: all that asking loopback endpoints needs.

use std::io;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::config::service::HttpAddress;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to {at}: {source}")]
    Connect { at: String, source: io::Error },
    #[error("no HTTP with {at}: {source}")]
    Handshake { at: String, source: hyper::Error },
    #[error("no request for {at}: {source}")]
    Request { at: String, source: hyper::http::Error },
    #[error("no answer from {at}: {source}")]
    Answer { at: String, source: hyper::Error },
    /// Too long, or cut off.
    #[error("no whole answer from {at}: {source}")]
    Body {
        at: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Ends the connection's task with the request, answered or not.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Status and body of a GET. The caller sets the time limit: dropping the future drops the connection.
pub(super) async fn get(address: &HttpAddress, max_bytes: usize) -> Result<(u16, Bytes), Error> {
    let at = || address.authority.clone();
    let stream = TcpStream::connect(&address.authority)
        .await
        .map_err(|source| Error::Connect { at: at(), source })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|source| Error::Handshake { at: at(), source })?;
    let _connection = AbortOnDrop(tokio::spawn(async move {
        // Its errors come back through the request.
        let _ = connection.await;
    }));
    let request = Request::get(address.path.as_str())
        .header("host", &address.authority)
        .body(Empty::<Bytes>::new())
        .map_err(|source| Error::Request { at: at(), source })?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|source| Error::Answer { at: at(), source })?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), max_bytes);
    let body = body
        .collect()
        .await
        .map_err(|source| Error::Body { at: at(), source })?;
    Ok((status, body.to_bytes()))
}
