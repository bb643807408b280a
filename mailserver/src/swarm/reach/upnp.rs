//! UPnP: asks the router to lead its ports to ours, and asks again before it forgets.
//!
//! One task a node, beside [`super::pmp`]'s. Any device in the LAN may answer the search, with whatever it likes: an
//! answer counts only if it comes from the own network, a description and an action's answer are fetched from the address
//! that answered and from no other, redirects are not followed, and all of it is bounded in bytes, time and number. The
//! gateway of the default route is asked before the others.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use thiserror::Error;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::igd::{self, Action, Answer, Service};
use super::pmp::{Mapped, TRY_AGAIN, Wanted, default_gateway, is_public};
use crate::swarm::handle::Handle;

/// UPnP Device Architecture 1.1, section 1.3.
const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(239, 255, 255, 250), 1900);
/// For an answer to the search (`MX`), and what is waited besides.
const ANSWER_SECS: u8 = 2;
const SEARCH: Duration = Duration::from_secs(3);
/// The search is sent so often, since a datagram may be lost.
const SEARCHES: u32 = 2;
/// Answers that are listened to, and devices that are asked.
const MAX_ANSWERS: usize = 32;
const MAX_DEVICES: usize = 4;
const MAX_SERVICES: usize = 4;
/// A description has a few KB, an action's answer less than one.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// hyper's least.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// For one request and its answer, from the connection on.
const REQUEST: Duration = Duration::from_secs(5);
/// What is asked for; asked for again after half of it.
const LEASE_SECS: u32 = 3600;
/// Ports outside that are tried where the first leads to another machine.
const MAX_PORTS: u16 = 10;

