//! `[network]`: which Waku network the services join, and what each of them is told of it.
//!
//! A service that can be told a network's name (`{preset}` in its arguments) knows the rest by it, and is told only
//! what a person chose otherwise. One that cannot is told what the name stands for, so that it doesn't stay behind.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::Path;

use networks::{EntryKind, EntryMistake};
use serde::{Deserialize, Serialize};

use super::Mistake;
use super::placeholder::Values;

/// What `preset` says for a box that joins no public network. It is never passed on.
const NONE: &str = "none";
/// What the mailserver's `--bandwidth-limit` takes: below it not even the protocols' own talk gets through.
const BANDWIDTH_KIB_PER_SEC: RangeInclusive<u32> = 8..=10_000_000;
/// A node needs one that answers; more are a reserve.
const MAX_ENTRY_NODES: usize = 16;
const PRESET: &str = "{preset}";

/// As it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Section {
    preset: Option<String>,
    cluster: Option<u16>,
    shards: Option<Vec<u16>>,
    entry_nodes: Vec<String>,
    bandwidth_kib_per_sec: Option<NonZeroU32>,
}

/// The Waku network that the services join: cluster and shards of Waku RELAY-SHARDING.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The public one, if it is one.
    pub preset: Option<&'static networks::Network>,
    pub cluster: u16,
    /// A person's own choice; without one a public network's own.
    pub shards: Option<Vec<u16>>,
    /// Where to begin in a network of one's own.
    pub entry_nodes: Vec<String>,
    /// What the services may receive a second, and send as much; none is no cap.
    pub bandwidth_kib_per_sec: Option<NonZeroU32>,
}

impl Default for Network {
    /// Nobody is looked for.
    fn default() -> Network {
        Network {
            preset: None,
            cluster: networks::ALONE.cluster,
            shards: None,
            entry_nodes: Vec::new(),
            bandwidth_kib_per_sec: None,
        }
    }
}

impl Section {
    pub(super) fn read(self, file: &Path) -> Result<Network, Mistake> {
        let wrong =
            |key: &str, what: String, mend: String| Mistake::in_key(file, &format!("network.{key}"), what, mend);
        let preset = match self.preset.as_deref() {
            None | Some(NONE) => None,
            Some(name) => {
                let found = networks::find(name);
                Some(found.ok_or_else(|| wrong("preset", format!("there is no network {name:?}"), another(name)))?)
            }
        };
        if let Some(public) = preset
            && let Some((key, has)) = [
                ("cluster", self.cluster.is_some()),
                ("entry_nodes", !self.entry_nodes.is_empty()),
            ]
            .into_iter()
            .find_map(|(key, given)| given.then_some((key, key.replace('_', " "))))
        {
            let what = format!("stands beside the preset {:?}, which has its own {has}", public.name);
            let mend = format!("remove it, or for a network of your own write preset = \"{NONE}\"");
            return Err(wrong(key, what, mend));
        }
        let cluster = self.cluster.unwrap_or(networks::ALONE.cluster);
        // The mailserver and nwaku take cluster 1 for the network that has it.
        if let Some(public) = networks::find("twn").filter(|public| preset.is_none() && public.cluster == cluster) {
            let what = format!("{cluster} is the network {:?}", public.name);
            let mend = format!(
                "write preset = {:?}, or another number for a network of your own",
                public.name
            );
            return Err(wrong("cluster", what, mend));
        }
        self.check_shards(preset, cluster)
            .map_err(|(what, mend)| wrong("shards", what, mend))?;
        self.check_entry_nodes()
            .map_err(|(what, mend)| wrong("entry_nodes", what, mend))?;
        if let Some(cap) = self.bandwidth_kib_per_sec
            && !BANDWIDTH_KIB_PER_SEC.contains(&cap.get())
        {
            let what = format!("{cap} KiB per second is too little or too much");
            let mend = "write a number from 8 to 10000000, or remove the key";
            return Err(wrong("bandwidth_kib_per_sec", what, mend.to_owned()));
        }
        Ok(Network {
            preset,
            cluster: preset.map_or(cluster, |public| public.cluster),
            shards: self.shards,
            entry_nodes: self.entry_nodes,
            bandwidth_kib_per_sec: self.bandwidth_kib_per_sec,
        })
    }

