//! REST against nwaku's field names, statuses and texts.

use hyper::{Method, Request, header};
use pillarbox_mailserver::enr;
use pillarbox_mailserver::enr::WakuNode;
use serde_json::json;

use crate::support::{Rest, config, dial_address, eventually, node, request, send};

const TOPIC: &str = "/waku/2/rs/16/32";
const TOPIC_IN_PATH: &str = "%2Fwaku%2F2%2Frs%2F16%2F32";

#[tokio::test]
async fn health_info_and_version() {
    let service = node("--shard=32 --websocket-support --websocket-port=0").await;
    let rest = Rest::of(&service);
    let health = rest.get("/health").await;
    assert_eq!(health.status, 200);
    let health = health.json();
    assert_eq!(
        (&health["nodeHealth"], &health["connectionStatus"]),
        (&json!("READY"), &json!("Disconnected"))
    );
    assert_eq!(
        health["protocolsHealth"][0],
        json!({"Relay": "NOT_READY", "desc": "No connected peers"})
    );
    for path in ["/info", "/debug/v1/info"] {
        let info = rest.get(path).await.json();
        let addresses = info["listenAddresses"].as_array().unwrap();
        let id = service.node().swarm().info().peer_id.to_string();
        assert_eq!(addresses.len(), 2, "{info}");
        assert!(
            addresses
                .iter()
                .all(|address| address.as_str().unwrap().ends_with(&format!("/p2p/{id}"))),
            "{info}"
        );
        assert!(info["enrUri"].is_string());
    }
    for path in ["/version", "/debug/v1/version"] {
        assert_eq!(
            rest.get(path).await.plain(),
            (200, concat!("v", env!("CARGO_PKG_VERSION")))
        );
    }
    assert!(service.stop().await);
}

/// With a certificate the websocket port speaks wss, and info and record say so.
#[tokio::test]
async fn wss_is_announced() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("certificate"), made.cert.pem()).unwrap();
    let service = node(&format!(
        "--shard=32 --websocket-support --websocket-port=0 --websocket-secure-support --websocket-secure-key-path={} \
         --websocket-secure-cert-path={} --dns4-domain-name=box.example.org",
        path("key"),
        path("certificate")
    ))
    .await;
    let announces = |info: &serde_json::Value| {
        let record = enr::parse(info["enrUri"].as_str().unwrap()).unwrap();
        let recorded = WakuNode::of(&record).unwrap().addresses;
        let listed = info["listenAddresses"].as_array().unwrap();
        let wss = |address: &&str| address.contains("/wss/p2p/");
        let listed: Vec<&str> = listed
            .iter()
            .map(|address| address.as_str().unwrap())
            .filter(wss)
            .collect();
        let recorded = recorded
            .iter()
            .map(ToString::to_string)
            .any(|address| wss(&address.as_str()));
        listed.iter().any(|address| address.starts_with("/ip4/127.0.0.1/"))
            && listed
                .iter()
                .any(|address| address.starts_with("/dns4/box.example.org/"))
            && recorded
            && !info.to_string().contains("/ws/")
    };
    let rest = Rest::of(&service);
    eventually(|| async { rest.get("/debug/v1/info").await.json() }, announces).await;
    assert!(service.stop().await);
}

#[tokio::test]
async fn paths_that_are_not_there() {
    let service = node("--shard=32 --rest-admin=false").await;
    let rest = Rest::of(&service);
    let nothing = (404, "Not found: invalid path or method used.");
    assert_eq!(rest.get("/nothing").await.plain(), nothing);
    assert_eq!(rest.post("/health", "").await.plain(), nothing);
    let no_admin = "/admin endpoints are not available. Please check your configuration: --rest-admin=true";
    assert_eq!(rest.get("/admin/v1/peers").await.plain(), (404, no_admin));
    assert!(service.stop().await);
    let service = node("--relay=false").await;
    let no_relay = "/relay endpoints are not available. Please check your configuration: --relay";
    assert_eq!(
        Rest::of(&service).post("/relay/v1/subscriptions", "[]").await.plain(),
        (404, no_relay)
    );
}

