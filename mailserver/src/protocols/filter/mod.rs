//! Filter 2.0.0-beta1 (RFC 12/WAKU2-FILTER): subscribers get the envelopes they asked for as they come.

pub mod client;
pub mod metrics;
pub(crate) mod push;
mod queue;
pub(crate) mod registry;
pub(crate) mod server;
mod subscriptions;
pub mod wire;

pub use self::registry::Registry;
pub use self::subscriptions::Criterion;
