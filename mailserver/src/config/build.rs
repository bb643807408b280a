//! From what was given to a [`Config`]: each part read, checked, and checked against the others.

use std::{path::PathBuf, time::Duration};

use libp2p::{Multiaddr, multiaddr::Protocol};

use super::{
    Addresses, Config, Discv5, DnsDiscovery, Error, Filter, Identity, Log, Metrics, Network, Peers, Rest, ServicePeers,
    Store,
    flags::{self, Meaning},
    preset::{self, Preset},
    source::Given,
    values::{self, Limited},
};
use crate::settings::{RateLimit, SyncSettings, TlsFiles};
use crate::topics::{ContentTopic, Sharding};

/// What is kept when nothing is to be forgotten: a century, so that times stay inside an i64 of nanoseconds.
const KEEP_EVERYTHING: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The most connections that make sense; each costs file descriptors and memory.
const MAX_CONNECTIONS: usize = 10_000;

/// Smaller than this, relay's own control messages would not fit; larger, a board's memory is at peers' mercy.
const MESSAGE_BYTES: std::ops::RangeInclusive<usize> = 1024..=16 * 1024 * 1024;

/// nwaku's `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Core,
    Edge,
    AsGiven,
}

impl Config {
    pub(super) fn from_given(given: &Given) -> Result<Self, Error> {
        let mut warnings: Vec<String> = without_effect(given).into_iter().collect();
        let preset = choose_preset(given, &mut warnings)?;
        let mode = given.value("mode", |text| match text.to_ascii_lowercase().as_str() {
            "core" => Ok(Mode::Core),
            "edge" => Ok(Mode::Edge),
            "nomode" => Ok(Mode::AsGiven),
            _ => Err("give Core, Edge or noMode"),
        })?;
        // nwaku lets the mode go before the switches of single protocols.
        let service = |name, core, edge| match mode {
            Mode::Core => Ok(core),
            Mode::Edge => Ok(edge),
            Mode::AsGiven => given.switch(name),
        };
        let shift = given.number("ports-shift", 0, u16::MAX)?;
        let port = |name| shifted_port(given, name, shift);
        let entries = entry_nodes(given, preset)?;
        let network = network(given, preset)?;
        if preset.is_some_and(|preset| preset.rln) {
            warnings.push(
                "this network asks for rate limit proofs (RLN), which are neither made nor checked here: envelopes are relayed \
                 and served unchecked, and peers may not relay what is published through this node"
                    .into(),
            );
        }
        let store = given.switch("store")? && mode != Mode::Edge;
        if !store && given.switch("store-sync")? {
            warnings.push(format!(
                "{} without --store has nothing to compare",
                given.spelling("store-sync")
            ));
        }
        Ok(Self {
            log: Log {
                level: given.value("log-level", values::log_level)?,
                format: given.value("log-format", values::log_format)?,
            },
            identity: identity(given)?,
            addresses: addresses(given, port("tcp-port")?, port("websocket-port")?, &mut warnings)?,
            peers: peers(given, &entries)?,
            relay: service("relay", true, false)?,
            store: if store {
                Some(self::store(given, &mut warnings)?)
            } else {
                None
            },
            filter: if service("filter", true, false)? {
                Some(filter(given)?)
            } else {
                None
            },
            light_push: service("lightpush", true, false)?,
            peer_exchange: service("peer-exchange", true, true)?,
            services: ServicePeers {
                store: given.optional("storenode", peer_address)?,
                filter: given.optional("filternode", peer_address)?,
                light_push: given.optional("lightpushnode", peer_address)?,
                peer_exchange: given.optional("peer-exchange-node", peer_address)?,
            },
            rate_limits: rate_limits(given, mode)?,
            discv5: discv5(given, preset, mode, port("discv5-udp-port")?, &entries)?,
            dns_discovery: DnsDiscovery {
                trees: trees(given, entries.trees)?,
                name_servers: given.many("dns-addrs-name-server", values::address)?,
            },
            rest: rest(given, port("rest-port")?)?,
            metrics: metrics(given, port("metrics-server-port")?)?,
            network,
            warnings,
        })
    }
}

/// The one warning about flags that are accepted and do nothing.
fn without_effect(given: &Given) -> Option<String> {
    let parts: Vec<String> = given
        .names()
        .filter_map(flags::find)
        .filter_map(|flag| match flag.meaning {
            Meaning::Nothing(reason) if !says_no(given, flag.name) => Some(format!("--{} ({reason})", flag.name)),
            _ => None,
        })
        .collect();
    if parts.is_empty() {
        None
    } else {
        Some(format!("flags that have no effect here: {}", parts.join(", ")))
    }
}

