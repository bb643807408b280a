//! Everything the swarm runs on each connection.

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{autonat, dcutr, identify, identity, ping};

use super::gossip::{self, GossipError, Gossipsub};
use super::metrics::Metrics;
use super::{colocation, streams};
use crate::settings::{Nat, Settings};

/// What nwaku announces (`waku_core/multiaddrstr.nim` sets none of its own: nim-libp2p's default).
const IDENTIFY_VERSION: &str = "ipfs/0.1.0";
/// Connections from one peer, tcp and ws together; a third is a mistake or worse.
const MAX_CONNECTIONS_PER_PEER: u32 = 4;
/// Handshakes at once, each way.
pub(super) const MAX_PENDING_CONNECTIONS: u32 = 64;

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    /// First: what it denies costs the others nothing.
    pub(super) limits: connection_limits::Behaviour,
    pub(super) colocation: colocation::Behaviour,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) relay: Toggle<Gossipsub>,
    pub(super) streams: streams::Behaviour,
    pub(super) autonat: Toggle<autonat::Behaviour>,
    /// Offers circuits as long as others can come in directly ([`super::reach`]).
    pub(super) hop: Toggle<libp2p::relay::Behaviour>,
    pub(super) circuit: libp2p::relay::client::Behaviour,
    pub(super) punch: dcutr::Behaviour,
}

impl Behaviour {
    pub(super) fn new(
        settings: &Settings,
        public_key: identity::PublicKey,
        streams: streams::Behaviour,
        circuit: libp2p::relay::client::Behaviour,
        metrics: &Metrics,
    ) -> Result<Self, GossipError> {
        let limits = ConnectionLimits::default()
            .with_max_established(Some(settings.limits.max_connections))
            .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER))
            .with_max_pending_incoming(Some(MAX_PENDING_CONNECTIONS))
            .with_max_pending_outgoing(Some(MAX_PENDING_CONNECTIONS));
        let ping = ping::Config::new()
            .with_interval(settings.limits.ping.interval)
            .with_timeout(settings.limits.ping.timeout);
        let peer_id = public_key.to_peer_id();
        let identify =
            identify::Config::new(IDENTIFY_VERSION.to_owned(), public_key).with_agent_version(settings.agent.clone());
        let relay = settings
            .services
            .relay
            .then(|| gossip::behaviour(settings))
            .transpose()?;
        let outside = settings.nat != Nat::None;
        let autonat = outside.then(|| autonat::Behaviour::new(peer_id, autonat::Config::default()));
        let hop = outside.then(|| libp2p::relay::Behaviour::new(peer_id, libp2p::relay::Config::default()));
        Ok(Self {
            limits: connection_limits::Behaviour::new(limits),
            colocation: colocation::Behaviour::new(settings.limits.per_ip, metrics.clone()),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping),
            relay: Toggle::from(relay),
            streams,
            autonat: autonat.into(),
            hop: hop.into(),
            circuit,
            punch: dcutr::Behaviour::new(peer_id),
        })
    }
}
