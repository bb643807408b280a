//! What tests and benchmarks of several crates share: a report of figures with their goals, and a raw libp2p peer.

#![warn(missing_docs)]

#[cfg(feature = "peer")]
pub mod peer;
pub mod report;