/// Whether a flag without effect was given only to switch off what is off here anyway.
fn says_no(given: &Given, name: &'static str) -> bool {
    flags::find(name).is_some_and(|flag| flag.kind == flags::Kind::Switch) && given.switch(name) == Ok(false)
}

fn choose_preset(given: &Given, warnings: &mut Vec<String>) -> Result<Option<&'static Preset>, Error> {
    let cluster = given.optional("cluster-id", |text| values::number(text, 0, u16::MAX))?;
    let preset = given.optional("preset", |name| {
        let names = || {
            let names: Vec<&str> = preset::all().map(|preset| preset.name).collect();
            names.join(", ")
        };
        preset::find(name).ok_or_else(|| format!("give one of {}", names()))
    })?;
    match (preset, cluster) {
        (Some(preset), Some(cluster)) if cluster != preset.cluster => Err(Error::Contradiction {
            flag: given.spelling("cluster-id"),
            other: given.spelling("preset"),
            reason: format!(
                "{} is cluster {}; leave one of the two out",
                preset.name, preset.cluster
            ),
        }),
        (None, Some(1)) => {
            warnings.push("cluster 1 alone is taken for --preset=twn, as nwaku does for now".into());
            Ok(preset::find("twn"))
        }
        (preset, _) => Ok(preset),
    }
}

fn network(given: &Given, preset: Option<&'static Preset>) -> Result<Network, Error> {
    let cluster = match preset {
        Some(preset) => preset.cluster,
        None => given.number("cluster-id", 0, u16::MAX)?,
    };
    let sharding = match (
        given.number("num-shards-in-network", 0, values::MAX_NETWORK_SHARDS)?,
        preset,
    ) {
        (0, Some(preset)) if !given.is_given("num-shards-in-network") => preset::sharding(preset),
        (0, _) => Sharding::Static,
        (shards_in_network, _) => Sharding::Auto { shards_in_network },
    };
    let mut shards = given.many("shard", values::shard_index)?;
    let content_topics = given.many("content-topic", str::parse::<ContentTopic>)?;
    let max_message_bytes = match (given.optional("max-msg-size", values::size_bytes)?, preset) {
        (Some(bytes), _) if !MESSAGE_BYTES.contains(&bytes) => {
            return Err(Error::Value {
                flag: given.spelling("max-msg-size"),
                value: given.text("max-msg-size").unwrap_or_default().to_owned(),
                reason: format!("give from {} to {} bytes", MESSAGE_BYTES.start(), MESSAGE_BYTES.end()),
            });
        }
        (Some(bytes), _) => bytes,
        (None, Some(preset)) => preset::max_message_bytes(preset),
        (None, None) => preset::DEFAULT_MESSAGE_BYTES,
    };
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
    let protected_shards = given.many("protected-shard", values::protected_shard)?;
    Ok(Network {
        cluster,
        sharding,
        shards,
        content_topics,
        max_message_bytes,
        protected_shards,
    })
}

fn identity(given: &Given) -> Result<Identity, Error> {
    let key = given
        .optional("nodekey", values::node_key)
        .map_err(|error| match error {
            // The value is a secret: it must not reach a log through a message about it.
            Error::Value { flag, reason, .. } => Error::Value {
                flag,
                value: "…".into(),
                reason,
            },
            other => other,
        })?;
    match (key, given.text("nodekey-file")) {
        (Some(_), Some(_)) => Err(Error::Contradiction {
            flag: given.spelling("nodekey"),
            other: given.spelling("nodekey-file"),
            reason: "a node has one key; leave one of the two out".into(),
        }),
        (Some(key), None) => Ok(Identity::Given(key)),
        (None, Some(path)) => Ok(Identity::File(path.into())),
        (None, None) => Ok(Identity::Fresh),
    }
}

/// A port with `--ports-shift` added; 0 stays 0, which lets the system choose.
fn shifted_port(given: &Given, name: &'static str, shift: u16) -> Result<u16, Error> {
    let port = given.number(name, 0, u16::MAX)?;
    if port == 0 {
        return Ok(0);
    }
    port.checked_add(shift).ok_or_else(|| Error::Contradiction {
        flag: given.spelling("ports-shift"),
        other: given.spelling(name),
        reason: format!("{port} + {shift} is beyond the last port, 65535; give a smaller shift"),
    })
}

