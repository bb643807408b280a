//! The table itself.

use crate::Network;

/// nwaku's default size limit (`DefaultMaxWakuMessageSizeStr`).
const DEFAULT_MESSAGE_KIB: u16 = 150;

/// The Status fleet's (`--max-msg-size=1024KiB`, and status-go's `pkg/messaging/waku`).
const STATUS_MESSAGE_KIB: u16 = 1024;

/// status-go `protocol/common/shard/shard.go`: the default shard and the one without protection.
const STATUS_SHARDS: &[u16] = &[32, 64];

/// The public ones.
pub const PRESETS: &[Network] = &[
    Network {
        name: "status.prod",
        cluster: 16,
        auto_shards: None,
        shards: STATUS_SHARDS,
        max_message_kib: STATUS_MESSAGE_KIB,
        discv5: true,
        entry_nodes: &[
            "enrtree://AMOJVZX4V6EXP7NTJPMAYJYST2QP6AJXYW76IU6VGJS7UVSNDYZG4@boot.prod.status.nodes.status.im",
            "/dns4/boot-01.do-ams3.status.prod.status.im/tcp/30303/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31",
            "/dns4/boot-01.gc-us-central1-a.status.prod.status.im/tcp/30303/p2p/16Uiu2HAm8mUZ18tBWPXDQsaF7PbCKYA35z7WB2xNZH2EVq1qS8LJ",
            "/dns4/boot-01.ac-cn-hongkong-c.status.prod.status.im/tcp/30303/p2p/16Uiu2HAmGwcE8v7gmJNEWFtZtojYpPMTHy2jBLL6xRk33qgDxFWX",
        ],
        rln: false,
    },
    Network {
        name: "status.staging",
        cluster: 16,
        auto_shards: None,
        shards: STATUS_SHARDS,
        max_message_kib: STATUS_MESSAGE_KIB,
        discv5: true,
        entry_nodes: &[
            "enrtree://AI4W5N5IFEUIHF5LESUAOSMV6TKWF2MB6GU2YK7PU4TYUGUNOCEPW@boot.staging.status.nodes.status.im",
        ],
        rln: false,
    },
    Network {
        name: "twn",
        cluster: 1,
        auto_shards: Some(8),
        shards: &[],
        max_message_kib: DEFAULT_MESSAGE_KIB,
        discv5: true,
        entry_nodes: &["enrtree://AIRVQ5DDA4FFWLRBCHJWUWOO6X6S4ZTZ5B667LQ6AJU6PEYDLRD5O@sandbox.waku.nodes.status.im"],
        rln: true,
    },
    Network {
        name: "logos.test",
        cluster: 2,
        auto_shards: Some(8),
        shards: &[],
        max_message_kib: DEFAULT_MESSAGE_KIB,
        discv5: true,
        entry_nodes: &[
            "/dns4/node-01.do-ams3.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmQ9X2xDfPG3uL77V9piYDhjq14JhKCtcmNYsTMKNqrKCj",
            "/dns4/node-01.gc-us-central1-a.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmF8WtwGPmeGHgYAX2277jHgy5cW9F7zsB8EqUjBZQAZQ3",
            "/dns4/node-01.ac-cn-hongkong-c.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmL3oU95jh1BZHozn3uNhx8HEneirgr8M1jEAapzXGDqRF",
        ],
        rln: false,
    },
    Network {
        name: "logos.dev",
        cluster: 3,
        auto_shards: Some(8),
        shards: &[],
        max_message_kib: DEFAULT_MESSAGE_KIB,
        discv5: true,
        entry_nodes: &[
            "/dns4/delivery-01.do-ams3.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAmTUbnxLGT9JvV6mu9oPyDjqHK4Phs1VDJNUgESgNSkuby",
            "/dns4/delivery-01.gc-us-central1-a.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAm4S1JYkuzDKLKQvwgAhZKs9otxXqt8SCGtB4hoJP1S397",
            "/dns4/delivery-01.ac-cn-hongkong-c.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAm8YokiNun9BkeA1ZRmhLbtNUvcwRr64F69tYj9fkGyuEP",
        ],
        rln: false,
    },
];

/// No public network: Status's cluster, shards and envelopes on one's own machine, and nobody looked for.
pub const ALONE: Network = Network {
    name: "dev",
    cluster: 16,
    auto_shards: None,
    shards: STATUS_SHARDS,
    max_message_kib: STATUS_MESSAGE_KIB,
    discv5: false,
    entry_nodes: &[],
    rln: false,
};
