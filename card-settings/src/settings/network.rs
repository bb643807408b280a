//! An address that the router does not give.

use std::net::IpAddr;

use serde::Deserialize;

use super::Mistake;

const MAX_DNS: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    pub address: IpAddr,
    /// Leading bits of the address that name the network.
    pub prefix: u8,
    pub gateway: Option<IpAddr>,
    pub dns: Vec<IpAddr>,
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub(crate) address: String,
    pub(crate) gateway: Option<String>,
    #[serde(default)]
    pub(crate) dns: Vec<String>,
}

fn wrong(key: &str, what: impl Into<String>, mend: impl Into<String>) -> Mistake {
    Mistake::in_key(super::FILE, key, what, mend)
}

impl Section {
    pub(crate) fn settings(self) -> Result<StaticAddress, Mistake> {
        static_address(&self)
    }
}

fn static_address(network: &Section) -> Result<StaticAddress, Mistake> {
    let wanted = "write an address with its prefix, such as \"192.168.1.50/24\"";
    let none = || {
        wrong(
            "network.address",
            format!("{:?} is no address", network.address),
            wanted,
        )
    };
    let (address, prefix) = network.address.split_once('/').ok_or_else(none)?;
    let address: IpAddr = address.parse().map_err(|_| none())?;
    // "+8" and "08" parse as numbers, too.
    let prefix: u8 = prefix
        .parse()
        .ok()
        .filter(|number: &u8| number.to_string() == prefix)
        .ok_or_else(none)?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if prefix == 0 || prefix > bits || address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return Err(none());
    }
    let other = |key: &'static str, value: &str| {
        let problem = || {
            wrong(
                key,
                format!("{value:?} is no address"),
                "write one such as \"192.168.1.1\"",
            )
        };
        let parsed: IpAddr = value.parse().map_err(|_| problem())?;
        if parsed.is_unspecified() || parsed.is_multicast() {
            return Err(problem());
        }
        Ok(parsed)
    };
    let gateway = match &network.gateway {
        None => None,
        Some(text) => Some(other("network.gateway", text)?),
    };
    if let Some(gateway) = gateway
        && gateway.is_ipv4() != address.is_ipv4()
    {
        return Err(wrong(
            "network.gateway",
            "is of the other IP version than the address",
            "use one of the same",
        ));
    }
    if gateway == Some(address) {
        return Err(wrong(
            "network.gateway",
            "is the box's own address",
            "write the router's",
        ));
    }
    if network.dns.len() > MAX_DNS {
        return Err(wrong(
            "network.dns",
            format!("has {} servers", network.dns.len()),
            format!("list at most {MAX_DNS}"),
        ));
    }
    let dns = network.dns.iter().map(|text| other("network.dns", text));
    Ok(StaticAddress {
        address,
        prefix,
        gateway,
        dns: dns.collect::<Result<_, _>>()?,
    })
}
