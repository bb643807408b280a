//! Peer exchange 2.0.0-alpha1 (RFC 34/WAKU2-PEER-EXCHANGE), with the status that nwaku adds.

use libp2p::StreamProtocol;
use prost::Message;

pub const PEER_EXCHANGE: StreamProtocol = StreamProtocol::new(PEER_EXCHANGE_ID);
/// The same as text, which is what metrics call it by.
pub(crate) const PEER_EXCHANGE_ID: &str = "/vac/waku/peer-exchange/2.0.0-alpha1";

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PeerExchangeRpc {
    #[prost(message, optional, tag = "1")]
    pub query: Option<PeerExchangeQuery>,
    #[prost(message, optional, tag = "2")]
    pub response: Option<PeerExchangeResponse>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PeerExchangeQuery {
    #[prost(uint64, optional, tag = "1")]
    pub num_peers: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PeerExchangeResponse {
    #[prost(message, repeated, tag = "1")]
    pub peer_infos: Vec<PeerRecord>,
    #[prost(uint32, optional, tag = "10")]
    pub status_code: Option<u32>,
    #[prost(string, optional, tag = "11")]
    pub status_desc: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PeerRecord {
    /// A node record, RLP.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub enr: Option<Vec<u8>>,
}

/// Status codes as nwaku uses them (`waku_peer_exchange/rpc.nim`).
pub mod status {
    pub const SUCCESS: u32 = 200;
    pub const BAD_REQUEST: u32 = 400;
    pub const TOO_MANY_REQUESTS: u32 = 429;
}
