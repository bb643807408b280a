//! The last number of the box's IPv4 address, which the lights blink so that the page can be found without a screen.

use std::net::Ipv4Addr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// Of the first address that the LAN can reach; private ones first.
pub fn last_number() -> Option<u8> {
    let addresses = getifaddrs()
        .ok()?
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|interface| interface.address?.as_sockaddr_in().map(|address| address.ip()));
    choose(addresses).map(|address| address.octets()[3])
}

fn choose(addresses: impl Iterator<Item = Ipv4Addr>) -> Option<Ipv4Addr> {
    addresses
        .filter(|address| !address.is_loopback())
        .min_by_key(|address| match address {
            address if address.is_private() => 0,
            address if address.is_link_local() => 2,
            _ => 1,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_first_and_loopback_never() {
        let cases: &[(&[[u8; 4]], Option<u8>)] = &[
            (&[], None),
            (&[[127, 0, 0, 1]], None),
            (&[[127, 0, 0, 1], [169, 254, 7, 9]], Some(9)),
            (&[[169, 254, 7, 9], [192, 168, 1, 137], [10, 0, 0, 5]], Some(137)),
            (&[[169, 254, 7, 9], [203, 0, 113, 4]], Some(4)),
        ];
        for (addresses, wanted) in cases {
            let chosen = choose(addresses.iter().map(|octets| Ipv4Addr::from(*octets)));
            assert_eq!(chosen.map(|address| address.octets()[3]), *wanted, "{addresses:?}");
        }
    }
}
