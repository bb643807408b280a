//! Boots an image on an emulated board and does with it what a person does: flash, plug in, open the page, press the
//! button, pull the plug. Nothing is passed to the board that a real one would not have. Needs root, for a network of
//! its own.

mod bench;
mod card;
mod confinement;
mod envelope;
mod lan;
mod life;
mod light;
mod machine;
mod measure;
mod neighbours;
mod network;
mod page;
mod pi;
mod pins;
mod runner;
mod scenarios;
mod shell;
mod sizes;
mod slots;
mod time_server;
mod wires;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Boots the image on emulated boards")]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// U-Boot for `-M virt`.
    #[arg(long, global = true, default_value = "/usr/lib/u-boot/qemu_arm64/u-boot.bin")]
    u_boot: PathBuf,
}

#[derive(Subcommand)]
enum What {
    /// Shows that it works
    Test(runner::Order),
    /// Measures it
    Bench(measure::Order),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = lan::enter().and_then(|()| match &arguments.what {
        What::Test(order) => runner::run(order, &arguments.u_boot),
        What::Bench(order) => measure::run(order, &arguments.u_boot),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report(&format!("e2e: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn report(line: &str) {
    // A closed terminal must not end the run.
    let _ = writeln!(std::io::stderr(), "{line}");
}
