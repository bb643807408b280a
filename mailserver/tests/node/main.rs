//! The node over real sockets: two or more nodes of ours, and a client that misbehaves.

mod filter;
mod hostile;
mod relay;
mod services;
mod support;
