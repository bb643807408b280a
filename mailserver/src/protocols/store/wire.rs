//! Store 3.0.0 (RFC 13/WAKU2-STORE).

use libp2p::StreamProtocol;
use prost::Message;

use crate::wire::WakuMessage;

pub const STORE: StreamProtocol = StreamProtocol::new(STORE_ID);
/// The same as text, which is what metrics call it by.
pub(crate) const STORE_ID: &str = "/vac/waku/store-query/3.0.0";

#[derive(Clone, PartialEq, Eq, Message)]
pub struct StoreQueryRequest {
    /// nwaku refuses a request without it.
    #[prost(string, optional, tag = "1")]
    pub request_id: Option<String>,
    #[prost(bool, tag = "2")]
    pub include_data: bool,
    #[prost(string, optional, tag = "10")]
    pub pubsub_topic: Option<String>,
    #[prost(string, repeated, tag = "11")]
    pub content_topics: Vec<String>,
    /// Nanoseconds since the Unix epoch.
    #[prost(sint64, optional, tag = "12")]
    pub time_start: Option<i64>,
    #[prost(sint64, optional, tag = "13")]
    pub time_end: Option<i64>,
    #[prost(bytes = "vec", repeated, tag = "20")]
    pub message_hashes: Vec<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "51")]
    pub pagination_cursor: Option<Vec<u8>>,
    #[prost(bool, tag = "52")]
    pub pagination_forward: bool,
    #[prost(uint64, optional, tag = "53")]
    pub pagination_limit: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct WakuMessageKeyValue {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub message_hash: Option<Vec<u8>>,
    #[prost(message, optional, tag = "2")]
    pub message: Option<WakuMessage>,
    #[prost(string, optional, tag = "3")]
    pub pubsub_topic: Option<String>,
}

/// nwaku's client requires the first three fields.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StoreQueryResponse {
    #[prost(string, optional, tag = "1")]
    pub request_id: Option<String>,
    #[prost(uint32, optional, tag = "10")]
    pub status_code: Option<u32>,
    #[prost(string, optional, tag = "11")]
    pub status_desc: Option<String>,
    #[prost(message, repeated, tag = "20")]
    pub messages: Vec<WakuMessageKeyValue>,
    #[prost(bytes = "vec", optional, tag = "51")]
    pub pagination_cursor: Option<Vec<u8>>,
}

impl StoreQueryResponse {
    /// Encoded piece by piece, an envelope at a time: put together they are what `encode_to_vec` makes of it.
    pub fn into_parts(mut self) -> impl Iterator<Item = Vec<u8>> {
        let messages = std::mem::take(&mut self.messages);
        let cursor = self.pagination_cursor.take();
        let tail = Self {
            pagination_cursor: cursor,
            ..Self::default()
        };
        let entries = messages.into_iter().map(|entry| {
            let mut part = Vec::new();
            prost::encoding::message::encode(20, &entry, &mut part);
            part
        });
        std::iter::once(self.encode_to_vec())
            .chain(entries)
            .chain(std::iter::once_with(move || tail.encode_to_vec()))
    }
}

/// Status codes of RFC 13/WAKU2-STORE.
pub mod status {
    pub const OK: u32 = 200;
    pub const BAD_RESPONSE: u32 = 300;
    pub const BAD_REQUEST: u32 = 400;
    pub const TOO_MANY_REQUESTS: u32 = 429;
    pub const SERVICE_UNAVAILABLE: u32 = 503;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole() {
        let entry = |size: usize| WakuMessageKeyValue {
            message_hash: Some(vec![7; 32]),
            message: Some(WakuMessage {
                payload: Some(vec![1; size]),
                content_topic: Some("/a/1/b/c".into()),
                ..Default::default()
            }),
            pubsub_topic: Some("/waku/2/rs/16/32".into()),
        };
        for (sizes, cursor) in [
            (vec![], None),
            (vec![0, 1, 200_000], Some(vec![9; 32])),
            (vec![5], None),
        ] {
            let response = StoreQueryResponse {
                request_id: Some("id".into()),
                status_code: Some(200),
                status_desc: Some("OK".into()),
                messages: sizes.into_iter().map(entry).collect(),
                pagination_cursor: cursor,
            };
            let whole = response.encode_to_vec();
            assert_eq!(response.into_parts().collect::<Vec<_>>().concat(), whole);
        }
    }
}
