//! Boots an image on an emulated board and does with it what a person does: flash, plug in, open the page, press the
//! button, pull the plug. Nothing is passed to the board that a real one would not have. Needs root, for a network of
//! its own.
#![expect(clippy::print_stdout, reason = "figures are what `bench` is for")]

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
#[path = "../../bench/src/mailserver/report.rs"]
#[allow(dead_code, reason = "other benches use more of it")]
mod report_table;
mod scenarios;
mod shell;
mod slots;
mod time_server;
mod wires;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

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
    Test(Test),
    /// Measures it
    Bench(measure::Order),
}

#[derive(Args)]
struct Test {
    /// The uncompressed image of the board qemu-virt.
    #[arg(long)]
    image: PathBuf,
    /// The uncompressed image of the board qemu-raspi3b.
    #[arg(long)]
    pi_image: PathBuf,
    /// Consoles of what failed go into a directory here.
    #[arg(long, default_value = "target/e2e")]
    dir: PathBuf,
    /// Runs what is too long or too heavy for every test run instead.
    #[arg(long)]
    campaign: bool,
    /// Runs only the scenarios whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = lan::enter().and_then(|()| match &arguments.what {
        What::Test(test) => run(test, &arguments.u_boot),
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

fn run(arguments: &Test, u_boot: &Path) -> anyhow::Result<bool> {
    std::fs::create_dir_all(&arguments.dir).context("cannot make the directory for cards")?;
    let home = tempfile::tempdir().context("cannot make a directory")?;
    let _lan = lan::Lan::lay(home.path())?;
    let mut failed = 0;
    let mut ran = 0;
    let scenarios = if arguments.campaign {
        scenarios::CAMPAIGN
    } else {
        scenarios::ALL
    };
    for (name, scenario) in scenarios.iter().filter(|(name, _)| name.contains(&arguments.only)) {
        // Sockets have short paths only, so not below the given directory; consoles are kept there when it fails.
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let started = Instant::now();
        report(&format!("e2e: {name} …"));
        let outcome = scenario(&scenarios::Bench {
            image: arguments.image.clone(),
            pi_image: arguments.pi_image.clone(),
            u_boot: u_boot.to_owned(),
            dir: dir.path().to_owned(),
        });
        ran += 1;
        match outcome {
            Ok(()) => report(&format!("e2e: {name} ok ({} s)", started.elapsed().as_secs())),
            Err(error) => {
                failed += 1;
                report(&format!(
                    "e2e: {name} FAILED ({} s): {error:#}",
                    started.elapsed().as_secs()
                ));
                for entry in std::fs::read_dir(dir.path()).context("cannot list the scenario's files")? {
                    let path = entry.context("cannot list the scenario's files")?.path();
                    if path.extension().is_some_and(|kind| kind == "console") {
                        let kept = arguments.dir.join(path.file_name().unwrap_or_default());
                        std::fs::copy(&path, &kept).context("cannot keep the console")?;
                        report(&format!("e2e: the console is kept in {}", kept.display()));
                    }
                }
            }
        }
    }
    anyhow::ensure!(ran > 0, "no scenario is called like {:?}", arguments.only);
    report(&format!("e2e: {} of {ran} scenarios passed", ran - failed));
    Ok(failed == 0)
}

fn report(line: &str) {
    // A closed terminal must not end the run.
    let _ = writeln!(std::io::stderr(), "{line}");
}
