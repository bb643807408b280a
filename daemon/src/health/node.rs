//! What a Waku node says of itself, in nwaku's shapes: peer id and addresses from `/debug/v1/info`, connected peers from
//! the metric `libp2p_peers`.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::http;
use crate::config::service::{HttpAddress, Node};
use crate::event::{Event, Sender};
use crate::snapshot::MailserverStatus;

const EVERY: Duration = Duration::from_secs(5);
/// Until the node first answers, so that its address is shown soon after the start.
const EAGER: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(2);
const MAX_INFO_BYTES: usize = 64 * 1024;
const MAX_METRICS_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "listenAddresses")]
    listen_addresses: Vec<String>,
}

/// Asks for as long as the daemon lives.
pub async fn watch(node: Node, events: Sender) {
    let (Some(info), metrics) = (
        HttpAddress::parse(&node.info),
        node.metrics.as_deref().and_then(HttpAddress::parse),
    ) else {
        return;
    };
    let mut seen = MailserverStatus::default();
    loop {
        let addresses = timeout(TIMEOUT, addresses(&info)).await.ok().flatten();
        let answered = addresses.is_some();
        if let Some(multiaddrs) = addresses {
            // Kept while the node is down: its key persists, so it comes back under the same.
            seen.peer_id = multiaddrs.iter().find_map(|address| peer_id(address));
            seen.multiaddrs = multiaddrs;
        }
        seen.peers = match &metrics {
            Some(metrics) if answered => timeout(TIMEOUT, peers(metrics)).await.ok().flatten(),
            _ => None,
        };
        if events.send(Event::MailserverSeen(seen.clone())).await.is_err() {
            return;
        }
        sleep(if answered { EVERY } else { EAGER }).await;
    }
}

async fn addresses(info: &HttpAddress) -> Option<Vec<String>> {
    let (status, body) = http::get(info, MAX_INFO_BYTES).await.ok()?;
    if status != 200 {
        return None;
    }
    serde_json::from_slice::<Info>(&body)
        .ok()
        .map(|info| info.listen_addresses)
}

async fn peers(metrics: &HttpAddress) -> Option<u64> {
    let (status, body) = http::get(metrics, MAX_METRICS_BYTES).await.ok()?;
    if status == 200 {
        gauge(&String::from_utf8_lossy(&body), "libp2p_peers")
    } else {
        None
    }
}

/// What follows the last `/p2p/` of a multiaddr.
fn peer_id(address: &str) -> Option<String> {
    let id = address.rsplit_once("/p2p/")?.1;
    (!id.is_empty() && !id.contains('/')).then(|| id.to_owned())
}

/// The sum of a metric over its labels, from Prometheus's text format.
fn gauge(text: &str, name: &str) -> Option<u64> {
    let mut sum = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}').map(|(_, value)| value),
            None => rest.starts_with([' ', '\t']).then_some(rest),
        };
        let value = value.and_then(|value| value.split_ascii_whitespace().next()?.parse::<f64>().ok());
        if let Some(value) = value.filter(|value| *value >= 0.0) {
            *sum.get_or_insert(0.0) += value;
        }
    }
    sum.map(|sum: f64| sum as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges() {
        for (text, wanted) in [
            ("libp2p_peers 3\n", Some(3)),
            ("# TYPE libp2p_peers gauge\nlibp2p_peers 3.0 1700000000\n", Some(3)),
            ("libp2p_peers{dir=\"in\"} 2\nlibp2p_peers{dir=\"out\"} 5\n", Some(7)),
            ("libp2p_peers_total 9\n", None),
            ("libp2p_peers NaN\n", None),
            ("", None),
        ] {
            assert_eq!(gauge(text, "libp2p_peers"), wanted, "{text:?}");
        }
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