    fn check_shards(&self, preset: Option<&networks::Network>, cluster: u16) -> Result<(), (String, String)> {
        let last = preset.map_or(networks::MAX_SHARD, networks::Network::last_shard);
        match &self.shards {
            Some(shards) if shards.is_empty() => Err(("is empty".into(), "list at least one shard".into())),
            Some(shards) => match shards.iter().find(|shard| **shard > last) {
                Some(shard) => Err((
                    format!("{shard} is not a shard"),
                    format!("list shards from 0 to {last}"),
                )),
                None => Ok(()),
            },
            None if preset.is_none() && cluster != networks::ALONE.cluster => Err((
                "is missing".into(),
                format!("list the shards of cluster {cluster} to serve, such as [0]"),
            )),
            None => Ok(()),
        }
    }

    fn check_entry_nodes(&self) -> Result<(), (String, String)> {
        if self.entry_nodes.len() > MAX_ENTRY_NODES {
            let what = format!("has {} entries", self.entry_nodes.len());
            return Err((what, format!("list at most {MAX_ENTRY_NODES}")));
        }
        for entry in &self.entry_nodes {
            EntryKind::of(entry).map_err(|mistake| (format!("{entry:?} {mistake}"), EntryMistake::FIX.to_owned()))?;
        }
        Ok(())
    }
}

/// The fix for a name that is none.
fn another(name: &str) -> String {
    let names = || networks::PRESETS.iter().map(|network| network.name).chain([NONE]);
    match networks::nearest(name, names()) {
        Some(nearest) => format!("did you mean {nearest:?}?"),
        None => format!("use one of {}", names().collect::<Vec<_>>().join(", ")),
    }
}

impl Network {
    /// What a service with these arguments is told.
    pub(super) fn tell<'a>(&self, mut arguments: impl Iterator<Item = &'a String>, values: &mut Values) {
        let named = self.preset.filter(|_| arguments.any(|word| word.contains(PRESET)));
        // What the name says by itself is left out beside it, and so is every argument with such a value.
        let meant = self.preset.unwrap_or(&networks::ALONE);
        let shards = match (&self.shards, named) {
            (Some(own), _) => own.as_slice(),
            (None, None) => meant.shards,
            (None, Some(_)) => &[],
        };
        let entries: Vec<String> = match (self.preset, named) {
            (None, _) => self.entry_nodes.clone(),
            (Some(public), None) => public.entry_nodes.iter().map(|entry| (*entry).to_owned()).collect(),
            (Some(_), Some(_)) => Vec::new(),
        };
        let of_kind = |kind: EntryKind| -> Vec<String> {
            let is = |entry: &&String| EntryKind::of(entry) == Ok(kind);
            entries.iter().filter(is).cloned().collect()
        };
        values.repeated.extend([
            (
                "preset".to_owned(),
                named.iter().map(|public| public.name.to_owned()).collect(),
            ),
            ("shard".to_owned(), shards.iter().map(u16::to_string).collect()),
            ("entry_list".to_owned(), of_kind(EntryKind::List)),
            ("entry_record".to_owned(), of_kind(EntryKind::Record)),
            ("entry_address".to_owned(), of_kind(EntryKind::Address)),
            ("entry_node".to_owned(), entries),
        ]);
        for (name, value) in [
            ("cluster", self.cluster.to_string()),
            ("auto_shards", meant.auto_shards.unwrap_or(0).to_string()),
            ("max_message_kib", meant.max_message_kib.to_string()),
        ] {
            if named.is_some() {
                values.repeated.insert(name.to_owned(), Vec::new());
            }
            values.plain.insert(name.to_owned(), value);
        }
    }
}
