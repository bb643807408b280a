//! The box's addresses in a file on the card, for whoever cannot find it on the network: written over in place, and only
//! when they changed.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// The file's name on the card.
pub const FILE: &str = "pillarbox-address.txt";
/// The file's size, made with the image: a dozen addresses.
pub const FILE_BYTES: usize = 512;

/// What it says before the first start.
pub const NONE_YET: &str = "The box has not had an address with this card yet.\n";

/// What the file says.
pub fn text(name: &str, addresses: &BTreeSet<IpAddr>) -> String {
    if addresses.is_empty() {
        return NONE_YET.to_owned();
    }
    let mut lines = vec![format!("http://{name}.local")];
    lines.extend(addresses.iter().map(|address| match address {
        IpAddr::V4(address) => format!("http://{address}"),
        IpAddr::V6(address) => format!("http://[{address}]"),
    }));
    lines.join("\n") + "\n"
}

/// What others can reach the box by: neither its own loop nor addresses of a link without a router.
pub fn worth_telling(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local() && !address.is_unspecified(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

/// The interfaces' addresses, from the kernel.
pub fn of_this_machine() -> nix::Result<BTreeSet<IpAddr>> {
    let interfaces = nix::ifaddrs::getifaddrs()?;
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    Ok(addresses.filter(|address| worth_telling(*address)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let addresses = ["10.0.0.9", "127.0.0.1", "169.254.3.4", "fe80::1", "fd00::9", "::1"];
        let addresses = addresses.map(|text| text.parse().unwrap());
        let told: BTreeSet<IpAddr> = addresses
            .into_iter()
            .filter(|address| worth_telling(*address))
            .collect();
        assert_eq!(
            text("pillarbox-1a2b", &told),
            "http://pillarbox-1a2b.local\nhttp://10.0.0.9\nhttp://[fd00::9]\n"
        );
        assert_eq!(text("x", &BTreeSet::new()), NONE_YET);
        assert!(of_this_machine().unwrap().iter().all(|address| worth_telling(*address)));
    }
}
