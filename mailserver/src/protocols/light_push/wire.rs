//! Light push 3.0.0 and 2.0.0-beta1 (RFC 19/WAKU2-LIGHTPUSH).

use libp2p::StreamProtocol;
use prost::Message;

use crate::wire::WakuMessage;

pub const LIGHT_PUSH: StreamProtocol = StreamProtocol::new(LIGHT_PUSH_ID);
/// The same as text, which is what metrics call it by.
pub(crate) const LIGHT_PUSH_ID: &str = "/vac/waku/lightpush/3.0.0";
pub const LIGHT_PUSH_LEGACY: StreamProtocol = StreamProtocol::new(LIGHT_PUSH_LEGACY_ID);
/// The same as text, which is what metrics call it by.
pub(crate) const LIGHT_PUSH_LEGACY_ID: &str = "/vac/waku/lightpush/2.0.0-beta1";

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

/// Status codes of light push 3.0.0 as nwaku uses them (`waku_lightpush/common.nim`).
pub mod status {
    pub const SUCCESS: u32 = 200;
    pub const BAD_REQUEST: u32 = 400;
    pub const PAYLOAD_TOO_LARGE: u32 = 413;
    pub const INVALID_MESSAGE: u32 = 420;
    pub const UNSUPPORTED_PUBSUB_TOPIC: u32 = 421;
    pub const TOO_MANY_REQUESTS: u32 = 429;
    pub const INTERNAL_SERVER_ERROR: u32 = 500;
    pub const SERVICE_NOT_AVAILABLE: u32 = 503;
    pub const NO_PEERS_TO_RELAY: u32 = 505;
}
