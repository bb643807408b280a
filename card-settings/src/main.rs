//! `pillarbox-card`: applies the card's `pillarbox.toml` before anything else starts (pillarbox-card.service).

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use card_settings::apply::{self, Places};
use clap::Parser;

#[derive(Parser)]
#[command(
    name = "pillarbox-card",
    version,
    about = "Applies the pillarbox.toml of the card's FAT partition"
)]
struct Arguments {
    /// A file that names the partition's device; the initrd writes it.
    #[arg(long, default_value = "/run/pillarbox/card-device")]
    device_file: PathBuf,
    /// The image's configuration of pillarboxd.
    #[arg(long, default_value = "/etc/pillarbox/pillarboxd.toml")]
    base: PathBuf,
    #[arg(long, default_value = "/usr/share/zoneinfo")]
    zones: PathBuf,
    #[arg(long, default_value = "/run/pillarbox")]
    run: PathBuf,
    #[arg(long, default_value = "/run/systemd/network/20-ethernet.network.d")]
    network: PathBuf,
    #[arg(long, default_value = "/data/pillarbox/settings.toml")]
    restored: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(line) => {
            // For the journal, which may have gone.
            let _ = writeln!(std::io::stderr(), "{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "pillarbox-card: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<String> {
    let places = Places {
        base: arguments.base.clone(),
        zones: arguments.zones.clone(),
        run: arguments.run.clone(),
        network: arguments.network.clone(),
        restored: arguments.restored.clone(),
    };
    // Without the initrd's word there is no device of that name either, and the page says so.
    let device = std::fs::read_to_string(&arguments.device_file).unwrap_or_default();
    let settings = match apply::apply(device.trim_end().as_ref(), &places)? {
        Ok(settings) => settings,
        Err(trouble) => return Ok(trouble),
    };
    if let Some(name) = &settings.name {
        nix::unistd::sethostname(name)?;
    }
    Ok(format!("pillarbox.toml: {settings:?}"))
}
