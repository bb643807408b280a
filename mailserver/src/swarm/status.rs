//! What the node tells about itself and its peers.

use std::time::Duration;

use libp2p::{Multiaddr, PeerId, StreamProtocol};

use crate::topics::Sharding;

/// What an operator or a health check asks first. It is as it was left by whatever was asked of the node and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Grows with every change.
    pub revision: u64,
    pub phase: Phase,
    /// With `/p2p/ID`, loopback last.
    pub listen_addresses: Vec<Multiaddr>,
    /// Confirmed or configured as reachable from outside.
    pub external_addresses: Vec<Multiaddr>,
    pub connected_peers: usize,
    /// Subscribed pubsub topics and the peers in each one's mesh.
    pub meshes: Vec<(String, usize)>,
    /// The shards of its cluster that the node is on, ascending.
    pub shards: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Listening,
    Draining,
}

/// What never changes while the node runs.
#[derive(Clone, Debug)]
pub struct Info {
    pub peer_id: PeerId,
    pub agent: String,
    pub cluster_id: u16,
    pub sharding: Sharding,
    pub max_message_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Inbound,
    Outbound,
}

/// How the node came to know a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It connected to us.
    Unknown,
    Static,
    /// By `connect`, that is by REST.
    Admin,
    Discv5,
    Dns,
    PeerExchange,
}

/// A peer the node is connected to or knows how to reach.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    pub peer_id: PeerId,
    pub addresses: Vec<Multiaddr>,
    /// Absent when not connected.
    pub direction: Option<Direction>,
    pub origin: Origin,
    /// From identify.
    pub agent: Option<String>,
    pub protocols: Vec<StreamProtocol>,
    /// From metadata.
    pub shards: Vec<u16>,
    /// Pubsub topics the peer is subscribed to.
    pub relay_topics: Vec<String>,
    /// Pubsub topics in whose mesh the peer is.
    pub mesh_topics: Vec<String>,
    pub score: Option<f64>,
    /// The last ping.
    pub latency: Option<Duration>,
}

/// A node that discovery found and this one might connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub peer_id: PeerId,
    pub addresses: Vec<Multiaddr>,
    /// Empty when not known.
    pub shards: Vec<u16>,
    pub origin: Origin,
}
