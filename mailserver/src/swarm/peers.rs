//! What the node knows of its peers: those connected, and a bounded number of others by address.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, StreamProtocol};

use rand::RngExt;

use super::status::{Direction, Origin, PeerInfo};

/// Addresses kept of one peer: identify lets it claim as many as it likes.
const MAX_ADDRESSES: usize = 16;

/// After the first failed dial; each further one multiplies it (nwaku's `--peer-backoff`: 120 s × 4ⁿ).
const BACKOFF: Duration = Duration::from_secs(120);
const BACKOFF_FACTOR: u32 = 4;
/// nwaku's `MaxFailedAttempts`.
const MAX_FAILURES: u32 = 5;
/// After a handshake that failed, by chance between these: the two ends need not meet again.
const HANDSHAKE_BACKOFF_MILLIS: std::ops::Range<u64> = 500..3000;
/// So many handshakes in a row fail by accident; further ones count like any failed dial.
const MAX_ACCIDENTS: u32 = 3;

/// Why a dial came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody answered, or not the peer that was meant.
    Unreachable,
    /// Somebody answered and the handshake failed, as it does when both ends dialled each other at the same moment.
    Handshake,
}

/// Where a dial comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// The port that we listen on, where that is possible.
    Listening,
    Fresh,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    direction: Direction,
    /// To be closed.
    useless: bool,
    /// Since the last answer, as far as they were reported.
    missed_pings: u32,
}

#[derive(Debug)]
struct Peer {
    connections: Vec<Connection>,
    addresses: Vec<Multiaddr>,
    origin: Origin,
    agent: Option<String>,
    protocols: Vec<StreamProtocol>,
    shards: Vec<u16>,
    latency: Option<Duration>,
    unwanted: bool,
    /// Dials that failed since the last connection.
    failures: u32,
    /// Handshakes that failed since the last connection.
    accidents: u32,
    /// Not dialled by ourselves before.
    not_before: Option<Instant>,
    /// Order of the last change, for forgetting.
    met: u64,
}

#[derive(Debug)]
pub(super) struct Peers {
    peers: HashMap<PeerId, Peer>,
    clock: u64,
    /// Peers known, connected or not; beyond it the one met longest ago is forgotten, unless it is connected.
    capacity: usize,
}

