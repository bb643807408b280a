//! REST of store, light push and filter: against this node's own services, and as a client of another node's.

use hyper::Method;
use libp2p::identity::Keypair;
use pillarbox_mailserver::protocols::light_push::wire::{LIGHT_PUSH_LEGACY, PushResponse, PushRpc};
use pillarbox_mailserver::protocols::metadata::wire::METADATA;
use pillarbox_mailserver::wire::framing::{read_frame, write_frame};
use prost::Message;
use serde_json::{Value, json};
use test_support::peer::Raw;

use crate::support::{Rest, dial_address, eventually, node, request};

const CONTENT: &str = "/app/1/chat/proto";
const TOPIC: &str = "/waku/2/rs/16/32";

fn push(n: usize) -> String {
    let payload = ["AAA=", "AAE=", "AAI=", "AAM=", "AAQ=", "AAU=", "AAY=", "AAc="][n];
    json!({"pubsubTopic": TOPIC, "message": {"payload": payload, "contentTopic": CONTENT}}).to_string()
}

async fn connect(from: &Rest, to: &pillarbox_mailserver::service::Service) {
    assert_eq!(
        from.post("/admin/v1/peers", &json!([dial_address(to)]).to_string())
            .await
            .plain(),
        (200, "OK")
    );
    // Identify says what the other offers.
    eventually(
        || async { from.get("/admin/v1/peers/service").await.json() },
        |found| *found != json!([]),
    )
    .await;
}

