//! Store 2.0.0-beta4, which go-waku still speaks and nwaku served until v0.37.

use prost::{Enumeration, Message};

use super::WakuMessage;

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
