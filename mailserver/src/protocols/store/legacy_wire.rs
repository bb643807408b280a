//! Store 2.0.0-beta4, which go-waku still speaks and nwaku served until v0.37.

use libp2p::StreamProtocol;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost::{Enumeration, Message};

use crate::wire::WakuMessage;

pub const LEGACY_STORE: StreamProtocol = StreamProtocol::new(LEGACY_STORE_ID);
/// The same as text, which is what metrics call it by.
pub(crate) const LEGACY_STORE_ID: &str = "/vac/waku/store/2.0.0-beta4";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum PagingDirection {
    Backward = 0,
    Forward = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum HistoryError {
    None = 0,
    InvalidCursor = 1,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Index {
    /// Means something to the server alone.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub digest: Option<Vec<u8>>,
    #[prost(sint64, optional, tag = "2")]
    pub receiver_time: Option<i64>,
    #[prost(sint64, optional, tag = "3")]
    pub sender_time: Option<i64>,
    #[prost(string, optional, tag = "4")]
    pub pubsub_topic: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PagingInfo {
    #[prost(uint64, optional, tag = "1")]
    pub page_size: Option<u64>,
    #[prost(message, optional, tag = "2")]
    pub cursor: Option<Index>,
    #[prost(enumeration = "PagingDirection", optional, tag = "3")]
    pub direction: Option<i32>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContentFilter {
    #[prost(string, optional, tag = "1")]
    pub content_topic: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct HistoryQuery {
    #[prost(string, optional, tag = "2")]
    pub pubsub_topic: Option<String>,
    #[prost(message, repeated, tag = "3")]
    pub content_filters: Vec<ContentFilter>,
    #[prost(message, optional, tag = "4")]
    pub paging_info: Option<PagingInfo>,
    /// Nanoseconds since the Unix epoch.
    #[prost(sint64, optional, tag = "5")]
    pub start_time: Option<i64>,
    #[prost(sint64, optional, tag = "6")]
    pub end_time: Option<i64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct HistoryResponse {
    #[prost(message, repeated, tag = "2")]
    pub messages: Vec<WakuMessage>,
    #[prost(message, optional, tag = "3")]
    pub paging_info: Option<PagingInfo>,
    #[prost(enumeration = "HistoryError", optional, tag = "4")]
    pub error: Option<i32>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct HistoryRpc {
    #[prost(string, optional, tag = "1")]
    pub request_id: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub query: Option<HistoryQuery>,
    #[prost(message, optional, tag = "3")]
    pub response: Option<HistoryResponse>,
}

impl HistoryRpc {
    /// Encoded piece by piece, an envelope at a time: put together they are what `encode_to_vec` makes of it.
    pub fn into_parts(mut self) -> impl Iterator<Item = Vec<u8>> {
        let (head, messages, tail) = match self.response.take() {
            None => (self.encode_to_vec(), Vec::new(), HistoryResponse::default()),
            Some(mut response) => {
                let length = response.encoded_len();
                let messages = std::mem::take(&mut response.messages);
                let mut head = self.encode_to_vec();
                encode_key(3, WireType::LengthDelimited, &mut head);
                encode_varint(length as u64, &mut head);
                (head, messages, response)
            }
        };
        let messages = messages.into_iter().map(|message| {
            let mut part = Vec::new();
            prost::encoding::message::encode(2, &message, &mut part);
            part
        });
        std::iter::once(head)
            .chain(messages)
            .chain(std::iter::once_with(move || tail.encode_to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole() {
        let message = |size: usize| WakuMessage {
            payload: Some(vec![1; size]),
            content_topic: Some("/a/1/b/c".into()),
            ..Default::default()
        };
        let response = |sizes: &[usize]| HistoryResponse {
            messages: sizes.iter().map(|&size| message(size)).collect(),
            paging_info: Some(PagingInfo {
                page_size: Some(3),
                cursor: Some(Index {
                    digest: Some(vec![9; 32]),
                    ..Default::default()
                }),
                direction: Some(PagingDirection::Forward as i32),
            }),
            error: Some(HistoryError::None as i32),
        };
        for response in [
            None,
            Some(HistoryResponse::default()),
            Some(response(&[])),
            Some(response(&[0, 1, 200_000])),
        ] {
            let rpc = HistoryRpc {
                request_id: Some("id".into()),
                query: None,
                response,
            };
            let whole = rpc.encode_to_vec();
            assert_eq!(rpc.into_parts().collect::<Vec<_>>().concat(), whole);
        }
    }
}
