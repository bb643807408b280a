//! Nodes that find each other.

use hyper::Method;
use pillarbox_mailserver::enr;
use pillarbox_mailserver::enr::WakuNode;
use pillarbox_mailserver::service::Service;
use serde_json::json;

use crate::support::{Rest, dial_address, eventually, node, request};

pub(crate) fn discv5(address: u8, bootstrap: &str) -> String {
    let bootstrap = if bootstrap.is_empty() {
        String::new()
    } else {
        format!("--discv5-bootstrap-node={bootstrap}")
    };
    format!("--listen-address=127.0.0.{address} --discv5-discovery=true --discv5-udp-port=0 {bootstrap}")
}

/// The record as REST tells it, once it has the port on which the node listens.
pub(crate) async fn record(service: &Service) -> String {
    let rest = Rest::of(service);
    let complete = |info: &serde_json::Value| {
        let record = enr::parse(info["enrUri"].as_str().unwrap()).unwrap();
        let address = WakuNode::of(&record)
            .unwrap()
            .addresses
            .first()
            .map(ToString::to_string);
        address.is_some_and(|address| info["listenAddresses"].as_array().unwrap().contains(&json!(address)))
    };
    let info = eventually(|| async { rest.get("/debug/v1/info").await.json() }, complete).await;
    info["enrUri"].as_str().unwrap().to_owned()
}

async fn metrics(service: &Service) -> String {
    request(service.metrics_address().unwrap(), Method::GET, "/metrics", None)
        .await
        .text
}

pub(crate) async fn connected(service: &Service) -> usize {
    service.node().swarm().status().borrow().connected_peers
}

/// The second and the third know only the first, and the first knows nobody: discv5 alone brings all three together.
#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_find_each_other_by_discv5_alone() {
    let one = node(&format!("--shard=32 {}", discv5(1, ""))).await;
    let bootstrap = record(&one).await;
    let two = node(&format!("--shard=32 --shard=64 {}", discv5(2, &bootstrap))).await;
    let three = node(&format!("--shard=32 {}", discv5(3, &bootstrap))).await;
    let nodes = [&one, &two, &three];
    for service in nodes {
        eventually(|| connected(service), |peers| *peers == 2).await;
    }
    let peers = Rest::of(&two).get("/admin/v1/peers").await.json();
    assert!(
        peers.as_array().unwrap().iter().any(|peer| peer["origin"] == "Discv5"),
        "{peers}"
    );
    // What one says, the others hear.
    for service in nodes {
        let rest = Rest::of(service);
        let mesh = "/admin/v1/peers/mesh/on/32";
        eventually(
            || async { rest.get(mesh).await.json() },
            |found| found["peers"].as_array().unwrap().len() == 2,
        )
        .await;
    }
    let path = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F32";
    let message = json!({"payload": "aGVsbG8=", "contentTopic": "/app/1/chat/proto"}).to_string();
    assert_eq!(Rest::of(&three).post(path, &message).await.plain(), (200, "OK"));
    for service in nodes {
        let rest = Rest::of(service);
        eventually(
            || async { rest.get(path).await.json() },
            |found| found.as_array().unwrap().len() == 1,
        )
        .await;
    }
    eventually(|| metrics(&one), |text| text.contains("\nrouting_table_nodes 2\n")).await;
    // A fourth without discv5 is told of the others by peer exchange.
    let four = node(&format!(
        "--shard=32 --listen-address=127.0.0.4 --peer-exchange-node={}",
        dial_address(&one)
    ))
    .await;
    eventually(|| connected(&four), |peers| *peers == 3).await;
    let peers = Rest::of(&four).get("/admin/v1/peers").await.json();
    assert!(
        peers
            .as_array()
            .unwrap()
            .iter()
            .any(|peer| peer["origin"] == "PeerExchange"),
        "{peers}"
    );
    for service in [one, two, three, four] {
        assert!(service.stop().await);
    }
}

/// A node of another cluster or of other shards is found and left alone.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_a_common_shard_stay_apart() {
    let one = node(&format!("--shard=32 {}", discv5(1, ""))).await;
    let other = node(&format!("--shard=33 {}", discv5(2, &record(&one).await))).await;
    eventually(
        || metrics(&other),
        |text| {
            text.lines().any(|line| {
                line.strip_prefix("waku_discv5_discovered_total ")
                    .is_some_and(|n| n != "0")
            })
        },
    )
    .await;
    assert!(
        metrics(&other)
            .await
            .contains("\nwaku_discv5_discovered_usable_total 0\n")
    );
    assert_eq!((connected(&one).await, connected(&other).await), (0, 0));
    assert!(one.stop().await && other.stop().await);
}

/// The record outlives a restart, and what it says is what the node has.
#[tokio::test]
async fn the_own_record_is_kept_beside_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let flags = format!(
        "--shard=32 --shard=64 --store --archive-dir={} --nodekey-file={}",
        dir.path().join("archive").display(),
        key.display()
    );
    let service = node(&flags).await;
    let text = record(&service).await;
    let kept = std::fs::read_to_string(dir.path().join("key.enr")).unwrap();
    assert_eq!(kept, text);
    let read = WakuNode::of(&enr::parse(&text).unwrap()).unwrap();
    assert_eq!(read.peer, service.node().swarm().info().peer_id);
    assert_eq!(read.shards.unwrap().indices, [32, 64]);
    assert_eq!(read.capabilities.bits(), 0b1111);
    assert!(service.stop().await);
    let again = node(&flags).await;
    let newer = enr::parse(&record(&again).await).unwrap();
    assert!(
        newer.seq() > enr::parse(&text).unwrap().seq(),
        "another port, a newer record"
    );
    assert_eq!(WakuNode::of(&newer).unwrap().peer, read.peer);
}
