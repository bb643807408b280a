//! Whom the node dials, from which port, and what a dial that failed says.
//!
//! libp2p dials from the port it listens on, so that routers keep one mapping and others see where we can be reached.
//! When two nodes dial each other so at the same moment, TCP makes one connection of both dials (RFC 9293, 3.5), on which
//! either side is the one that dialled: both begin the handshake, and it fails on both. So of two nodes that discovery
//! may send to each other, one dials from a fresh port: the one with the greater peer id.

use std::error::Error;
use std::time::Instant;

use libp2p::core::transport::TransportError;
use libp2p::core::upgrade::NegotiationError;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, noise};
use tokio::sync::oneshot;

use super::handle::{Candidate, ConnectError, Origin};
use super::peers::{Failure, Port};
use super::task::Task;
use crate::topics::Shard;

/// nwaku's `MaxParallelDials`.
const MAX_PARALLEL_DIALS: usize = 10;

pub(super) type ConnectReply = oneshot::Sender<Result<PeerId, ConnectError>>;

impl Task {
    pub(super) fn connect(&mut self, address: Multiaddr, origin: Origin, reply: ConnectReply) {
        let Some(Protocol::P2p(peer)) = address.iter().last() else {
            let _ = reply.send(Err(ConnectError::NoPeerId(address)));
            return;
        };
        self.peers.learned(peer, address.clone(), origin);
        let options = self.options(peer, vec![address.clone()]);
        match self.swarm.dial(options) {
            Ok(()) => self.dialling.entry(peer).or_default().push((address, reply)),
            Err(DialError::DialPeerConditionFalse(_)) if self.peers.is_connected(&peer) => {
                let _ = reply.send(Ok(peer));
            }
            Err(DialError::DialPeerConditionFalse(_)) => {
                self.dialling.entry(peer).or_default().push((address, reply));
            }
            Err(error) => {
                let _ = reply.send(Err(ConnectError::Dial {
                    address,
                    reason: error.to_string(),
                }));
            }
        }
    }

    pub(super) fn dial_failed(&mut self, peer: PeerId, error: &DialError) {
        for (address, reply) in self.dialling.remove(&peer).unwrap_or_default() {
            let _ = reply.send(Err(ConnectError::Dial {
                address,
                reason: error.to_string(),
            }));
        }
        let failure = failure(error);
        self.peers.dial_failed(peer, failure, Instant::now());
        tracing::debug!(%peer, %error, ?failure, "dial failed");
    }

    /// Remembers who might be dialled: nodes on our shards, as far as theirs are known.
    pub(super) fn discovered(&mut self, candidates: Vec<Candidate>) {
        let own = *self.swarm.local_peer_id();
        for candidate in candidates {
            let fits = candidate.shards.is_empty()
                || candidate.shards.iter().any(|&shard| {
                    self.topics
                        .contains(&Shard::new(self.settings.cluster_id, shard).to_string())
                });
            if candidate.peer_id == own || !fits {
                continue;
            }
            for address in candidate.addresses {
                self.peers.learned(candidate.peer_id, address, candidate.origin);
            }
        }
        self.dial_discovered();
    }

    /// Keeps a share of the connections for peers we chose: whoever chooses us may be an attacker (nwaku keeps a third
    /// of relay's share, `outRelayPeersTarget`).
    pub(super) fn dial_discovered(&mut self) {
        let limits = &self.settings.limits;
        let target = limits.max_connections as usize * usize::from(limits.relay_share_percent) / 100 / 3;
        let missing = target
            .saturating_sub(self.peers.outbound_count())
            .min(MAX_PARALLEL_DIALS);
        for (peer, addresses) in self.peers.next_dials(missing, Instant::now()) {
            let options = self.options(peer, addresses);
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(%peer, %error, "not dialled");
            }
        }
    }

    fn options(&self, peer: PeerId, addresses: Vec<Multiaddr>) -> DialOpts {
        let options = DialOpts::peer_id(peer)
            .addresses(addresses)
            .condition(PeerCondition::DisconnectedAndNotDialing);
        match self.peers.port(*self.swarm.local_peer_id(), &peer) {
            Port::Listening => options.build(),
            Port::Fresh => options.allocate_new_port().build(),
        }
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
