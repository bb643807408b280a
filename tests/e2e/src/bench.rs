//! What scenarios have in common: the bench that boards are started on, and waiting for what comes of it. Limits are
//! generous, because emulation on a busy machine is slow; measured times are reported, not judged.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::card::Card;
use crate::machine::{Cable, Machine, Model};
use crate::page;

/// From power-on to a page, and from anything else to what comes of it.
pub(crate) const BOOT_LIMIT: Duration = Duration::from_secs(900);
pub(crate) const LOADER_LIMIT: Duration = Duration::from_secs(120);
/// U-Boot's last line.
pub(crate) const KERNEL_STARTS: &str = "Starting kernel";

pub(crate) struct Bench {
    /// Of the board qemu-virt.
    pub(crate) image: PathBuf,
    /// Of the board qemu-raspi3b.
    pub(crate) pi_image: PathBuf,
    pub(crate) u_boot: PathBuf,
    pub(crate) dir: PathBuf,
    /// Where the home network was laid.
    pub(crate) home: PathBuf,
}

impl Bench {
    pub(crate) fn power_on(&self, card: &Card, name: &str, cable: Cable) -> Result<Machine> {
        let model = Model::Virt { u_boot: &self.u_boot };
        Machine::start(model, card, &self.dir, name, cable)
    }

    pub(crate) fn power_on_pi(&self, card: &Card, name: &str) -> Result<Machine> {
        Machine::start(Model::Raspi3b, card, &self.dir, name, Cable::In)
    }
}

/// Waits until `/status.json` has what `look` looks for.
pub(crate) fn wait_for_status<T>(
    machine: &mut Machine,
    what: &str,
    mut look: impl FnMut(&Value) -> Option<T>,
) -> Result<T> {
    machine.wait_for(what, BOOT_LIMIT, |_| {
        let status = page::status()?;
        match look(&status) {
            Some(found) => Ok(Some(found)),
            None => Err(anyhow!("{}", in_short(&status))),
        }
    })
}

/// What of the status helps to see why something did not happen.
fn in_short(status: &Value) -> String {
    format!(
        "state {}, code {}, {}, services {}",
        status["state"], status["code"], status["health"], status["services"]
    )
}

pub(crate) fn peer_id(machine: &mut Machine) -> Result<String> {
    wait_for_status(machine, "the mailserver's peer id", |status| {
        status["mailserver"]["peer_id"].as_str().map(str::to_owned)
    })
}

/// One step of a scenario, with its name where it fails.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = work().with_context(|| name.to_owned())?;
    crate::report(&format!("e2e:   {name}"));
    Ok(done)
}
