//! An address that the router does not give.

use std::net::IpAddr;

use serde::Deserialize;

use super::Mistake;

const MAX_DNS: usize = 3;

/// An address that the router does not give, as the network needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    /// The box's own.
    pub address: IpAddr,
    /// Leading bits of the address that name the network.
    pub prefix: u8,
    /// The router's, of the same IP version.
    pub gateway: Option<IpAddr>,
    /// Name servers, three at most.
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
        let (address, prefix) = with_prefix(&self.address)?;
        Ok(StaticAddress {
            address,
            prefix,
            gateway: gateway(self.gateway.as_deref(), address)?,
            dns: dns(&self.dns)?,
        })
    }
}

fn with_prefix(text: &str) -> Result<(IpAddr, u8), Mistake> {
    let none = || {
        let mend = "write an address with its prefix, such as \"192.168.1.50/24\"";
        wrong("network.address", format!("{text:?} is not an address"), mend)
    };
    let (address, prefix) = text.split_once('/').ok_or_else(none)?;
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
    Ok((address, prefix))
}

fn gateway(text: Option<&str>, own: IpAddr) -> Result<Option<IpAddr>, Mistake> {
    const KEY: &str = "network.gateway";
    let Some(gateway) = text.map(|text| another(KEY, text)).transpose()? else {
        return Ok(None);
    };
    if gateway.is_ipv4() != own.is_ipv4() {
        let what = "is of the other IP version than the address";
        return Err(wrong(KEY, what, "use one of the same"));
    }
    if gateway == own {
        return Err(wrong(KEY, "is the box's own address", "write the router's"));
    }
    Ok(Some(gateway))
}

fn dns(servers: &[String]) -> Result<Vec<IpAddr>, Mistake> {
    const KEY: &str = "network.dns";
    if servers.len() > MAX_DNS {
        let what = format!("has {} servers", servers.len());
        return Err(wrong(KEY, what, format!("list at most {MAX_DNS}")));
    }
    servers.iter().map(|text| another(KEY, text)).collect()
}

/// The address of another machine.
fn another(key: &str, text: &str) -> Result<IpAddr, Mistake> {
    let none = || {
        let what = format!("{text:?} is not an address");
        wrong(key, what, "write one such as \"192.168.1.1\"")
    };
    let address: IpAddr = text.parse().map_err(|_| none())?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(none());
    }
    Ok(address)
}
