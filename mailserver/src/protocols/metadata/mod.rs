//! Metadata 1.0.0 (RFC 66/WAKU2-METADATA): which cluster and shards a node is on.
//!
//! As in nwaku (`peer_manager.nim`, refreshPeerMetadata) a peer that names no cluster, or another one, is disconnected. A
//! connection on which there is no answer is closed, and the peer's others are judged by their own.

pub(crate) mod client;
pub(crate) mod server;
pub mod wire;
