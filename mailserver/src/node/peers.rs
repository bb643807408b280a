//! What the node knows of its peers: those connected, and a bounded number of others by address.

use std::collections::HashMap;
use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, StreamProtocol};

use super::handle::{Direction, Origin, PeerInfo};

/// Peers that are known but not connected; beyond it the one met longest ago is forgotten.
const MAX_KNOWN: usize = 1000;
/// Addresses kept of one peer: identify lets it claim as many as it likes.
const MAX_ADDRESSES: usize = 16;

#[derive(Debug)]
struct Peer {
    connections: Vec<ConnectionId>,
    addresses: Vec<Multiaddr>,
    direction: Option<Direction>,
    origin: Origin,
    agent: Option<String>,
    protocols: Vec<StreamProtocol>,
    shards: Vec<u16>,
    latency: Option<Duration>,
    unwanted: bool,
    /// Order of the last change, for forgetting.
    met: u64,
}

#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: HashMap<PeerId, Peer>,
    clock: u64,
}

impl Peers {
    fn entry(&mut self, id: PeerId) -> &mut Peer {
        self.clock += 1;
        if !self.peers.contains_key(&id) && self.peers.len() >= MAX_KNOWN {
            let oldest = self
                .peers
                .iter()
                .filter(|(_, peer)| peer.connections.is_empty())
                .min_by_key(|(_, p)| p.met);
            if let Some(oldest) = oldest.map(|(&id, _)| id) {
                self.peers.remove(&oldest);
            }
        }
        let peer = self.peers.entry(id).or_insert_with(|| Peer {
            connections: Vec::new(),
            addresses: Vec::new(),
            direction: None,
            origin: Origin::Unknown,
            agent: None,
            protocols: Vec::new(),
            shards: Vec::new(),
            latency: None,
            unwanted: false,
            met: 0,
        });
        peer.met = self.clock;
        peer
    }

    /// Returns whether this is the first connection to the peer.
    pub(super) fn connected(&mut self, id: PeerId, connection: ConnectionId, point: &ConnectedPoint) -> bool {
        let peer = self.entry(id);
        peer.connections.push(connection);
        let (direction, address) = match point {
            ConnectedPoint::Dialer { address, .. } => (Direction::Outbound, address),
            ConnectedPoint::Listener { send_back_addr, .. } => (Direction::Inbound, send_back_addr),
        };
        let first = peer.connections.len() == 1;
        if first {
            peer.direction = Some(direction);
        }
        add_address(peer, address.clone());
        first
    }

    pub(super) fn disconnected(&mut self, id: PeerId, connection: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.connections.retain(|&known| known != connection);
            if peer.connections.is_empty() {
                peer.direction = None;
                if peer.unwanted {
                    self.peers.remove(&id);
                }
            }
        }
    }

    pub(super) fn is_connected(&self, id: &PeerId) -> bool {
        self.peers.get(id).is_some_and(|peer| !peer.connections.is_empty())
    }

    pub(super) fn connected_count(&self) -> usize {
        self.peers.values().filter(|peer| !peer.connections.is_empty()).count()
    }

    pub(super) fn learned(&mut self, id: PeerId, address: Multiaddr, origin: Origin) {
        let peer = self.entry(id);
        add_address(peer, address);
        if peer.origin == Origin::Unknown {
            peer.origin = origin;
        }
    }

    pub(super) fn identified(&mut self, id: PeerId, agent: String, protocols: Vec<StreamProtocol>) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.agent = Some(agent);
            peer.protocols = protocols;
        }
    }

    pub(super) fn shards(&mut self, id: PeerId, shards: Vec<u16>) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.shards = shards;
        }
    }

    pub(super) fn latency(&mut self, id: PeerId, latency: Duration) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.latency = Some(latency);
        }
    }

    /// Forgotten as soon as it is disconnected: it is on another network.
    pub(super) fn unwanted(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.unwanted = true;
        }
    }

    /// All peers, relay's part left empty.
    pub(super) fn list(&self) -> Vec<PeerInfo> {
        self.peers
            .iter()
            .map(|(&peer_id, peer)| PeerInfo {
                peer_id,
                addresses: peer.addresses.clone(),
                direction: peer.direction,
                origin: peer.origin,
                agent: peer.agent.clone(),
                protocols: peer.protocols.clone(),
                shards: peer.shards.clone(),
                relay_topics: Vec::new(),
                mesh_topics: Vec::new(),
                score: None,
                latency: peer.latency,
            })
            .collect()
    }
}

fn add_address(peer: &mut Peer, address: Multiaddr) {
    if !peer.addresses.contains(&address) {
        if peer.addresses.len() >= MAX_ADDRESSES {
            peer.addresses.remove(0);
        }
        peer.addresses.push(address);
    }
}
