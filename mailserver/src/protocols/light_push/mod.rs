//! Light push 3.0.0 and 2.0.0-beta1 (RFC 19/WAKU2-LIGHTPUSH).

pub mod client;
pub mod metrics;
pub mod server;
pub mod wire;
