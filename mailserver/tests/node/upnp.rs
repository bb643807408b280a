//! UPnP against a small router on real sockets: what a router says no to, and what a hostile device sends.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pillarbox_mailserver::settings::Nat;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::pmp::{advertised, tcp_port};
use crate::support::{Node, eventually};

/// More than what a node may take in of an answer, and the sockets between hold: theirs grow to 4 MiB and 6 MiB.
const TOO_MUCH: usize = 16 << 20;

/// How a device answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Manner {
    #[default]
    Router,
    EndlessDescription,
    EndlessHeaders,
    /// A head, and then nothing.
    SilentDescription,
    /// Its description is fetched from the machine's other port.
    Redirects,
    /// Its service is at another address.
    ElsewhereControl,
    EndlessAction,
}

#[derive(Debug)]
struct Router {
    manner: Manner,
    public: Ipv4Addr,
    /// Refuses leases that end.
    permanent_only: bool,
    /// Ports outside that lead to another machine.
    taken: Vec<u16>,
    /// What is mapped: ports outside to those inside and the lease.
    mapped: HashMap<u16, (u16, u32)>,
    searched: u32,
    fetched: u32,
    /// What was sent of answers.
    sent: usize,
}

type Shared = Arc<Mutex<Router>>;

fn router(manner: Manner) -> Router {
    Router {
        manner,
        public: Ipv4Addr::new(203, 0, 113, 7),
        permanent_only: false,
        taken: Vec::new(),
        mapped: HashMap::new(),
        searched: 0,
        fetched: 0,
        sent: 0,
    }
}

/// Answers searches on UDP, and HTTP on TCP.
async fn start(router: Router) -> (SocketAddr, Shared) {
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let search = udp.local_addr().unwrap();
    let http = tcp.local_addr().unwrap();
    let shared = Arc::new(Mutex::new(router));
    let state = shared.clone();
    tokio::spawn(async move {
        let mut request = [0; 2048];
        while let Ok((length, from)) = udp.recv_from(&mut request).await {
            assert!(request[..length].starts_with(b"M-SEARCH * HTTP/1.1\r\n"));
            state.lock().unwrap().searched += 1;
            let answer = format!("HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: http://{http}/root.xml\r\n\r\n");
            let _ = udp.send_to(answer.as_bytes(), from).await;
        }
    });
    let state = shared.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            tokio::spawn(serve(stream, state.clone()));
        }
    });
    (search, shared)
}

