//! From what was given to a [`Config`]: each part read, checked, and checked against the others.
//!
//! What the node is started with is made here as it will be used, so that nothing is translated later.

mod addresses;
mod discovery;
mod mode;
mod network;
mod services;

use std::num::NonZeroU32;

use super::{
    error::Error,
    flags::{self, Meaning},
    program::{Config, Log, Metrics, Rest, ServicePeers},
    source::Given,
    values,
};
use crate::settings::{Limits, Settings};
use mode::Mode;

/// The most connections that make sense; each costs file descriptors and memory.
const MAX_CONNECTIONS: u32 = 10_000;

pub(super) fn config(given: &Given) -> Result<Config, Error> {
    let mut warnings: Vec<String> = without_effect(given).into_iter().collect();
    let preset = network::preset(given, &mut warnings)?;
    let mode = Mode::of(given)?;
    let entries = network::entry_nodes(given, preset)?;
    let sharding = network::sharding(given, preset)?;
    let content_topics = given.many("content-topic", str::parse)?;
    let archive = services::archive(given, mode, &mut warnings)?;
    let services = services::services(given, mode, archive.is_some())?;
    let listen = addresses::listen(given, &mut warnings)?;
    let external_only = given.switch("ext-multiaddr-only")?;
    let node = Settings {
        agent: given.value("agent-string", values::words)?,
        cluster_id: network::cluster(given, preset)?,
        shards: network::shards(given, preset, sharding, &content_topics)?,
        sharding,
        external_addresses: addresses::external(given, &listen, external_only)?,
        listen,
        static_nodes: network::static_nodes(given, entries.peers)?,
        max_message_bytes: network::max_message_bytes(given, preset)?,
        limits: limits(given, services.filter)?,
        protected_shards: given.many("protected-shard", values::protected_shard)?,
        rate_limits: services::rate_limits(given, mode)?,
        nat: given.value("nat", values::nat)?,
        relay_client: given.switch("relay-client")?,
        sync: services::sync(given, archive.is_some())?,
        services,
        archive,
    };
    Ok(Config {
        log: Log {
            level: given.value("log-level", values::log_level)?,
            format: given.value("log-format", values::log_format)?,
        },
        identity: addresses::identity(given)?,
        node,
        content_topics,
        external_only,
        service_peers: service_peers(given)?,
        discv5: discovery::discv5(given, preset, mode, entries.records)?,
        dns_discovery: discovery::dns(given, entries.trees)?,
        rest: rest(given)?,
        metrics: metrics(given)?,
        warnings,
    })
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

fn limits(given: &Given, filter: bool) -> Result<Limits, Error> {
    let default = Limits::default();
    let known_peers = given.optional("peer-store-capacity", |text| values::number(text, 1, 1_000_000))?;
    Ok(Limits {
        max_connections: given.number("max-connections", 1, MAX_CONNECTIONS)?,
        bandwidth_kib_per_sec: given.value("bandwidth-limit", values::bandwidth_kib_per_sec)?,
        per_ip: NonZeroU32::new(given.number("ip-colocation-limit", 0, MAX_CONNECTIONS)?),
        relay_share_percent: given.value("relay-service-ratio", values::relay_share_percent)?,
        known_peers: known_peers.unwrap_or(default.known_peers),
        filter: if filter {
            services::filter_limits(given)?
        } else {
            default.filter
        },
        ..default
    })
}

fn service_peers(given: &Given) -> Result<ServicePeers, Error> {
    let peer = |name| given.optional(name, values::peer_address);
    Ok(ServicePeers {
        store: peer("storenode")?,
        filter: peer("filternode")?,
        light_push: peer("lightpushnode")?,
        peer_exchange: peer("peer-exchange-node")?,
    })
}

fn rest(given: &Given) -> Result<Option<Rest>, Error> {
    let rest = Rest {
        address: given.value("rest-address", values::address)?,
        port: addresses::port(given, "rest-port")?,
        relay_cache_capacity: given.number("rest-relay-cache-capacity", 0, 100_000)?,
        admin: given.switch("rest-admin")?,
        allowed_origins: given.many("rest-allow-origin", values::words)?,
    };
    Ok(given.switch("rest")?.then_some(rest))
}

fn metrics(given: &Given) -> Result<Option<Metrics>, Error> {
    let metrics = Metrics {
        address: given.value("metrics-server-address", values::address)?,
        port: addresses::port(given, "metrics-server-port")?,
        prefix: given.value("metrics-prefix", values::metrics_prefix)?,
    };
    Ok(given.switch("metrics-server")?.then_some(metrics))
}
