//! Every flag that is known: wakunode2's (nwaku `tools/confutils/cli_args.nim`, and those of its releases since v0.34
//! that operators' scripts still carry) and the few of our own.
//!
//! One table serves the command line, the configuration file, `--help` and the README, so that none of them can know a
//! flag the others don't.

/// What may be written behind a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; bare on the command line means true.
    Switch,
    One,
    /// May be given several times.
    Many,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Does what it does in nwaku.
    Same,
    /// Ours, unknown to nwaku.
    Ours,
    /// Means something else than in nwaku; the description says what.
    Differs,
    /// nwaku knows it, nothing here answers to it: accepted with a warning that ends with this reason.
    Nothing(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub struct Flag {
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be written; empty means that there is none.
    pub default: &'static str,
    pub meaning: Meaning,
    pub description: &'static str,
}

const fn flag(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: Meaning,
    description: &'static str,
) -> Flag {
    Flag {
        name,
        kind,
        default,
        meaning,
        description,
    }
}

const NO_RLN: Meaning = Meaning::Nothing("rate limit proofs (RLN) are neither made nor checked here");
const NO_MIX: Meaning = Meaning::Nothing("the mix protocol is not spoken here");
const NO_KADEMLIA: Meaning = Meaning::Nothing("peers are not looked for by Kademlia here");
const NO_SQL: Meaning = Meaning::Nothing("envelopes are kept in segments, not in one database");

use Kind::{Many, One, Switch};
use Meaning::{Differs, Nothing, Ours, Same};

/// In the order of `--help` and of the README.
pub const FLAGS: &[Flag] = &[
    flag("help", Switch, "false", Same, "print the flags and end"),
    flag("version", Switch, "false", Same, "print the version and end"),
    flag(
        "config-file",
        One,
        "",
        Same,
        "a TOML file of these flags; what the command line says goes before it",
    ),
    flag(
        "log-level",
        One,
        "INFO",
        Same,
        "TRACE, DEBUG, INFO, NOTICE, WARN, ERROR, FATAL or NONE",
    ),
    flag("log-format", One, "TEXT", Same, "TEXT or JSON"),
    // Network
    flag(
        "preset",
        One,
        "",
        Same,
        "status.prod, status.staging, twn, logos.test, logos.dev or dev; flags given go before it",
    ),
    flag(
        "cluster-id",
        One,
        "0",
        Same,
        "the cluster; peers of another one are disconnected",
    ),
    flag("shard", Many, "", Same, "a shard to serve"),
    flag(
        "num-shards-in-network",
        One,
        "0",
        Same,
        "autosharding over this many shards; 0 is static sharding",
    ),
    flag(
        "content-topic",
        Many,
        "",
        Same,
        "a content topic whose shard is served (autosharding)",
    ),
    flag(
        "max-msg-size",
        One,
        "150KiB",
        Same,
        "largest envelope: a number with B, KB or KiB",
    ),
    flag(
        "protected-shard",
        Many,
        "",
        Same,
        "SHARD:PUBLIC-KEY, take only envelopes that this key signed on this shard",
    ),
    // Identity and addresses
    flag(
        "nodekey",
        One,
        "",
        Same,
        "the node's secp256k1 key, 64 hexadecimal digits",
    ),
    flag(
        "nodekey-file",
        One,
        "",
        Ours,
        "file of the node's key, made with mode 0600 when absent",
    ),
    flag(
        "agent-string",
        One,
        "pillarbox-mailserver",
        Same,
        "what identify tells peers",
    ),
    flag("listen-address", One, "0.0.0.0", Same, "address of tcp, ws and discv5"),
    flag("tcp-port", One, "60000", Same, "0 takes a free one"),
    flag("ports-shift", One, "0", Same, "added to every port"),
    flag("websocket-support", Switch, "false", Same, "listen on ws too"),
    flag("websocket-port", One, "8000", Same, "0 takes a free one"),
    flag("nat", One, "any", Same, "any, none, upnp, pmp or extip:ADDRESS"),
    flag("ext-multiaddr", Many, "", Same, "an address to advertise"),
    flag(
        "ext-multiaddr-only",
        Switch,
        "false",
        Same,
        "advertise nothing but --ext-multiaddr",
    ),
    flag(
        "dns4-domain-name",
        One,
        "",
        Same,
        "domain name to advertise in place of the IPv4 address",
    ),
    // Peers
    flag(
        "staticnode",
        Many,
        "",
        Same,
        "multiaddr of a peer to stay connected with",
    ),
    flag(
        "entry-node",
        Many,
        "",
        Same,
        "enrtree URL, ENR or multiaddr to start from",
    ),
    flag("max-connections", One, "150", Same, "most connections at once"),
    flag(
        "relay-service-ratio",
        One,
        "50:50",
        Same,
        "relay's share of the connections against that of clients",
    ),
    flag(
        "ip-colocation-limit",
        One,
        "5",
        Same,
        "most peers of one IP address; 0 is no limit",
    ),
    flag("peer-store-capacity", One, "", Same, "most peers remembered"),
    flag(
        "relay-client",
        Switch,
        "false",
        Same,
        "ask relays for a circuit, when behind NAT",
    ),
    // Protocols
    flag(
        "mode",
        One,
        "noMode",
        Same,
        "Core (relay and every service), Edge (client only) or noMode",
    ),
    flag("relay", Switch, "true", Same, "relay"),
    flag(
        "store",
        Switch,
        "false",
        Same,
        "keep envelopes and answer store queries",
    ),
    flag(
        "archive-dir",
        One,
        "",
        Ours,
        "directory of the archive; goes before --store-message-db-url",
    ),
    flag(
        "store-message-db-url",
        One,
        "sqlite://store.sqlite3",
        Differs,
        "sqlite://PATH keeps the archive in the directory PATH.d; a file at PATH is left alone. Postgres is refused",
    ),
    flag(
        "store-message-retention-policy",
        One,
        "time:172800",
        Differs,
        "time:SECONDS, or none; capacity: and size: parts are accepted with a warning and not applied",
    ),
    flag(
        "store-resume",
        Switch,
        "false",
        Same,
        "fetch what was missed while down from other stores",
    ),
    flag(
        "store-sync",
        Switch,
        "false",
        Same,
        "compare and complete the archive with other stores",
    ),
    flag("store-sync-interval", One, "300", Same, "seconds between comparisons"),
    flag("store-sync-range", One, "3600", Same, "seconds compared"),
    flag(
        "store-sync-relay-jitter",
        One,
        "20",
        Same,
        "newest seconds left out of the comparison",
    ),
    flag("storenode", One, "", Same, "multiaddr of the store to query"),
    flag(
        "legacy-store",
        Switch,
        "false",
        Same,
        "answer store 2.0.0-beta4 too (nwaku up to v0.37)",
    ),
    flag("filter", Switch, "true", Same, "serve filter"),
    flag("filternode", One, "", Same, "multiaddr of the filter service to use"),
    flag(
        "filter-subscription-timeout",
        One,
        "300",
        Same,
        "seconds a subscription lives without a ping",
    ),
    flag("filter-max-peers-to-serve", One, "1000", Same, "most subscribers"),
    flag(
        "filter-max-criteria",
        One,
        "1000",
        Same,
        "most topics of one subscriber",
    ),
    flag("lightpush", Switch, "true", Same, "serve light push"),
    flag(
        "lightpushnode",
        One,
        "",
        Same,
        "multiaddr of the light push service to use",
    ),
    flag("peer-exchange", Switch, "true", Same, "serve peer exchange"),
    flag(
        "peer-exchange-node",
        One,
        "",
        Same,
        "multiaddr of a peer to ask for peers",
    ),
    flag(
        "rate-limit",
        Many,
        "",
        Same,
        "[store|storev3|lightpush|px|filter:]VOLUME/PERIOD with unit h, m, s or ms",
    ),
    // Discovery
    flag("discv5-discovery", Switch, "true", Same, "find peers by discv5"),
    flag("discv5-udp-port", One, "9000", Same, "0 takes a free one"),
    flag("discv5-bootstrap-node", Many, "", Same, "ENR to start from"),
    flag(
        "discv5-enr-auto-update",
        Switch,
        "false",
        Same,
        "take the address that peers see into the own ENR",
    ),
    flag(
        "discv5-table-ip-limit",
        One,
        "10",
        Same,
        "most nodes of one /24 network in the table; 0 is no limit",
    ),
    flag(
        "discv5-bucket-ip-limit",
        One,
        "2",
        Same,
        "most nodes of one /24 network in a bucket; 0 is no limit",
    ),
    flag(
        "dns-discovery",
        Switch,
        "false",
        Same,
        "deprecated in nwaku; --dns-discovery-url alone is enough",
    ),
    flag(
        "dns-discovery-url",
        One,
        "",
        Same,
        "enrtree://KEY@DOMAIN of a list of nodes",
    ),
    flag(
        "dns-addrs-name-server",
        Many,
        "",
        Same,
        "name servers to ask; those of the system when not given",
    ),
    // REST and metrics
    flag("rest", Switch, "false", Same, "the REST interface"),
    flag("rest-address", One, "127.0.0.1", Same, "its address"),
    flag("rest-port", One, "8645", Same, "its port; 0 takes a free one"),
    flag(
        "rest-relay-cache-capacity",
        One,
        "50",
        Same,
        "most envelopes kept for GET /relay/v1/messages",
    ),
    flag("rest-admin", Switch, "false", Same, "/admin/v1 too"),
    flag(
        "rest-allow-origin",
        Many,
        "",
        Same,
        "HOST[:PORT] of pages whose scripts may ask; * and ? are wildcards",
    ),
    flag(
        "metrics-server",
        Switch,
        "false",
        Same,
        "the Prometheus endpoint /metrics",
    ),
    flag("metrics-server-address", One, "127.0.0.1", Same, "its address"),
    flag("metrics-server-port", One, "8008", Same, "its port; 0 takes a free one"),
    flag(
        "metrics-prefix",
        One,
        "waku_",
        Ours,
        "waku_ (nwaku up to v0.38) or logos_delivery_ (later ones)",
    ),
    flag(
        "local-storage-path",
        One,
        "./data",
        Differs,
        "directory of the own ENR's sequence number, written only when --nodekey-file is not given; nothing is written there with neither",
    ),
    // Known to nwaku, nothing here
    flag(
        "metrics-logging",
        Switch,
        "true",
        Nothing("metrics are on the metrics port, never in the log"),
        "write metrics to the log",
    ),
    flag(
        "keep-alive",
        Switch,
        "true",
        Nothing("connections are always kept alive"),
        "ping peers",
    ),
    flag(
        "peer-persistence",
        Switch,
        "false",
        Nothing("peers are found anew after a restart"),
        "remember peers",
    ),
    flag(
        "relay-peer-exchange",
        Switch,
        "false",
        Nothing("signed peer records are not sent in PRUNE"),
        "gossipsub peer exchange",
    ),
    flag(
        "relay-shard-manager",
        Switch,
        "false",
        Nothing("peers are always chosen with their shards in mind"),
        "shard-aware choice of peers",
    ),
    flag(
        "reliability",
        Switch,
        "false",
        Nothing("it is for clients that send and receive messages of their own"),
        "check delivery through stores",
    ),
    flag(
        "rendezvous",
        Switch,
        "true",
        Nothing("rendezvous serves only the mix network"),
        "rendezvous",
    ),
    flag(
        "discv5-bits-per-hop",
        One,
        "1",
        Nothing("lookups take one bit a hop"),
        "Kademlia's b",
    ),
    flag(
        "store-message-db-vacuum",
        Switch,
        "false",
        Nothing("removed segments give their space back at once"),
        "VACUUM at start",
    ),
    flag(
        "store-message-db-migration",
        Switch,
        "true",
        NO_SQL,
        "migrate the database at start",
    ),
    flag(
        "store-max-num-db-connections",
        One,
        "50",
        NO_SQL,
        "Postgres connections",
    ),
    flag(
        "websocket-secure-support",
        Switch,
        "false",
        Nothing("wss ends at a TLS proxy in front of --websocket-port"),
        "listen on wss",
    ),
    flag(
        "websocket-secure-key-path",
        One,
        "",
        Nothing("wss ends at a TLS proxy in front of --websocket-port"),
        "key of wss",
    ),
    flag(
        "websocket-secure-cert-path",
        One,
        "",
        Nothing("wss ends at a TLS proxy in front of --websocket-port"),
        "certificate of wss",
    ),
    flag(
        "quic-support",
        Switch,
        "false",
        Nothing("QUIC is not spoken here"),
        "listen on QUIC",
    ),
    flag(
        "quic-port",
        One,
        "60000",
        Nothing("QUIC is not spoken here"),
        "port of QUIC",
    ),
    flag("rln-relay", Switch, "false", NO_RLN, "RLN"),
    flag("rln-relay-dynamic", Switch, "false", NO_RLN, "RLN"),
    flag("rln-relay-membership-index", One, "", NO_RLN, "RLN"),
    flag("rln-relay-cred-path", One, "", NO_RLN, "RLN"),
    flag("rln-relay-cred-password", One, "", NO_RLN, "RLN"),
    flag("rln-relay-tree-path", One, "", NO_RLN, "RLN"),
    flag("rln-relay-eth-client-address", Many, "", NO_RLN, "RLN"),
    flag("rln-relay-eth-contract-address", One, "", NO_RLN, "RLN"),
    flag("rln-relay-eth-private-key", One, "", NO_RLN, "RLN"),
    flag("rln-relay-chain-id", One, "", NO_RLN, "RLN"),
    flag("rln-relay-user-message-limit", One, "", NO_RLN, "RLN"),
    flag("rln-relay-epoch-sec", One, "", NO_RLN, "RLN"),
    flag("mix", Switch, "false", NO_MIX, "mix"),
    flag("mixkey", One, "", NO_MIX, "mix"),
    flag("mixnode", Many, "", NO_MIX, "mix"),
    flag("enable-kad-discovery", Switch, "false", NO_KADEMLIA, "Kademlia"),
    flag("kad-bootstrap-node", Many, "", NO_KADEMLIA, "Kademlia"),
    flag("kad-random-lookup-interval", One, "60", NO_KADEMLIA, "Kademlia"),
    flag("kad-service-lookup-interval", One, "60", NO_KADEMLIA, "Kademlia"),
];

pub fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// The known flag that `name` is most probably a misspelling of.
pub fn nearest(name: &str) -> Option<&'static str> {
    // A guess further away than a third of the word is no help.
    let limit = (name.chars().count() / 3).max(2);
    FLAGS
        .iter()
        .map(|flag| (distance(name, flag.name, limit), flag.name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Damerau-Levenshtein distance (adjacent letters swapped count once), or more than `limit` without an exact figure.
fn distance(left: &str, right: &str, limit: usize) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > limit {
        return limit + 1;
    }
    let mut before_last: Vec<usize> = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, &a) in left.iter().enumerate() {
        let mut current = vec![row + 1; right.len() + 1];
        for (column, &b) in right.iter().enumerate() {
            let substituted = last[column] + usize::from(a != b);
            let mut best = substituted.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && a == right[column - 1] && left[row - 1] == b {
                best = best.min(before_last[column - 1] + 1);
            }
            current[column + 1] = best;
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = String::from(
        "pillarbox-mailserver, a Waku service node that takes wakunode2's flags.\n\n\
         A flag is written --name=value, --name:value or --name value; one that is true or false may stand alone.\n\n",
    );
    for flag in FLAGS {
        let default = if flag.default.is_empty() {
            String::new()
        } else {
            format!(" [{}]", flag.default)
        };
        let note = match flag.meaning {
            Same | Ours | Differs => String::new(),
            Nothing(reason) => format!(" (accepted, no effect: {reason})"),
        };
        text.push_str(&format!(
            "  --{}{default}\n        {}{note}\n",
            flag.name, flag.description
        ));
    }
    text
}

/// The README's table.
pub fn table() -> String {
    let mut text = String::from("| flag | default | here |\n|---|---|---|\n");
    for flag in FLAGS {
        let default = if flag.default.is_empty() {
            "–".to_owned()
        } else {
            format!("`{}`", flag.default)
        };
        let many = if flag.kind == Many { " (repeatable)" } else { "" };
        // A bar would end the cell.
        let description = flag.description.replace('|', "\\|");
        let here = match flag.meaning {
            Same => format!("{description}{many}"),
            Ours => format!("{description}{many}; ours, not nwaku's"),
            Differs => format!("differs: {description}"),
            Nothing(reason) => format!("accepted with a warning: {reason}"),
        };
        text.push_str(&format!("| `--{}` | {default} | {here} |\n", flag.name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_listed_once() {
        let mut names: Vec<_> = FLAGS.iter().map(|flag| flag.name).collect();
        names.sort_unstable();
        names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
    }

    #[test]
    fn a_misspelling_finds_its_flag() {
        for (wrong, right) in [
            ("tcp-prot", Some("tcp-port")),
            ("rest-adress", Some("rest-address")),
            ("stroe", Some("store")),
            ("shards", Some("shard")),
            ("discv5-bootstrapnode", Some("discv5-bootstrap-node")),
            ("completely-unrelated", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong), right, "{wrong}");
        }
    }

    /// The README says what this table says. `UPDATE_README=1 cargo test -p pillarbox-mailserver` writes it anew.
    #[test]
    fn the_readme_has_this_table() {
        const BEGIN: &str = "<!-- flags: begin -->\n";
        const END: &str = "<!-- flags: end -->";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let (head, rest) = readme.split_once(BEGIN).unwrap();
        let (found, tail) = rest.split_once(END).unwrap();
        if std::env::var_os("UPDATE_README").is_some() {
            std::fs::write(path, format!("{head}{BEGIN}{}{END}{tail}", table())).unwrap();
        } else {
            assert_eq!(found, table(), "run with UPDATE_README=1 to write the README anew");
        }
    }
}
