//! The Waku networks by name: what every node of one network has in common (nwaku `factory/networks_config.nim`; the
//! Status fleet's shards and trees from status-go and its fleets' records).
//!
//! The mailserver takes them by `--preset`. The daemon tells them to a service that knows no such names, and the card
//! refuses what would not do. All three read this one table, so none of them can know another network than the others.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![warn(missing_docs)]

mod entry;
mod table;

pub use entry::{EntryKind, EntryMistake};
pub use table::{ALONE, PRESETS};

/// Waku RELAY-SHARDING: a cluster has 1,024 shards.
pub const MAX_SHARD: u16 = 1023;
/// Wrong letters that a name may have and still be guessed, of names of 3 to 14: a guess further away is no help.
const MAX_WRONG_LETTERS: usize = 3;

/// One network, as every node of it knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// As `--preset` and a card name it.
    pub name: &'static str,
    /// Waku RELAY-SHARDING: networks of different clusters do not mix.
    pub cluster: u16,
    /// Over how many shards content topics are spread (autosharding). None: each shard is named (static sharding).
    pub auto_shards: Option<u16>,
    /// The shards served when none are given. Under autosharding, none here means all.
    pub shards: &'static [u16],
    /// The largest envelope.
    pub max_message_kib: u16,
    /// Whether nodes find each other by discv5.
    pub discv5: bool,
    /// Where a node begins to look for others, in each of the forms of [`EntryKind`].
    pub entry_nodes: &'static [&'static str],
    /// Whether the network expects a rate limit proof in each message.
    pub rln: bool,
}

impl Network {
    /// The last shard that this network has.
    pub fn last_shard(&self) -> u16 {
        self.auto_shards.map_or(MAX_SHARD, |shards| shards.saturating_sub(1))
    }
}

/// A public network by its name, which may be written without its dot as in nwaku.
pub fn find(name: &str) -> Option<&'static Network> {
    let name = name.to_ascii_lowercase();
    PRESETS
        .iter()
        .find(|network| network.name == name || network.name.replace('.', "") == name)
}

/// The one of `names` that `name` is most probably a misspelling of.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let wrong = |known: &str| match known.starts_with(&name) && !name.is_empty() {
        true => 0,
        false => strsim::damerau_levenshtein(&name, known),
    };
    names
        .into_iter()
        .map(|known| (wrong(known), known))
        .filter(|(wrong, known)| *wrong <= MAX_WRONG_LETTERS && *wrong < known.len())
        .min_by_key(|(wrong, _)| *wrong)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(find("status.prod").unwrap().cluster, 16);
        assert_eq!(find("StatusProd"), find("status.prod"));
        assert_eq!(find("none"), None);
        for (written, meant) in [
            ("status.prd", Some("status.prod")),
            ("status", Some("status.prod")),
            ("Status.Stageing", Some("status.staging")),
            ("logos-dev", Some("logos.dev")),
            ("nobe", Some("none")),
            ("mainnet", None),
            ("", None),
        ] {
            let names = PRESETS.iter().map(|network| network.name).chain(["none"]);
            assert_eq!(nearest(written, names), meant, "{written}");
        }
    }

    #[test]
    fn every_network_can_be_entered_and_has_its_shards() {
        for network in PRESETS {
            assert!(!network.entry_nodes.is_empty(), "{}", network.name);
            for entry in network.entry_nodes {
                EntryKind::of(entry).unwrap();
            }
            assert!(network.shards.iter().all(|shard| *shard <= network.last_shard()));
            assert!(network.auto_shards.is_some() || !network.shards.is_empty());
        }
        assert!(ALONE.entry_nodes.is_empty() && !ALONE.discv5);
    }
}
