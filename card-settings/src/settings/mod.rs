//! The text of `pillarbox.toml` as values that are known to be good.
//!
//! Strict: a key that is not known, a value that cannot be, or a file that is too large is one [`Mistake`] with its
//! line, its key and its mend. A person edits this file on another computer and cannot see the box while doing so.
//!
//! What is secret in it is taken off the card ([`crate::secrets`]) and leaves empty quotes behind, which mean "the one
//! that was taken": [`Settings::recall`] puts it back.

mod file;
mod network;
mod notify;
mod secret;
mod values;
mod waku;
mod wifi;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::Path;

pub(crate) use file::toml;
pub(crate) use network::Section as AddressSection;
pub use network::StaticAddress;
pub use notify::{Email, Notify, Post, Tls};
pub use secret::Secret;
pub use strict_toml::Mistake;
pub(crate) use values::{name, ssh_keys, time_zone};
pub use waku::{Joins, Waku};
pub use wifi::Wifi;

use crate::ssh::Key;

/// The file's name on the card.
pub const FILE: &str = "pillarbox.toml";
/// Far more than the shipped file with every key in use; keys of the SSH server are the longest values.
pub const MAX_BYTES: u64 = 64 * 1024;

/// What the file may say; what it leaves out stays as the image has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The host name, in small letters, without `.local`.
    pub name: Option<String>,
    /// A name of the time zone database.
    pub time_zone: Option<String>,
    /// How long messages are kept.
    pub retention_hours: Option<u32>,
    /// How much room they may take.
    pub quota_mib: Option<NonZeroU32>,
    /// The network that is joined, and its shards.
    pub waku: Option<Waku>,
    /// As they were written before there was `[waku]`.
    pub shards: Option<BTreeSet<u16>>,
    /// What the mailserver may receive, on average, and as much again sent.
    pub bandwidth_kib_per_sec: Option<NonZeroU32>,
    /// The Wi-Fi that is used where there is no cable.
    pub wifi: Option<Wifi>,
    /// Of the Wi-Fi where there is one, of the cable otherwise.
    pub address: Option<StaticAddress>,
    /// Who is told when something is wrong.
    pub notify: Notify,
    /// Who may log in.
    pub ssh_keys: Vec<Key>,
}

/// The settings, and where in the bytes their secrets stand, quotes and all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// What the file says.
    pub settings: Settings,
    /// Where secrets stand in the file.
    pub secrets: Vec<Range<usize>>,
}

/// Reads the whole text; an empty one, or one of comments alone, leaves everything as it is.
pub fn parse(bytes: &[u8]) -> Result<Settings, Mistake> {
    read(bytes).map(|read| read.settings)
}

/// The settings of a file, and where its secrets stand.
///
/// # Errors
/// The first mistake: a file with one is not used at all.
pub fn read(bytes: &[u8]) -> Result<Read, Mistake> {
    let text = text(FILE, bytes)?;
    // What was in front of the text.
    let skipped = bytes.len() - text.len();
    let mut file: file::File = file::toml(FILE, text)?;
    let mut secrets: Vec<Range<usize>> = file.secrets().into_iter().map(|secret| secret.span()).collect();
    secrets.retain(|span| span.len() > r#""""#.len());
    for span in &mut secrets {
        *span = span.start + skipped..span.end + skipped;
    }
    Ok(Read {
        settings: file.settings()?,
        secrets,
    })
}

/// UTF-8 of a bounded length, without the mark that Windows' editor puts in front.
pub(crate) fn text<'a>(file: &'static str, bytes: &'a [u8]) -> Result<&'a str, Mistake> {
    file::FORMAT.text(Path::new(file), bytes)
}

impl Settings {
    /// The settings with what was taken off the card put back from `kept`.
    pub fn recall(mut self, kept: &Settings) -> Result<Settings, Mistake> {
        if let Some(wifi) = &mut self.wifi {
            wifi.recall(kept.wifi.as_ref())?;
        }
        self.notify.recall(&kept.notify)?;
        Ok(self)
    }

    /// What is said nearer wins, key by key; `[network]` belongs to `[wifi]`, and shards to the network that they are of, so
    /// these go together.
    pub fn over(self, far: Settings) -> Settings {
        let (wifi, address) = match (self.wifi, self.address) {
            (None, None) => (far.wifi, far.address),
            near => near,
        };
        let (waku, shards) = match (self.waku, self.shards) {
            (None, None) => (far.waku, far.shards),
            near => near,
        };
        Settings {
            name: self.name.or(far.name),
            time_zone: self.time_zone.or(far.time_zone),
            retention_hours: self.retention_hours.or(far.retention_hours),
            quota_mib: self.quota_mib.or(far.quota_mib),
            waku,
            shards,
            bandwidth_kib_per_sec: self.bandwidth_kib_per_sec.or(far.bandwidth_kib_per_sec),
            wifi,
            address,
            notify: self.notify.over(far.notify),
            ssh_keys: if self.ssh_keys.is_empty() {
                far.ssh_keys
            } else {
                self.ssh_keys
            },
        }
    }

    /// The shards to serve, wherever they were written.
    pub fn served(&self) -> Option<&BTreeSet<u16>> {
        let inside = self.waku.as_ref().and_then(|waku| waku.shards.as_ref());
        inside.or(self.shards.as_ref())
    }

    /// What can cut the box off.
    pub fn network(&self) -> Settings {
        Settings {
            wifi: self.wifi.clone(),
            address: self.address.clone(),
            ..Settings::default()
        }
    }
}
