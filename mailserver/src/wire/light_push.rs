//! Light push 3.0.0 and 2.0.0-beta1 (RFC 19/WAKU2-LIGHTPUSH).

use prost::Message;

use super::WakuMessage;

#[derive(Clone, PartialEq, Eq, Message)]
pub struct LightPushRequest {
    #[prost(string, optional, tag = "1")]
    pub request_id: Option<String>,
    /// Absent under autosharding.
    #[prost(string, optional, tag = "20")]
    pub pubsub_topic: Option<String>,
    #[prost(message, optional, tag = "21")]
    pub message: Option<WakuMessage>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct LightPushResponse {
    #[prost(string, optional, tag = "1")]
    pub request_id: Option<String>,
    #[prost(uint32, optional, tag = "10")]
    pub status_code: Option<u32>,
    #[prost(string, optional, tag = "11")]
    pub status_desc: Option<String>,
    #[prost(uint32, optional, tag = "12")]
    pub relay_peer_count: Option<u32>,
}

/// Request and response of 2.0.0-beta1 in one.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PushRpc {
    #[prost(string, optional, tag = "1")]
    pub request_id: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub request: Option<PushRequest>,
    #[prost(message, optional, tag = "3")]
    pub response: Option<PushResponse>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PushRequest {
    #[prost(string, optional, tag = "1")]
    pub pubsub_topic: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub message: Option<WakuMessage>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PushResponse {
    /// A boolean; nwaku writes it also when false.
    #[prost(bool, optional, tag = "1")]
    pub is_success: Option<bool>,
    #[prost(string, optional, tag = "2")]
    pub info: Option<String>,
}
