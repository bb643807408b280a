//! Wire types, hand-written for prost from the RFCs' protobuf definitions, and the framing that carries them.
//!
//! A type here says only what the bytes say: presence is kept (`Option`), nothing is checked against limits. Checks live
//! with the protocol that has an error code to answer with.

pub mod filter;
pub mod framing;
pub mod igd;
pub mod legacy_store;
pub mod light_push;
pub mod message;
pub mod metadata;
pub mod nat_pmp;
pub mod peer_exchange;
pub mod ranges;
pub mod store;
pub mod transfer;

pub use message::WakuMessage;
