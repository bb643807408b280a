//! Whom a connection counts for: one customer's address. Peer ids cost nothing, so nothing that is scarce is shared by them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// An IPv4 address, or an IPv6 address's /64, which is what one customer is given. A circuit counts for the relay that it
/// comes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(IpAddr);

impl Host {
    /// Of a connection's ends. The remote end of an inbound circuit is a peer id alone; the relay is in the local one.
    pub fn of(remote: &Multiaddr, local: Option<&Multiaddr>) -> Self {
        let ip = ip(remote).or_else(|| local.and_then(ip));
        Self(match ip {
            Some(IpAddr::V6(ip)) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
            Some(ip) => ip,
            None => Ipv4Addr::UNSPECIFIED.into(),
        })
    }
}

fn ip(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::from(ip)),
        Protocol::Ip6(ip) => Some(ip.to_canonical()),
        _ => None,
    })
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customer_is_one_host() {
        let of = |remote: &str, local: Option<&str>| {
            let local: Option<Multiaddr> = local.map(|local| local.parse().unwrap());
            Host::of(&remote.parse().unwrap(), local.as_ref()).to_string()
        };
        let peer = "16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31";
        assert_eq!(of("/ip4/192.0.2.7/tcp/1", None), "192.0.2.7");
        assert_eq!(of("/ip4/192.0.2.7/tcp/2/ws", Some("/ip4/192.0.2.1/tcp/3")), "192.0.2.7");
        assert_eq!(of("/ip6/2001:db8:1:2:3:4:5:6/tcp/1", None), "2001:db8:1:2::");
        assert_eq!(of("/ip6/::ffff:192.0.2.7/tcp/1", None), "192.0.2.7");
        let circuit = format!("/ip4/192.0.2.9/tcp/1/p2p/{peer}/p2p-circuit");
        assert_eq!(of(&format!("/p2p/{peer}"), Some(&circuit)), "192.0.2.9");
        assert_eq!(of(&format!("{circuit}/p2p/{peer}"), None), "192.0.2.9");
        assert_eq!(of(&format!("/p2p/{peer}"), None), "0.0.0.0");
    }
}
