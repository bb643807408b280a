//! What each of `pillarbox-card`'s commands does, and the line that it leaves in the journal.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::apply::{self, Places};
use crate::kept::Kept;
use crate::settings::Settings;
use crate::trial::{self, BETWEEN, Links, PATIENCE, Proof};
use crate::{address, settings};

/// Addresses come one after the other at a start: the card is written to when they have stayed for this long.
const SETTLED: Duration = Duration::from_secs(5);

/// Puts what the card says where it is looked for.
///
/// # Errors
/// When a file of the box cannot be written; a mistake on the card is none.
pub fn apply(device: &Path, places: &Places) -> Result<String> {
    let outcome = apply::apply(device, places)?;
    if let Some(name) = &outcome.settings.name {
        nix::unistd::sethostname(name)?;
    }
    Ok(match outcome.trouble {
        Some(trouble) => trouble,
        None => format!("the card: {:?}", outcome.settings),
    })
}

/// Waits until the addresses stay, and writes them on the card.
///
/// # Errors
/// When the card cannot be written to.
pub fn address(device: &Path) -> Result<String> {
    let mut addresses = address::of_this_machine()?;
    loop {
        sleep(SETTLED);
        let now = address::of_this_machine()?;
        if now == addresses {
            break;
        }
        addresses = now;
    }
    // Without any the file keeps the last ones: it is read when the box is somewhere else than its card.
    if addresses.is_empty() {
        return Ok("no address yet".to_owned());
    }
    let name = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let wrote = apply::tell_address(device, &name, &addresses)?;
    let what = if wrote { "written" } else { "the same as before" };
    Ok(format!("addresses on the card: {what}"))
}

/// The line, and whether the network was changed back.
pub fn trial(places: &Places) -> Result<(String, bool)> {
    let path = places.run.join("network-trial");
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let wanted = settings::parse(&bytes)?;
    let mut waited = Duration::ZERO;
    loop {
        let asked = Instant::now();
        let links = Links::read("/sys/class/net".as_ref());
        let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
        match trial::prove(&wanted, &links, &routes, trial::reaches) {
            Proof::Works => return works(&wanted, places),
            Proof::NotYet if waited >= PATIENCE => return Ok((apply::revert(&wanted, places)?, true)),
            Proof::NotYet => {
                sleep(BETWEEN);
                waited += asked.elapsed();
            }
            Proof::NoCable => sleep(BETWEEN),
        }
    }
}

fn works(wanted: &Settings, places: &Places) -> Result<(String, bool)> {
    Kept::Network
        .write(&places.kept, wanted)
        .context("cannot keep the network that works")?;
    Ok(("the network of the card works".to_owned(), false))
}
