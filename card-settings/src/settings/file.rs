//! `pillarbox.toml` as it is written.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::mistake::line_at;
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

/// Reads TOML strictly: what is wrong is said with line and key.
pub(crate) fn toml<T: DeserializeOwned>(file: &'static str, text: &str) -> Result<T, Mistake> {
    let explain = |error: &toml::de::Error, key: Option<String>| {
        let message = error.message().replace('\n', " ");
        let (what, mend) = match message.split_once(", expected ") {
            Some((what, expected)) => (what.to_owned(), expectation(expected, key.as_deref())),
            None if message.starts_with("missing field") => (message, "add it, or remove the section".to_owned()),
            None => (message, "correct it there".to_owned()),
        };
        // A value in the wrong place, or without its quotes, may be a password all the same.
        let what = if key.as_deref().is_some_and(is_secret) && what.starts_with("invalid type") {
            "is no text in quotes, or stands where none belongs".to_owned()
        } else {
            what
        };
        Mistake {
            file,
            line: error.span().map(|span| line_at(text.as_bytes(), span.start)),
            key,
            what,
            mend,
        }
    };
    let document = toml::Deserializer::parse(text).map_err(|error| explain(&error, None))?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let key = error.path().to_string();
        // What toml calls the inside of a value whose place it remembers.
        let key = key.split(".$__").next().unwrap_or_default().to_owned();
        explain(error.inner(), (key != ".").then_some(key))
    })
}

/// The mend, from what serde would have had.
fn expectation(expected: &str, key: Option<&str>) -> String {
    match (expected.strip_prefix("struct "), key) {
        (Some(_), Some(key)) => format!("write it as a section, [{key}]"),
        _ => format!("use {}", expected.trim_start_matches("one of ")),
    }
}

/// Whether a key has secrets in it, or next to it.
fn is_secret(key: &str) -> bool {
    let sections = ["wifi", "wlan", "notify"];
    let ends = ["password", "token", "url"];
    sections.iter().any(|section| key.starts_with(section)) || ends.iter().any(|end| key.ends_with(end))
}
