//! How an answer is written: one, and then our half of the stream is closed.

use std::time::Duration;

use futures::AsyncWriteExt;
use libp2p::Stream;
use tokio::time::timeout;

use super::pace::{BYTES_A_SECOND, WRITE_TIMEOUT};
use crate::budget::Share;
use crate::wire::framing::{FrameError, write_frame};

/// Encoded before it is written, and what a reader has to take within [`STALL_TIMEOUT`].
const CHUNK_BYTES: usize = 64 << 10;
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes the answer and closes our half: js-waku reads until then.
pub(super) async fn answer(stream: &mut Stream, body: &[u8]) -> Result<(), FrameError> {
    let write = async {
        write_frame(stream, body).await?;
        stream.close().await?;
        Ok(())
    };
    timeout(WRITE_TIMEOUT, write)
        .await
        .map_err(|_| FrameError::timed_out())?
}

/// The same for an answer of some size, which is encoded while it is written: `length` bytes in `parts`. The share holds
/// what is not written yet. A reader has to get on, and to be done in a time that its answer's length allows.
pub(super) async fn answer_in_parts(
    stream: &mut Stream,
    share: &Share,
    length: usize,
    parts: impl Iterator<Item = Vec<u8>>,
) -> Result<(), FrameError> {
    share.hold(length).await?;
    let deadline = WRITE_TIMEOUT + Duration::from_secs(length as u64 / BYTES_A_SECOND);
    let write = async {
        let mut left = length;
        let mut chunk = Vec::new();
        chunk.extend_from_slice(unsigned_varint::encode::usize(
            length,
            &mut unsigned_varint::encode::usize_buffer(),
        ));
        for part in parts {
            chunk.extend_from_slice(&part);
            drop(part);
            if chunk.len() >= CHUNK_BYTES {
                write_chunk(stream, &chunk).await?;
                left = left.saturating_sub(chunk.len());
                share.hold(left).await?;
                chunk.clear();
            }
        }
        write_chunk(stream, &chunk).await?;
        timeout(STALL_TIMEOUT, stream.close())
            .await
            .map_err(|_| FrameError::timed_out())??;
        Ok(())
    };
    tokio::select! {
        written = timeout(deadline, write) => written.map_err(|_| FrameError::timed_out())?,
        () = share.left() => Err(FrameError::GaveWay),
    }
}

/// Part after part, so that a reader is seen to get on.
async fn write_chunk(stream: &mut Stream, chunk: &[u8]) -> Result<(), FrameError> {
    for part in chunk.chunks(CHUNK_BYTES) {
        let write = async {
            stream.write_all(part).await?;
            stream.flush().await
        };
        timeout(STALL_TIMEOUT, write)
            .await
            .map_err(|_| FrameError::timed_out())??;
    }
    Ok(())
}
