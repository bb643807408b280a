//! One request to another node and its answer, on a stream of its own.

use std::time::Duration;

use libp2p::Stream;
use prost::Message;
use thiserror::Error;

use super::command::Stopped;
use super::streams::OpenError;
use crate::wire::framing::{FrameError, read_frame, write_frame};

/// How long one request to a peer may take from opening the stream to the whole answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a request to another node failed.
#[derive(Debug, Error)]
pub enum RequestError {
    #[error("opening a stream: {0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("decoding the answer: {0}")]
    Decode(#[from] prost::DecodeError),
    #[error("no answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Timeout,
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// One request and its answer on a stream that is still to be opened, in [`REQUEST_TIMEOUT`] altogether.
pub(super) async fn exchange<Request, Response>(
    opening: impl Future<Output = Result<Stream, RequestError>>,
    request: &Request,
    max_response_bytes: usize,
) -> Result<Response, RequestError>
where
    Request: Message,
    Response: Message + Default,
{
    let exchange = async {
        let mut stream = opening.await?;
        write_frame(&mut stream, &request.encode_to_vec()).await?;
        let answer = read_frame(&mut stream, max_response_bytes).await?;
        let _ = futures::AsyncWriteExt::close(&mut stream).await;
        Ok(Response::decode(answer.as_slice())?)
    };
    tokio::time::timeout(REQUEST_TIMEOUT, exchange)
        .await
        .unwrap_or(Err(RequestError::Timeout))
}