#[tokio::test]
async fn relay_between_two_nodes() {
    let (one, two) = (node("--shard=32").await, node("--shard=32").await);
    let (rest, other) = (Rest::of(&one), Rest::of(&two));
    let address = dial_address(&two);
    assert_eq!(
        rest.post("/admin/v1/peers", &json!([address]).to_string())
            .await
            .plain(),
        (200, "OK")
    );
    // Both sides know that the other is on the shard.
    for rest in [&rest, &other] {
        let path = "/admin/v1/peers/mesh/on/32";
        eventually(
            || async { rest.get(path).await.json() },
            |found| found["peers"] != json!([]),
        )
        .await;
    }
    let now = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos(),
    )
    .unwrap();
    let message = json!({
        "payload": "aGVsbG8=", "contentTopic": "/app/1/chat/proto", "timestamp": now, "meta": "AQI=", "ephemeral": true
    });
    let path = format!("/relay/v1/messages/{TOPIC_IN_PATH}");
    assert_eq!(rest.post(&path, &message.to_string()).await.plain(), (200, "OK"));
    let shown = json!([{
        "payload": "aGVsbG8=", "contentTopic": "/app/1/chat/proto", "version": 0, "timestamp": now, "meta": "AQI=",
        "ephemeral": true, "proof": ""
    }]);
    for rest in [&rest, &other] {
        let found = eventually(|| async { rest.get(&path).await.json() }, |found| *found != json!([])).await;
        assert_eq!(found, shown);
        assert_eq!(rest.get(&path).await.json(), json!([]));
    }
    assert!(one.stop().await && two.stop().await);
}

