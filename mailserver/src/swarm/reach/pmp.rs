//! NAT-PMP (RFC 6886): asks the router to lead its ports to ours, and asks again before it forgets.
//!
//! One task a node. It asks the gateway of the default route for its public address and a mapping of each port, renews
//! both at half the granted lifetime, and when the router says no or nothing, waits and asks anew. What the router
//! maps goes to the node as external addresses; what it no longer maps is taken back. Only the gateway is heard: the
//! socket is connected to it.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::nat_pmp;
use crate::swarm::handle::Handle;

/// RFC 6886, section 3.1.
const PORT: u16 = 5351;
/// The first wait for an answer, doubled each time (section 3.1, which goes on for 64 s; a router answers in one).
const FIRST_WAIT: Duration = Duration::from_millis(250);
const TRIES: u32 = 6;
/// What is asked for (section 3.3).
const LIFETIME_SECS: u32 = 7200;
/// Between two attempts at a router that refuses or is silent.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(300);
/// A shorter lifetime than a router could mean.
const MIN_LIFETIME_SECS: u32 = 2;

#[derive(Debug, Error)]
enum Failed {
    #[error("no default route")]
    NoGateway,
    #[error("the gateway does not answer")]
    Silent,
    #[error("the gateway refuses with result {0} (RFC 6886, section 3.5)")]
    Refused(u16),
    #[error("the router's own address {0} is not a public one")]
    NotPublic(Ipv4Addr),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A port of ours, and what follows it in an address.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) port: u16,
    pub(super) suffix: Option<Protocol<'static>>,
}

/// The addresses that a router leads to us, as far as the node was told.
pub(super) struct Mapped {
    by: &'static str,
    addresses: Vec<Multiaddr>,
}

impl Mapped {
    pub(super) fn new(by: &'static str) -> Self {
        Self {
            by,
            addresses: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Tells the node what is new and what is gone; false when it has ended.
    pub(super) async fn change(&mut self, handle: &Handle, addresses: Vec<Multiaddr>) -> bool {
        if addresses == self.addresses {
            return true;
        }
        tracing::info!(?addresses, "{} maps", self.by);
        let without = |all: &[Multiaddr], others: &[Multiaddr]| {
            let rest = all.iter().filter(|address| !others.contains(address));
            rest.cloned().collect()
        };
        let gone = without(&self.addresses, &addresses);
        let fresh = without(&addresses, &self.addresses);
        self.addresses = addresses;
        handle.mapped(fresh, gone).await.is_ok()
    }
}

/// Keeps the ports mapped until the node stops. `gateway` is that of the default route when not given.
pub(super) async fn run(handle: Handle, gateway: Option<SocketAddr>, wanted: Vec<Wanted>) {
    let mut held = Mapped::new("NAT-PMP");
    let mut external = BTreeMap::new();
    let mut failures = 0u32;
    loop {
        let mapped = tokio::select! {
            mapped = map_all(gateway, &wanted, &mut external) => mapped,
            () = handle.draining() => break,
        };
        let (addresses, wait) = match mapped {
            Ok((addresses, lifetime)) => {
                failures = 0;
                (addresses, lifetime / 2)
            }
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    tracing::info!(%error, "NAT-PMP maps nothing");
                }
                (Vec::new(), TRY_AGAIN)
            }
        };
        if !held.change(&handle, addresses).await {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = handle.draining() => break,
        }
    }
    if !external.is_empty()
        && let Err(error) = unmap_all(gateway, &wanted).await
    {
        tracing::debug!(%error, "mappings are left to expire");
    }
}