fn addresses(
    given: &Given,
    tcp_port: u16,
    websocket_port: u16,
    warnings: &mut Vec<String>,
) -> Result<Addresses, Error> {
    let websocket = given.switch("websocket-support")?;
    let secure = given.switch("websocket-secure-support")?;
    if secure && !websocket {
        warnings.push(format!(
            "{} without --websocket-support has no effect, as in nwaku",
            given.spelling("websocket-secure-support")
        ));
    }
    Ok(Addresses {
        agent: given.value("agent-string", |text| Ok::<_, String>(text.to_owned()))?,
        listen: given.value("listen-address", values::address)?,
        tcp_port,
        websocket_port: websocket.then_some(websocket_port),
        websocket_tls: if websocket && secure {
            Some(tls_files(given)?)
        } else {
            None
        },
        nat: given.value("nat", values::nat)?,
        advertised: given.many("ext-multiaddr", multiaddr)?,
        advertised_only: given.switch("ext-multiaddr-only")?,
        dns4_domain: given.text("dns4-domain-name").map(str::to_owned),
        relay_client: given.switch("relay-client")?,
    })
}

/// Read when the node starts.
fn tls_files(given: &Given) -> Result<TlsFiles, Error> {
    let path = |name: &'static str| match given.text(name) {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(Error::Needs {
            flag: given.spelling("websocket-secure-support"),
            needed: name,
            reason: "give the paths of two PEM files, the private key's and the certificate's",
        }),
    };
    Ok(TlsFiles {
        key: path("websocket-secure-key-path")?,
        certificate: path("websocket-secure-cert-path")?,
    })
}

fn peers(given: &Given, entries: &Entries) -> Result<Peers, Error> {
    let mut static_nodes = given.many("staticnode", peer_address)?;
    static_nodes.extend(entries.peers.iter().cloned());
    Ok(Peers {
        static_nodes,
        max_connections: given.number("max-connections", 1, MAX_CONNECTIONS)?,
        relay_share_percent: given.value("relay-service-ratio", values::relay_share_percent)?,
        max_per_ip: Some(given.number("ip-colocation-limit", 0, MAX_CONNECTIONS)?).filter(|limit| *limit > 0),
        bandwidth_kib_per_sec: given.value("bandwidth-limit", values::bandwidth_kib_per_sec)?,
        store_capacity: given.optional("peer-store-capacity", |text| values::number(text, 1, 1_000_000))?,
    })
}

fn store(given: &Given, warnings: &mut Vec<String>) -> Result<Store, Error> {
    let archive_dir = match given.text("archive-dir") {
        Some(path) => PathBuf::from(path),
        None => given
            .value("store-message-db-url", values::database_directory)
            .map_err(|error| match error {
                // A database's URL carries its password.
                Error::Value { flag, reason, .. } => Error::Value {
                    flag,
                    value: "…".into(),
                    reason,
                },
                other => other,
            })?,
    };
    let retention = given.value("store-message-retention-policy", values::retention)?;
    if !retention.not_applied.is_empty() {
        warnings.push(format!(
            "{}: {} not applied, envelopes are forgotten by time alone{}",
            given.spelling("store-message-retention-policy"),
            retention.not_applied.join(" and "),
            if retention.time.is_none() {
                ", and no time is given: they are kept for ever"
            } else {
                ""
            },
        ));
    }
    Ok(Store {
        archive_dir,
        retention: retention.time.unwrap_or(KEEP_EVERYTHING),
        resume: given.switch("store-resume")?,
        legacy: given.switch("legacy-store")?,
        sync: sync(given)?,
    })
}

fn sync(given: &Given) -> Result<Option<SyncSettings>, Error> {
    let seconds = |name, least| Ok::<_, Error>(Duration::from_secs(u64::from(given.number(name, least, u32::MAX)?)));
    let interval = seconds("store-sync-interval", 0)?;
    let settings = SyncSettings {
        interval: Some(interval).filter(|interval| !interval.is_zero()),
        range: seconds("store-sync-range", 1)?,
        jitter: seconds("store-sync-relay-jitter", 0)?,
    };
    Ok(given.switch("store-sync")?.then_some(settings))
}

fn filter(given: &Given) -> Result<Filter, Error> {
    Ok(Filter {
        subscription_timeout: Duration::from_secs(u64::from(given.number(
            "filter-subscription-timeout",
            1,
            u16::MAX,
        )?)),
        max_peers: given.number("filter-max-peers-to-serve", 1, 100_000)?,
        max_criteria: given.number("filter-max-criteria", 1, 100_000)?,
    })
}

/// nwaku gives a Core node these limits unless there are others.
const CORE_RATE_LIMITS: [&str; 3] = ["filter:100/1s", "lightpush:5/1s", "px:5/1s"];