#[tokio::test]
async fn relay_subscriptions_and_refusals() {
    let service = node("--shard=32").await;
    let rest = Rest::of(&service);
    let other = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F7";
    let message = r#"{"payload": "aGVsbG8=", "contentTopic": "/app/1/chat/proto"}"#;
    assert_eq!(rest.get(other).await.plain(), (404, ""));
    let not_subscribed = "Failed to publish: Node not subscribed to topic: /waku/2/rs/16/7";
    assert_eq!(rest.post(other, message).await.plain(), (400, not_subscribed));
    let subscriptions = "/relay/v1/subscriptions";
    assert_eq!(
        rest.post(subscriptions, r#"["/waku/2/rs/16/7"]"#).await.plain(),
        (200, "OK")
    );
    eventually(
        || async { rest.post(other, message).await.plain().0 },
        |status| *status == 200,
    )
    .await;
    eventually(
        || async { rest.get(other).await.json() },
        |found| found.as_array().unwrap().len() == 1,
    )
    .await;
    assert_eq!(
        rest.delete(subscriptions, r#"["/waku/2/rs/16/7"]"#).await.plain(),
        (200, "OK")
    );
    assert_eq!(rest.get(other).await.plain(), (404, ""));

    for (body, text) in [
        (
            r#"["/waku/2/default-waku/proto"]"#,
            "Invalid pubsub topic(s): @[\"/waku/2/default-waku/proto\"]",
        ),
        ("", "Missing content body"),
    ] {
        assert_eq!(rest.post(subscriptions, body).await.plain(), (400, text));
    }
    let path = format!("/relay/v1/messages/{TOPIC_IN_PATH}");
    for (body, text) in [
        (r#"{"contentTopic": "/a/1/b/c"}"#, "Field `payload` is missing or empty"),
        (
            r#"{"payload": "aGVsbG8=", "contentTopic": " "}"#,
            "Field `contentTopic` is missing or empty",
        ),
        (
            r#"{"payload": "?", "contentTopic": "/a/1/b/c"}"#,
            "Invalid content body, could not decode: ",
        ),
        ("{", "Invalid content body, could not decode: "),
    ] {
        let answer = rest.post(&path, body).await;
        assert!(
            answer.status == 400 && answer.text.starts_with(text),
            "{body}: {answer:?}"
        );
    }
    let large = json!({"payload": "A".repeat(4 * 60_000), "contentTopic": "/a/1/b/c"}).to_string();
    assert_eq!(
        rest.post(&path, &large).await.plain(),
        (400, "Failed to publish: Message size exceeded maximum of 153600 bytes")
    );
    let image = Request::post(format!("http://{}{subscriptions}", rest.0)).header(header::CONTENT_TYPE, "image/png");
    let answer = send(image.body("[]".into()).unwrap()).await;
    assert_eq!(
        answer.plain(),
        (400, "Wrong Content-Type, expected application/json or text/plain")
    );
    assert!(service.stop().await);
}

#[tokio::test]
async fn autosharding() {
    let service = node("--num-shards-in-network=8 --shard=0").await;
    let rest = Rest::of(&service);
    let topic = "/toychat/2/huilong/proto"; // shard 3
    let path = "/relay/v1/auto/messages/%2Ftoychat%2F2%2Fhuilong%2Fproto";
    assert_eq!(rest.get(path).await.plain(), (404, topic));
    assert_eq!(
        rest.post("/relay/v1/auto/subscriptions", &json!([topic]).to_string())
            .await
            .plain(),
        (200, "OK")
    );
    let message = json!({"payload": "aGVsbG8=", "contentTopic": topic}).to_string();
    // Alone in the world: nobody takes it, and unlike /relay/v1/messages this path says so.
    let answer = rest.post("/relay/v1/auto/messages", &message).await;
    assert!(
        answer.status == 400 && answer.text.starts_with("Failed to publish: "),
        "{answer:?}"
    );
    let wrong = json!({"payload": "aGVsbG8=", "contentTopic": "chat"}).to_string();
    let answer = rest.post("/relay/v1/auto/messages", &wrong).await;
    assert!(
        answer.status == 400 && answer.text.starts_with("Failed to publish. Autosharding error: "),
        "{answer:?}"
    );
    let peer = node("--num-shards-in-network=8 --shard=3").await;
    rest.post("/admin/v1/peers", &json!([dial_address(&peer)]).to_string())
        .await;
    eventually(
        || async { rest.get("/admin/v1/peers/mesh/on/3").await.json() },
        |found| found["peers"] != json!([]),
    )
    .await;
    assert_eq!(
        rest.post("/relay/v1/auto/messages", &message).await.plain(),
        (200, "OK")
    );
    let found = eventually(|| async { rest.get(path).await.json() }, |found| *found != json!([])).await;
    assert_eq!(found[0]["contentTopic"], topic);
    assert_eq!(
        rest.delete("/relay/v1/auto/subscriptions", &json!([topic]).to_string())
            .await
            .plain(),
        (200, "OK")
    );
    assert_eq!(rest.get(path).await.plain(), (404, topic));
    assert!(service.stop().await);
    let fixed = node("--shard=32").await;
    let answer = Rest::of(&fixed).post("/relay/v1/auto/messages", &message).await;
    assert_eq!(answer.plain(), (400, "Failed to publish. Autosharding is disabled"));
}

#[tokio::test]
async fn admin() {
    let (one, two) = (node("--shard=32").await, node("--shard=32").await);
    let rest = Rest::of(&one);
    assert_eq!(rest.get("/admin/v1/peers").await.json(), json!([]));
    let address = dial_address(&two);
    assert_eq!(
        rest.post("/admin/v1/peers", &json!([address]).to_string())
            .await
            .plain(),
        (200, "OK")
    );
    let connected = eventually(
        || async { rest.get("/admin/v1/peers/connected").await.json() },
        |found| found[0]["shards"] == json!([32]) && found[0]["agent"] != "",
    )
    .await;
    assert_eq!(
        (&connected[0]["connected"], &connected[0]["multiaddr"]),
        (&json!("Connected"), &json!(address))
    );
    let id = two.node().swarm().info().peer_id.to_string();
    let alone = rest.get(&format!("/admin/v1/peer/{id}")).await.json();
    assert_eq!(alone["multiaddr"], json!(address));
    eventually(
        || async { rest.get("/admin/v1/peers/relay").await.json() },
        |found| found[0]["peers"][0]["shards"] == json!([32]),
    )
    .await;
    assert_eq!(
        rest.get("/admin/v1/peers/connected/on/32")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(rest.get("/admin/v1/peers/connected/on/33").await.json(), json!([]));
    let service = rest.get("/admin/v1/peers/service").await.json();
    assert!(
        service[0]["protocols"]
            .as_array()
            .unwrap()
            .contains(&json!("/vac/waku/relay/2.0.0")),
        "{service}"
    );
    let stats = rest.get("/admin/v1/peers/stats").await.json();
    assert_eq!(
        (&stats["Sum"]["Total peers"], &stats["By Connectedness"]["Connected"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(stats["Relay peers"]["Total relay peers"], json!(1));
    assert_eq!(stats["By Protocols"]["/vac/waku/relay/2.0.0"], json!(1));

    let stranger = "16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31";
    let answer = rest.get(&format!("/admin/v1/peer/{stranger}")).await;
    assert_eq!(
        answer.plain(),
        (404, format!("Peer with ID {stranger} not found").as_str())
    );
    assert!(
        rest.get("/admin/v1/peer/xyz")
            .await
            .text
            .starts_with("Invalid argument:")
    );
    assert!(
        rest.get("/admin/v1/peers/mesh/on/x")
            .await
            .text
            .starts_with("Invalid shardId: ")
    );
    assert!(
        rest.post("/admin/v1/peers", "{}")
            .await
            .text
            .starts_with("Failed to decode request: ")
    );
    assert!(
        rest.post("/admin/v1/peers", r#"["x"]"#)
            .await
            .text
            .starts_with("Couldn't parse remote peer info: ")
    );
    let dead = format!("/ip4/127.0.0.1/tcp/1/p2p/{stranger}");
    let answer = rest.post("/admin/v1/peers", &json!([dead]).to_string()).await;
    assert_eq!(
        answer.plain(),
        (400, format!("Failed to connect to peer at index: 0 - {dead}").as_str())
    );
    for (level, expected) in [
        ("debug", (200, "OK".to_owned())),
        (
            "loud",
            (
                400,
                "Invalid log-level: loud. Please specify one of TRACE, DEBUG, INFO, NOTICE, WARN, ERROR or FATAL"
                    .to_owned(),
            ),
        ),
    ] {
        let answer = rest.post(&format!("/admin/v1/log-level/{level}"), "").await;
        assert_eq!(answer.plain(), (expected.0, expected.1.as_str()));
    }
    assert!(one.stop().await && two.stop().await);
}

#[tokio::test]
async fn foreign_pages_ask_only_where_they_may() {
    let service = node("--shard=32 --rest-allow-origin=localhost:*").await;
    let address = Rest::of(&service).0;
    let from = |origin: &str| {
        let request = Request::get(format!("http://{address}/version")).header(header::ORIGIN, origin);
        send(request.body(Default::default()).unwrap())
    };
    assert_eq!(from("http://localhost:3000").await.status, 200);
    assert_eq!(from("http://example.org").await.plain(), (403, "Origin not allowed"));
    assert_eq!(request(address, Method::GET, "/version", None).await.status, 200);
}

#[tokio::test]
async fn metrics_have_nwakus_names() {
    let (one, two) = (
        node("--shard=32").await,
        node("--shard=32 --metrics-prefix=logos_delivery_").await,
    );
    Rest::of(&one)
        .post("/admin/v1/peers", &json!([dial_address(&two)]).to_string())
        .await;
    let metrics = |service: &pillarbox_mailserver::service::Service| {
        let address = service.metrics_address().unwrap();
        async move { request(address, Method::GET, "/metrics", None).await.text }
    };
    let text = eventually(
        || metrics(&one),
        |text| text.contains("\nwaku_connected_peers_per_shard{shard=\"32\"} 1"),
    )
    .await;
    for line in [
        "\nlibp2p_peers 1\n",
        "\nlibp2p_pubsub_topics 1\n",
        "\nwaku_version{version=\"v",
        "\nprocess_resident_memory_bytes ",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let line = "waku_connected_peers{direction=\"Out\",protocol=\"/vac/waku/relay/2.0.0\"} 1";
    eventually(|| metrics(&one), |text| text.contains(line)).await;
    let text = metrics(&two).await;
    assert!(
        text.contains("\nlogos_delivery_version{") && !text.contains("\nwaku_"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"));
}

/// The start is refused, and a node that could not start leaves no port taken.
#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let one = node("--shard=32").await;
    let port = one.rest_address().unwrap().port();
    let two = config(&format!("{} --rest-port={port}", crate::support::LOCAL));
    let error = pillarbox_mailserver::service::Service::start(&two, Box::new(|_| Ok(())))
        .await
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "port {port} (rest-port) on 127.0.0.1 is in use: stop the program that has it, or choose another --rest-port"
        )
    );
    assert_eq!(one.node().swarm().status().borrow().meshes[0].0, TOPIC);
}
