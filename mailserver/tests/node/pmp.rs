//! NAT-PMP against a small router on a real UDP socket (RFC 6886).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use pillarbox_mailserver::settings::Nat;
use tokio::net::UdpSocket;

use crate::support::{Node, eventually};

/// What the router does and has seen.
struct Router {
    public: Ipv4Addr,
    /// Added to a port to give the one outside.
    offset: u16,
    refuse: bool,
    /// Requests left without an answer.
    deaf: u32,
    heard: u32,
    /// Ports inside and lifetimes asked for.
    asked: Vec<(u16, u32)>,
}

async fn router(state: Router) -> (SocketAddr, Arc<Mutex<Router>>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let state = Arc::new(Mutex::new(state));
    let shared = state.clone();
    tokio::spawn(async move {
        let mut request = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut request).await {
            let answer = answer(&mut shared.lock().unwrap(), &request[..length]);
            if let Some(answer) = answer {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    (address, state)
}

fn answer(router: &mut Router, request: &[u8]) -> Option<Vec<u8>> {
    router.heard += 1;
    if router.deaf > 0 {
        router.deaf -= 1;
        return None;
    }
    let result = if router.refuse { 2 } else { 0 };
    let head = [0, request[1] | 128, 0, result, 0, 0, 0, 1];
    match request {
        [0, 0] => Some([&head[..], &router.public.octets()].concat()),
        [0, 2, 0, 0, a, b, _, _, lifetime @ ..] => {
            let internal = u16::from_be_bytes([*a, *b]);
            router
                .asked
                .push((internal, u32::from_be_bytes(lifetime.try_into().unwrap())));
            let external = internal.wrapping_sub(router.offset);
            // Two seconds: renewed after one.
            Some(
                [
                    &head[..],
                    &internal.to_be_bytes(),
                    &external.to_be_bytes(),
                    &[0, 0, 0, 2],
                ]
                .concat(),
            )
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn tcp_port(node: &Node, websocket: bool) -> u16 {
    let address = node.address(websocket);
    address
        .iter()
        .find_map(|part| match part {
            libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
            _ => None,
        })
        .unwrap()
}

pub(crate) fn advertised(node: &Node) -> Vec<String> {
    let status = node.handle.swarm().status();
    let id = format!("/p2p/{}", node.handle.swarm().info().peer_id);
    let addresses = status.borrow().external_addresses.clone();
    let mut texts: Vec<String> = addresses
        .iter()
        .map(|address| address.to_string().trim_end_matches(&id).to_owned())
        .collect();
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_are_mapped_renewed_and_given_back() {
    let (gateway, state) = router(Router {
        public: Ipv4Addr::new(203, 0, 113, 7),
        offset: 1,
        refuse: false,
        // The first request and the one after it are lost.
        deaf: 2,
        heard: 0,
        asked: Vec::new(),
    })
    .await;
    let node = Node::start_with(|settings| settings.nat = Nat::Pmp { gateway: Some(gateway) }).await;
    let (tcp, ws) = (tcp_port(&node, false), tcp_port(&node, true));
    let expected = |public: &str, offset: u16| {
        let mut addresses = vec![
            format!("/ip4/{public}/tcp/{}", tcp - offset),
            format!("/ip4/{public}/tcp/{}/ws", ws - offset),
        ];
        addresses.sort();
        addresses
    };
    eventually("mapped", || async { advertised(&node) == expected("203.0.113.7", 1) }).await;
    let times = |port: u16| {
        let asked = &state.lock().unwrap().asked;
        asked.iter().filter(|asked| **asked == (port, 7200)).count()
    };
    eventually("renewed", || async { times(tcp) >= 3 && times(ws) >= 3 }).await;
    // The router was restarted, and has another address and other ports free.
    {
        let mut router = state.lock().unwrap();
        (router.public, router.offset) = (Ipv4Addr::new(198, 51, 100, 9), 2);
    }
    eventually("moved", || async { advertised(&node) == expected("198.51.100.9", 2) }).await;
    node.stop().await;
    eventually("given back", || async {
        let asked = state.lock().unwrap().asked.clone();
        [tcp, ws].iter().all(|port| asked.contains(&(*port, 0)))
    })
    .await;
}

/// A router that refuses, or that is behind another one, is of no use, and no harm.
#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_maps_nothing() {
    for (public, refuse) in [([203, 0, 113, 7], true), ([100, 64, 0, 1], false)] {
        let (gateway, state) = router(Router {
            public: public.into(),
            offset: 0,
            refuse,
            deaf: 0,
            heard: 0,
            asked: Vec::new(),
        })
        .await;
        let node = Node::start_with(|settings| settings.nat = Nat::Pmp { gateway: Some(gateway) }).await;
        eventually("asked", || async { state.lock().unwrap().heard > 0 }).await;
        let other = Node::start().await;
        other.connect(&node).await;
        assert!(advertised(&node).is_empty());
        assert!(state.lock().unwrap().asked.is_empty());
        node.stop().await;
    }
}
