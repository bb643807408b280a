//! How the node finds others.

use super::{addresses, mode::Mode};
use crate::config::{
    error::Error,
    preset::Preset,
    program::{Discv5, DnsDiscovery},
    source::Given,
    values,
};

/// `records` are entry nodes.
pub(super) fn discv5(
    given: &Given,
    preset: Option<&'static Preset>,
    mode: Mode,
    records: Vec<String>,
) -> Result<Option<Discv5>, Error> {
    let enabled = match preset {
        _ if mode == Mode::Core => true,
        Some(preset) if !given.is_given("discv5-discovery") => preset.discv5,
        _ => given.switch("discv5-discovery")?,
    };
    let mut bootstrap = given.many("discv5-bootstrap-node", values::record)?;
    bootstrap.extend(records);
    let limited = |name| Ok::<_, Error>(given.number(name, 0u32, u32::MAX)? != 0);
    let discv5 = Discv5 {
        udp_port: addresses::port(given, "discv5-udp-port")?,
        bootstrap,
        enr_auto_update: given.switch("discv5-enr-auto-update")?,
        limit_table: limited("discv5-table-ip-limit")?,
        limit_bucket: limited("discv5-bucket-ip-limit")?,
    };
    Ok(enabled.then_some(discv5))
}

/// `trees` are entry nodes.
pub(super) fn dns(given: &Given, mut trees: Vec<String>) -> Result<DnsDiscovery, Error> {
    trees.extend(given.optional("dns-discovery-url", values::tree)?);
    Ok(DnsDiscovery {
        trees,
        name_servers: given.many("dns-addrs-name-server", values::address)?,
    })
}
