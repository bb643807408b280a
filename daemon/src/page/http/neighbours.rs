//! Who may look at the page: private and link-local addresses, and peers on the same link, whatever their address.
//!
//! A home's IPv6 addresses are public ones, so the networks of the box's own interfaces count as local, too.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;

use crate::address::is_private;

/// How long the list of the interfaces' networks is used before it is read again.
const REREAD: Duration = Duration::from_secs(15);

pub(in crate::page) struct Neighbours {
    any: bool,
    on_link: Vec<Network>,
    read_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Neighbours {
    /// `any` lets everybody in, as the configuration may say.
    pub(in crate::page) fn new(any: bool) -> Neighbours {
        Neighbours {
            any,
            on_link: Vec::new(),
            read_at: None,
        }
    }

    pub(super) fn admits(&mut self, peer: IpAddr, now: Instant) -> bool {
        let peer = peer.to_canonical();
        if self.any || is_private(peer) {
            return true;
        }
        if self
            .read_at
            .is_none_or(|at| now.saturating_duration_since(at) >= REREAD)
        {
            self.on_link = own_networks();
            self.read_at = Some(now);
        }
        self.on_link.iter().any(|network| network.contains(peer))
    }
}

impl Network {
    fn contains(self, peer: IpAddr) -> bool {
        match (self.address, peer) {
            (IpAddr::V4(own), IpAddr::V4(peer)) => {
                same(u128::from(own.to_bits()), u128::from(peer.to_bits()), 32, self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(peer)) => same(own.to_bits(), peer.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

/// Whether two addresses of `bits` bits agree in the first `prefix` of them. A network of everything is a mistake, not
/// a neighbourhood.
fn same(own: u128, peer: u128, bits: u32, prefix: u32) -> bool {
    prefix > 0 && (own ^ peer).checked_shr(bits - prefix.min(bits)).unwrap_or(0) == 0
}

fn own_networks() -> Vec<Network> {
    let Ok(interfaces) = getifaddrs() else {
        return Vec::new();
    };
    interfaces
        // A tunnel's other end is not a neighbour.
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter(|interface| !interface.flags.contains(InterfaceFlags::IFF_POINTOPOINT))
        .filter_map(|interface| network(&interface))
        .collect()
}

fn network(interface: &InterfaceAddress) -> Option<Network> {
    let (address, mask) = (interface.address?, interface.netmask?);
    if let (Some(address), Some(mask)) = (address.as_sockaddr_in(), mask.as_sockaddr_in()) {
        return Some(Network {
            address: IpAddr::V4(address.ip()),
            prefix: mask.ip().to_bits().leading_ones(),
        });
    }
    let (address, mask) = (address.as_sockaddr_in6()?, mask.as_sockaddr_in6()?);
    Some(Network {
        address: IpAddr::V6(address.ip()),
        prefix: mask.ip().to_bits().leading_ones(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbours(any: bool, on_link: &[(&str, u32)]) -> Neighbours {
        let on_link = on_link
            .iter()
            .map(|(address, prefix)| Network {
                address: address.parse().unwrap(),
                prefix: *prefix,
            })
            .collect();
        Neighbours {
            any,
            on_link,
            read_at: Some(Instant::now() + REREAD),
        }
    }

    #[test]
    fn private_link_local_and_on_link_peers_only() {
        let mut home = neighbours(false, &[("2001:db8:1:2::5", 64), ("198.51.100.9", 24)]);
        for (peer, admitted) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.178.20", true),
            ("::ffff:192.168.178.20", true),
            ("169.254.3.4", true),
            ("fe80::1", true),
            ("fd00::1", true),
            ("2001:db8:1:2::99", true),
            ("2001:db8:1:3::99", false),
            ("198.51.100.200", true),
            ("198.51.101.200", false),
            ("::ffff:198.51.101.200", false),
            ("8.8.8.8", false),
            ("2600::1", false),
        ] {
            assert_eq!(home.admits(peer.parse().unwrap(), Instant::now()), admitted, "{peer}");
        }
        assert!(neighbours(true, &[]).admits("8.8.8.8".parse().unwrap(), Instant::now()));
    }

    #[test]
    fn a_network_of_everything_is_no_neighbourhood() {
        assert!(!neighbours(false, &[("0.0.0.0", 0)]).admits("8.8.8.8".parse().unwrap(), Instant::now()));
    }

    #[test]
    fn the_hosts_own_interfaces_are_read() {
        let networks = own_networks();
        let loopback = Network {
            address: "127.0.0.1".parse().unwrap(),
            prefix: 8,
        };
        assert!(networks.contains(&loopback), "{networks:?}");
    }
}