impl Peers {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            peers: HashMap::new(),
            clock: 0,
            capacity,
        }
    }

    fn entry(&mut self, id: PeerId) -> &mut Peer {
        self.clock += 1;
        if !self.peers.contains_key(&id) && self.peers.len() >= self.capacity {
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
            origin: Origin::Unknown,
            agent: None,
            protocols: Vec::new(),
            shards: Vec::new(),
            latency: None,
            unwanted: false,
            failures: 0,
            accidents: 0,
            not_before: None,
            met: 0,
        });
        peer.met = self.clock;
        peer
    }

    /// Returns whether this is the first connection to the peer.
    pub(super) fn connected(&mut self, id: PeerId, connection: ConnectionId, point: &ConnectedPoint) -> bool {
        let peer = self.entry(id);
        let (direction, address) = match point {
            ConnectedPoint::Dialer { address, .. } => (Direction::Outbound, address),
            ConnectedPoint::Listener { send_back_addr, .. } => (Direction::Inbound, send_back_addr),
        };
        peer.connections.push(Connection {
            id: connection,
            direction,
            useless: false,
            missed_pings: 0,
        });
        peer.failures = 0;
        peer.accidents = 0;
        peer.not_before = None;
        // The new connection is judged by itself.
        peer.unwanted = false;
        add_address(peer, address.clone());
        peer.connections.len() == 1
    }

    pub(super) fn disconnected(&mut self, id: PeerId, connection: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.connections.retain(|known| known.id != connection);
            if peer.connections.is_empty() && peer.unwanted {
                self.peers.remove(&id);
            }
        }
    }

    pub(super) fn is_connected(&self, id: &PeerId) -> bool {
        self.peers.get(id).is_some_and(|peer| !peer.connections.is_empty())
    }

    /// Notes that a connection is of no use; false if it is gone. A peer that had no other kind is forgotten with its last.
    pub(super) fn condemn(&mut self, id: PeerId, connection: ConnectionId) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else {
            return false;
        };
        let Some(known) = peer.connections.iter_mut().find(|known| known.id == connection) else {
            return false;
        };
        known.useless = true;
        peer.unwanted |= peer.connections.iter().all(|known| known.useless);
        true
    }

    /// Whether the peer has said what it is, on this connection or an earlier one.
    pub(super) fn is_identified(&self, id: &PeerId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.agent.is_some())
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

    pub(super) fn answered(&mut self, id: PeerId, connection: ConnectionId, latency: Duration) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.latency = Some(latency);
            let answered = peer.connections.iter_mut().find(|known| known.id == connection);
            answered.into_iter().for_each(|known| known.missed_pings = 0);
        }
    }

    /// Counts a ping without an answer; how many there were in a row.
    pub(super) fn missed(&mut self, id: PeerId, connection: ConnectionId) -> u32 {
        let connections = self.peers.get_mut(&id).map(|peer| &mut peer.connections);
        let connection = connections.and_then(|known| known.iter_mut().find(|known| known.id == connection));
        connection.map_or(0, |connection| {
            connection.missed_pings += 1;
            connection.missed_pings
        })
    }

    /// From where `own` dials a peer. Two nodes that discovery found may dial each other at the same moment, and those
    /// whose handshake failed have: then the one with the greater id takes a fresh port.
    pub(super) fn port(&self, own: PeerId, id: &PeerId) -> Port {
        let may_cross = |peer: &Peer| peer.accidents > 0 || is_found(peer.origin);
        if own > *id && self.peers.get(id).is_some_and(may_cross) {
            Port::Fresh
        } else {
            Port::Listening
        }
    }

    /// A dial came to nothing: the next one waits longer, and after [`MAX_FAILURES`] the peer is forgotten.
    pub(super) fn dial_failed(&mut self, id: PeerId, failure: Failure, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.connections.is_empty()) else {
            return;
        };
        if failure == Failure::Handshake && peer.accidents < MAX_ACCIDENTS {
            peer.accidents += 1;
            let wait = Duration::from_millis(rand::rng().random_range(HANDSHAKE_BACKOFF_MILLIS));
            peer.not_before = Some(now + wait);
            return;
        }
        peer.failures += 1;
        peer.not_before = Some(now + BACKOFF * BACKOFF_FACTOR.pow(peer.failures.min(MAX_FAILURES) - 1));
        if peer.failures >= MAX_FAILURES && peer.origin != Origin::Static {
            self.peers.remove(&id);
        }
    }

    /// Up to `count` peers that discovery found, are not connected, and whose backoff is over; each is held back until
    /// it has answered or failed.
    pub(super) fn next_dials(&mut self, count: usize, now: Instant) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let due = |peer: &Peer| {
            is_found(peer.origin) && peer.connections.is_empty() && peer.not_before.is_none_or(|at| at <= now)
        };
        let mut due: Vec<_> = self.peers.iter_mut().filter(|(_, peer)| due(peer)).collect();
        due.sort_by_key(|(_, peer)| (peer.failures, peer.met));
        due.truncate(count);
        due.into_iter()
            .map(|(&id, peer)| {
                peer.not_before = Some(now + BACKOFF);
                (id, peer.addresses.clone())
            })
            .collect()
    }

    pub(super) fn outbound_count(&self) -> usize {
        self.peers
            .values()
            .filter(|peer| direction(peer) == Some(Direction::Outbound))
            .count()
    }

    /// Connected peers that speak `protocol`, each with an address.
    pub(super) fn connected_with(&self, protocol: &StreamProtocol) -> Vec<(PeerId, Multiaddr)> {
        let fit = |peer: &Peer| !peer.connections.is_empty() && peer.protocols.contains(protocol);
        let fits = self.peers.iter().filter(|(_, peer)| fit(peer));
        fits.filter_map(|(&id, peer)| Some((id, peer.addresses.first()?.clone())))
            .collect()
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
                direction: direction(peer),
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

/// Whether discovery found it.
fn is_found(origin: Origin) -> bool {
    matches!(origin, Origin::Discv5 | Origin::Dns | Origin::PeerExchange)
}

/// The oldest connection's; absent when there is none.
fn direction(peer: &Peer) -> Option<Direction> {
    peer.connections.first().map(|connection| connection.direction)
}

fn add_address(peer: &mut Peer, address: Multiaddr) {
    if !peer.addresses.contains(&address) {
        if peer.addresses.len() >= MAX_ADDRESSES {
            peer.addresses.remove(0);
        }
        peer.addresses.push(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peers: &mut Peers) -> PeerId {
        let id = PeerId::random();
        peers.learned(id, "/ip4/192.0.2.1/tcp/1".parse().unwrap(), Origin::Discv5);
        id
    }

    #[test]
    fn failed_dials_wait_longer_until_the_peer_is_forgotten() {
        let mut peers = Peers::new(1000);
        let id = found(&mut peers);
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let dial = |peers: &mut Peers, now| peers.next_dials(5, now).iter().any(|(peer, _)| *peer == id);
        let mut now = 0;
        for wait in [120, 480, 1920, 7680] {
            assert!(dial(&mut peers, at(now)), "{wait}");
            assert!(!dial(&mut peers, at(now)), "held back while it is dialled");
            peers.dial_failed(id, Failure::Unreachable, at(now));
            assert!(!dial(&mut peers, at(now + wait - 1)), "{wait}");
            now += wait;
        }
        assert!(dial(&mut peers, at(now)));
        peers.dial_failed(id, Failure::Unreachable, at(now));
        assert!(peers.list().is_empty());
    }

    #[test]
    fn a_handshake_that_failed_is_tried_again_within_seconds_but_not_for_ever() {
        let mut peers = Peers::new(1000);
        let id = found(&mut peers);
        let mut now = Instant::now();
        let dial = |peers: &mut Peers, now| peers.next_dials(5, now).iter().any(|(peer, _)| *peer == id);
        for _ in 0..MAX_ACCIDENTS {
            assert!(dial(&mut peers, now));
            peers.dial_failed(id, Failure::Handshake, now);
            assert!(!dial(&mut peers, now));
            now += Duration::from_millis(HANDSHAKE_BACKOFF_MILLIS.end);
        }
        assert!(dial(&mut peers, now));
        peers.dial_failed(id, Failure::Handshake, now);
        assert!(!dial(&mut peers, now + BACKOFF - Duration::from_secs(1)));
        assert!(dial(&mut peers, now + BACKOFF));
    }

    #[test]
    fn of_two_that_may_dial_each_other_one_takes_a_fresh_port() {
        let mut ids = [PeerId::random(), PeerId::random()];
        ids.sort();
        let [less, greater] = ids;
        let ports = |origin, accident| {
            [(less, greater), (greater, less)].map(|(own, other)| {
                let mut peers = Peers::new(1000);
                peers.learned(other, "/ip4/192.0.2.1/tcp/1".parse().unwrap(), origin);
                if accident {
                    peers.dial_failed(other, Failure::Handshake, Instant::now());
                }
                peers.port(own, &other)
            })
        };
        for origin in [Origin::Discv5, Origin::Dns, Origin::PeerExchange] {
            assert_eq!(ports(origin, false), [Port::Listening, Port::Fresh]);
        }
        for origin in [Origin::Static, Origin::Admin] {
            assert_eq!(ports(origin, false), [Port::Listening, Port::Listening]);
            assert_eq!(ports(origin, true), [Port::Listening, Port::Fresh]);
        }
    }

    #[test]
    fn only_what_discovery_found_is_dialled_and_not_more_than_asked() {
        let mut peers = Peers::new(1000);
        for _ in 0..5 {
            found(&mut peers);
        }
        peers.learned(PeerId::random(), "/ip4/192.0.2.2/tcp/1".parse().unwrap(), Origin::Admin);
        let now = Instant::now();
        assert_eq!(peers.next_dials(3, now).len(), 3);
        assert_eq!(peers.next_dials(10, now).len(), 2);
    }

    #[test]
    fn memory_of_peers_and_addresses_is_bounded() {
        let mut peers = Peers::new(1000);
        for port in 0..2 * 1000 {
            let id = found(&mut peers);
            for more in 0..2 * MAX_ADDRESSES {
                peers.learned(
                    id,
                    format!("/ip4/192.0.2.1/tcp/{}/p2p/{id}", port + more).parse().unwrap(),
                    Origin::Dns,
                );
            }
        }
        let known = peers.list();
        assert_eq!(known.len(), 1000);
        assert!(known.iter().all(|peer| peer.addresses.len() <= MAX_ADDRESSES));
    }
}
