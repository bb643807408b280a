//! `e2e test`: scenarios one after the other, each in a directory of its own; what failed leaves its consoles.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::bench::Bench;
use crate::lan::Lan;
use crate::report;
use crate::scenarios;

#[derive(Args)]
pub(crate) struct Order {
    /// The uncompressed image of the board qemu-virt.
    #[arg(long)]
    image: PathBuf,
    /// The uncompressed image of the board qemu-raspi3b.
    #[arg(long)]
    pi_image: PathBuf,
    /// Consoles of what failed go into a directory here.
    #[arg(long, default_value = "target/e2e")]
    dir: PathBuf,
    /// Runs what is too long for every test run instead.
    #[arg(long)]
    campaign: bool,
    /// Runs only the scenarios whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

pub(crate) fn run(order: &Order, u_boot: &Path) -> Result<bool> {
    std::fs::create_dir_all(&order.dir).context("cannot make the directory for cards")?;
    let home = tempfile::tempdir().context("cannot make a directory")?;
    let _lan = Lan::lay(home.path())?;
    let mut failed = 0;
    let mut ran = 0;
    let scenarios = if order.campaign {
        scenarios::CAMPAIGN
    } else {
        scenarios::ALL
    };
    for (name, scenario) in scenarios.iter().filter(|(name, _)| name.contains(&order.only)) {
        // Sockets have short paths only, so not below the given directory; consoles are kept there when it fails.
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let started = Instant::now();
        report(&format!("e2e: {name} …"));
        let outcome = scenario(&Bench {
            image: order.image.clone(),
            pi_image: order.pi_image.clone(),
            u_boot: u_boot.to_owned(),
            dir: dir.path().to_owned(),
            home: home.path().to_owned(),
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
                        let kept = order.dir.join(path.file_name().unwrap_or_default());
                        std::fs::copy(&path, &kept).context("cannot keep the console")?;
                        report(&format!("e2e: the console is kept in {}", kept.display()));
                    }
                }
            }
        }
    }
    ensure!(ran > 0, "no scenario is called like {:?}", order.only);
    report(&format!("e2e: {} of {ran} scenarios passed", ran - failed));
    Ok(failed == 0)
}