#[tokio::test]
async fn pushed_envelopes_are_found_by_every_query() {
    let dir = tempfile::tempdir().unwrap();
    let service = node(&format!(
        "--shard=32 --store --archive-dir={}",
        dir.path().join("archive").display()
    ))
    .await;
    let rest = Rest::of(&service);
    for n in 0..5 {
        let answer = rest.post("/lightpush/v3/message", &push(n)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, json!({"relayPeerCount": 0}))
        );
    }
    assert_eq!(rest.post("/lightpush/v1/message", &push(5)).await.plain(), (200, "OK"));

    let all = rest
        .get("/store/v3/messages?includeData=true&contentTopics=%2Fapp%2F1%2Fchat%2Fproto")
        .await;
    assert_eq!(all.status, 200);
    let all = all.json();
    assert_eq!((&all["statusCode"], &all["statusDesc"]), (&json!(200), &json!("OK")));
    let messages = all["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 6);
    assert_eq!(messages[0]["pubsubTopic"], json!(TOPIC));
    let message = messages[0]["message"].as_object().unwrap();
    assert_eq!(
        (&message["payload"], &message["contentTopic"], &message["ephemeral"]),
        (&json!("AAA="), &json!(CONTENT), &json!(false))
    );
    assert!(
        message["timestamp"].as_i64().unwrap() > 0 && !message.contains_key("proof"),
        "{message:?}"
    );

    // By hash, by page in both directions.
    let hashes: Vec<&str> = messages
        .iter()
        .map(|entry| entry["messageHash"].as_str().unwrap())
        .collect();
    assert!(hashes.iter().all(|hash| hash.starts_with("0x") && hash.len() == 66));
    let one = rest
        .get(&format!("/store/v3/messages?hashes={}", hashes[2]))
        .await
        .json();
    assert_eq!(one["messages"], json!([{"messageHash": hashes[2]}]));
    for (ascending, expected) in [("true", [0, 2, 4]), ("false", [4, 2, 0])] {
        let mut cursor = String::new();
        for first in expected {
            let path = format!("/store/v3/messages?ascending={ascending}&pageSize=2&cursor={cursor}");
            let page = rest.get(&path).await.json();
            let found: Vec<&Value> = page["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| &entry["messageHash"])
                .collect();
            assert_eq!(found, [hashes[first], hashes[first + 1]], "{page}");
            cursor = page["paginationCursor"].as_str().unwrap_or_default().to_owned();
        }
        assert_eq!(cursor, "", "there is no further page");
    }

    for (query, status, text) in [
        ("startTime=x", 400, "time parsing error: "),
        (
            "hashes=0x12",
            400,
            "waku message hash parsing error: invalid hash length: 1",
        ),
        (
            &format!("cursor={}", "ab".repeat(32)),
            500,
            "error in handleSelfStoreRequest: BAD_REQUEST: ",
        ),
        (
            "peerAddr=nowhere",
            400,
            "Failed parsing remote peer info [MultiAddress.init [",
        ),
    ] {
        let answer = rest.get(&format!("/store/v3/messages?{query}")).await;
        assert!(
            answer.status == status && answer.text.starts_with(text),
            "{query}: {answer:?}"
        );
    }

    // Another node asks this one, told by address and then by its own choice.
    let client = node("--shard=32 --lightpush=false").await;
    let asking = Rest::of(&client);
    let nobody = asking.get("/store/v3/messages").await;
    assert_eq!(nobody.plain(), (412, "No suitable service peer & no discovery method"));
    let address = dial_address(&service).replace('/', "%2F");
    let told = asking
        .get(&format!("/store/v3/messages?includeData=true&peerAddr={address}"))
        .await
        .json();
    assert_eq!(told["messages"], all["messages"]);
    connect(&asking, &service).await;
    let chosen = asking.get("/store/v3/messages?pageSize=1").await.json();
    assert_eq!(chosen["messages"], json!([{"messageHash": hashes[0]}]));

    // Light push through it.
    let answer = eventually(
        || async { asking.post("/lightpush/v3/message", &push(6)).await },
        |answer| answer.status == 200,
    )
    .await;
    assert!(answer.json()["relayPeerCount"].is_number(), "{answer:?}");
    assert_eq!(
        asking.post("/lightpush/v1/message", &push(7)).await.plain(),
        (200, "OK")
    );
    let path = "/store/v3/messages?pageSize=100";
    eventually(
        || async { rest.get(path).await.json() },
        |found| found["messages"].as_array().unwrap().len() == 8,
    )
    .await;
    let metrics = request(service.metrics_address().unwrap(), Method::GET, "/metrics", None)
        .await
        .text;
    assert!(
        metrics.contains("\nwaku_archive_messages{type=\"stored\"} 8\n"),
        "{metrics}"
    );
    assert!(client.stop().await && service.stop().await);
}

#[tokio::test]
async fn refused_pushes_say_why() {
    let service = node("--shard=32").await;
    let rest = Rest::of(&service);
    for (body, status, text) in [
        ("{".to_owned(), 400, "Invalid push request! "),
        (json!({"pubsubTopic": TOPIC}).to_string(), 400, "Invalid push request! "),
        (
            json!({"pubsubTopic": TOPIC, "message": {"contentTopic": CONTENT}}).to_string(),
            400,
            "Invalid message! ",
        ),
        (push(0).replace("/32", "/33"), 421, "not subscribed to pubsub topic"),
        (
            json!({"message": {"payload": "AAA=", "contentTopic": CONTENT}}).to_string(),
            420,
            "Pubsub topic must be specified",
        ),
        // Nobody there and no archive.
        (push(0), 505, ""),
    ] {
        let answer = rest.post("/lightpush/v3/message", &body).await;
        let reason = answer.json()["statusDesc"].as_str().unwrap().to_owned();
        assert!(
            answer.status == status && reason.starts_with(text),
            "{body}: {answer:?}"
        );
    }
    let answer = rest.post("/lightpush/v1/message", &push(0)).await;
    assert!(
        answer.status == 503 && answer.text.starts_with("Failed to request a message push: "),
        "{answer:?}"
    );
    let alone = node("--shard=32 --lightpush=false").await;
    let answer = Rest::of(&alone).post("/lightpush/v1/message", &push(0)).await;
    assert_eq!(answer.plain(), (503, "No suitable service peer & no discovery method"));
    assert!(service.stop().await && alone.stop().await);
}

#[tokio::test]
async fn filter_subscriptions_collect_what_is_pushed() {
    let service = node("--shard=32").await;
    let client = node("--shard=32 --relay=false").await;
    let (rest, asking) = (Rest::of(&service), Rest::of(&client));
    let subscribe = json!({"requestId": "one", "pubsubTopic": TOPIC, "contentFilters": [CONTENT]}).to_string();
    let nobody = asking.post("/filter/v2/subscriptions", &subscribe).await;
    assert_eq!(nobody.status, 503);
    assert_eq!(
        nobody.json(),
        json!({"requestId": "one", "statusDesc": "SERVICE_UNAVAILABLE: No suitable service peer & no discovery method"})
    );
    connect(&asking, &service).await;
    let ping = asking.get("/filter/v2/subscriptions/two").await;
    assert_eq!((ping.status.as_u16(), &ping.json()["requestId"]), (404, &json!("two")));
    let messages = "/filter/v2/messages/%2Fapp%2F1%2Fchat%2Fproto";
    assert_eq!(
        asking.get(messages).await.plain(),
        (400, format!("Not subscribed to topic: {CONTENT}").as_str())
    );

    let ok = |id: &str| json!({"requestId": id, "statusDesc": "OK"});
    assert_eq!(
        asking.post("/filter/v2/subscriptions", &subscribe).await.json(),
        ok("one")
    );
    assert_eq!(
        request(asking.0, Method::PUT, "/filter/v2/subscriptions", Some(&subscribe))
            .await
            .json(),
        ok("one")
    );
    assert_eq!(asking.get("/filter/v2/subscriptions/three").await.json(), ok("three"));
    assert_eq!(
        rest.get("/admin/v1/filter/subscriptions").await.json(),
        json!([{
            "peerId": client.node().swarm().info().peer_id.to_string(),
            "filterCriteria": [{"pubsubTopic": TOPIC, "contentTopic": CONTENT}]
        }])
    );
    let message = json!({"payload": "aGVsbG8=", "contentTopic": CONTENT}).to_string();
    assert_eq!(
        rest.post("/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F32", &message)
            .await
            .plain(),
        (200, "OK")
    );
    let found = eventually(
        || async { asking.get(messages).await.json() },
        |found| *found != json!([]),
    )
    .await;
    assert_eq!(
        (&found[0]["payload"], found[0].get("proof")),
        (&json!("aGVsbG8="), None)
    );

    assert_eq!(
        asking.delete("/filter/v2/subscriptions", &subscribe).await.json(),
        ok("one")
    );
    assert_eq!(asking.get(messages).await.status, 400);
    assert_eq!(
        asking.post("/filter/v2/subscriptions", &subscribe).await.json(),
        ok("one")
    );
    let all = json!({"requestId": "four"}).to_string();
    assert_eq!(
        asking.delete("/filter/v2/subscriptions/all", &all).await.json(),
        ok("four")
    );
    assert_eq!(rest.get("/admin/v1/filter/subscriptions").await.json(), json!([]));

    for (body, text) in [
        (
            json!({"requestId": "x", "contentFilters": []}).to_string(),
            "BAD_REQUEST: Failed to decode request: Field `contentFilters` is empty",
        ),
        (
            "".to_owned(),
            "BAD_REQUEST: Failed to decode request: Missing content body",
        ),
        (
            json!({"requestId": "x", "contentFilters": ["/a/1/b/c"]}).to_string(),
            "Pubsub topic must be specified when static sharding is enabled",
        ),
    ] {
        let answer = asking.post("/filter/v2/subscriptions", &body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["statusDesc"]),
            (400, &json!(text))
        );
    }
    assert!(service.stop().await && client.stop().await);
}

