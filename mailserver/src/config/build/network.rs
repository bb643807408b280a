//! Which network the node is on, which shards of it are served, and where the node begins to look for others.

use libp2p::Multiaddr;

use crate::config::{
    error::Error,
    preset::{self, Preset},
    source::Given,
    values::{self, Entry},
};
use crate::topics::{ContentTopic, Sharding};

pub(super) fn preset(given: &Given, warnings: &mut Vec<String>) -> Result<Option<&'static Preset>, Error> {
    let cluster = given.optional("cluster-id", |text| values::number(text, 0, u16::MAX))?;
    let preset = given.optional("preset", |name| {
        let names = || {
            let names: Vec<&str> = preset::all().map(|preset| preset.name).collect();
            names.join(", ")
        };
        preset::find(name).ok_or_else(|| format!("give one of {}", names()))
    })?;
    let preset = match (preset, cluster) {
        (Some(preset), Some(cluster)) if cluster != preset.cluster => {
            return Err(Error::Contradiction {
                flag: given.spelling("cluster-id"),
                other: given.spelling("preset"),
                reason: format!(
                    "{} is cluster {}; leave one of the two out",
                    preset.name, preset.cluster
                ),
            });
        }
        (None, Some(1)) => {
            warnings.push("cluster 1 alone is taken for --preset=twn, as nwaku does for now".into());
            preset::find("twn")
        }
        (preset, _) => preset,
    };
    if preset.is_some_and(|preset| preset.rln) {
        warnings.push(
            "this network asks for rate limit proofs (RLN), which are neither made nor checked here: envelopes are relayed \
             and served unchecked, and peers may not relay what is published through this node"
                .into(),
        );
    }
    Ok(preset)
}

pub(super) fn cluster(given: &Given, preset: Option<&'static Preset>) -> Result<u16, Error> {
    match preset {
        Some(preset) => Ok(preset.cluster),
        None => given.number("cluster-id", 0, u16::MAX),
    }
}

pub(super) fn sharding(given: &Given, preset: Option<&'static Preset>) -> Result<Sharding, Error> {
    let name = "num-shards-in-network";
    Ok(match (given.number(name, 0, values::MAX_NETWORK_SHARDS)?, preset) {
        (0, Some(preset)) if !given.is_given(name) => preset::sharding(preset),
        (0, _) => Sharding::Static,
        (shards_in_network, _) => Sharding::Auto { shards_in_network },
    })
}

/// The shards served, ascending, each once.
pub(super) fn shards(
    given: &Given,
    preset: Option<&'static Preset>,
    sharding: Sharding,
    content_topics: &[ContentTopic],
) -> Result<Vec<u16>, Error> {
    let mut shards = given.many("shard", values::shard_index)?;
    match sharding {
        Sharding::Static if shards.is_empty() => shards.extend(preset.map_or(&[][..], |preset| preset.shards)),
        Sharding::Static => {}
        Sharding::Auto { shards_in_network } => {
            if let Some(shard) = shards.iter().find(|shard| **shard >= shards_in_network) {
                return Err(Error::Contradiction {
                    flag: format!("{} {shard}", given.spelling("shard")),
                    other: format!("the network's {shards_in_network} shards"),
                    reason: format!("give a shard from 0 to {}", shards_in_network - 1),
                });
            }
            if shards.is_empty() && content_topics.is_empty() {
                shards.extend(0..shards_in_network);
            }
            shards.extend(content_topics.iter().filter_map(|topic| topic.shard(shards_in_network)));
        }
    }
    shards.sort_unstable();
    shards.dedup();
    Ok(shards)
}

pub(super) fn max_message_bytes(given: &Given, preset: Option<&'static Preset>) -> Result<usize, Error> {
    match preset {
        Some(preset) if given.text("max-msg-size").is_none() => Ok(preset::max_message_bytes(preset)),
        _ => given.value("max-msg-size", values::message_bytes),
    }
}

/// `--entry-node` and the preset's own, by what each is.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) trees: Vec<String>,
    pub(super) records: Vec<String>,
    pub(super) peers: Vec<Multiaddr>,
}

pub(super) fn entry_nodes(given: &Given, preset: Option<&'static Preset>) -> Result<Entries, Error> {
    let mut all = given.many("entry-node", values::entry)?;
    for text in preset.map_or(&[][..], |preset| preset.entry_nodes) {
        all.push(values::entry(text).map_err(|reason| Error::Value {
            flag: given.spelling("preset"),
            value: (*text).to_owned(),
            reason: reason.to_owned(),
        })?);
    }
    let mut entries = Entries::default();
    for entry in all {
        match entry {
            Entry::Tree(tree) => entries.trees.push(tree),
            Entry::Record(record) => entries.records.push(record),
            Entry::Peer(peer) => entries.peers.push(peer),
        }
    }
    Ok(entries)
}

pub(super) fn static_nodes(given: &Given, entries: Vec<Multiaddr>) -> Result<Vec<Multiaddr>, Error> {
    let mut nodes = given.many("staticnode", values::peer_address)?;
    nodes.extend(entries);
    Ok(nodes)
}