async fn serve(mut stream: TcpStream, state: Shared) {
    let Some((head, body)) = request(&mut stream).await else {
        return;
    };
    state.lock().unwrap().fetched += 1;
    let manner = state.lock().unwrap().manner;
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (begin, endless): (String, Option<&str>) = if head.starts_with("GET /root.xml ") {
        let control = match manner {
            Manner::ElsewhereControl => "http://127.0.0.2:1/control",
            _ => "/control",
        };
        match manner {
            Manner::EndlessDescription => ("HTTP/1.1 200 OK\r\n\r\n<root>".into(), Some("<device/>")),
            Manner::EndlessHeaders => ("HTTP/1.1 200 OK\r\n".into(), Some("X-More: and more\r\n")),
            Manner::SilentDescription => ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<root>".into(), Some("")),
            Manner::Redirects => (
                "HTTP/1.1 302 Found\r\nLocation: /other.xml\r\nContent-Length: 0\r\n\r\n".into(),
                None,
            ),
            _ => (ok(&description(control)), None),
        }
    } else if head.starts_with("GET /other.xml ") {
        (ok(&description("/control")), None)
    } else if manner == Manner::EndlessAction {
        ("HTTP/1.1 200 OK\r\n\r\n<s:Envelope>".into(), Some("<x/>"))
    } else {
        let answer = act(&mut state.lock().unwrap(), &body);
        (answer.unwrap_or_else(|number| {
            let body = format!("<s:Envelope xmlns:s='x'><s:Body><s:Fault><UPnPError><errorCode>{number}</errorCode></UPnPError></s:Fault></s:Body></s:Envelope>");
            format!("HTTP/1.1 500 Internal Server Error\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        }), None)
    };
    let mut part = begin.into_bytes();
    while stream.write_all(&part).await.is_ok() {
        state.lock().unwrap().sent += part.len();
        match endless {
            None => return,
            Some("") => {
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
            Some(more) => part = more.repeat(4096).into_bytes(),
        }
    }
}

async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(read) if read > 0 => bytes.extend(&part[..read]),
            _ => return None,
        }
    }
}

fn description(control: &str) -> String {
    format!(
        "<root xmlns='urn:schemas-upnp-org:device-1-0'><device><serviceList><service><serviceType>\
         urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>{control}</controlURL></service>\
         </serviceList></device></root>"
    )
}

/// What the action's body asks, done; or UPnP's error.
fn act(router: &mut Router, body: &str) -> Result<String, u16> {
    let argument = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(value, _)| value.to_owned())
    };
    let number = |name: &str| argument(name).and_then(|text| text.parse::<u32>().ok()).ok_or(402u16);
    let port = |name: &str| number(name).and_then(|number| u16::try_from(number).map_err(|_| 402));
    let (name, answer) = if body.contains("<u:GetExternalIPAddress ") {
        let address = format!("<NewExternalIPAddress>{}</NewExternalIPAddress>", router.public);
        ("GetExternalIPAddress", address)
    } else if body.contains("<u:AddPortMapping ") {
        let (external, lease) = (port("NewExternalPort")?, number("NewLeaseDuration")?);
        if argument("NewInternalClient").as_deref() != Some("127.0.0.1") {
            return Err(402);
        }
        if router.permanent_only && lease != 0 {
            return Err(725);
        }
        if router.taken.contains(&external) {
            return Err(718);
        }
        router.mapped.insert(external, (port("NewInternalPort")?, lease));
        ("AddPortMapping", String::new())
    } else if body.contains("<u:DeletePortMapping ") {
        router.mapped.remove(&port("NewExternalPort")?).ok_or(714u16)?;
        ("DeletePortMapping", String::new())
    } else {
        return Err(401);
    };
    let body = format!(
        "<s:Envelope xmlns:s='x'><s:Body><u:{name}Response xmlns:u='y'>{answer}</u:{name}Response></s:Body></s:Envelope>"
    );
    Ok(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

async fn node(search: SocketAddr) -> Node {
    Node::start_with(|settings| settings.nat = Nat::Upnp { router: Some(search) }).await
}

/// Ports are mapped for `lease` seconds with those outside that are free, and given back.
async fn maps(mut state: Router, lease: u32, taken: bool) {
    // The node's port is chosen by the system: it is in the way of itself.
    let first = Node::start().await;
    let wanted = tcp_port(&first, false);
    first.stop().await;
    if taken {
        state.taken = vec![wanted, wanted + 1];
    }
    let (search, state) = start(state).await;
    let node = Node::start_with(|settings| {
        settings.listen.tcp_port = wanted;
        settings.nat = Nat::Upnp { router: Some(search) };
    })
    .await;
    let ws = tcp_port(&node, true);
    let outside = if taken { wanted + 2 } else { wanted };
    let mut expected = vec![
        format!("/ip4/203.0.113.7/tcp/{outside}"),
        format!("/ip4/203.0.113.7/tcp/{ws}/ws"),
    ];
    expected.sort();
    eventually("mapped", || async { advertised(&node) == expected }).await;
    let mapped = HashMap::from([(outside, (wanted, lease)), (ws, (ws, lease))]);
    assert_eq!(state.lock().unwrap().mapped, mapped);
    node.stop().await;
    assert!(state.lock().unwrap().mapped.is_empty(), "{state:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_are_mapped_by_upnp_and_given_back() {
    maps(router(Manner::Router), 3600, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_knows_only_permanent_leases_is_asked_for_one() {
    let mut state = router(Manner::Router);
    state.permanent_only = true;
    maps(state, 0, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_leads_elsewhere_is_left_for_the_next() {
    maps(router(Manner::Router), 3600, true).await;
}

/// Whatever a device sends, little of it is taken, nothing is mapped, and the node goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_hostile_device_sends_is_bounded() {
    let manners = [
        Manner::EndlessDescription,
        Manner::EndlessHeaders,
        Manner::SilentDescription,
        Manner::Redirects,
        Manner::ElsewhereControl,
        Manner::EndlessAction,
    ];
    futures::future::join_all(manners.map(is_bounded)).await;
}

async fn is_bounded(manner: Manner) {
    let (search, state) = start(router(manner)).await;
    let node = node(search).await;
    eventually("asked", || async { state.lock().unwrap().fetched > 0 }).await;
    // Longer than a request may take.
    tokio::time::sleep(Duration::from_secs(6)).await;
    {
        let state = state.lock().unwrap();
        assert!(state.sent < TOO_MUCH, "{manner:?}: {} bytes", state.sent);
        assert!(state.fetched <= 2, "{manner:?}: {state:?}");
        assert!(state.mapped.is_empty(), "{manner:?}: {state:?}");
    }
    assert!(advertised(&node).is_empty());
    let other = Node::start().await;
    other.connect(&node).await;
    node.stop().await;
}

/// A router behind another one is of no use.
#[tokio::test(flavor = "multi_thread")]
async fn a_router_without_a_public_address_maps_nothing() {
    let mut state = router(Manner::Router);
    state.public = Ipv4Addr::new(100, 64, 0, 1);
    let (search, state) = start(state).await;
    let node = node(search).await;
    eventually("asked", || async { state.lock().unwrap().fetched == 2 }).await;
    let other = Node::start().await;
    other.connect(&node).await;
    assert!(advertised(&node).is_empty());
    assert!(state.lock().unwrap().mapped.is_empty());
    node.stop().await;
}
