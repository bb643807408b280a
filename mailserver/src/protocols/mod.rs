//! The request/response protocols, one folder each: what is on the wire, who serves it, who asks for it, what is counted.
//!
//! A stream comes to the [`router`], which hands it to whoever registered its protocol. The folder reads the request
//! ([`request`]), looks at it within its [`limits`], and writes the [`answer`].

mod answer;
pub mod filter;
pub mod light_push;
pub mod limits;
pub mod metadata;
pub mod metrics;
mod pace;
pub mod peer_exchange;
pub mod publish;
pub(crate) mod request;
pub(crate) mod router;
pub mod store;
pub mod sync;
