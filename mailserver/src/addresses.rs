//! What an address says of itself.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// Whether it leads through another node, whose address it then is.
pub(crate) fn is_circuit(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

pub(crate) fn is_loopback(address: &Multiaddr) -> bool {
    address.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip.is_loopback(),
        Protocol::Ip6(ip) => ip.is_loopback(),
        _ => false,
    })
}

pub(crate) fn is_websocket(address: &Multiaddr) -> bool {
    address
        .iter()
        .any(|part| matches!(part, Protocol::Ws(_) | Protocol::Wss(_)))
}

pub(crate) fn tcp_port(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    })
}

/// What an address of the WebSocket port ends with, as nwaku announces it.
pub(crate) fn websocket(secure: bool) -> Protocol<'static> {
    if secure {
        Protocol::Wss("/".into())
    } else {
        Protocol::Ws("/".into())
    }
}