fn rate_limits(given: &Given, mode: Mode) -> Result<Vec<(Limited, RateLimit)>, Error> {
    let limits = given.many("rate-limit", values::rate_limit)?;
    if limits.is_empty() && mode == Mode::Core {
        return Ok(CORE_RATE_LIMITS
            .iter()
            .filter_map(|text| values::rate_limit(text).ok())
            .collect());
    }
    Ok(limits)
}

/// `--entry-node`, sorted by what each is.
#[derive(Default)]
struct Entries {
    trees: Vec<String>,
    enrs: Vec<String>,
    peers: Vec<Multiaddr>,
}

fn entry_nodes(given: &Given, preset: Option<&'static Preset>) -> Result<Entries, Error> {
    let mut entries = Entries::default();
    let mut add = |text: &str| {
        if text.starts_with("enrtree:") {
            entries.trees.push(text.to_owned());
        } else if text.starts_with("enr:") {
            entries.enrs.push(text.to_owned());
        } else {
            entries.peers.push(peer_address(text)?);
        }
        Ok::<_, String>(())
    };
    for text in given.many("entry-node", |text| Ok::<_, String>(text.to_owned()))? {
        add(&text).map_err(|_| Error::Value {
            flag: given.spelling("entry-node"),
            value: text.clone(),
            reason: "give an enrtree:// URL, an enr: record or a multiaddr with /p2p/".into(),
        })?;
    }
    for text in preset.map_or(&[][..], |preset| preset.entry_nodes) {
        add(text).map_err(|reason| Error::Value {
            flag: given.spelling("preset"),
            value: (*text).to_owned(),
            reason,
        })?;
    }
    Ok(entries)
}

fn trees(given: &Given, mut trees: Vec<String>) -> Result<Vec<String>, Error> {
    trees.extend(given.optional("dns-discovery-url", |text| {
        if text.starts_with("enrtree://") {
            Ok(text.to_owned())
        } else {
            Err("give enrtree://KEY@DOMAIN")
        }
    })?);
    Ok(trees)
}

fn discv5(
    given: &Given,
    preset: Option<&'static Preset>,
    mode: Mode,
    udp_port: u16,
    entries: &Entries,
) -> Result<Option<Discv5>, Error> {
    let enabled = match preset {
        _ if mode == Mode::Core => true,
        Some(preset) if !given.is_given("discv5-discovery") => preset.discv5,
        _ => given.switch("discv5-discovery")?,
    };
    let mut bootstrap = given.many("discv5-bootstrap-node", |text| {
        if text.starts_with("enr:") {
            Ok(text.to_owned())
        } else {
            Err("give a record that starts with enr:")
        }
    })?;
    bootstrap.extend(entries.enrs.iter().cloned());
    let limited = |name| Ok::<_, Error>(given.number(name, 0u32, u32::MAX)? != 0);
    let (limit_table, limit_bucket) = (limited("discv5-table-ip-limit")?, limited("discv5-bucket-ip-limit")?);
    let enr_auto_update = given.switch("discv5-enr-auto-update")?;
    Ok(enabled.then_some(Discv5 {
        udp_port,
        bootstrap,
        enr_auto_update,
        limit_table,
        limit_bucket,
    }))
}

fn rest(given: &Given, port: u16) -> Result<Option<Rest>, Error> {
    let rest = Rest {
        address: given.value("rest-address", values::address)?,
        port,
        relay_cache_capacity: given.number("rest-relay-cache-capacity", 0, 100_000)?,
        admin: given.switch("rest-admin")?,
        allowed_origins: given.many("rest-allow-origin", |text| Ok::<_, String>(text.to_owned()))?,
    };
    Ok(given.switch("rest")?.then_some(rest))
}

fn metrics(given: &Given, port: u16) -> Result<Option<Metrics>, Error> {
    let metrics = Metrics {
        address: given.value("metrics-server-address", values::address)?,
        port,
        prefix: given.value("metrics-prefix", values::metrics_prefix)?,
    };
    Ok(given.switch("metrics-server")?.then_some(metrics))
}

fn multiaddr(text: &str) -> Result<Multiaddr, &'static str> {
    text.parse()
        .map_err(|_| "give a multiaddr such as /ip4/203.0.113.7/tcp/60000")
}

/// A multiaddr that says who is there.
fn peer_address(text: &str) -> Result<Multiaddr, String> {
    let address: Multiaddr = text.parse().map_err(|_| PEER_ADDRESS.to_owned())?;
    match address.iter().last() {
        Some(Protocol::P2p(_)) if address.iter().count() > 1 => Ok(address),
        _ => Err(PEER_ADDRESS.to_owned()),
    }
}

const PEER_ADDRESS: &str = "give a multiaddr that ends with /p2p/ and the peer's id";
