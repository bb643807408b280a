//! `pillarbox-image`: builds a board's image, or a Debian package. `scripts/build-image` and `scripts/build-deb` install
//! what is needed and compile the programs.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod command;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use command::{Arguments, run};

fn main() -> ExitCode {
    // Who builds with which habits is no part of what is built.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    // The only line on stdout, for scripts.
    let said = run(Arguments::parse().command).and_then(|line| Ok(writeln!(std::io::stdout(), "{line}")?));
    match said {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "pillarbox-image: {error:#}");
            ExitCode::FAILURE
        }
    }
}
