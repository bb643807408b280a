//! A peer that sends what it should not: each stream ends alone, the node goes on serving, memory stays bounded.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use pillarbox_mailserver::labels::Kind;
use pillarbox_mailserver::protocols::filter::wire::{FilterSubscribeRequest, FilterSubscribeType};
use pillarbox_mailserver::protocols::light_push;
use pillarbox_mailserver::protocols::light_push::wire::LIGHT_PUSH;
use pillarbox_mailserver::protocols::light_push::wire::LightPushRequest;
use pillarbox_mailserver::protocols::metadata::wire::METADATA;
use pillarbox_mailserver::protocols::metrics::Service;
use pillarbox_mailserver::protocols::store::wire::STORE;
use pillarbox_mailserver::protocols::store::wire::{StoreQueryRequest, StoreQueryResponse};
use pillarbox_mailserver::settings::RateLimit;
use pillarbox_mailserver::wire::framing::{FrameError, read_frame, write_frame};
use prost::Message;

use crate::services::query;
use crate::support::{Node, TOPIC, eventually, message, within};

async fn store_still_answers(client: &Node, server: &Node) {
    let peer = server.handle.swarm().info().peer_id;
    let answer: StoreQueryResponse = within(client.handle.swarm().request(peer, STORE, &query(), 1 << 20))
        .await
        .unwrap();
    assert_eq!(answer.status_code, Some(200));
}

