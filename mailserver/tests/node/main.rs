//! The node over real sockets: two or more nodes of ours, and a client that misbehaves.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

mod bandwidth;
mod connections;
mod filter;
mod hostile;
mod interop;
mod pmp;
mod relay;
mod resume;
mod services;
mod silence;
mod support;
mod sync;
mod upnp;
mod wss;
