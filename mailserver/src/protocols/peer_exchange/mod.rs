//! Peer exchange 2.0.0-alpha1 (RFC 34/WAKU2-PEER-EXCHANGE): node records, handed from one to the next.

pub mod client;
pub mod metrics;
pub(crate) mod server;
pub mod wire;

pub use self::server::Records;