fn refused(node: &Node, kind: &'static str) -> u64 {
    node.handle
        .metrics()
        .swarm
        .streams_refused
        .get_or_create(&Kind { r#type: kind })
        .get()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_oversized_requests_end_their_stream_alone() {
    let [client, server] = [Node::start().await, Node::start().await];
    client.connect(&server).await;
    for protocol in [STORE, LIGHT_PUSH, METADATA] {
        // A length that is none, and one far beyond the limit.
        for bytes in [&[0xff; 16][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
            let mut stream = client.open(&server, protocol.clone()).await;
            stream.write_all(bytes).await.unwrap();
            stream.flush().await.unwrap();
            let ended = within(read_frame(&mut stream, 1024)).await;
            assert!(
                matches!(ended, Err(FrameError::Eof | FrameError::Io(_))),
                "{protocol}: {ended:?}"
            );
        }
        // A frame that stops half way.
        let mut stream = client.open(&server, protocol.clone()).await;
        stream.write_all(&[10, 1, 2, 3]).await.unwrap();
        stream.close().await.unwrap();
        let mut rest = Vec::new();
        let _ = within(stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "{protocol}");
        store_still_answers(&client, &server).await;
    }
    assert!(refused(&server, "oversized") >= 3);
    assert!(refused(&server, "malformed") >= 6);
    // What is framed but no protobuf gets the protocol's own error.
    let mut stream = client.open(&server, STORE).await;
    stream.write_all(&[3, 0xff, 0xff, 0xff]).await.unwrap();
    let answer = within(read_frame(&mut stream, 1024)).await.unwrap();
    assert_eq!(
        StoreQueryResponse::decode(answer.as_slice()).unwrap().status_code,
        Some(400)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_is_given_up() {
    let [client, server] = [Node::start().await, Node::start().await];
    client.connect(&server).await;
    let mut stream = client.open(&server, STORE).await;
    stream.write_all(&[100, 1]).await.unwrap();
    stream.flush().await.unwrap();
    let drip = async {
        while stream.write_all(&[1]).await.is_ok() && stream.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    within(drip).await;
    eventually("counted", || async { refused(&server, "timeout") == 1 }).await;
    store_still_answers(&client, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_request_is_answered_once_and_cut_off() {
    let [client, server] = [Node::start().await, Node::start().await];
    client.connect(&server).await;
    let mut stream = client.open(&server, STORE).await;
    write_frame(&mut stream, &query().encode_to_vec()).await.unwrap();
    let answer = within(read_frame(&mut stream, 1 << 20)).await.unwrap();
    let answer = StoreQueryResponse::decode(answer.as_slice()).unwrap();
    assert_eq!(answer.status_code, Some(200));
    // The stream is reset, or the muxer's window is used up and nobody opens it again: either way little goes through.
    let mut sent = 0;
    let chunk = [7; 65_536];
    let mut flood = async || {
        stream.write_all(&chunk).await?;
        stream.flush().await
    };
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(5), flood()).await {
        sent += chunk.len();
        assert!(sent < 8 << 20, "the node goes on reading");
    }
    store_still_answers(&client, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_topics_of_absurd_length_get_the_protocols_own_error() {
    let [client, server] = [Node::start().await, Node::start().await];
    client.connect(&server).await;
    let peer = server.handle.swarm().info().peer_id;
    let long = "x".repeat(60_000);
    // As long as its request fits, an id comes back as it is, and a topic is one that nobody used.
    let asked = StoreQueryRequest {
        request_id: Some(long.clone()),
        ..query()
    };
    let answer: StoreQueryResponse = within(client.handle.swarm().request(peer, STORE, &asked, 1 << 20))
        .await
        .unwrap();
    assert_eq!((answer.status_code, answer.request_id), (Some(200), Some(long.clone())));
    let asked = StoreQueryRequest {
        pubsub_topic: Some(long.clone()),
        ..query()
    };
    let answer: StoreQueryResponse = within(client.handle.swarm().request(peer, STORE, &asked, 1 << 20))
        .await
        .unwrap();
    assert_eq!((answer.status_code, answer.messages.len()), (Some(200), 0));
    let subscribe = FilterSubscribeRequest {
        request_id: Some("1".into()),
        filter_subscribe_type: Some(FilterSubscribeType::Subscribe.into()),
        pubsub_topic: Some(TOPIC.into()),
        content_topics: vec![long.clone()],
    };
    let answer = within(client.handle.filter_client().request(peer, &subscribe))
        .await
        .unwrap();
    assert_eq!(answer.status_code, Some(400), "{answer:?}");
    let push = LightPushRequest {
        request_id: Some("2".into()),
        pubsub_topic: Some(long),
        message: Some(message(b"payload")),
    };
    let answer = within(light_push::client::push(client.handle.swarm(), peer, &push))
        .await
        .unwrap();
    assert_eq!(answer.status_code, Some(421), "{answer:?}");
    store_still_answers(&client, &server).await;
}

/// A limit for all leaves room for others: no peer gets more than its share of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_pushes_without_end_gets_429_and_others_do_not() {
    let limit = RateLimit {
        volume: 4,
        period: Duration::from_secs(3600),
    };
    let server = Node::start_with(|settings| settings.rate_limits.light_push = Some(limit)).await;
    let [greedy, other] = [Node::start().await, Node::start().await];
    let peer = server.handle.swarm().info().peer_id;
    let mut codes = Vec::new();
    greedy.connect(&server).await;
    other.connect(&server).await;
    for client in [&greedy, &greedy, &greedy, &greedy, &other, &other] {
        let push = LightPushRequest {
            request_id: Some("1".into()),
            pubsub_topic: Some(TOPIC.into()),
            message: Some(message(&codes.len().to_be_bytes())),
        };
        let answer = within(light_push::client::push(client.handle.swarm(), peer, &push))
            .await
            .unwrap();
        codes.push(answer.status_code.unwrap_or_default());
    }
    assert_eq!(codes, [200, 200, 200, 429, 200, 429]);
    let rejected = Service {
        service: "/vac/waku/lightpush/3.0.0",
        state: "rejected",
    };
    assert_eq!(
        server.handle.metrics().service.requests.get_or_create(&rejected).get(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_meet_a_limit() {
    let [client, other, server] = [Node::start().await, Node::start().await, Node::start().await];
    client.connect(&server).await;
    other.connect(&server).await;
    let peer = server.handle.swarm().info().peer_id;
    let mut held = Vec::new();
    let mut failed = 0;
    for _ in 0..10_000 {
        match tokio::time::timeout(Duration::from_secs(10), client.handle.swarm().open(peer, STORE)).await {
            Ok(Ok(stream)) => held.push(stream),
            // The muxer has its own limit: either way the node holds no more.
            Ok(Err(_)) | Err(_) => failed += 1,
        }
        if failed > 20 {
            break;
        }
    }
    eventually("refused beyond the limit", || async {
        failed > 0 || refused(&server, "peer_limit") > 0
    })
    .await;
    store_still_answers(&other, &server).await;
    drop(held);
    eventually("room again", || async {
        client.connect(&server).await;
        let again = client
            .handle
            .swarm()
            .request::<_, StoreQueryResponse>(peer, STORE, &query(), 1 << 20)
            .await;
        again.is_ok_and(|answer| answer.status_code == Some(200))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_that_is_not_offered_is_refused() {
    let client = Node::start().await;
    let server = Node::start_with(|settings| settings.services.light_push = false).await;
    client.connect(&server).await;
    let refused = within(
        client
            .handle
            .swarm()
            .open(server.handle.swarm().info().peer_id, LIGHT_PUSH),
    )
    .await;
    assert!(refused.is_err());
    store_still_answers(&client, &server).await;
}
