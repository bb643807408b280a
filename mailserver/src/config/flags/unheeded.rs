//! Flags that nwaku knows and nothing here answers to: accepted with a warning, so that scripts go on working.

use super::flag::{
    Flag,
    Kind::{Many, One, Switch},
    Meaning::{self, Nothing},
};

const NO_RLN: Meaning = Meaning::Nothing("rate limit proofs (RLN) are neither made nor checked here");
const NO_MIX: Meaning = Meaning::Nothing("the mix protocol is not spoken here");
const NO_KADEMLIA: Meaning = Meaning::Nothing("peers are not looked for by Kademlia here");
const NO_SQL: Meaning = Meaning::Nothing("envelopes are kept in segments, not in one database");

pub(super) const FLAGS: &[Flag] = &[
    Flag::new(
        "local-storage-path",
        One,
        "./data",
        Nothing("nothing is kept but the archive, the key, and the node record beside --nodekey-file"),
        "directory of the node's data",
    ),
    Flag::new(
        "metrics-logging",
        Switch,
        "true",
        Nothing("metrics are on the metrics port, never in the log"),
        "write metrics to the log",
    ),
    Flag::new(
        "keep-alive",
        Switch,
        "true",
        Nothing("connections are always kept alive"),
        "ping peers",
    ),
    Flag::new(
        "peer-persistence",
        Switch,
        "false",
        Nothing("peers are found again after a restart"),
        "remember peers",
    ),
    Flag::new(
        "relay-peer-exchange",
        Switch,
        "false",
        Nothing("signed peer records are not sent in PRUNE"),
        "gossipsub peer exchange",
    ),
    Flag::new(
        "relay-shard-manager",
        Switch,
        "false",
        Nothing("peers are always chosen with their shards in mind"),
        "shard-aware choice of peers",
    ),
    Flag::new(
        "reliability",
        Switch,
        "false",
        Nothing("it is for clients that send and receive messages of their own"),
        "check delivery through stores",
    ),
    Flag::new(
        "rendezvous",
        Switch,
        "true",
        Nothing("rendezvous serves only the mix network"),
        "rendezvous",
    ),
    Flag::new(
        "discv5-bits-per-hop",
        One,
        "1",
        Nothing("lookups take one bit per hop"),
        "Kademlia's b",
    ),
    Flag::new(
        "store-message-db-vacuum",
        Switch,
        "false",
        Nothing("removed segments give their space back at once"),
        "VACUUM at start",
    ),
    Flag::new(
        "store-message-db-migration",
        Switch,
        "true",
        NO_SQL,
        "migrate the database at start",
    ),
    Flag::new(
        "store-max-num-db-connections",
        One,
        "50",
        NO_SQL,
        "Postgres connections",
    ),
    Flag::new(
        "quic-support",
        Switch,
        "false",
        Nothing("QUIC is not spoken here"),
        "listen on QUIC",
    ),
    Flag::new(
        "quic-port",
        One,
        "60000",
        Nothing("QUIC is not spoken here"),
        "port of QUIC",
    ),
    Flag::new("rln-relay", Switch, "false", NO_RLN, "RLN"),
    Flag::new("rln-relay-dynamic", Switch, "false", NO_RLN, "RLN"),
    Flag::new("rln-relay-membership-index", One, "", NO_RLN, "RLN"),
    Flag::new("rln-relay-cred-path", One, "", NO_RLN, "RLN"),
    Flag::new("rln-relay-cred-password", One, "", NO_RLN, "RLN").secret(),
    Flag::new("rln-relay-tree-path", One, "", NO_RLN, "RLN"),
    Flag::new("rln-relay-eth-client-address", Many, "", NO_RLN, "RLN").secret(),
    Flag::new("rln-relay-eth-contract-address", One, "", NO_RLN, "RLN"),
    Flag::new("rln-relay-eth-private-key", One, "", NO_RLN, "RLN").secret(),
    Flag::new("rln-relay-chain-id", One, "", NO_RLN, "RLN"),
    Flag::new("rln-relay-user-message-limit", One, "", NO_RLN, "RLN"),
    Flag::new("rln-relay-epoch-sec", One, "", NO_RLN, "RLN"),
    Flag::new("mix", Switch, "false", NO_MIX, "mix"),
    Flag::new("mixkey", One, "", NO_MIX, "mix").secret(),
    Flag::new("mixnode", Many, "", NO_MIX, "mix"),
    Flag::new("enable-kad-discovery", Switch, "false", NO_KADEMLIA, "Kademlia"),
    Flag::new("kad-bootstrap-node", Many, "", NO_KADEMLIA, "Kademlia"),
    Flag::new("kad-random-lookup-interval", One, "60", NO_KADEMLIA, "Kademlia"),
    Flag::new("kad-service-lookup-interval", One, "60", NO_KADEMLIA, "Kademlia"),
];
