//! A Waku relay, store, filter and light push service node that takes wakunode2's flags, REST paths and metric names.
//!
//! Four floors, each knowing those below it: [`swarm`] moves bytes and knows no protocol but relay; [`intake`] judges
//! envelopes and keeps them; [`protocols`] serve and ask, one folder each; [`node`] puts them together, and [`service`] adds
//! ports, REST and metrics. It is a library so that the fuzz targets, the socket tests and the program share one set of
//! decoders.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod activity;
mod addresses;
mod budget;
pub mod catch_up;
pub mod clock;
pub mod config;
pub mod discovery;
pub mod enr;
pub mod host;
pub mod http;
pub mod intake;
pub mod key;
pub mod labels;
pub mod logging;
pub mod metrics;
pub mod node;
pub mod ports;
pub mod protocols;
pub mod rest;
pub mod service;
pub mod settings;
pub mod swarm;
pub mod topics;
pub mod wire;
