//! Frames on their way out: written straight from the bytes that all peers share, so that a peer who reads slowly costs
//! its place in a queue and no copy of what waits there.
//!
//! Not in the published crate, which encodes each frame into a buffer of the stream.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures::AsyncWrite;
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint},
};

use crate::{
    rpc_proto::proto,
    types::{RawMessage, RpcOut},
};

/// `RPC.publish` and `Message.data` (pubsub's `rpc.proto`).
const PUBLISH: u32 = 2;
const DATA: u32 = 2;

/// A frame that is being written.
#[derive(Debug)]
pub(crate) struct Frame {
    parts: VecDeque<Bytes>,
}

impl Frame {
    pub(crate) fn new(rpc: RpcOut) -> Self {
        match rpc {
            RpcOut::Publish { message, .. } => Self::publish(message),
            other => Self {
                parts: VecDeque::from([Bytes::from(
                    other.into_protobuf().encode_length_delimited_to_vec(),
                )]),
            },
        }
    }

    /// The fields of a protobuf may come in any order: data first, the others behind it.
    fn publish(message: RawMessage) -> Self {
        let data = message.data.clone();
        let rest = proto::Message {
            data: None,
            ..RawMessage {
                data: Bytes::new(),
                ..message
            }
            .into()
        }
        .encode_to_vec();
        let data_head = 1 + encoded_len_varint(data.len() as u64);
        let message_len = data_head + data.len() + rest.len();
        let frame_len = 1 + encoded_len_varint(message_len as u64) + message_len;
        let mut head = BytesMut::new();
        encode_varint(frame_len as u64, &mut head);
        encode_key(PUBLISH, WireType::LengthDelimited, &mut head);
        encode_varint(message_len as u64, &mut head);
        encode_key(DATA, WireType::LengthDelimited, &mut head);
        encode_varint(data.len() as u64, &mut head);
        Self {
            parts: VecDeque::from([head.freeze(), data, Bytes::from(rest)]),
        }
    }

    /// Writes what the stream takes; ready with `true` when something was written, with `false` when all of it is.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<bool>> {
        while self.parts.front().is_some_and(Bytes::is_empty) {
            self.parts.pop_front();
        }
        let Some(part) = self.parts.front_mut() else {
            return Poll::Ready(Ok(false));
        };
        match ready!(Pin::new(stream).poll_write(cx, part))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => {
                let _ = part.split_to(written);
                Poll::Ready(Ok(true))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use web_time::Instant;

    use super::*;
    use crate::{MessageId, TopicHash};

    #[test]
    fn a_frame_is_what_the_codec_would_write() {
        for len in [0, 1, 127, 128, 300_000] {
            let message = RawMessage {
                source: None,
                data: vec![7; len].into(),
                sequence_number: None,
                topic: TopicHash::from_raw("/waku/2/rs/16/32"),
                signature: None,
                key: None,
                validated: true,
            };
            let frame = Frame::new(RpcOut::Publish {
                message_id: MessageId::new(b"id"),
                message: message.clone(),
                expires: Instant::now(),
            });
            let bytes: Vec<u8> = frame.parts.iter().flatten().copied().collect();
            let decoded = proto::Rpc::decode_length_delimited(&bytes[..]).unwrap();
            let message: proto::Message = message.into();
            assert_eq!(decoded.publish, vec![message]);
            assert_eq!(decoded.encode_length_delimited_to_vec().len(), bytes.len());
        }
    }
}
