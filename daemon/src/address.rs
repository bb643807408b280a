//! Which addresses belong to a home and which to the internet.

use std::net::IpAddr;

/// RFC 1918 and 3927 for IPv4, RFC 4193 and 4291 for IPv6, and the host itself.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unique_local(),
    }
}

/// The address that a multiaddr begins with.
pub(crate) fn of_multiaddr(multiaddr: &str) -> Option<IpAddr> {
    let mut parts = multiaddr.strip_prefix('/')?.split('/');
    match (parts.next()?, parts.next()?) {
        ("ip4", address) => address.parse().map(IpAddr::V4).ok(),
        ("ip6", address) => address.parse().map(IpAddr::V6).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiaddrs() {
        for (multiaddr, wanted) in [
            ("/ip4/203.0.113.9/tcp/60000/p2p/16Uiu2", Some("203.0.113.9")),
            ("/ip6/2001:db8::1/tcp/1", Some("2001:db8::1")),
            ("/dns4/example.org/tcp/1", None),
            ("/ip4/2001:db8::1/tcp/1", None),
            ("/ip4", None),
            ("", None),
        ] {
            let wanted = wanted.map(|text| text.parse::<IpAddr>().unwrap());
            assert_eq!(of_multiaddr(multiaddr), wanted, "{multiaddr}");
        }
    }
}
