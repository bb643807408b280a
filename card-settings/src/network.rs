//! A static address as an addition to the image's network file (systemd.network(5)), so that everything else of it,
//! such as the announcement of the name, stays as it is.

use crate::settings::StaticAddress;

/// DHCP of the same IP version is off: two addresses of which one may change would be no fixed one.
pub fn unit(settings: &StaticAddress) -> String {
    let StaticAddress {
        address,
        prefix,
        gateway,
        dns,
    } = settings;
    let dhcp = if address.is_ipv4() { "ipv6" } else { "ipv4" };
    let mut text = format!("[Network]\nDHCP={dhcp}\nAddress={address}/{prefix}\n");
    if let Some(gateway) = gateway {
        text.push_str(&format!("Gateway={gateway}\n"));
    }
    for server in dns {
        text.push_str(&format!("DNS={server}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions() {
        let address = |address: &str, gateway: Option<&str>| StaticAddress {
            address: address.parse().unwrap(),
            prefix: 24,
            gateway: gateway.map(|text| text.parse().unwrap()),
            dns: vec!["10.0.0.9".parse().unwrap()],
        };
        for (settings, wanted) in [
            (
                address("10.0.0.2", Some("10.0.0.1")),
                "[Network]\nDHCP=ipv6\nAddress=10.0.0.2/24\nGateway=10.0.0.1\nDNS=10.0.0.9\n",
            ),
            (
                address("fd00::2", None),
                "[Network]\nDHCP=ipv4\nAddress=fd00::2/24\nDNS=10.0.0.9\n",
            ),
        ] {
            assert_eq!(unit(&settings), wanted);
        }
    }
}
