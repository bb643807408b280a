//! Link, addresses and gateway from the kernel's tables (proc(5), sysfs-class-net) below a root that tests can make.
//! Nothing is sent: whether the internet is reached is judged by the mailserver's own peers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::snapshot::NetworkStatus;

/// `ARPHRD_LOOPBACK` of linux/if_arp.h.
const LOOPBACK: &str = "772";
/// `RTF_GATEWAY` of linux/route.h.
const VIA_GATEWAY: u32 = 2;

pub fn read(root: &Path) -> NetworkStatus {
    let addresses = own_v4(&read_text(root, "proc/net/fib_trie"))
        .into_iter()
        .map(IpAddr::V4);
    let addresses = addresses.chain(
        own_v6(&read_text(root, "proc/net/if_inet6"))
            .into_iter()
            .map(IpAddr::V6),
    );
    let gateway = gateway_v4(&read_text(root, "proc/net/route"))
        .map(IpAddr::V4)
        .or_else(|| gateway_v6(&read_text(root, "proc/net/ipv6_route")).map(IpAddr::V6));
    let class = root.join("sys/class/net");
    let links = links(&class);
    NetworkStatus {
        counters: links.as_ref().map(|links| counters(&class, links)),
        links,
        addresses: addresses.map(|address| address.to_string()).collect(),
        gateway: gateway.map(|address| address.to_string()),
        internet: None,
    }
}

fn read_text(root: &Path, path: &str) -> String {
    std::fs::read_to_string(root.join(path)).unwrap_or_default()
}

/// Where there is real hardware, what is only made by software (bridges, tunnels) is no link.
fn links(class: &Path) -> Option<Vec<String>> {
    let trimmed = |path: &Path| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    let mut all = Vec::new();
    for entry in std::fs::read_dir(class).ok()?.flatten() {
        let path = entry.path();
        if trimmed(&path.join("type")).is_ok_and(|kind| kind != LOOPBACK) {
            let real = path.join("device").exists();
            // Not readable while the interface is switched off.
            let carrier = trimmed(&path.join("carrier")).is_ok_and(|carrier| carrier == "1");
            all.push((entry.file_name().to_string_lossy().into_owned(), real, carrier));
        }
    }
    let any_real = all.iter().any(|(_, real, _)| *real);
    let mut names: Vec<String> = all
        .into_iter()
        .filter(|(_, real, carrier)| *carrier && (*real || !any_real))
        .map(|(name, ..)| name)
        .collect();
    names.sort();
    Some(names)
}

fn counters(class: &Path, links: &[String]) -> (u64, u64) {
    let count = |link: &String, what: &str| -> u64 {
        let text = std::fs::read_to_string(class.join(link).join("statistics").join(what)).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    };
    let sum = |what| links.iter().map(|link| count(link, what)).sum();
    (sum("rx_bytes"), sum("tx_bytes"))
}

/// The addresses that the routing trie calls the host's own.
pub(crate) fn own_v4(trie: &str) -> BTreeSet<Ipv4Addr> {
    let mut own = BTreeSet::new();
    let mut leaf = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            own.extend(leaf.filter(|address| !address.is_loopback() && !address.is_link_local()));
        }
    }
    own
}

/// 32 digits, then number, prefix, scope and flags; scope 0 is global.
pub(crate) fn own_v6(table: &str) -> BTreeSet<Ipv6Addr> {
    table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let [address, _, _, scope, ..] = fields[..] else {
                return None;
            };
            (scope == "00").then(|| v6(address)).flatten()
        })
        .filter(|address| !address.is_loopback())
        .collect()
}

fn v6(digits: &str) -> Option<Ipv6Addr> {
    (digits.len() == 32)
        .then(|| u128::from_str_radix(digits, 16).ok())
        .flatten()
        .map(Ipv6Addr::from_bits)
}

/// Interface, destination, gateway, flags, …; the addresses as the kernel has them in memory.
pub(crate) fn gateway_v4(table: &str) -> Option<Ipv4Addr> {
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "00000000", gateway, flags, ..] = fields[..] else {
            return None;
        };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        (flags & VIA_GATEWAY != 0).then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    })
}

