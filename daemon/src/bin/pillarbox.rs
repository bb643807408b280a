//! `pillarbox`: the command line of a running Pillarbox.

fn main() -> std::process::ExitCode {
    pillarboxd::cli::main()
}
