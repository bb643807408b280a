//! One POST on a connection of its own, over TLS or not. Redirects are not followed: a secret goes where it was meant.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, client};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::message::Message;
use super::trust::Trust;
use crate::config::notify::{Ntfy, Secret, Url, Webhook};
use crate::snapshot::BoxState;

const MAX_ANSWER_BYTES: usize = 64 * 1024;

pub(super) async fn webhook(webhook: &Webhook, message: &Message, trust: &Trust) -> Result<(), String> {
    let body = serde_json::to_vec(message).map_err(|error| format!("no JSON: {error}"))?;
    let request = Request::post("/").header(CONTENT_TYPE, "application/json");
    post(request, body, &webhook.url, webhook.token.as_ref(), trust).await
}

/// Headers as docs.ntfy.sh/publish has them; all that is in them is ASCII.
pub(super) async fn ntfy(ntfy: &Ntfy, message: &Message, trust: &Trust) -> Result<(), String> {
    let (priority, tag) = match message.state {
        BoxState::Failed => ("high", "rotating_light"),
        BoxState::Degraded => ("default", "warning"),
        BoxState::Ok | BoxState::Starting => ("low", "white_check_mark"),
    };
    let request = Request::post("/")
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .header("title", &message.title)
        .header("priority", priority)
        .header("tags", tag);
    post(
        request,
        message.text().into_bytes(),
        &ntfy.url,
        ntfy.token.as_ref(),
        trust,
    )
    .await
}

async fn post(
    request: hyper::http::request::Builder,
    body: Vec<u8>,
    url: &Secret,
    token: Option<&Secret>,
    trust: &Trust,
) -> Result<(), String> {
    let url = Url::parse(url.reveal()).ok_or("no address")?;
    let mut request = request
        .uri(&url.path)
        .header(HOST, format!("{}:{}", url.host, url.port))
        .header(USER_AGENT, concat!("pillarbox/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal()))
            .map_err(|_| "the token has letters that a header cannot carry")?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| format!("no request: {error}"))?;
    let at = format!("{}:{}", url.host, url.port);
    let stream = TcpStream::connect((url.name(), url.port))
        .await
        .map_err(|error| format!("cannot connect to {at}: {error}"))?;
    if !url.secure {
        return exchange(request, stream, &at).await;
    }
    let name = ServerName::try_from(url.name().to_owned()).map_err(|error| format!("{at}: {error}"))?;
    let stream = trust
        .connector()?
        .connect(name, stream)
        .await
        .map_err(|error| format!("no TLS with {at}: {error}"))?;
    exchange(request, stream, &at).await
}

async fn exchange<S>(request: Request<Full<Bytes>>, stream: S, at: &str) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| format!("no HTTP with {at}: {error}"))?;
    let ask = async {
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| format!("no answer from {at}: {error}"))?;
        let status = answer.status();
        // Read, so that the connection ends in order; what it says is nobody's.
        let _ = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("{at} says {}", status.as_u16()))
        }
    };
    let mut ask = std::pin::pin!(ask);
    tokio::select! {
        answer = &mut ask => answer,
        // The connection's own errors come back through the request.
        _ = connection => ask.await,
    }
}