/// Destination, its prefix, source, its prefix, gateway, metric, uses, users, flags, interface.
pub(crate) fn gateway_v6(table: &str) -> Option<Ipv6Addr> {
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [destination, "00", _, _, gateway, _, _, _, flags, ..] = fields[..] else {
            return None;
        };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        (v6(destination)? == Ipv6Addr::UNSPECIFIED && flags & VIA_GATEWAY != 0)
            .then(|| v6(gateway))
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRIE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
        |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.168.1.0\n        /24 link UNICAST\n     \
        |-- 192.168.1.20\n        /32 host LOCAL\n     |-- 169.254.9.9\n        /32 host LOCAL\n     \
        |-- 192.168.1.255\n        /32 link BROADCAST\n";
    const V6: &str = "00000000000000000000000000000001 01 80 10 80       lo\n\
        20010db8000000000000000000000007 02 40 00 00     eth0\n\
        fe800000000000000000000000000001 02 40 20 80     eth0\n";

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_connected_box() {
        let gateway = u32::from_ne_bytes([192, 168, 1, 1]);
        let route = format!(
            "Iface\tDestination\tGateway \tFlags\teth0\neth0\t00000000\t{gateway:08X}\t0003\t0\t0\t0\t00000000\n"
        );
        let root = tree(&[
            ("sys/class/net/lo/type", "772\n"),
            ("sys/class/net/lo/carrier", "1\n"),
            ("sys/class/net/eth0/type", "1\n"),
            ("sys/class/net/eth0/carrier", "1\n"),
            ("sys/class/net/eth0/device/x", ""),
            ("sys/class/net/wlan0/type", "1\n"),
            ("sys/class/net/wlan0/carrier", "0\n"),
            ("sys/class/net/wlan0/device/x", ""),
            ("sys/class/net/eth0/statistics/rx_bytes", "7000\n"),
            ("sys/class/net/eth0/statistics/tx_bytes", "500\n"),
            ("sys/class/net/docker0/statistics/rx_bytes", "9\n"),
            ("sys/class/net/docker0/type", "1\n"),
            ("sys/class/net/docker0/carrier", "1\n"),
            ("proc/net/fib_trie", TRIE),
            ("proc/net/if_inet6", V6),
            ("proc/net/route", &route),
        ]);
        let seen = read(root.path());
        assert_eq!(seen.links, Some(vec!["eth0".to_owned()]));
        assert_eq!(seen.addresses, ["192.168.1.20", "2001:db8::7"]);
        assert_eq!(seen.gateway.as_deref(), Some("192.168.1.1"));
        assert_eq!(seen.counters, Some((7000, 500)));
        assert_eq!(seen.internet, None, "no table of the kernel's can prove it");
    }

    #[test]
    fn without_cable_address_or_tables() {
        let root = tree(&[("sys/class/net/eth0/type", "1\n"), ("proc/net/route", "Iface\n")]);
        let seen = read(root.path());
        assert_eq!((seen.links, seen.gateway), (Some(Vec::new()), None));
        assert!(seen.addresses.is_empty());
        assert_eq!(read(&root.path().join("absent")).links, None);
    }

    #[test]
    fn a_gateway_of_ipv6() {
        let line = |destination: &str, flags: &str| {
            format!(
                "{destination} 00 {zero} 00 fe800000000000000000000000000001 00000400 1 0 {flags} eth0\n",
                zero = "0".repeat(32)
            )
        };
        let zero = "0".repeat(32);
        assert_eq!(gateway_v6(&line(&zero, "00450003")), "fe80::1".parse().ok());
        assert_eq!(gateway_v6(&line(&zero, "00000001")), None);
        assert_eq!(gateway_v6(&line(&format!("1{}", &zero[1..]), "00450003")), None);
    }

    #[test]
    fn this_machine_can_be_read() {
        // A chroot may have no sysfs.
        let has_links = Path::new("/sys/class/net").is_dir();
        assert_eq!(read(Path::new("/")).links.is_some(), has_links);
    }

    proptest! {
        #[test]
        fn no_table_panics(text in "\\PC{0,200}") {
            let _ = (own_v4(&text), own_v6(&text), gateway_v4(&text), gateway_v6(&text));
        }
    }
}
