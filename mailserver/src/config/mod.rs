//! The configuration: wakunode2's flags and file, read once at the start into values that are known to be good.
//!
//! What was given (`source`) is read flag by flag (`values`) on top of a network's defaults (`preset`). A mistake is one
//! [`Error`] that names the place, the key and the mend; the program then ends with status 78. What is accepted without
//! effect is a warning, one for all such flags, so that scripts written for nwaku go on working and nobody is misled.

mod build;
pub mod flags;
mod known;
mod node;
pub mod preset;
pub mod source;
pub mod values;

use std::{
    net::IpAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use libp2p::Multiaddr;

use crate::settings::{Nat, ProtectedShard, RateLimit, SyncSettings, TlsFiles};
use crate::topics::{ContentTopic, Shard, Sharding};
use source::Given;
pub use values::{Limited, LogFormat, LogLevel, MetricsPrefix, NodeKey};

/// A mistake in flags or file. The program ends with status 78 (`EX_CONFIG` of sysexits.h).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{arg:?} is not a flag; flags start with --")]
    NotAFlag { arg: String },
    #[error("{flag} is not known; {}", .nearest.as_ref().map_or("--help lists all flags".to_owned(), |near| format!("did you mean {near}?")))]
    Unknown { flag: String, nearest: Option<String> },
    #[error("{flag} needs a value; write {flag}=VALUE")]
    NoValue { flag: String },
    #[error("{} cannot be read: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{} is not TOML: {reason}", .path.display())]
    NotToml { path: PathBuf, reason: String },
    #[error("{key} is {found}, which this flag does not take; give one value")]
    WrongToml { key: String, found: &'static str },
    #[error("{flag}: {value:?} is no good: {reason}")]
    Value {
        flag: String,
        value: String,
        reason: String,
    },
    #[error("{flag} needs --{needed}: {reason}")]
    Needs {
        flag: String,
        needed: &'static str,
        reason: &'static str,
    },
    #[error("{flag} contradicts {other}: {reason}")]
    Contradiction {
        flag: String,
        other: String,
        reason: String,
    },
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    Help,
    Version,
    Run(Box<Config>),
}

#[derive(Debug, Clone)]
pub struct Config {
    pub log: Log,
    pub network: Network,
    pub identity: Identity,
    pub addresses: Addresses,
    pub peers: Peers,
    pub relay: bool,
    pub store: Option<Store>,
    pub filter: Option<Filter>,
    pub light_push: bool,
    pub peer_exchange: bool,
    pub services: ServicePeers,
    pub rate_limits: Vec<(Limited, RateLimit)>,
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub cluster: u16,
    pub sharding: Sharding,
    /// The shards served, ascending, each once.
    pub shards: Vec<u16>,
    pub content_topics: Vec<ContentTopic>,
    pub max_message_bytes: usize,
    pub protected_shards: Vec<ProtectedShard>,
}

impl Network {
    /// The shards served, as pubsub topics.
    pub fn pubsub_topics(&self) -> impl Iterator<Item = Shard> {
        self.shards.iter().map(|&index| Shard::new(self.cluster, index))
    }
}

/// Whose key the node has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Given(NodeKey),
    /// Read from this file, which is made when absent.
    File(PathBuf),
    /// A new one each time, as in nwaku.
    Fresh,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    pub agent: String,
    pub listen: IpAddr,
    pub tcp_port: u16,
    pub websocket_port: Option<u16>,
    /// wss then, not ws.
    pub websocket_tls: Option<TlsFiles>,
    pub nat: Nat,
    pub advertised: Vec<Multiaddr>,
    /// Advertise nothing but `advertised`.
    pub advertised_only: bool,
    pub dns4_domain: Option<String>,
    /// Ask circuit relays for a reservation.
    pub relay_client: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    /// Kept connected, each with its `/p2p/`.
    pub static_nodes: Vec<Multiaddr>,
    pub max_connections: usize,
    pub relay_share_percent: u8,
    /// `None` is no limit.
    pub max_per_ip: Option<usize>,
    pub bandwidth_kib_per_sec: Option<NonZeroU32>,
    pub store_capacity: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub archive_dir: PathBuf,
    pub retention: Duration,
    pub resume: bool,
    /// Answer store 2.0.0-beta4.
    pub legacy: bool,
    pub sync: Option<SyncSettings>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    pub subscription_timeout: Duration,
    pub max_peers: usize,
    pub max_criteria: usize,
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

/// Reads the command line, without the program's name, and the configuration file that it names.
pub fn read(args: &[String]) -> Result<Request, Error> {
    let given = Given::read(args)?;
    if given.switch("help")? {
        return Ok(Request::Help);
    }
    if given.switch("version")? {
        return Ok(Request::Version);
    }
    Config::from_given(&given).map(|config| Request::Run(Box::new(config)))
}

/// Reads the text of a configuration file as if the command line named nothing else.
pub fn read_text(path: &Path, text: &str) -> Result<Config, Error> {
    Config::from_given(&Given::from_toml(path, text)?)
}

#[cfg(test)]
mod tests;
