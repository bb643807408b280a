//! Whom the node dials, from which port, and what a dial that failed says.
//!
//! libp2p dials from the port it listens on, so that routers keep one mapping and others see where we can be reached.
//! When two nodes dial each other so at the same moment, TCP makes one connection of both dials (RFC 9293, 3.5), on which
//! either side is the one that dialled: both begin the handshake, and it fails on both. So of two nodes that discovery
//! may send to each other, one dials from a fresh port: the one with the greater peer id.

use std::collections::HashMap;
use std::error::Error;
use std::time::Instant;

use libp2p::core::transport::TransportError;
use libp2p::core::upgrade::NegotiationError;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, Swarm, noise};

use super::behaviour::Behaviour;
use super::command::{ConnectError, ConnectReply};
use super::peers::{Failure, Peers, Port};
use super::status::{Candidate, Origin};
use crate::settings::Limits;

/// nwaku's `MaxParallelDials`.
const MAX_PARALLEL_DIALS: usize = 10;

/// Who waits for a dial that was begun.
#[derive(Debug, Default)]
pub(super) struct Dialler {
    waiting: HashMap<PeerId, Vec<(Multiaddr, ConnectReply)>>,
}

impl Dialler {
    pub(super) fn connect(
        &mut self,
        swarm: &mut Swarm<Behaviour>,
        peers: &mut Peers,
        address: Multiaddr,
        origin: Origin,
        reply: ConnectReply,
    ) {
        let Some(Protocol::P2p(peer)) = address.iter().last() else {
            let _ = reply.send(Err(ConnectError::NoPeerId(address)));
            return;
        };
        peers.learned(peer, address.clone(), origin);
        let options = options(*swarm.local_peer_id(), peers, peer, vec![address.clone()]);
        match swarm.dial(options) {
            Ok(()) => self.waiting.entry(peer).or_default().push((address, reply)),
            Err(DialError::DialPeerConditionFalse(_)) if peers.is_connected(&peer) => {
                let _ = reply.send(Ok(peer));
            }
            Err(DialError::DialPeerConditionFalse(_)) => {
                self.waiting.entry(peer).or_default().push((address, reply));
            }
            Err(error) => {
                let _ = reply.send(Err(ConnectError::Dial {
                    address,
                    reason: error.to_string(),
                }));
            }
        }
    }

    pub(super) fn connected(&mut self, peer: PeerId) {
        for (_, reply) in self.waiting.remove(&peer).unwrap_or_default() {
            let _ = reply.send(Ok(peer));
        }
    }

    pub(super) fn failed(&mut self, peers: &mut Peers, peer: PeerId, error: &DialError) {
        for (address, reply) in self.waiting.remove(&peer).unwrap_or_default() {
            let _ = reply.send(Err(ConnectError::Dial {
                address,
                reason: error.to_string(),
            }));
        }
        let failure = failure(error);
        peers.dial_failed(peer, failure, Instant::now());
        tracing::debug!(%peer, %error, ?failure, "dial failed");
    }
}

/// Remembers who might be dialled: nodes on our shards, as far as theirs are known.
pub(super) fn learn(peers: &mut Peers, own: PeerId, shards: &[u16], candidates: Vec<Candidate>) {
    for candidate in candidates {
        let fits = candidate.shards.is_empty() || candidate.shards.iter().any(|shard| shards.contains(shard));
        if candidate.peer_id == own || !fits {
            continue;
        }
        for address in candidate.addresses {
            peers.learned(candidate.peer_id, address, candidate.origin);
        }
    }
}

/// Keeps a share of the connections for peers we chose: whoever chooses us may be an attacker (nwaku keeps a third of
/// relay's share, `outRelayPeersTarget`).
pub(super) fn dial_discovered(swarm: &mut Swarm<Behaviour>, peers: &mut Peers, limits: &Limits) {
    let target = limits.max_connections as usize * usize::from(limits.relay_share_percent) / 100 / 3;
    let missing = target.saturating_sub(peers.outbound_count()).min(MAX_PARALLEL_DIALS);
    for (peer, addresses) in peers.next_dials(missing, Instant::now()) {
        let options = options(*swarm.local_peer_id(), peers, peer, addresses);
        if let Err(error) = swarm.dial(options) {
            tracing::debug!(%peer, %error, "not dialled");
        }
    }
}

fn options(own: PeerId, peers: &Peers, peer: PeerId, addresses: Vec<Multiaddr>) -> DialOpts {
    let options = DialOpts::peer_id(peer)
        .addresses(addresses)
        .condition(PeerCondition::DisconnectedAndNotDialing);
    match peers.port(own, &peer) {
        Port::Listening => options.build(),
        Port::Fresh => options.allocate_new_port().build(),
    }
}

/// What came of a dial that failed. It is a handshake's failure if one of the addresses got as far as that.
fn failure(error: &DialError) -> Failure {
    let DialError::Transport(tried) = error else {
        return Failure::Unreachable;
    };
    let mut reasons = tried.iter().filter_map(|(_, error)| match error {
        TransportError::Other(error) => error.get_ref(),
        TransportError::MultiaddrNotSupported(_) => None,
    });
    if reasons.any(|reason| is_of_handshake(reason)) {
        Failure::Handshake
    } else {
        Failure::Unreachable
    }
}

fn is_of_handshake(reason: &(dyn Error + 'static)) -> bool {
    let mut next = Some(reason);
    while let Some(error) = next {
        if error.is::<noise::Error>() || error.is::<NegotiationError>() {
            return true;
        }
        next = error.source();
    }
    false
}
