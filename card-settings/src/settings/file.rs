//! `pillarbox.toml` as it is written.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use strict_toml::{Format, MAX_DEPTH};
use toml::Spanned;

use super::{Mistake, Notify, Settings, network, notify, values, waku, wifi};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    name: Option<String>,
    time_zone: Option<String>,
    retention_hours: Option<u32>,
    quota_mib: Option<u32>,
    waku: Option<waku::Section>,
    shards: Option<Vec<u16>>,
    bandwidth_kib_per_sec: Option<u32>,
    wifi: Option<wifi::Section>,
    network: Option<network::Section>,
    notify: notify::Section,
    ssh: Option<Ssh>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ssh {
    pub(super) keys: Vec<String>,
}

impl File {
    pub(super) fn secrets(&mut self) -> Vec<&Spanned<String>> {
        let wifi = self.wifi.iter().filter_map(|wifi| wifi.password.as_ref());
        wifi.chain(self.notify.secrets()).collect()
    }

    pub(super) fn settings(self) -> Result<Settings, Mistake> {
        let shards = self.shards.map(|list| values::shards("shards", list)).transpose()?;
        Ok(Settings {
            name: self.name.as_deref().map(values::name).transpose()?,
            time_zone: self.time_zone.as_deref().map(values::time_zone).transpose()?,
            retention_hours: self.retention_hours.map(values::retention_hours).transpose()?,
            quota_mib: self.quota_mib.map(values::quota_mib).transpose()?,
            waku: self.waku.map(|waku| waku.settings(shards.as_ref())).transpose()?,
            shards,
            bandwidth_kib_per_sec: self.bandwidth_kib_per_sec.map(values::bandwidth).transpose()?,
            wifi: self.wifi.map(wifi::Section::settings).transpose()?,
            address: self.network.map(network::Section::settings).transpose()?,
            notify: Notify::read(self.notify)?,
            ssh_keys: self.ssh.map_or(Ok(Vec::new()), |ssh| values::ssh_keys(&ssh.keys))?,
        })
    }
}

/// Of every file on a card that is TOML.
pub(super) const FORMAT: Format = Format {
    max_bytes: super::MAX_BYTES as usize,
    max_depth: MAX_DEPTH,
    is_secret,
};

/// Reads TOML strictly: what is wrong is said with line and key.
pub(crate) fn toml<T: DeserializeOwned>(file: &'static str, text: &str) -> Result<T, Mistake> {
    FORMAT.parse_text(Path::new(file), text)
}

/// Whether a key has secrets in it, or next to it: a value in the wrong place, or without its quotes, may be a password.
fn is_secret(key: &str) -> bool {
    let sections = ["wifi", "wlan", "notify"];
    let ends = ["password", "token", "url"];
    sections.iter().any(|section| key.starts_with(section)) || ends.iter().any(|end| key.ends_with(end))
}
