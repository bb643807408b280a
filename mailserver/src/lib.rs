//! A Waku relay, store, filter and light push service node that takes wakunode2's flags, REST paths and metric names.
//!
//! One task owns the swarm (`node`); everything else talks to it through a cloneable [`node::Handle`]. A protocol is a
//! module under `protocols`, its wire types a module under `wire`. It is a library so that the fuzz targets, the socket
//! tests and the program share one set of decoders.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod admission;
pub mod archivist;
mod budget;
pub mod clock;
pub mod config;
pub mod counters;
pub mod discovery;
pub mod enr;
pub mod host;
pub mod http;
pub mod intake;
pub mod logging;
pub mod metrics;
pub mod node;
pub mod protocols;
pub mod reconcile;
pub mod rest;
pub mod service;
pub mod signed;
pub mod streams;
pub mod topics;
pub mod wire;
