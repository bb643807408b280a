//! Being reached from outside: what the router maps (UPnP, NAT-PMP), whether it works (autonat), and otherwise other nodes'
//! circuits (relay v2) with hole punching on top (DCUtR).
//!
//! A node that autonat calls private, or that was told to (`--relay-client`), holds a reservation at up to
//! [`MAX_RESERVATIONS`] connected peers that offer circuits. One that is reached directly offers them.

pub mod igd;
pub mod nat_pmp;
mod pmp;
mod upnp;

use std::net::SocketAddr;

use libp2p::autonat::NatStatus;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Swarm, autonat, dcutr, relay};
use tokio::task::JoinHandle;

use super::behaviour::Behaviour;
use super::handle::Handle;
use super::metrics::Metrics;
use super::peers::Peers;
use crate::addresses::is_circuit;
use crate::settings::Nat;

const MAX_RESERVATIONS: usize = 2;

/// What is known of the way in, and who works at it.
#[derive(Debug)]
pub(super) struct Reach {
    nat: Nat,
    /// Told to hold reservations, whatever autonat says.
    relay_client: bool,
    /// For the tasks that ask the router.
    handle: Handle,
    metrics: Metrics,
    private: bool,
    /// Reservations asked for or held, by the circuit's listener.
    reservations: Vec<(PeerId, ListenerId)>,
    /// UPnP's task; under [`Nat::Any`] it ends where there is no router that it can use.
    upnp: Option<JoinHandle<()>>,
    /// NAT-PMP's task.
    pmp: Option<JoinHandle<()>>,
}

impl Reach {
    pub(super) fn new(nat: Nat, relay_client: bool, handle: Handle, metrics: Metrics) -> Self {
        Self {
            nat,
            relay_client,
            handle,
            metrics,
            private: false,
            reservations: Vec::new(),
            upnp: None,
            pmp: None,
        }
    }

    pub(super) fn changed(&mut self, swarm: &mut Swarm<Behaviour>, peers: &Peers, status: &NatStatus) {
        tracing::info!(?status, "reachability");
        self.private = *status == NatStatus::Private;
        self.reserve(swarm, peers);
    }

    /// Has the router asked, now that it is known on which ports the node listens: by UPnP, and by NAT-PMP where that maps
    /// nothing.
    pub(super) fn map_ports(&mut self, swarm: &Swarm<Behaviour>) {
        match self.nat {
            Nat::Any => {
                self.ask_upnp(swarm, None, true);
                if self.upnp.as_ref().is_some_and(JoinHandle::is_finished) {
                    self.ask_pmp(swarm, None);
                }
            }
            Nat::Upnp { router } => self.ask_upnp(swarm, router, false),
            Nat::Pmp { gateway } => self.ask_pmp(swarm, gateway),
            Nat::None | Nat::ExternalIp(_) => {}
        }
    }

    fn ask_upnp(&mut self, swarm: &Swarm<Behaviour>, router: Option<SocketAddr>, once: bool) {
        if self.upnp.is_none() {
            let run = upnp::run(self.handle.clone(), router, wanted_ports(swarm), once);
            self.upnp = Some(tokio::spawn(run));
        }
    }

    fn ask_pmp(&mut self, swarm: &Swarm<Behaviour>, gateway: Option<SocketAddr>) {
        if self.pmp.is_none() {
            let run = pmp::run(self.handle.clone(), gateway, wanted_ports(swarm));
            self.pmp = Some(tokio::spawn(run));
        }
    }

    /// Whether mappings are still being given back.
    pub(super) fn gives_back(&self) -> bool {
        let mut tasks = [&self.upnp, &self.pmp].into_iter().flatten();
        tasks.any(|task| !task.is_finished())
    }

    /// autonat's confidence counts confirmations of what the first answer said: that answer counts here, too.
    pub(super) fn count(&self, swarm: &Swarm<Behaviour>) {
        let Some(autonat) = swarm.behaviour().autonat.as_ref() else {
            return;
        };
        let known = match autonat.nat_status() {
            NatStatus::Public(_) => Some("Reachable"),
            NatStatus::Private => Some("NotReachable"),
            NatStatus::Unknown => None,
        };
        let most = autonat::Config::default().confidence_max + 1;
        let confidence = (autonat.confidence() + 1) as f64 / most as f64;
        self.metrics.reachable(known, confidence);
    }

