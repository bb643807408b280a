//! An answer of REST stands for whatever is asked next: nothing is waited for between the two.

use pillarbox_mailserver::enr;
use pillarbox_mailserver::enr::WakuNode;
use pillarbox_mailserver::protocols::metadata::wire::METADATA;
use pillarbox_mailserver::protocols::metadata::wire::WakuMetadata;
use pillarbox_mailserver::service::Service;
use serde_json::{Value, json};

use crate::discovery::discv5;
use crate::support::{Rest, dial_address, node};

const MESSAGE: &str = r#"{"payload": "aGVsbG8=", "contentTopic": "/app/1/chat/proto"}"#;

async fn recorded(rest: &Rest) -> Vec<u16> {
    let info = rest.get("/debug/v1/info").await.json();
    let record = enr::parse(info["enrUri"].as_str().unwrap()).unwrap();
    WakuNode::of(&record).unwrap().shards.unwrap().indices
}

/// The shards that a node tells another in metadata.
async fn told(to: &Service, by: &Service) -> Vec<u16> {
    let peer = by.node().swarm().info().peer_id;
    let asked = WakuMetadata::new(16, &[32]);
    let answer: WakuMetadata = to.node().swarm().request(peer, METADATA, &asked, 1024).await.unwrap();
    answer.shard_indices()
}

async fn listed(rest: &Rest) -> Vec<u16> {
    let found = rest.get("/admin/v1/peers/mesh").await.json();
    let shard = |on: &Value| u16::try_from(on["shard"].as_u64().unwrap()).unwrap();
    found.as_array().unwrap().iter().map(shard).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_in_force_when_they_are_answered() {
    for discovery in ["", &discv5(1, "")] {
        let service = node(&format!("--shard=32 {discovery}")).await;
        let other = node("--shard=32").await;
        let rest = Rest::of(&service);
        let peers = json!([dial_address(&service)]).to_string();
        assert_eq!(Rest::of(&other).post("/admin/v1/peers", &peers).await.status, 200);
        for shard in [7, 40, 1, 1023, 7, 500] {
            let topic = format!("/waku/2/rs/16/{shard}");
            let list = json!([topic]).to_string();
            let path = format!("/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F{shard}");
            let mut both = [32, shard];
            both.sort_unstable();

            assert_eq!(rest.post("/relay/v1/subscriptions", &list).await.plain(), (200, "OK"));
            assert_eq!(rest.post(&path, MESSAGE).await.plain(), (200, "OK"), "{shard}");
            assert_eq!(rest.post("/relay/v1/subscriptions", &list).await.plain(), (200, "OK"));
            assert_eq!(recorded(&rest).await, both);
            assert_eq!(told(&other, &service).await, both);
            assert_eq!(listed(&rest).await.len(), 2);

            assert_eq!(rest.delete("/relay/v1/subscriptions", &list).await.plain(), (200, "OK"));
            let refused = format!("Failed to publish: Node not subscribed to topic: {topic}");
            assert_eq!(rest.post(&path, MESSAGE).await.plain(), (400, refused.as_str()));
            assert_eq!(rest.delete("/relay/v1/subscriptions", &list).await.plain(), (200, "OK"));
            assert_eq!(recorded(&rest).await, [32]);
            assert_eq!(told(&other, &service).await, [32]);
            assert_eq!(listed(&rest).await, [32]);
        }
        assert!(service.stop().await && other.stop().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_subscriptions_are_in_the_record_when_they_are_answered() {
    let service = node("--num-shards-in-network=8 --shard=0").await;
    let rest = Rest::of(&service);
    let list = r#"["/toychat/2/huilong/proto"]"#; // shard 3
    for _ in 0..5 {
        assert_eq!(
            rest.post("/relay/v1/auto/subscriptions", list).await.plain(),
            (200, "OK")
        );
        assert_eq!(recorded(&rest).await, [0, 3]);
        assert_eq!(
            rest.delete("/relay/v1/auto/subscriptions", list).await.plain(),
            (200, "OK")
        );
        assert_eq!(recorded(&rest).await, [0]);
    }
    assert!(service.stop().await);
}

/// Connected is who has said what it is, as in nwaku: its services can be used.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_and_its_services_are_there_when_it_is_connected() {
    let server = node("--shard=32 --filter").await;
    let offered = Rest::of(&server);
    for _ in 0..5 {
        let client = node("--shard=32 --filter=false").await;
        let rest = Rest::of(&client);
        let address = dial_address(&server);
        let list = json!([address]).to_string();
        assert_eq!(rest.post("/admin/v1/peers", &list).await.plain(), (200, "OK"));
        let peers = rest.get("/admin/v1/peers").await.json();
        assert_eq!(
            (&peers[0]["multiaddr"], &peers[0]["connected"]),
            (&json!(address), &json!("Connected"))
        );
        let services = rest.get("/admin/v1/peers/service").await.json();
        let filter = json!("/vac/waku/filter-subscribe/2.0.0-beta1");
        assert!(
            services[0]["protocols"]
                .as_array()
                .is_some_and(|found| found.contains(&filter)),
            "{services}"
        );
        assert_eq!(client.node().swarm().status().borrow().connected_peers, 1);

        let mut subscription = json!({
            "requestId": "1", "pubsubTopic": "/waku/2/rs/16/32", "contentFilters": ["/app/1/chat/proto"]
        });
        let subscribers = async || offered.get("/admin/v1/filter/subscriptions").await.json();
        let answer = rest.post("/filter/v2/subscriptions", &subscription.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let found = subscribers().await;
        assert_eq!(
            found[0]["filterCriteria"][0]["contentTopic"],
            json!("/app/1/chat/proto"),
            "{found}"
        );
        subscription["requestId"] = json!("2");
        let answer = rest.delete("/filter/v2/subscriptions", &subscription.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(subscribers().await, json!([]));
        assert!(client.stop().await);
    }
    assert!(server.stop().await);
}