/// 2.0.0-beta1 knows no autosharding; the client does.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_by_the_older_protocol_names_the_pubsub_topic() {
    let mut service = Raw::start(&Keypair::generate_secp256k1(), vec![METADATA, LIGHT_PUSH_LEGACY], None).await;
    let flags = format!("--lightpush=false --lightpushnode={}", service.address);
    let client = node(&format!("--num-shards-in-network=8 --shard=0 {flags}")).await;
    let rest = Rest::of(&client);
    let serve = async {
        let mut stream = service.next(&LIGHT_PUSH_LEGACY).await;
        let asked = read_frame(&mut stream, 4096).await.unwrap();
        let answer = PushRpc {
            response: Some(PushResponse {
                is_success: Some(true),
                info: None,
            }),
            ..Default::default()
        };
        write_frame(&mut stream, &answer.encode_to_vec()).await.unwrap();
        PushRpc::decode(asked.as_slice()).unwrap().request.unwrap()
    };
    // Shard 3.
    let body = json!({"message": {"payload": "AAA=", "contentTopic": "/toychat/2/huilong/proto"}}).to_string();
    let pushed = async { tokio::join!(rest.post("/lightpush/v1/message", &body), serve) };
    let (answer, asked) = tokio::time::timeout(crate::support::DEADLINE, pushed).await.unwrap();
    assert_eq!(answer.plain(), (200, "OK"));
    assert_eq!(asked.pubsub_topic.as_deref(), Some("/waku/2/rs/16/3"));
    assert!(client.stop().await);
    // Under static sharding nobody can say which topic was meant.
    let fixed = node(&format!("--shard=32 {flags}")).await;
    let answer = Rest::of(&fixed).post("/lightpush/v1/message", &body).await;
    assert!(
        answer.status == 503
            && answer
                .text
                .ends_with("Pubsub topic must be specified when static sharding is enabled"),
        "{answer:?}"
    );
    assert!(fixed.stop().await);
}
