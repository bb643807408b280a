//! What a Waku node says of itself, in nwaku's shapes: peer id and addresses from `/debug/v1/info`; how many peers it has
//! from the metric `libp2p_peers`, and by direction from `waku_connected_peers`; where they are from
//! `/admin/v1/peers/connected`; and what its peers' calls back found from nim-libp2p's
//! `libp2p_autonat_reachability_confidence` (`protocols/connectivity/autonat/service.nim`). What a node does not tell
//! stays unknown.

use std::time::Duration;

use hyper::body::Bytes;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::exposition::{sum, value};
use super::{http, writer};
use crate::address;
use crate::config::service::{HttpAddress, Node};
use crate::event::{Event, Sender};
use crate::snapshot::MailserverStatus;

const EVERY: Duration = Duration::from_secs(5);
/// Until the node first answers, so that its address is shown soon after the start.
const EAGER: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(2);
const MAX_INFO_BYTES: usize = 64 * 1024;
const MAX_METRICS_BYTES: usize = 1024 * 1024;
/// A thousand peers with all that they offer.
const MAX_PEERS_BYTES: usize = 2 * 1024 * 1024;
/// Every Waku node speaks this, so counting those who do counts each connection once.
const METADATA: &str = "protocol=\"/vac/waku/metadata/1.0.0\"";

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "listenAddresses")]
    listen_addresses: Vec<String>,
}

/// One of `/admin/v1/peers/connected`.
#[derive(Deserialize)]
struct Peer {
    multiaddr: String,
}

/// Asks for as long as the daemon lives; another node than before is asked at once, and known by nothing yet.
pub async fn watch(mut nodes: watch::Receiver<Option<Node>>, events: Sender) {
    let mut asked = None;
    let mut seen = MailserverStatus::default();
    loop {
        let node = nodes.borrow_and_update().clone();
        if node != asked {
            seen = MailserverStatus::default();
            asked = node.clone();
        }
        let told = ask(node.as_ref(), &mut seen).await;
        let counts = told.as_deref().map(writer::counts).unwrap_or_default();
        for event in [Event::MailserverSeen(seen.clone()), Event::WriterSeen(counts)] {
            if events.send(event).await.is_err() {
                return;
            }
        }
        let pause = if told.is_some() || node.is_none() { EVERY } else { EAGER };
        tokio::select! {
            changed = nodes.changed() => if changed.is_err() { return },
            () = sleep(pause) => {}
        }
    }
}

/// Takes over what the node tells of itself. Its metrics, which may be empty, if it answered at all.
async fn ask(node: Option<&Node>, seen: &mut MailserverStatus) -> Option<String> {
    let parsed = |text: Option<&String>| text.and_then(|text| HttpAddress::parse(text));
    let info = parsed(node.map(|node| &node.info));
    let metrics = parsed(node.and_then(|node| node.metrics.as_ref()));
    let peers = parsed(node.and_then(|node| node.peers.as_ref()));
    let body = fetch(info.as_ref(), MAX_INFO_BYTES).await;
    let listens = body.and_then(|body| serde_json::from_slice::<Info>(&body).ok());
    let answered = listens.is_some();
    if let Some(Info { listen_addresses }) = listens {
        // Kept while the node is down: its key persists, so it comes back under the same.
        seen.peer_id = listen_addresses.iter().find_map(|address| peer_id(address));
        seen.multiaddrs = listen_addresses;
    }
    // One that does not answer is not asked for more, and what it said before is not known any longer.
    let asked = |address: Option<HttpAddress>| address.filter(|_| answered);
    let told = fetch(asked(metrics).as_ref(), MAX_METRICS_BYTES).await;
    let told = told.map_or_else(String::new, |body| String::from_utf8_lossy(&body).into_owned());
    seen.peers = sum(&told, "libp2p_peers", &[]);
    let by_direction = |direction| sum(&told, "waku_connected_peers", &[direction, METADATA]);
    (seen.peers_in, seen.peers_out) = match (by_direction("direction=\"In\""), by_direction("direction=\"Out\"")) {
        (None, None) => (
            seen.peers.filter(|peers| *peers == 0),
            seen.peers.filter(|peers| *peers == 0),
        ),
        // A direction without a peer has no sample.
        (inbound, outbound) => (Some(inbound.unwrap_or(0)), Some(outbound.unwrap_or(0))),
    };
    seen.reachable = reachable(&told);
    let listed = fetch(asked(peers).as_ref(), MAX_PEERS_BYTES).await;
    seen.peers_public = listed.and_then(|body| public(&body));
    answered.then_some(told)
}

