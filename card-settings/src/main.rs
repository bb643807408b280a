//! `pillarbox-card`: what a person wrote on the card, before anything else starts (pillarbox-card.service), and what the
//! box writes back later.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use card_settings::apply::Places;
use card_settings::run;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "pillarbox-card",
    version,
    about = "What a person writes on the card's FAT partition"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// A file that names the partition's device; the initrd writes it.
    #[arg(long, global = true, default_value = "/run/pillarbox/card-device")]
    device_file: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Reads pillarbox.toml and what Raspberry Pi Imager wrote, and puts it where it is used.
    Apply(Places),
    /// Writes the box's addresses onto the card once they stay the same.
    Address,
    /// Waits for a changed network to work. Ends with 0 when it was changed back, with 1 when there is nothing to do.
    Trial(Places),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Without the initrd's word there is no device of that name either, and the page says so.
    let device = std::fs::read_to_string(&arguments.device_file).unwrap_or_default();
    let device = device.trim_end().as_ref();
    let said = match &arguments.command {
        Command::Apply(places) => run::apply(device, places).map(|line| (line, 0)),
        Command::Address => run::address(device).map(|line| (line, 0)),
        Command::Trial(places) => run::trial(places).map(|(line, reverted)| (line, u8::from(!reverted))),
    };
    let (line, code) = said.unwrap_or_else(|error| (format!("pillarbox-card: {error:#}"), FAILED));
    // For the journal, which may have gone.
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::from(code)
}

/// Apart from a trial's two ends; for ExecCondition= (systemd.service(5)) a failure.
const FAILED: u8 = 255;
