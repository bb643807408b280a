//! One frame: an unsigned varint length, then that many bytes (nwaku `readLp`/`writeLp`).
//!
//! Reading costs memory only for bytes that arrived: a peer that announces a megabyte and sends nothing holds nothing.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use thiserror::Error;

/// A `u32` needs at most five bytes of varint; nothing here is ever longer.
const MAX_LENGTH_BYTES: usize = 5;
/// Set aside at once for a frame; more grows with what arrives.
const INITIAL_CAPACITY_BYTES: usize = 4096;

#[derive(Debug, Error)]
pub enum FrameError {
    /// The peer closed before it sent anything: normal for a stream opened in advance.
    #[error("stream ended before a frame")]
    Eof,
    #[error("frame of {length} bytes, at most {max} are read")]
    TooLong { length: u64, max: usize },
    #[error("frame length is not a varint of at most five bytes")]
    Length,
    #[error("stream ended inside a frame: {got} of {length} bytes")]
    Truncated { got: usize, length: usize },
    #[error("stalled, and gave way to others that needed the memory")]
    GaveWay,
    #[error("reading or writing a frame: {0}")]
    Io(#[from] io::Error),
}

impl FrameError {
    /// A deadline has passed.
    pub(crate) fn timed_out() -> Self {
        Self::Io(io::ErrorKind::TimedOut.into())
    }
}

/// Reads the length, waiting as long as the peer likes: callers put the deadline.
pub async fn read_length<R: AsyncRead + Unpin>(reader: &mut R, max: usize) -> Result<usize, FrameError> {
    let mut length: u64 = 0;
    for index in 0..MAX_LENGTH_BYTES {
        let mut byte = [0u8];
        if reader.read(&mut byte).await? == 0 {
            return Err(if index == 0 {
                FrameError::Eof
            } else {
                FrameError::Length
            });
        }
        length |= u64::from(byte[0] & 0x7f) << (7 * index);
        if byte[0] & 0x80 == 0 {
            return match usize::try_from(length) {
                Ok(short) if short <= max => Ok(short),
                _ => Err(FrameError::TooLong { length, max }),
            };
        }
    }
    Err(FrameError::Length)
}

/// Reads the bytes that [`read_length`] announced.
pub async fn read_body<R: AsyncRead + Unpin>(reader: &mut R, length: usize) -> Result<Vec<u8>, FrameError> {
    let mut body = Vec::with_capacity(length.min(INITIAL_CAPACITY_BYTES));
    reader.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(FrameError::Truncated {
            got: body.len(),
            length,
        });
    }
    Ok(body)
}

pub async fn read_frame<R: AsyncRead + Unpin>(reader: &mut R, max: usize) -> Result<Vec<u8>, FrameError> {
    let length = read_length(reader, max).await?;
    read_body(reader, length).await
}

/// Writes one frame and flushes; the stream stays open.
pub async fn write_frame<W: AsyncWrite + Unpin>(writer: &mut W, body: &[u8]) -> Result<(), FrameError> {
    let mut buffer = unsigned_varint::encode::usize_buffer();
    let length = unsigned_varint::encode::usize(body.len(), &mut buffer);
    writer.write_all(length).await?;
    writer.write_all(body).await?;
    writer.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], max: usize) -> Result<Vec<u8>, FrameError> {
        block_on(read_frame(&mut Cursor::new(bytes), max))
    }

    #[test]
    fn what_ends_a_stream() {
        assert!(matches!(read(&[], 10), Err(FrameError::Eof)));
        assert!(matches!(read(&[0x80], 10), Err(FrameError::Length)));
        assert!(matches!(read(&[0xff; 12], 10), Err(FrameError::Length)));
        assert!(matches!(
            read(&[11], 10),
            Err(FrameError::TooLong { length: 11, max: 10 })
        ));
        assert!(matches!(
            read(&[0xff, 0xff, 0xff, 0xff, 0x7f], 10),
            Err(FrameError::TooLong { .. })
        ));
        assert!(matches!(
            read(&[3, 1, 2], 10),
            Err(FrameError::Truncated { got: 2, length: 3 })
        ));
        assert_eq!(read(&[0], 10).unwrap(), Vec::<u8>::new());
    }

    proptest! {
        #[test]
        fn written_frames_read_back(body in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let mut wire = Cursor::new(Vec::new());
            block_on(write_frame(&mut wire, &body)).unwrap();
            prop_assert_eq!(read(wire.get_ref(), 70_000).unwrap(), body);
        }

        #[test]
        fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes, 32);
        }
    }
}
