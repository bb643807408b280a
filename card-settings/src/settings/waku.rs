//! Which Waku network the box joins: `waku = "status.prod"`, or `[waku]` for shards of one's own or a network of one's
//! own. (`[network]` is the box's address.)

use std::collections::BTreeSet;
use std::fmt;

use networks::{EntryKind, EntryMistake, Network};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};

use super::{Mistake, values};

/// A box that looks for nobody.
pub(crate) const NONE: &str = "none";
/// What the mailserver takes for `twn`, as nwaku does.
const TWN_CLUSTER: u16 = 1;
/// One that answers is enough; more are a reserve.
const MAX_ENTRY_NODES: usize = 16;

/// The Waku network that is joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waku {
    /// Which one.
    pub joins: Joins,
    /// Those that are served, where the network's own are not wanted.
    pub shards: Option<BTreeSet<u16>>,
}

/// Which network is joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joins {
    /// A public network.
    Preset(&'static Network),
    /// Nobody is looked for.
    Nothing,
    /// A network of one's own.
    Own {
        /// Its cluster.
        cluster: u16,
        /// Where a node begins to look for others.
        entry_nodes: Vec<String>,
    },
    /// What the image joins, on other shards.
    AsShipped,
}

/// As it is written: a name in quotes is the preset.
#[derive(Debug, Default)]
pub(super) struct Section(Table);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    preset: Option<String>,
    cluster: Option<u16>,
    shards: Option<Vec<u16>>,
    entry_nodes: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for Section {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Section, D::Error> {
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Section;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a network's name in quotes such as \"status.prod\", or a section [waku]")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Section, E> {
                Ok(Section(Table {
                    preset: Some(name.to_owned()),
                    ..Table::default()
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Section, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map)).map(Section)
            }
        }
        deserializer.deserialize_any(NameOrTable)
    }
}

fn wrong(key: &str, what: impl Into<String>, mend: impl Into<String>) -> Mistake {
    Mistake::in_key(super::FILE, key, what, mend)
}

impl Section {
    /// `shards` is what stands outside of `[waku]`, where it stood before there was one.
    pub(super) fn settings(self, outside: Option<&BTreeSet<u16>>) -> Result<Waku, Mistake> {
        let Section(table) = self;
        let inside = table
            .shards
            .map(|list| values::shards("waku.shards", list))
            .transpose()?;
        if inside.is_some() && outside.is_some() {
            return Err(wrong(
                "shards",
                "stands outside of [waku] and inside of it",
                "remove one of the two",
            ));
        }
        let joins = match (table.preset, table.cluster) {
            (Some(name), Some(_)) => {
                let what = format!("stands beside the preset {name:?}, which has its own cluster");
                return Err(wrong("waku.cluster", what, "remove one of the two"));
            }
            (None, Some(TWN_CLUSTER)) => {
                let what = format!("{TWN_CLUSTER} is the cluster of a public network, twn");
                return Err(wrong("waku.cluster", what, "write preset = \"twn\", or another number"));
            }
            (None, Some(cluster)) => {
                let entry_nodes = entry_nodes(table.entry_nodes.unwrap_or_default())?;
                Joins::Own { cluster, entry_nodes }
            }
            (name, None) if table.entry_nodes.is_some() => {
                let what = match name {
                    Some(name) => format!("stands beside the preset {name:?}, which has its own"),
                    None => "is for a network of your own, and there is no cluster".to_owned(),
                };
                let mend = "remove it, or write cluster and shards of your own network instead of a preset";
                return Err(wrong("waku.entry_nodes", what, mend));
            }
            (Some(name), None) => preset(&name)?,
            (None, None) => Joins::AsShipped,
        };
        let waku = Waku { joins, shards: inside };
        waku.check_shards(outside)?;
        Ok(waku)
    }
}

impl Waku {
    fn check_shards(&self, outside: Option<&BTreeSet<u16>>) -> Result<(), Mistake> {
        let shards = self.shards.as_ref().or(outside);
        let key = if self.shards.is_some() || outside.is_none() {
            "waku.shards"
        } else {
            "shards"
        };
        match (&self.joins, shards) {
            (Joins::Own { cluster, .. }, None) => Err(wrong(
                key,
                "is missing",
                format!("list the shards of cluster {cluster} to serve, such as [0]"),
            )),
            (Joins::Preset(network), Some(shards)) => {
                let last = network.last_shard();
                let Some(beyond) = shards.iter().find(|shard| **shard > last) else {
                    return Ok(());
                };
                let what = format!("{beyond} is not a shard of {}", network.name);
                Err(wrong(key, what, format!("list shards from 0 to {last}")))
            }
            _ => Ok(()),
        }
    }
}

fn preset(name: &str) -> Result<Joins, Mistake> {
    if name == NONE {
        return Ok(Joins::Nothing);
    }
    networks::find(name).map(Joins::Preset).ok_or_else(|| {
        let names = || networks::PRESETS.iter().map(|network| network.name).chain([NONE]);
        let mend = match networks::nearest(name, names()) {
            Some(nearest) => format!("did you mean {nearest:?}?"),
            None => format!("use one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        wrong("waku", format!("there is no network {name:?}"), mend)
    })
}

fn entry_nodes(list: Vec<String>) -> Result<Vec<String>, Mistake> {
    if list.len() > MAX_ENTRY_NODES {
        let what = format!("has {} entries", list.len());
        return Err(wrong(
            "waku.entry_nodes",
            what,
            format!("list at most {MAX_ENTRY_NODES}"),
        ));
    }
    for entry in &list {
        EntryKind::of(entry)
            .map_err(|mistake| wrong("waku.entry_nodes", format!("{entry:?} {mistake}"), EntryMistake::FIX))?;
    }
    Ok(list)
}
