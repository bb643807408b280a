//! `--ip-colocation-limit`: so many inbound connections from one IP address and no more; and so many that are being set up,
//! whatever the limit, so that one address that connects and says nothing leaves room for others.
//!
//! Loopback is exempt: it is this machine's own programs, and tests. An IPv6 address counts as its /64, which is what one
//! customer is given.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::{ConnectionEstablished, ListenFailure};
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;

use super::metrics::Metrics;
use crate::labels::count;

/// Of one address at once, of [`super::behaviour::MAX_PENDING_CONNECTIONS`] of all: more than it may have connections by
/// default, so that a house whose line comes back finds its way in.
const MAX_SETUPS: usize = 8;

#[derive(Debug, Error)]
pub(super) enum TooMany {
    #[error("{0} has as many connections as one address may have")]
    Connections(IpAddr),
    #[error("{0} sets up {MAX_SETUPS} connections already")]
    Setups(IpAddr),
}

pub(super) struct Behaviour {
    /// Absent is without limit.
    limit: Option<NonZeroU32>,
    connections: HashMap<IpAddr, u32>,
    /// Connections that are being set up.
    setups: HashMap<ConnectionId, IpAddr>,
    metrics: Metrics,
}

impl Behaviour {
    pub(super) fn new(limit: Option<NonZeroU32>, metrics: Metrics) -> Self {
        Self {
            limit,
            connections: HashMap::new(),
            setups: HashMap::new(),
            metrics,
        }
    }

    fn admit(&self, address: &Multiaddr) -> Result<(), ConnectionDenied> {
        let (Some(origin), Some(limit)) = (origin(address), self.limit) else {
            return Ok(());
        };
        if self.connections.get(&origin).is_some_and(|&count| count >= limit.get()) {
            count(&self.metrics.disconnected, "colocation");
            return Err(ConnectionDenied::new(TooMany::Connections(origin)));
        }
        Ok(())
    }

    fn set_up(&mut self, id: ConnectionId, address: &Multiaddr) -> Result<(), ConnectionDenied> {
        let Some(origin) = origin(address) else {
            return Ok(());
        };
        if self.setups.values().filter(|other| **other == origin).count() >= MAX_SETUPS {
            count(&self.metrics.disconnected, "colocation");
            return Err(ConnectionDenied::new(TooMany::Setups(origin)));
        }
        self.setups.insert(id, origin);
        Ok(())
    }
}

/// Whom a connection from `address` counts for; `None` when it counts for nobody.
fn origin(address: &Multiaddr) -> Option<IpAddr> {
    if address.iter().any(|part| part == Protocol::P2pCircuit) {
        // The address is the circuit relay's.
        return None;
    }
    let ip = address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::from(ip)),
        Protocol::Ip6(ip) => Some(ip.to_canonical()),
        _ => None,
    })?;
    match ip {
        IpAddr::V4(_) => Some(ip),
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into()),
    }
    .filter(|_| !ip.is_loopback())
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.admit(remote)?;
        self.set_up(id, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(remote)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                endpoint: ConnectedPoint::Listener { send_back_addr, .. },
                connection_id,
                ..
            }) => {
                self.setups.remove(&connection_id);
                if let Some(origin) = origin(send_back_addr) {
                    *self.connections.entry(origin).or_default() += 1;
                }
            }
            FromSwarm::ConnectionClosed(ConnectionClosed {
                endpoint: ConnectedPoint::Listener { send_back_addr, .. },
                ..
            }) => {
                let Some(origin) = origin(send_back_addr) else { return };
                if let Some(count) = self.connections.get_mut(&origin) {
                    *count -= 1;
                    if *count == 0 {
                        self.connections.remove(&origin);
                    }
                }
            }
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.setups.remove(&connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use libp2p::swarm::ListenError;

    use super::*;

    #[test]
    fn who_counts_for_whom() {
        for (address, expected) in [
            ("/ip4/203.0.113.7/tcp/1/ws", Some("203.0.113.7")),
            ("/ip6/2001:db8:1:2:3:4:5:6/tcp/1", Some("2001:db8:1:2::")),
            ("/ip6/::ffff:203.0.113.7/tcp/1", Some("203.0.113.7")),
            ("/ip4/127.0.0.1/tcp/1", None),
            ("/ip6/::1/tcp/1", None),
            ("/ip6/::ffff:127.0.0.1/tcp/1", None),
            ("/dns4/example.org/tcp/1", None),
            ("/ip4/203.0.113.7/tcp/1/p2p-circuit", None),
        ] {
            let origin = origin(&address.parse().unwrap());
            assert_eq!(origin, expected.map(|ip| ip.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn set_ups_of_one_address_leave_room_for_others() {
        let mut behaviour = Behaviour::new(NonZeroU32::new(0), Metrics::default());
        let local = Multiaddr::empty();
        let [one, other, own]: [Multiaddr; 3] = [
            "/ip4/203.0.113.7/tcp/1",
            "/ip4/203.0.113.8/tcp/1",
            "/ip4/127.0.0.1/tcp/1",
        ]
        .map(|text| text.parse().unwrap());
        let mut ids = (0..).map(ConnectionId::new_unchecked);
        let mut comes = |behaviour: &mut Behaviour, remote: &Multiaddr| {
            let id = ids.next().unwrap();
            let admitted = behaviour.handle_pending_inbound_connection(id, &local, remote);
            admitted.map(|()| id).map_err(drop)
        };
        let setups: Vec<_> = (0..MAX_SETUPS).map(|_| comes(&mut behaviour, &one).unwrap()).collect();
        assert!(comes(&mut behaviour, &one).is_err());
        assert!(comes(&mut behaviour, &other).is_ok());
        assert!((0..64).all(|_| comes(&mut behaviour, &own).is_ok()));
        behaviour.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
            local_addr: &local,
            send_back_addr: &one,
            error: &ListenError::Aborted,
            connection_id: setups[0],
            peer_id: None,
        }));
        let endpoint = ConnectedPoint::Listener {
            local_addr: local.clone(),
            send_back_addr: one.clone(),
        };
        behaviour.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: PeerId::random(),
            connection_id: setups[1],
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
        for expected in [true, true, false] {
            assert_eq!(comes(&mut behaviour, &one).is_ok(), expected);
        }
    }

    #[test]
    fn a_full_address_is_denied_until_one_leaves() {
        let mut behaviour = Behaviour::new(NonZeroU32::new(2), Metrics::default());
        let remote: Multiaddr = "/ip4/203.0.113.7/tcp/1".parse().unwrap();
        let endpoint = ConnectedPoint::Listener {
            local_addr: Multiaddr::empty(),
            send_back_addr: remote.clone(),
        };
        let established = |id| {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id: PeerId::random(),
                connection_id: ConnectionId::new_unchecked(id),
                endpoint: &endpoint,
                failed_addresses: &[],
                other_established: 0,
            })
        };
        for id in 0..2 {
            assert!(behaviour.admit(&remote).is_ok());
            behaviour.on_swarm_event(established(id));
        }
        assert!(behaviour.admit(&remote).is_err());
        assert!(behaviour.admit(&"/ip4/203.0.113.8/tcp/1".parse().unwrap()).is_ok());
        behaviour.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
            peer_id: PeerId::random(),
            connection_id: ConnectionId::new_unchecked(0),
            endpoint: &endpoint,
            cause: None,
            remaining_established: 0,
        }));
        assert!(behaviour.admit(&remote).is_ok());
        assert!(
            Behaviour::new(NonZeroU32::new(0), Metrics::default())
                .admit(&remote)
                .is_ok()
        );
    }
}
