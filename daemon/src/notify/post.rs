//! One POST on a connection of its own, over TLS or not. Redirects are not followed: a secret goes where it was meant.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, client};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::error::Error;
use super::message::Message;
use super::trust::Trust;
use crate::config::notify::{Ntfy, Secret, Url, Webhook};
use crate::snapshot::BoxState;

const MAX_ANSWER_BYTES: usize = 64 * 1024;

pub(super) async fn webhook(webhook: &Webhook, message: &Message, trust: &Trust) -> Result<(), Error> {
    let body = serde_json::to_vec(message).map_err(Error::Json)?;
    let request = Request::post("/").header(CONTENT_TYPE, "application/json");
    post(request, body, &webhook.url, webhook.token.as_ref(), trust).await
}

/// Headers as docs.ntfy.sh/publish has them; all that is in them is ASCII.
pub(super) async fn ntfy(ntfy: &Ntfy, message: &Message, trust: &Trust) -> Result<(), Error> {
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
) -> Result<(), Error> {
    let url = Url::parse(url.reveal()).ok_or(Error::NoAddress)?;
    let mut request = request
        .uri(&url.path)
        .header(HOST, format!("{}:{}", url.host, url.port))
        .header(USER_AGENT, concat!("pillarbox/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal())).map_err(|_| Error::Token)?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(Error::Request)?;
    let at = || format!("{}:{}", url.host, url.port);
    let stream = TcpStream::connect((url.name(), url.port))
        .await
        .map_err(|source| Error::Connect { at: at(), source })?;
    if !url.secure {
        return exchange(request, stream, &at()).await;
    }
    let name = ServerName::try_from(url.name().to_owned()).map_err(|source| Error::Name { at: at(), source })?;
    let stream = trust
        .connector()?
        .connect(name, stream)
        .await
        .map_err(|source| Error::Handshake { at: at(), source })?;
    exchange(request, stream, &at()).await
}

async fn exchange<S>(request: Request<Full<Bytes>>, stream: S, at: &str) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let at = || at.to_owned();
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|source| Error::Http { at: at(), source })?;
    let ask = async {
        let answer = sender
            .send_request(request)
            .await
            .map_err(|source| Error::Answer { at: at(), source })?;
        let status = answer.status();
        // Read, so that the connection ends in order; what it says is nobody's.
        let _ = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        if status.is_success() {
            Ok(())
        } else {
            Err(Error::Status {
                at: at(),
                status: status.as_u16(),
            })
        }
    };
    let mut ask = std::pin::pin!(ask);
    tokio::select! {
        answer = &mut ask => answer,
        // The connection's own errors come back through the request.
        _ = connection => ask.await,
    }
}
