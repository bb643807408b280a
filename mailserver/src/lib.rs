//! A Waku relay, store, filter and light push service node that takes wakunode2's flags, REST paths and metric names.

pub mod config;
pub mod discovery;
pub mod enr;
pub mod http;
pub mod topics;
