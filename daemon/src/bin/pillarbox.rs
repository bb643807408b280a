//! `pillarbox`: the command line of a running Pillarbox.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

fn main() -> std::process::ExitCode {
    pillarboxd::cli::main()
}
