//! What the program is told before it starts: the node's settings, and those of the parts around the node.

use std::net::IpAddr;

use libp2p::Multiaddr;

use super::values::{LogFormat, LogLevel, MetricsPrefix};
use crate::key::Identity;
use crate::settings::Settings;
use crate::topics::ContentTopic;

#[derive(Debug, Clone)]
pub struct Config {
    pub log: Log,
    pub identity: Identity,
    pub node: Settings,
    /// Those that were named; REST collects what comes on them from the start.
    pub content_topics: Vec<ContentTopic>,
    /// Whether the node record says nothing but the node's external addresses.
    pub external_only: bool,
    pub service_peers: ServicePeers,
    pub discv5: Option<Discv5>,
    pub dns_discovery: DnsDiscovery,
    pub rest: Option<Rest>,
    pub metrics: Option<Metrics>,
    /// One line each, for the log at the start.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
}

/// The peers whose services this node asks for, where given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServicePeers {
    pub store: Option<Multiaddr>,
    pub filter: Option<Multiaddr>,
    pub light_push: Option<Multiaddr>,
    pub peer_exchange: Option<Multiaddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discv5 {
    pub udp_port: u16,
    /// Text-encoded ENRs.
    pub bootstrap: Vec<String>,
    pub enr_auto_update: bool,
    pub limit_table: bool,
    pub limit_bucket: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsDiscovery {
    /// `enrtree://KEY@DOMAIN`.
    pub trees: Vec<String>,
    /// Those of the system when empty.
    pub name_servers: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    pub address: IpAddr,
    pub port: u16,
    pub relay_cache_capacity: usize,
    pub admin: bool,
    pub allowed_origins: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    pub address: IpAddr,
    pub port: u16,
    pub prefix: MetricsPrefix,
}