/// The addresses that lead to us, and for how long. `external` remembers the ports that were granted: they are asked
/// for again, since a restarted router gives them if they are free (section 3.6).
async fn map_all(
    gateway: Option<SocketAddr>,
    wanted: &[Wanted],
    external: &mut BTreeMap<u16, u16>,
) -> Result<(Vec<Multiaddr>, Duration), Failed> {
    let socket = connect(gateway).await?;
    let answer = ask(&socket, &nat_pmp::ADDRESS_REQUEST).await?;
    let public = nat_pmp::read_address(&answer).ok_or(Failed::Silent)?;
    if !is_public(public) {
        return Err(Failed::NotPublic(public));
    }
    let mut lifetime_secs = LIFETIME_SECS;
    let mut addresses = Vec::new();
    for Wanted { port, suffix } in wanted {
        let suggested = external.get(port).copied().unwrap_or(*port);
        let answer = ask(&socket, &nat_pmp::map_request(*port, suggested, LIFETIME_SECS)).await?;
        let mapping = nat_pmp::read_mapping(&answer).filter(|mapping| mapping.internal == *port);
        let mapping = mapping.ok_or(Failed::Silent)?;
        external.insert(*port, mapping.external);
        lifetime_secs = lifetime_secs.min(mapping.lifetime_secs.max(MIN_LIFETIME_SECS));
        let address = Multiaddr::from(public).with(Protocol::Tcp(mapping.external));
        addresses.push(suffix.iter().cloned().fold(address, Multiaddr::with));
    }
    Ok((addresses, Duration::from_secs(lifetime_secs.into())))
}

/// Gives the ports back (section 3.4).
async fn unmap_all(gateway: Option<SocketAddr>, wanted: &[Wanted]) -> Result<(), Failed> {
    let socket = connect(gateway).await?;
    for Wanted { port, .. } in wanted {
        ask(&socket, &nat_pmp::map_request(*port, 0, 0)).await?;
    }
    Ok(())
}

async fn connect(gateway: Option<SocketAddr>) -> Result<UdpSocket, Failed> {
    let gateway = match gateway {
        Some(gateway) => gateway,
        None => {
            let routes = tokio::fs::read_to_string("/proc/net/route").await?;
            SocketAddr::from((default_gateway(&routes).ok_or(Failed::NoGateway)?, PORT))
        }
    };
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(gateway).await?;
    Ok(socket)
}

/// Sends a request until it is answered.
async fn ask(socket: &UdpSocket, request: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut buffer = [0; 64];
    for attempt in 0..TRIES {
        socket.send(request).await?;
        let answered = async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                // A late answer to an earlier question is not this one's.
                if let Some((result, answer)) = nat_pmp::read_result(&buffer[..length], request) {
                    return Ok::<_, io::Error>((result, answer.to_vec()));
                }
            }
        };
        match timeout(FIRST_WAIT * 2u32.pow(attempt), answered).await {
            Ok(Ok((0, answer))) => return Ok(answer),
            Ok(Ok((result, _))) => return Err(Failed::Refused(result)),
            // Nobody listens there: as good as silence, and said sooner.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(Failed::Silent),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
    Err(Failed::Silent)
}

/// A router behind another router maps nothing that is of use.
pub(super) fn is_public(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // RFC 6598: between carrier and customer.
    let shared = first == 100 && (64..128).contains(&second);
    !(address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified() || shared)
}

/// From the kernel's table: destination 0.0.0.0 by a gateway, numbers in hexadecimal as they lie in memory.
pub(super) fn default_gateway(routes: &str) -> Option<Ipv4Addr> {
    const BY_GATEWAY: u32 = 0x2;
    let lines = routes
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of = |fields: Vec<&str>| {
        let flags = u32::from_str_radix(fields.get(3)?, 16).ok()?;
        let is_default = *fields.get(1)? == "00000000" && flags & BY_GATEWAY != 0;
        let gateway = u32::from_str_radix(fields.get(2)?, 16).ok()?;
        is_default.then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    };
    lines.filter_map(of).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_among_others() {
        let header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
        let local = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        let default = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        let direct = "ppp0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0\n";
        let gateway = Some(Ipv4Addr::new(192, 168, 1, 1));
        for (routes, expected) in [
            (format!("{header}{local}{default}"), gateway),
            (format!("{header}{direct}{default}"), gateway),
            (format!("{header}{local}"), None),
            (format!("{header}eth0\tzzz\n"), None),
            (String::new(), None),
        ] {
            assert_eq!(default_gateway(&routes), expected, "{routes}");
        }
    }

    #[test]
    fn public_addresses() {
        for (address, expected) in [
            ("203.0.113.7", true),
            ("100.63.255.255", true),
            ("100.64.0.1", false),
            ("10.0.0.1", false),
            ("192.168.1.1", false),
            ("169.254.1.1", false),
            ("127.0.0.1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }
}