    pub(super) fn punched(&self, event: &dcutr::Event) {
        let peer = event.remote_peer_id;
        let outcome = match &event.result {
            Ok(_) => "successful",
            Err(_) => "failed",
        };
        let error = event.result.as_ref().err().map(ToString::to_string);
        tracing::info!(%peer, outcome, error, "hole punch");
        self.metrics.punched(outcome);
    }

    /// Fills the reservations from connected peers that offer circuits, when they are wanted.
    pub(super) fn reserve(&mut self, swarm: &mut Swarm<Behaviour>, peers: &Peers) {
        if !(self.private || self.relay_client) {
            return;
        }
        let taken: Vec<PeerId> = self.reservations.iter().map(|(peer, _)| *peer).collect();
        let wanted = MAX_RESERVATIONS.saturating_sub(taken.len());
        let offers = peers.connected_with(&relay::HOP_PROTOCOL_NAME);
        for (peer, address) in offers
            .into_iter()
            .filter(|(peer, _)| !taken.contains(peer))
            .take(wanted)
        {
            let Some(circuit) = circuit(address, peer) else {
                continue;
            };
            match swarm.listen_on(circuit) {
                Ok(listener) => self.reservations.push((peer, listener)),
                Err(error) => tracing::debug!(%peer, %error, "no reservation"),
            }
        }
    }

    /// A circuit's listener ends when its reservation does: then another may take its place.
    pub(super) fn circuit_closed(&mut self, listener: ListenerId) {
        self.reservations.retain(|(_, held)| *held != listener);
    }
}

/// Takes in an address that the router leads to us, and has autonat find out whether it does.
pub(super) fn lead_in(swarm: &mut Swarm<Behaviour>, address: Multiaddr) {
    if let Some(autonat) = swarm.behaviour_mut().autonat.as_mut() {
        autonat.probe_address(address.clone());
    }
    swarm.add_external_address(address);
}

/// Circuits are offered by nodes that others reach directly: an address at another's circuit is no such way in.
pub(super) fn offer_circuits(swarm: &mut Swarm<Behaviour>) {
    let direct = swarm.external_addresses().any(|address| !is_circuit(address));
    if let Some(hop) = swarm.behaviour_mut().hop.as_mut() {
        let status = if direct {
            relay::Status::Enable
        } else {
            relay::Status::Disable
        };
        hop.set_status(Some(status));
    }
}

fn wanted_ports(swarm: &Swarm<Behaviour>) -> Vec<pmp::Wanted> {
    let mut wanted: Vec<pmp::Wanted> = swarm.listeners().filter_map(direct_port).collect();
    wanted.sort_by_key(|wanted| wanted.port);
    wanted.dedup_by_key(|wanted| wanted.port);
    wanted
}

/// The port of an address that is listened on by IPv4, and what it speaks.
fn direct_port(address: &Multiaddr) -> Option<pmp::Wanted> {
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    let suffix = match &parts[..] {
        [Protocol::Ip4(_), Protocol::Tcp(_)] => None,
        [Protocol::Ip4(_), Protocol::Tcp(_), suffix] => Some(suffix.clone().acquire()),
        _ => return None,
    };
    match parts[1] {
        Protocol::Tcp(port) => Some(pmp::Wanted { port, suffix }),
        _ => None,
    }
}

/// Where to be reached through `peer`; not through another circuit.
fn circuit(address: Multiaddr, peer: PeerId) -> Option<Multiaddr> {
    if is_circuit(&address) {
        return None;
    }
    Some(address.with_p2p(peer).ok()?.with(Protocol::P2pCircuit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_goes_through_one_node() {
        let peer = PeerId::random();
        for (address, expected) in [
            ("/ip4/192.0.2.1/tcp/1".to_owned(), true),
            (format!("/ip4/192.0.2.1/tcp/1/p2p/{peer}"), true),
            (format!("/ip4/192.0.2.1/tcp/1/p2p/{}", PeerId::random()), false),
            (
                format!("/ip4/192.0.2.1/tcp/1/p2p/{}/p2p-circuit", PeerId::random()),
                false,
            ),
        ] {
            let circuit = circuit(address.parse().unwrap(), peer).map(|circuit| circuit.to_string());
            let wanted = expected.then(|| format!("/ip4/192.0.2.1/tcp/1/p2p/{peer}/p2p-circuit"));
            assert_eq!(circuit, wanted, "{address}");
        }
    }
}