/// The body of a 200 within the time that one may take.
async fn fetch(address: Option<&HttpAddress>, max_bytes: usize) -> Option<Bytes> {
    let (status, body) = timeout(TIMEOUT, http::get(address?, max_bytes)).await.ok()?.ok()?;
    (status == 200).then_some(body)
}

/// How many of the listed peers have a public address.
pub(crate) fn public(body: &[u8]) -> Option<u64> {
    let peers: Vec<Peer> = serde_json::from_slice(body).ok()?;
    let public = peers
        .iter()
        .filter_map(|peer| address::of_multiaddr(&peer.multiaddr))
        .filter(|address| !address::is_private(address.to_canonical()) && !address.is_unspecified());
    u64::try_from(public.count()).ok()
}

/// What the calls back found, once there is any confidence in it.
pub(crate) fn reachable(text: &str) -> Option<bool> {
    let sure = |reachability: &str| {
        let label = format!("reachability=\"{reachability}\"");
        value(text, "libp2p_autonat_reachability_confidence", &[&label]).is_some_and(|confidence| confidence > 0.0)
    };
    match (sure("Reachable"), sure("NotReachable")) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

/// What follows the last `/p2p/` of a multiaddr.
fn peer_id(address: &str) -> Option<String> {
    let id = address.rsplit_once("/p2p/")?.1;
    (!id.is_empty() && !id.contains('/')).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_back() {
        let metric = |reachability: &str, confidence: &str| {
            format!("libp2p_autonat_reachability_confidence{{reachability=\"{reachability}\"}} {confidence}\n")
        };
        for (text, wanted) in [
            (String::new(), None),
            (metric("Unknown", "1.0"), None),
            (metric("Reachable", "0.0") + &metric("NotReachable", "0.3"), Some(false)),
            (metric("NotReachable", "0.0") + &metric("Reachable", "0.3"), Some(true)),
        ] {
            assert_eq!(reachable(&text), wanted, "{text}");
        }
    }

    #[test]
    fn only_public_addresses_prove_an_internet() {
        let listed = |addresses: &[&str]| {
            let peers: Vec<_> = addresses
                .iter()
                .map(|address| serde_json::json!({"multiaddr": address, "protocols": [], "connected": "Connected"}))
                .collect();
            serde_json::to_vec(&peers).unwrap()
        };
        let home = [
            "/ip4/192.168.1.9/tcp/1/p2p/A",
            "/ip6/fd00::1/tcp/1",
            "/ip4/127.0.0.1/tcp/1",
            "/dns4/x/tcp/1",
        ];
        assert_eq!(public(&listed(&home)), Some(0));
        assert_eq!(
            public(&listed(&["/ip4/203.0.113.9/tcp/1", "/ip6/2001:db8::1/tcp/2"])),
            Some(2)
        );
        assert_eq!(public(b"[]"), Some(0));
        assert_eq!(public(b"<html>"), None);
    }

    #[test]
    fn peer_ids() {
        for (address, wanted) in [
            ("/ip4/127.0.0.1/tcp/60000/p2p/16Uiu2", Some("16Uiu2")),
            ("/ip4/1.2.3.4/tcp/1/p2p/A/p2p-circuit/p2p/B", Some("B")),
            ("/ip4/127.0.0.1/tcp/60000", None),
            ("/p2p/", None),
        ] {
            assert_eq!(peer_id(address).as_deref(), wanted, "{address}");
        }
    }
}
