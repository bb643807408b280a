//! What goes over the wire in every protocol: the message, hand-written for prost from RFC 14/WAKU2-MESSAGE, and the framing
//! that carries it. A protocol's own types stand in its folder (`protocols/*/wire.rs`).
//!
//! A type here says only what the bytes say: presence is kept (`Option`), nothing is checked against limits. Checks live
//! with the protocol that has an error code to answer with.

pub mod framing;
pub mod message;

pub use message::WakuMessage;
