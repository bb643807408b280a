//! Filter-subscribe and filter-push 2.0.0-beta1 (RFC 12/WAKU2-FILTER).

use libp2p::StreamProtocol;
use prost::{Enumeration, Message};

use crate::wire::WakuMessage;

pub const FILTER_SUBSCRIBE: StreamProtocol = StreamProtocol::new(FILTER_SUBSCRIBE_ID);
/// The same as text, which is what metrics call it by.
pub(crate) const FILTER_SUBSCRIBE_ID: &str = "/vac/waku/filter-subscribe/2.0.0-beta1";
pub const FILTER_PUSH: StreamProtocol = StreamProtocol::new(FILTER_PUSH_ID);
/// The same as text, which is what metrics call it by.
pub(crate) const FILTER_PUSH_ID: &str = "/vac/waku/filter-push/2.0.0-beta1";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum FilterSubscribeType {
    SubscriberPing = 0,
    Subscribe = 1,
    Unsubscribe = 2,
    UnsubscribeAll = 3,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct FilterSubscribeRequest {
    #[prost(string, optional, tag = "1")]
    pub request_id: Option<String>,
    #[prost(enumeration = "FilterSubscribeType", optional, tag = "2")]
    pub filter_subscribe_type: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub pubsub_topic: Option<String>,
    #[prost(string, repeated, tag = "11")]
    pub content_topics: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct FilterSubscribeResponse {
    #[prost(string, optional, tag = "1")]
    pub request_id: Option<String>,
    #[prost(uint32, optional, tag = "10")]
    pub status_code: Option<u32>,
    #[prost(string, optional, tag = "11")]
    pub status_desc: Option<String>,
}

/// One envelope to a subscriber; nothing comes back.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MessagePush {
    #[prost(message, optional, tag = "1")]
    pub waku_message: Option<WakuMessage>,
    #[prost(string, optional, tag = "2")]
    pub pubsub_topic: Option<String>,
}

/// Status codes of filter (nwaku `waku_filter_v2/common.nim`).
pub mod status {
    pub const OK: u32 = 200;
    pub const BAD_REQUEST: u32 = 400;
    pub const NOT_FOUND: u32 = 404;
    pub const TOO_MANY_REQUESTS: u32 = 429;
    pub const SERVICE_UNAVAILABLE: u32 = 503;
}