#[derive(Debug, Error)]
enum Failed {
    #[error("no router in the LAN answers the search")]
    NoRouter,
    #[error("{0} gives {1:?} as its address, which is none of its own")]
    Elsewhere(Ipv4Addr, String),
    #[error("{from} does not answer within {} s", REQUEST.as_secs())]
    Silent { from: SocketAddr },
    #[error("asking {from} over HTTP: {reason}")]
    Http { from: SocketAddr, reason: String },
    #[error("{0} describes no service that maps ports")]
    NoService(SocketAddr),
    #[error("{from} answers {action} with what UPnP does not have")]
    Nonsense { from: SocketAddr, action: Action },
    #[error("{from} refuses {action} with error {code} ({words})")]
    Refused {
        from: SocketAddr,
        action: Action,
        code: u16,
        words: String,
    },
    #[error("the router's own address {0} is not a public one")]
    NotPublic(Ipv4Addr),
    #[error("searching the LAN: {0}")]
    Io(#[from] io::Error),
}

/// Keeps the ports mapped until the node stops. `router` is searched by itself, instead of in the LAN. With `once` it ends
/// where there is nothing to be had, so that something else may be tried.
pub(super) async fn run(handle: Handle, router: Option<SocketAddr>, wanted: Vec<Wanted>, once: bool) {
    let mut held = Mapped::new("UPnP");
    let mut lease = Lease::default();
    let mut failed_before = false;
    loop {
        let mapped = tokio::select! {
            mapped = lease.map_all(router, &wanted) => mapped,
            () = handle.draining() => break,
        };
        let (addresses, wait) = match mapped {
            Ok(addresses) => {
                failed_before = false;
                (addresses, Duration::from_secs((LEASE_SECS / 2).into()))
            }
            Err(error) => {
                if !failed_before {
                    tracing::info!(%error, "UPnP maps nothing");
                }
                if once && held.is_empty() {
                    return;
                }
                failed_before = true;
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
    if let Err(error) = lease.give_back().await {
        tracing::debug!(%error, "mappings are left to expire");
    }
}

/// What a router has granted.
#[derive(Debug, Default)]
struct Lease {
    control: Option<Control>,
    /// It knows no end of a mapping.
    permanent: bool,
    /// The ports outside by those inside.
    external: BTreeMap<u16, u16>,
}

impl Lease {
    /// The addresses that lead to us.
    async fn map_all(&mut self, router: Option<SocketAddr>, wanted: &[Wanted]) -> Result<Vec<Multiaddr>, Failed> {
        let (control, public) = match &self.control {
            Some(control) => (control.clone(), control.address().await?),
            None => find(router).await?,
        };
        // A router that fails is searched anew the next time.
        self.control = None;
        let mut addresses = Vec::new();
        for Wanted { port, suffix } in wanted {
            let external = self.map(&control, *port).await?;
            let address = Multiaddr::from(public).with(Protocol::Tcp(external));
            addresses.push(suffix.iter().cloned().fold(address, Multiaddr::with));
        }
        self.control = Some(control);
        Ok(addresses)
    }

    async fn map(&mut self, control: &Control, internal: u16) -> Result<u16, Failed> {
        let first = self.external.get(&internal).copied().unwrap_or(internal);
        let mut tried = 0;
        loop {
            // Not into the ports below 1024, which are others' services.
            let external = first.checked_add(tried).unwrap_or(1024 + tried);
            let seconds = if self.permanent { 0 } else { LEASE_SECS };
            match control.map(external, internal, seconds).await {
                Ok(()) => {
                    self.external.insert(internal, external);
                    return Ok(external);
                }
                Err(Failed::Refused {
                    code: igd::ONLY_PERMANENT,
                    ..
                }) if !self.permanent => self.permanent = true,
                Err(Failed::Refused {
                    code: igd::CONFLICT, ..
                }) if tried + 1 < MAX_PORTS => tried += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn give_back(&mut self) -> Result<(), Failed> {
        if let Some(control) = &self.control {
            for (_, external) in std::mem::take(&mut self.external) {
                control.ask(Action::Unmap { external }).await?;
            }
        }
        Ok(())
    }
}

/// The first router whose address is of use, and that address.
async fn find(router: Option<SocketAddr>) -> Result<(Control, Ipv4Addr), Failed> {
    let mut failed = Failed::NoRouter;
    for (from, location) in search(router).await? {
        for control in controls(from, &location).await.unwrap_or_else(|error| {
            failed = error;
            Vec::new()
        }) {
            match control.address().await {
                Ok(public) => return Ok((control, public)),
                Err(error) => failed = error,
            }
        }
    }
    Err(failed)
}

/// Who answers, and where its description is: the gateway first.
async fn search(router: Option<SocketAddr>) -> Result<Vec<(Ipv4Addr, String)>, Failed> {
    let routes = tokio::fs::read_to_string("/proc/net/route").await.unwrap_or_default();
    let gateway = match router {
        Some(router) => Some(router.ip()),
        None => default_gateway(&routes).map(IpAddr::V4),
    };
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let to = router.unwrap_or(SocketAddr::from(GROUP));
    let mut found: Vec<(Ipv4Addr, String)> = Vec::new();
    let end = Instant::now() + SEARCH;
    let mut sent = 0;
    let mut again = Instant::now();
    let mut buffer = [0; 2048];
    for _ in 0..MAX_ANSWERS {
        let (length, from) = loop {
            tokio::select! {
                () = sleep_until(again), if sent < SEARCHES => {
                    socket.send_to(igd::search(ANSWER_SECS).as_bytes(), to).await?;
                    sent += 1;
                    again += SEARCH / SEARCHES;
                }
                received = timeout_at(end, socket.recv_from(&mut buffer)) => match received {
                    Ok(received) => break received?,
                    Err(_) => return Ok(found),
                },
            }
        };
        let IpAddr::V4(ip) = from.ip() else { continue };
        let location = std::str::from_utf8(&buffer[..length]).ok().and_then(igd::location);
        let Some(location) = location.filter(|_| router.is_some() || is_on_link(&routes, ip)) else {
            continue;
        };
        if found.iter().any(|(known, _)| *known == ip) {
            continue;
        }
        if gateway == Some(from.ip()) {
            found.insert(0, (ip, location.to_owned()));
            break;
        }
        if found.len() < MAX_DEVICES {
            found.push((ip, location.to_owned()));
        }
    }
    Ok(found)
}

/// What a device describes that maps ports.
async fn controls(from: Ipv4Addr, location: &str) -> Result<Vec<Control>, Failed> {
    let (router, path) = own_url(from, location)?;
    let request = Request::get(path).header(HOST, router.to_string());
    let text = fetch(router, request.body(Full::default())).await?;
    let description = igd::description(&text).ok_or(Failed::NoService(router))?;
    let base = description.base.as_deref().unwrap_or(location);
    let mut controls = Vec::new();
    for service in description.services.into_iter().take(MAX_SERVICES) {
        let (router, path) = own_url(from, &join(base, &service.control))?;
        controls.push(Control { router, path, service });
    }
    if controls.is_empty() {
        return Err(Failed::NoService(router));
    }
    Ok(controls)
}

/// The socket and the path of a URL, which must lead to `ip` itself.
fn own_url(ip: Ipv4Addr, url: &str) -> Result<(SocketAddr, String), Failed> {
    let elsewhere = || Failed::Elsewhere(ip, url.chars().take(100).collect());
    let parsed: Uri = url.parse().map_err(|_| elsewhere())?;
    let is_own = parsed.scheme_str() == Some("http") && parsed.host() == Some(ip.to_string().as_str());
    if !is_own {
        return Err(elsewhere());
    }
    let path = parsed.path_and_query().map_or("/", |path| path.as_str());
    Ok((SocketAddr::from((ip, parsed.port_u16().unwrap_or(80))), path.to_owned()))
}

/// A description's path may be a whole URL, absolute, or relative to where the description was.
fn join(base: &str, path: &str) -> String {
    if path.contains("://") {
        return path.to_owned();
    }
    let root_at = base.find("://").map_or(0, |at| at + 3);
    let root_end = base[root_at..].find('/').map_or(base.len(), |at| root_at + at);
    if path.starts_with('/') {
        return format!("{}{path}", &base[..root_end]);
    }
    let dir_end = base.rfind('/').filter(|at| *at >= root_end);
    format!("{}/{path}", &base[..dir_end.unwrap_or(root_end)])
}

/// From the kernel's table: a network that an interface is in.
fn is_on_link(routes: &str, ip: Ipv4Addr) -> bool {
    let number = u32::from_ne_bytes(ip.octets());
    routes.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| fields.get(at).and_then(|field| u32::from_str_radix(field, 16).ok());
        match (hex(1), hex(2), hex(7)) {
            (Some(network), Some(0), Some(mask)) => mask != 0 && number & mask == network,
            _ => false,
        }
    })
}

/// A service of a router that can be asked.
#[derive(Clone, Debug)]
struct Control {
    router: SocketAddr,
    path: String,
    service: Service,
}

impl Control {
    /// The router's public address.
    async fn address(&self) -> Result<Ipv4Addr, Failed> {
        match self.ask(Action::Address).await? {
            Answer::Address(address) if is_public(address) => Ok(address),
            Answer::Address(address) => Err(Failed::NotPublic(address)),
            _ => Err(Failed::Nonsense {
                from: self.router,
                action: Action::Address,
            }),
        }
    }

    async fn map(&self, external: u16, internal: u16, seconds: u32) -> Result<(), Failed> {
        // Which of our addresses the router knows us by.
        let towards = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        towards.connect(self.router).await?;
        let IpAddr::V4(client) = towards.local_addr()?.ip() else {
            return Err(Failed::NoRouter);
        };
        let action = Action::Map {
            external,
            internal,
            client,
            seconds,
        };
        self.ask(action).await.map(|_| ())
    }

    async fn ask(&self, action: Action) -> Result<Answer, Failed> {
        let from = self.router;
        let kind = self.service.kind;
        let request = Request::post(&self.path)
            .header(HOST, from.to_string())
            .header(CONTENT_TYPE, "text/xml; charset=\"utf-8\"")
            .header("SOAPAction", action.header(kind))
            .body(Full::from(action.body(kind)));
        let text = fetch(from, request).await?;
        match igd::answer(&text, action) {
            Some(Answer::Refused(code, words)) => Err(Failed::Refused {
                from,
                action,
                code,
                words: words.chars().take(100).collect(),
            }),
            Some(answer) => Ok(answer),
            None => Err(Failed::Nonsense { from, action }),
        }
    }
}

/// The answer's body, whatever its status: an error comes with 500.
async fn fetch(from: SocketAddr, request: hyper::http::Result<Request<Full<Bytes>>>) -> Result<String, Failed> {
    let failed = |reason: String| Failed::Http { from, reason };
    let request = request.map_err(|error| failed(error.to_string()))?;
    let asked = async {
        let stream = TcpStream::connect(from)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let builder = http1::Builder::new().max_buf_size(MAX_HEADER_BYTES).to_owned();
        let (mut sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.to_string()))?;
        let answered = async {
            let answer = sender
                .send_request(request)
                .await
                .map_err(|error| failed(error.to_string()))?;
            let body = Limited::new(answer.into_body(), MAX_TEXT_BYTES).collect().await;
            let body = body.map_err(|error| failed(error.to_string()))?.to_bytes();
            String::from_utf8(body.to_vec()).map_err(|error| failed(error.to_string()))
        };
        // The connection ends with the answer: it is dropped here.
        tokio::pin!(connection, answered);
        tokio::select! {
            text = &mut answered => text,
            ended = &mut connection => match ended {
                Ok(()) => answered.await,
                Err(error) => Err(failed(error.to_string())),
            },
        }
    };
    timeout(REQUEST, asked).await.map_err(|_| Failed::Silent { from })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_network_is_heard() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
            tun0\t0000000A\t0101A8C0\t0003\t0\t0\t100\t000000FF\t0\t0\t0\n";
        for (ip, expected) in [
            ("192.168.1.9", true),
            ("192.168.2.9", false),
            ("10.0.0.1", false),
            ("8.8.8.8", false),
        ] {
            assert_eq!(is_on_link(routes, ip.parse().unwrap()), expected, "{ip}");
        }
    }

    #[test]
    fn urls_lead_to_who_answered_alone() {
        let ip = Ipv4Addr::new(192, 0, 2, 1);
        let own = |url: &str| own_url(ip, url).ok().map(|(socket, path)| (socket.port(), path));
        assert_eq!(
            own("http://192.0.2.1:5000/a.xml?b"),
            Some((5000, "/a.xml?b".to_owned()))
        );
        assert_eq!(own("http://192.0.2.1"), Some((80, "/".to_owned())));
        for other in [
            "http://192.0.2.2/",
            "https://192.0.2.1/",
            "http://router/",
            "/a",
            "",
            "http://192.0.2.1.example/",
        ] {
            assert_eq!(own(other), None, "{other}");
        }
        for (base, path, expected) in [
            ("http://192.0.2.1:5000/d/a.xml", "/ctl", "http://192.0.2.1:5000/ctl"),
            ("http://192.0.2.1:5000/d/a.xml", "ctl", "http://192.0.2.1:5000/d/ctl"),
            ("http://192.0.2.1:5000", "ctl", "http://192.0.2.1:5000/ctl"),
            ("http://192.0.2.1", "/ctl", "http://192.0.2.1/ctl"),
            ("http://192.0.2.1/", "http://192.0.2.9/x", "http://192.0.2.9/x"),
        ] {
            assert_eq!(join(base, path), expected);
        }
    }
}
