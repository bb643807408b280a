//! Networks by name ([`networks`]), as `--preset` takes them.
//!
//! A preset only replaces defaults. What is given by flag or file goes before it, except for the cluster, where
//! two answers can only be a mistake.

pub use networks::Network as Preset;

use crate::topics::Sharding;

/// The public networks, and `dev`, which is none.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    networks::PRESETS.iter().chain([&networks::ALONE])
}

/// A preset by its name, which may be written without its dot as in nwaku.
pub fn find(name: &str) -> Option<&'static Preset> {
    let alone = || Some(&networks::ALONE).filter(|dev| dev.name.eq_ignore_ascii_case(name));
    networks::find(name).or_else(alone)
}

pub(super) fn sharding(preset: &Preset) -> Sharding {
    match preset.auto_shards {
        None => Sharding::Static,
        Some(shards_in_network) => Sharding::Auto { shards_in_network },
    }
}

pub(super) fn max_message_bytes(preset: &Preset) -> usize {
    usize::from(preset.max_message_kib) * 1024
}
