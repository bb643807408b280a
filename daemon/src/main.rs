//! `pillarboxd`: the daemon, and, told so by its first argument, one of the small processes it keeps its services with.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match pillarboxd::enter() {
        Some(ended) => ended,
        None => pillarboxd::app::main(&pillarboxd::app::Arguments::parse()),
    }
}
