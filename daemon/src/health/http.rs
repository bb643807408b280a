//! One HTTP request on a connection of its own: all that asking loopback endpoints needs.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::config::service::HttpAddress;

/// Ends the connection's task with the request, answered or not.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Status and body of a GET. The caller sets the time limit: dropping the future drops the connection.
pub(super) async fn get(address: &HttpAddress, max_bytes: usize) -> Result<(u16, Bytes), String> {
    let said = |what: &str, error: &dyn std::fmt::Display| format!("{what} {}: {error}", address.authority);
    let stream = TcpStream::connect(&address.authority)
        .await
        .map_err(|error| said("cannot connect to", &error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| said("no HTTP with", &error))?;
    let _connection = AbortOnDrop(tokio::spawn(async move {
        // Its errors come back through the request.
        let _ = connection.await;
    }));
    let request = Request::get(address.path.as_str())
        .header("host", &address.authority)
        .body(Empty::<Bytes>::new())
        .map_err(|error| said("no request for", &error))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| said("no answer from", &error))?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), max_bytes);
    let body = body
        .collect()
        .await
        .map_err(|error| said("no whole answer from", &error))?;
    Ok((status, body.to_bytes()))
}
