//! Networks by name: what every node of one network has in common (nwaku `factory/networks_config.nim`; the Status
//! fleet's shards and trees from status-go and its fleets' records).
//!
//! A preset only replaces defaults. What is given by flag or file goes before it, except for the cluster, where
//! two answers can only be a mistake.

use crate::topics::Sharding;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    pub name: &'static str,
    pub cluster: u16,
    pub sharding: Sharding,
    /// The shards served when none are given. Under autosharding, none here means all.
    pub shards: &'static [u16],
    pub max_message_bytes: usize,
    pub discv5: bool,
    /// Addresses in any form that `--entry-node` takes.
    pub entry_nodes: &'static [&'static str],
    /// Whether the network expects a rate limit proof in each message.
    pub rln: bool,
}

/// nwaku's default size limit.
pub const DEFAULT_MESSAGE_BYTES: usize = 150 * 1024;

const STATUS_MESSAGE_BYTES: usize = 1024 * 1024;

/// status-go `protocol/common/shard/shard.go`: the default shard and the one without protection.
const STATUS_SHARDS: &[u16] = &[32, 64];

pub const PRESETS: &[Preset] = &[
    Preset {
        name: "status.prod",
        cluster: 16,
        sharding: Sharding::Static,
        shards: STATUS_SHARDS,
        max_message_bytes: STATUS_MESSAGE_BYTES,
        discv5: true,
        entry_nodes: &[
            "enrtree://AMOJVZX4V6EXP7NTJPMAYJYST2QP6AJXYW76IU6VGJS7UVSNDYZG4@boot.prod.status.nodes.status.im",
            "/dns4/boot-01.do-ams3.status.prod.status.im/tcp/30303/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31",
            "/dns4/boot-01.gc-us-central1-a.status.prod.status.im/tcp/30303/p2p/16Uiu2HAm8mUZ18tBWPXDQsaF7PbCKYA35z7WB2xNZH2EVq1qS8LJ",
            "/dns4/boot-01.ac-cn-hongkong-c.status.prod.status.im/tcp/30303/p2p/16Uiu2HAmGwcE8v7gmJNEWFtZtojYpPMTHy2jBLL6xRk33qgDxFWX",
        ],
        rln: false,
    },
    Preset {
        name: "status.staging",
        cluster: 16,
        sharding: Sharding::Static,
        shards: STATUS_SHARDS,
        max_message_bytes: STATUS_MESSAGE_BYTES,
        discv5: true,
        entry_nodes: &[
            "enrtree://AI4W5N5IFEUIHF5LESUAOSMV6TKWF2MB6GU2YK7PU4TYUGUNOCEPW@boot.staging.status.nodes.status.im",
        ],
        rln: false,
    },
    Preset {
        name: "twn",
        cluster: 1,
        sharding: Sharding::Auto { shards_in_network: 8 },
        shards: &[],
        max_message_bytes: DEFAULT_MESSAGE_BYTES,
        discv5: true,
        entry_nodes: &["enrtree://AIRVQ5DDA4FFWLRBCHJWUWOO6X6S4ZTZ5B667LQ6AJU6PEYDLRD5O@sandbox.waku.nodes.status.im"],
        rln: true,
    },
    Preset {
        name: "logos.test",
        cluster: 2,
        sharding: Sharding::Auto { shards_in_network: 8 },
        shards: &[],
        max_message_bytes: DEFAULT_MESSAGE_BYTES,
        discv5: true,
        entry_nodes: &[
            "/dns4/node-01.do-ams3.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmQ9X2xDfPG3uL77V9piYDhjq14JhKCtcmNYsTMKNqrKCj",
            "/dns4/node-01.gc-us-central1-a.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmF8WtwGPmeGHgYAX2277jHgy5cW9F7zsB8EqUjBZQAZQ3",
            "/dns4/node-01.ac-cn-hongkong-c.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmL3oU95jh1BZHozn3uNhx8HEneirgr8M1jEAapzXGDqRF",
        ],
        rln: false,
    },
    Preset {
        name: "logos.dev",
        cluster: 3,
        sharding: Sharding::Auto { shards_in_network: 8 },
        shards: &[],
        max_message_bytes: DEFAULT_MESSAGE_BYTES,
        discv5: true,
        entry_nodes: &[
            "/dns4/delivery-01.do-ams3.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAmTUbnxLGT9JvV6mu9oPyDjqHK4Phs1VDJNUgESgNSkuby",
            "/dns4/delivery-01.gc-us-central1-a.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAm4S1JYkuzDKLKQvwgAhZKs9otxXqt8SCGtB4hoJP1S397",
            "/dns4/delivery-01.ac-cn-hongkong-c.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAm8YokiNun9BkeA1ZRmhLbtNUvcwRr64F69tYj9fkGyuEP",
        ],
        rln: false,
    },
    // A network of one's own, on one's own machine: Status's shards, and nobody looked for.
    Preset {
        name: "dev",
        cluster: 16,
        sharding: Sharding::Static,
        shards: STATUS_SHARDS,
        max_message_bytes: STATUS_MESSAGE_BYTES,
        discv5: false,
        entry_nodes: &[],
        rln: false,
    },
];

/// A preset by its name, which may be written without its dot as in nwaku.
pub fn find(name: &str) -> Option<&'static Preset> {
    let name = name.to_ascii_lowercase();
    PRESETS
        .iter()
        .find(|preset| preset.name == name || preset.name.replace('.', "") == name)
}
