//! From the card to the places where systemd, the C library, wpa_supplicant, the SSH server and the daemon read, and back
//! to the answer beside `pillarbox.toml`.
//!
//! What is used is written below `/run`, so a wish that is taken back is gone with the next start. What cannot be read
//! or used leaves the box as the image has it, and a sentence for the page. Secrets leave the card once they are on the
//! data partition; on a box whose data partition cannot be used they stay where they are.

mod card;
mod places;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

use crate::fat::{self, Fat};
use crate::imager::Wishes;
use crate::kept::Kept;
use crate::settings::{Mistake, Settings};
use crate::{address, answer, daemon, network, trial, wifi};
use strict_toml::Problem;

use card::Card;
pub use places::Places;
use places::{put, put_secret};

/// What became of the card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the card says, with what was kept of it.
    pub settings: Settings,
    /// The sentence for the page when something on the card is not used.
    pub trouble: Option<String>,
}

/// `Err` is a box that cannot be written to at all.
pub fn apply(device: &Path, places: &Places) -> Result<Outcome> {
    let outcome = match open(device).and_then(|mut fat| read(&mut fat, places)) {
        Ok(outcome) => outcome,
        Err(error) => Outcome {
            trouble: Some(format!(
                "{}: {error}; look at the card on a computer",
                crate::settings::FILE
            )),
            ..Outcome::default()
        },
    };
    write(&outcome.settings, places)?;
    if let Some(trouble) = &outcome.trouble {
        put(&places.run.join("card-fault"), &format!("{trouble}\n"))?;
    }
    Ok(outcome)
}

/// Writes the box's addresses onto the card if they are others than those that stand there.
pub fn tell_address(
    device: &Path,
    name: &str,
    addresses: &std::collections::BTreeSet<std::net::IpAddr>,
) -> Result<bool> {
    let mut fat = open(device)?;
    Ok(card::replace(&mut fat, address::FILE, &address::text(name, addresses))?)
}

/// Goes back to the network that worked last, and says so. `wanted` has failed its trial.
pub fn revert(wanted: &Settings, places: &Places) -> Result<String> {
    let fallback = Kept::Network.read(&places.kept);
    let sentence = trial::sentence(wanted, fallback.as_ref());
    let mut instead = fallback.unwrap_or_default();
    // Nothing is better than a network that may come back.
    instead.wifi = instead.wifi.or_else(|| wanted.wifi.clone());
    for folder in [&places.ethernet, &places.wireless] {
        places::remove(&folder.join(CARD_CONF))?;
    }
    write_network(&instead, places)?;
    let fault = places.run.join("card-fault");
    // An earlier sentence is about the file as a whole.
    if !fault.exists() {
        put(&fault, &format!("{sentence}\n"))?;
    }
    Ok(sentence)
}

const CARD_CONF: &str = "card.conf";

fn open(device: &Path) -> Result<Fat<File>, fat::Error> {
    let device = File::options().read(true).write(true).open(device)?;
    Fat::open(device)
}

/// Reads what is on the card, takes its secrets off it, and leaves the answer.
fn read(fat: &mut Fat<File>, places: &Places) -> Result<Outcome, fat::Error> {
    let mut card = Card { fat, places };
    let own = card.own()?.and_then(|settings| known_zone(settings, &places.zones));
    let imager = card.imager()?.and_then(|wishes| {
        let settings = known_zone(wishes.settings, &places.zones)?;
        Ok(Wishes { settings, ..wishes })
    });
    let mut mistakes: Vec<Mistake> = Vec::new();
    let own = own.unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        Settings::default()
    });
    let Wishes {
        settings: far,
        mut unused,
    } = imager.unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        Wishes::default()
    });
    unused.extend(card.others()?);
    let mut settings = own.over(far);
    if settings == Settings::default() && mistakes.is_empty() {
        match restored(places) {
            Ok(restored) => settings = restored,
            Err(mistake) => mistakes.push(mistake),
        }
    }
    let text = answer::text(env!("CARGO_PKG_VERSION"), &settings, &mistakes, &unused);
    // An answer or a word that does not arrive is no reason not to do what was asked for.
    let answered = card::replace(card.fat, answer::FILE, &text).and_then(|_| card.word());
    let trouble = mistakes.first().map(ToString::to_string);
    Ok(Outcome {
        settings,
        trouble: trouble.or_else(|| answered.err().map(|error| error.to_string())),
    })
}

/// Of a backup that was restored to a new card, if there was one.
fn restored(places: &Places) -> Result<Settings, Mistake> {
    let Some(bytes) = places::bounded(&places.restored) else {
        return Ok(Settings::default());
    };
    let settings = crate::settings::parse(&bytes).and_then(|settings| known_zone(settings, &places.zones));
    settings.map_err(|mistake| {
        let problem = Problem::BadValue {
            what: format!("(of the restored backup) {}", mistake.what()),
            fix: mistake.fix(),
        };
        Mistake { problem, ..mistake }
    })
}

fn known_zone(settings: Settings, zones: &Path) -> Result<Settings, Mistake> {
    match &settings.time_zone {
        Some(zone) if !zones.join(zone).is_file() => Err(Mistake::in_key(
            crate::settings::FILE,
            "time_zone",
            format!("{zone:?} is not in the box's list of time zones"),
            "write one such as \"Europe/Vienna\"",
        )),
        _ => Ok(settings),
    }
}

fn write(settings: &Settings, places: &Places) -> Result<()> {
    let base = std::fs::read_to_string(&places.base)
        .with_context(|| format!("cannot read the image's configuration {}", places.base.display()))?;
    let config = places.run.join("pillarboxd.toml");
    let word = places.run.join(card::WORD);
    let overlaid = daemon::overlay(&base, settings, word.exists().then_some(&word))?;
    put_secret(&config, &overlaid)?;
    // pillarboxd.service takes the image's own file when this one is not there.
    let environment = format!("PILLARBOX_CONFIG={}\n", config.display());
    put(&places.run.join("environment"), &environment)?;
    if *settings != Settings::default() {
        // For a backup, which is encrypted.
        put_secret(&places.run.join("settings.toml"), &settings.to_toml())?;
    }
    if let Some(zone) = &settings.time_zone {
        let link = places.run.join("localtime");
        let target = places.zones.join(zone);
        symlink(&target, &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    if !settings.ssh_keys.is_empty() {
        let lines: Vec<String> = settings.ssh_keys.iter().map(|key| key.line() + "\n").collect();
        put(&places.run.join("ssh/authorized_keys"), &lines.concat())?;
    }
    write_network(settings, places)?;
    let wanted = settings.network();
    if wanted == Settings::default() {
        // The router's own address is nothing to go back from.
        Kept::Network
            .forget(&places.kept)
            .context("cannot forget the last network")?;
    } else if Kept::Network.read(&places.kept).as_ref() != Some(&wanted) {
        put_secret(&places.run.join("network-trial"), &wanted.to_toml())?;
    }
    Ok(())
}

fn write_network(settings: &Settings, places: &Places) -> Result<()> {
    if let Some(wifi) = &settings.wifi {
        put_secret(&places.run.join("wifi.conf"), &wifi::configuration(wifi))?;
    }
    if let Some(address) = &settings.address {
        let folder = match settings.wifi {
            Some(_) => &places.wireless,
            None => &places.ethernet,
        };
        put(&folder.join(CARD_CONF), &network::unit(address))?;
    }
    Ok(())
}
