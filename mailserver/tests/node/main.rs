//! The node over real sockets: two or more nodes of ours, and a client that misbehaves.

mod hostile;
mod relay;
mod services;
mod support;
