//! Supervision, retention's schedule, health, LEDs, button and page of a Pillarbox: everything that the two programs
//! `pillarboxd` and `pillarbox` are made of, as a library so that tests reach the modules.
//!
//! Data goes one way. Whatever happens becomes an [`event::Event`] in one bounded channel; the pure supervisor turns
//! events into [`event::Action`]s; the runner executes those and publishes an immutable [`snapshot::Snapshot`] that the
//! page, the LEDs, the notifications and the CLI read. What people ask for there comes back as an event, like all else.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::process::ExitCode;

mod address;
pub mod app;
pub mod asking;
pub mod backup;
pub mod button;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod detail;
mod diagnostics;
pub mod event;
pub mod fault;
#[cfg(feature = "fuzzed")]
pub mod fuzzed;
pub mod hardware;
pub mod health;
pub mod indicator;
pub mod log;
pub mod notify;
pub mod page;
mod pattern;
pub mod process;
pub mod program;
mod redact;
pub mod reset;
pub mod retention;
pub mod runner;
mod sd_notify;
pub mod snapshot;
pub mod supervisor;
pub mod wording;

/// Whether this process was started as one of the daemon's small processes; then it has done its work, and this is its exit
/// code. To be called first of all in `main`.
pub fn enter() -> Option<ExitCode> {
    process::enter(&[(process::VAULT, backup::work)])
}
