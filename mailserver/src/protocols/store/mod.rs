//! Store 3.0.0 (RFC 13/WAKU2-STORE), and 2.0.0-beta4 on top of it.

pub mod client;
pub mod legacy;
pub mod legacy_wire;
pub mod metrics;
pub mod server;
pub mod wire;
