//! What a node is told before it starts: plain values, checked by whoever read them (`config`, from flags, file and
//! presets). There is this one type and no other: what was read is what the node is started with.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use k256::ecdsa::VerifyingKey;
use libp2p::Multiaddr;

use crate::topics::{Shard, Sharding};

/// All but the node's key. Two nodes may be told the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What identify tells peers.
    pub agent: String,
    pub cluster_id: u16,
    /// Shards of `cluster_id` that are subscribed at start and advertised.
    pub shards: Vec<u16>,
    pub sharding: Sharding,
    pub listen: Listen,
    /// Told to peers beside what the node listens on.
    pub external_addresses: Vec<Multiaddr>,
    /// Dialled at start and again whenever lost.
    pub static_nodes: Vec<Multiaddr>,
    pub max_message_bytes: usize,
    pub services: Services,
    pub limits: Limits,
    /// Absent when the node keeps no archive (`--store=false`).
    pub archive: Option<ArchiveSettings>,
    /// Shards on which only envelopes signed by the key are let through.
    pub protected_shards: Vec<ProtectedShard>,
    pub rate_limits: RateLimits,
    pub nat: Nat,
    /// Hold reservations at circuit relays, whatever autonat says (`--relay-client`).
    pub relay_client: bool,
    /// Compare and complete the archive with other stores; nothing without an archive.
    pub sync: Option<SyncSettings>,
}

impl Default for Settings {
    /// nwaku's defaults: what a node without any flag is told.
    fn default() -> Self {
        Self {
            agent: "pillarbox-mailserver".to_owned(),
            cluster_id: 0,
            shards: Vec::new(),
            sharding: Sharding::Static,
            listen: Listen::default(),
            external_addresses: Vec::new(),
            static_nodes: Vec::new(),
            max_message_bytes: 150 * 1024,
            services: Services::default(),
            limits: Limits::default(),
            archive: None,
            protected_shards: Vec::new(),
            rate_limits: RateLimits::default(),
            nat: Nat::default(),
            relay_client: false,
            sync: None,
        }
    }
}

impl Settings {
    /// The shards served, as pubsub topics.
    pub fn pubsub_topics(&self) -> impl Iterator<Item = Shard> {
        self.shards.iter().map(|&index| Shard::new(self.cluster_id, index))
    }
}

/// Port 0 lets the system choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub address: IpAddr,
    pub tcp_port: u16,
    pub websocket_port: Option<u16>,
    /// WebSocket on TLS then (wss), as in nwaku on the same port.
    pub websocket_tls: Option<TlsFiles>,
}

impl Default for Listen {
    /// nwaku's defaults.
    fn default() -> Self {
        Self {
            address: Ipv4Addr::UNSPECIFIED.into(),
            tcp_port: 60000,
            websocket_port: None,
            websocket_tls: None,
        }
    }
}

/// Where the key and the certificate lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub key: PathBuf,
    /// The node's own certificate first, then those between it and an authority.
    pub certificate: PathBuf,
}

/// Which protocols are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Services {
    pub relay: bool,
    pub store: bool,
    pub legacy_store: bool,
    pub light_push: bool,
    pub filter: bool,
    pub peer_exchange: bool,
    pub store_resume: bool,
}

impl Default for Services {
    /// nwaku's defaults.
    fn default() -> Self {
        Self {
            relay: true,
            store: false,
            legacy_store: false,
            light_push: true,
            filter: true,
            peer_exchange: true,
            store_resume: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_connections: u32,
    /// All tcp and ws traffic together, each way; absent is without limit.
    pub bandwidth_kib_per_sec: Option<NonZeroU32>,
    /// Connections from one IP address; absent is without limit.
    pub per_ip: Option<NonZeroU32>,
    /// Of the connections, those meant for relay: a third of them is kept for peers that this node chose.
    pub relay_share_percent: u8,
    /// Peers remembered that are not connected; beyond it the one met longest ago is forgotten.
    pub known_peers: usize,
    pub streams: Streams,
    pub filter: FilterLimits,
    pub ping: Ping,
}

impl Default for Limits {
    /// nwaku's defaults.
    fn default() -> Self {
        Self {
            max_connections: 150,
            bandwidth_kib_per_sec: None,
            per_ip: NonZeroU32::new(5),
            relay_share_percent: 50,
            known_peers: 1000,
            streams: Streams::default(),
            filter: FilterLimits::default(),
            ping: Ping::default(),
        }
    }
}

/// How many inbound streams may be open at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// js-waku holds one idle stream for each protocol and up to 64 busy ones for a protocol.
    pub per_peer: usize,
    pub total: usize,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            per_peer: 128,
            total: 2048,
        }
    }
}

/// How a silent peer is told from a dead one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Between an answer and the next ping.
    pub interval: Duration,
    pub timeout: Duration,
}

impl Default for Ping {
    /// Half a minute, so that an idle connection outlives the shortest memories of home routers; rust-libp2p's timeout.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterLimits {
    pub max_subscribers: usize,
    pub max_criteria_per_subscriber: usize,
    /// A subscriber that neither pings nor subscribes for so long is forgotten.
    pub subscription_timeout: Duration,
}

impl Default for FilterLimits {
    /// nwaku's defaults (`waku_filter_v2/common.nim`).
    fn default() -> Self {
        Self {
            max_subscribers: 1000,
            max_criteria_per_subscriber: 1000,
            subscription_timeout: Duration::from_secs(300),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveSettings {
    pub dir: PathBuf,
    pub retention: Duration,
}

/// Store sync (nwaku `--store-sync`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncSettings {
    /// Between two sessions that this node starts; without it the node answers alone.
    pub interval: Option<Duration>,
    /// How much of the past is compared.
    pub range: Duration,
    /// The newest past is left out of a comparison: it may still come by relay.
    pub jitter: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedShard {
    pub shard: u16,
    pub public_key: VerifyingKey,
}

/// `volume` requests in each `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub volume: u32,
    pub period: Duration,
}

/// Absent is unlimited. The filter's holds for each peer, the others for all peers together (nwaku `--rate-limit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    pub store: Option<RateLimit>,
    pub light_push: Option<RateLimit>,
    pub peer_exchange: Option<RateLimit>,
    pub filter: Option<RateLimit>,
}

impl Default for RateLimits {
    /// nwaku's defaults: only the filter is limited, 30 requests a minute from each peer.
    fn default() -> Self {
        let filter = RateLimit {
            volume: 30,
            period: Duration::from_secs(60),
        };
        Self {
            store: None,
            light_push: None,
            peer_exchange: None,
            filter: Some(filter),
        }
    }
}

/// How the node is reached from outside its own network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nat {
    /// Ask the router for a mapping by UPnP, and by NAT-PMP if that maps nothing; autonat finds out whether it works.
    #[default]
    Any,
    /// By UPnP alone.
    Upnp {
        /// Searched for in the LAN when absent.
        router: Option<SocketAddr>,
    },
    /// By NAT-PMP alone.
    Pmp {
        /// That of the default route when absent.
        gateway: Option<SocketAddr>,
    },
    /// Ask nobody.
    None,
    /// The address is known.
    ExternalIp(IpAddr),
}
