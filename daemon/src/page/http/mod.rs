//! How the page is asked for: connections from neighbours, requests by address or by a name of ours, and
//! forms from this very page only. What the answer looks like is [`html`](super::html)'s.

mod action;
pub(crate) mod form;
#[cfg(feature = "fuzzed")]
pub(crate) mod fuzzed;
mod host;
mod language;
mod metrics;
mod neighbours;
mod printed;
mod refused;
mod response;
mod routes;
mod serve;
mod sessions;
mod token;
pub(crate) mod upload;

pub(super) use neighbours::Neighbours;
pub(super) use routes::Desk;
pub(super) use serve::{accept, bind};
