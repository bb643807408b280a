//! What Raspberry Pi Imager 2 writes beside `pillarbox.toml`, read once and then written over.
//!
//! Which of its forms Imager writes is the choice of the image's manifest (`init_format`); all that can be read are:
//! cloud-init's `user-data`, `network-config` and `meta-data` ([`cloud`]), and `rpi-preseed.toml` ([`preseed`]).
//! `firstrun.sh` is a script for Raspberry Pi OS, and is refused: the box runs nothing that lies on a card.
//!
//! Read strictly, as `pillarbox.toml` is: a key that Imager does not write is a mistake. A key that it does write and
//! that means nothing to a box (a user, a keyboard) is answered with a sentence.

pub mod cloud;
pub mod preseed;
mod taken;

use std::collections::BTreeSet;

use crate::settings::{Mistake, Settings, StaticAddress, Wifi, name, time_zone};
use crate::ssh::Key;

pub use taken::{is_taken, taken};

/// What was asked for, and what of it a box cannot do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// What a box can do of it.
    pub settings: Settings,
    /// Each a whole sentence, in order.
    pub unused: BTreeSet<&'static str>,
}

impl Wishes {
    pub(crate) fn over(self, far: Wishes) -> Wishes {
        Wishes {
            settings: self.settings.over(far.settings),
            unused: self.unused.into_iter().chain(far.unused).collect(),
        }
    }
}

pub(crate) const NO_USERS: &str = "A Pillarbox has no users and no passwords: user, password and sudo are not used.";
pub(crate) const NO_PASSWORDS: &str = "SSH is by key alone, never by password.";
pub(crate) const NO_KEYBOARD: &str = "Nothing is typed into a Pillarbox: keyboard and language are not used.";
pub(crate) const NO_COMMANDS: &str = "A Pillarbox runs no commands from a card.";
pub(crate) const NO_PACKAGES: &str = "A Pillarbox installs no packages.";
pub(crate) const NO_CONNECT: &str = "Raspberry Pi Connect is not on a Pillarbox.";
pub(crate) const NO_INTERFACES: &str =
    "A board's interfaces (I2C, SPI, serial, USB gadget) stay as the image has them.";

/// Imager's name of a host may end in the domain that the box adds by itself.
fn host(file: &'static str, key: &str, text: &str) -> Result<String, Mistake> {
    let text = text.strip_suffix(".local").unwrap_or(text);
    name(text).map_err(|mistake| mistake.at(file, key))
}

fn zone(file: &'static str, key: &str, text: &str) -> Result<String, Mistake> {
    time_zone(text).map_err(|mistake| mistake.at(file, key))
}

fn keys(file: &'static str, key: &str, lines: &[String]) -> Result<Vec<Key>, Mistake> {
    crate::settings::ssh_keys(lines).map_err(|mistake| mistake.at(file, key))
}

fn wifi(
    file: &'static str,
    section: &str,
    name: &str,
    password: Option<&str>,
    country: Option<&str>,
) -> Result<Wifi, Mistake> {
    // Empty quotes mean something else in pillarbox.toml.
    let password = password.filter(|password| !password.is_empty());
    // Imager leaves a country that nobody chose empty.
    let country = country.filter(|country| !country.is_empty());
    Wifi::new(name, password, country).map_err(|mistake| {
        let key = mistake.key.clone().unwrap_or_default();
        mistake.at(file, &key.replace("wifi", section))
    })
}

fn address(
    file: &'static str,
    section: &str,
    written: crate::settings::AddressSection,
) -> Result<StaticAddress, Mistake> {
    written.settings().map_err(|mistake| {
        let key = mistake.key.clone().unwrap_or_default();
        mistake.at(file, &key.replace("network", section))
    })
}
