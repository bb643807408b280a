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

/// The box's own address and its prefix, where they can be that.
fn own(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    // "+8" and "08" parse as numbers, too.
    let prefix: u8 = prefix.parse().ok().filter(|number: &u8| number.to_string() == prefix)?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let usable = !(address.is_unspecified() || address.is_multicast() || address.is_loopback());
    (usable && (1..=bits).contains(&prefix)).then_some((address, prefix))
}

/// Another machine's address.
fn other(key: &str, value: &str) -> Result<IpAddr, Mistake> {
    let parsed = value.parse().ok();
    let usable = |address: &IpAddr| !(address.is_unspecified() || address.is_multicast());
    parsed.filter(usable).ok_or_else(|| {
        wrong(
            key,
            format!("{value:?} is no address"),
            "write one such as \"192.168.1.1\"",
        )
    })
}

fn static_address(network: &Section) -> Result<StaticAddress, Mistake> {
    let (address, prefix) = own(&network.address).ok_or_else(|| {
        wrong(
            "network.address",
            format!("{:?} is no address", network.address),
            "write an address with its prefix, such as \"192.168.1.50/24\"",
        )
    })?;
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
