//! Being reached from outside: what the router maps (UPnP, NAT-PMP), whether it works (autonat), and otherwise other nodes'
//! circuits (relay v2) with hole punching on top (DCUtR).
//!
//! A node that autonat calls private, or that was told to (`--relay-client`), holds a reservation at up to
//! [`MAX_RESERVATIONS`] connected peers that offer circuits. One that is reached directly offers them.

use std::net::SocketAddr;

use libp2p::autonat::NatStatus;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, autonat, dcutr, relay};
use tokio::task::JoinHandle;

use super::handle::Phase;
use super::settings::Nat;
use super::task::Task;
use super::{pmp, upnp};

const MAX_RESERVATIONS: usize = 2;

/// What is known of the way in.
#[derive(Debug, Default)]
pub(super) struct Reach {
    private: bool,
    /// Reservations asked for or held, by the circuit's listener.
    reservations: Vec<(PeerId, ListenerId)>,
    /// UPnP's task; under [`Nat::Any`] it ends where there is no router that it can use.
    upnp: Option<JoinHandle<()>>,
    /// NAT-PMP's task.
    pmp: Option<JoinHandle<()>>,
}

impl Task {
    pub(super) fn nat_changed(&mut self, status: &NatStatus) {
        tracing::info!(?status, "reachability");
        self.reach.private = *status == NatStatus::Private;
        self.reserve();
    }

    /// Has the router asked, once it is known on which ports the node listens: by UPnP, and by NAT-PMP where that maps
    /// nothing.
    pub(super) fn map_ports(&mut self) {
        if self.handle.status.borrow().phase != Phase::Listening {
            return;
        }
        match self.settings.nat {
            Nat::Any => {
                self.ask_upnp(None, true);
                if self.reach.upnp.as_ref().is_some_and(JoinHandle::is_finished) {
                    self.ask_pmp(None);
                }
            }
            Nat::Upnp { router } => self.ask_upnp(router, false),
            Nat::Pmp { gateway } => self.ask_pmp(gateway),
            Nat::None | Nat::ExternalIp(_) => {}
        }
    }

    fn ask_upnp(&mut self, router: Option<SocketAddr>, once: bool) {
        if self.reach.upnp.is_none() {
            let run = upnp::run(self.handle.clone(), router, self.wanted_ports(), once);
            self.reach.upnp = Some(tokio::spawn(run));
        }
    }

    fn ask_pmp(&mut self, gateway: Option<SocketAddr>) {
        if self.reach.pmp.is_none() {
            let run = pmp::run(self.handle.clone(), gateway, self.wanted_ports());
            self.reach.pmp = Some(tokio::spawn(run));
        }
    }

    fn wanted_ports(&self) -> Vec<pmp::Wanted> {
        let mut wanted: Vec<pmp::Wanted> = self.swarm.listeners().filter_map(direct_port).collect();
        wanted.sort_by_key(|wanted| wanted.port);
        wanted.dedup_by_key(|wanted| wanted.port);
        wanted
    }

    /// Takes in an address that the router leads to us, and has autonat find out whether it does.
    pub(super) fn lead_in(&mut self, address: Multiaddr) {
        if let Some(autonat) = self.swarm.behaviour_mut().autonat.as_mut() {
            autonat.probe_address(address.clone());
        }
        self.swarm.add_external_address(address);
    }

    /// Whether mappings are still being given back.
    pub(super) fn gives_back(&self) -> bool {
        let mut tasks = [&self.reach.upnp, &self.reach.pmp].into_iter().flatten();
        tasks.any(|task| !task.is_finished())
    }

    /// Circuits are offered by nodes that others reach directly: an address at another's circuit is no such way in.
    pub(super) fn offer_circuits(&mut self) {
        let direct = self.swarm.external_addresses().any(|address| !is_circuit(address));
        if let Some(hop) = self.swarm.behaviour_mut().hop.as_mut() {
            let status = if direct {
                relay::Status::Enable
            } else {
                relay::Status::Disable
            };
            hop.set_status(Some(status));
        }
    }

    /// autonat's confidence counts confirmations of what the first answer said: that answer counts here, too.
    pub(super) fn count_reachability(&self) {
        let Some(autonat) = self.swarm.behaviour().autonat.as_ref() else {
            return;
        };
        let known = match autonat.nat_status() {
            NatStatus::Public(_) => Some("Reachable"),
            NatStatus::Private => Some("NotReachable"),
            NatStatus::Unknown => None,
        };
        let most = autonat::Config::default().confidence_max + 1;
        let confidence = (autonat.confidence() + 1) as f64 / most as f64;
        self.handle.counters.reachable(known, confidence);
    }

    pub(super) fn punched(&self, event: &dcutr::Event) {
        let peer = event.remote_peer_id;
        let outcome = match &event.result {
            Ok(_) => "successful",
            Err(_) => "failed",
        };
        let error = event.result.as_ref().err().map(ToString::to_string);
        tracing::info!(%peer, outcome, error, "hole punch");
        self.handle.counters.punched(outcome);
    }

    /// Fills the reservations from connected peers that offer circuits, when they are wanted.
    pub(super) fn reserve(&mut self) {
        if !(self.reach.private || self.settings.relay_client) {
            return;
        }
        let taken: Vec<PeerId> = self.reach.reservations.iter().map(|(peer, _)| *peer).collect();
        let wanted = MAX_RESERVATIONS.saturating_sub(taken.len());
        let offers = self.peers.connected_with(&relay::HOP_PROTOCOL_NAME);
        for (peer, address) in offers
            .into_iter()
            .filter(|(peer, _)| !taken.contains(peer))
            .take(wanted)
        {
            let Some(circuit) = circuit(address, peer) else {
                continue;
            };
            match self.swarm.listen_on(circuit) {
                Ok(listener) => self.reach.reservations.push((peer, listener)),
                Err(error) => tracing::debug!(%peer, %error, "no reservation"),
            }
        }
    }

    /// A circuit's listener ends when its reservation does: then another may take its place.
    pub(super) fn circuit_closed(&mut self, listener: ListenerId) {
        self.reach.reservations.retain(|(_, held)| *held != listener);
    }
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

fn is_circuit(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
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
