//! Filter between two nodes: subscribe, be pushed to, ping, unsubscribe, and the limits.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::PeerId;
use pillarbox_mailserver::intake::received::Source;
use pillarbox_mailserver::protocols::filter::wire::FILTER_SUBSCRIBE;
use pillarbox_mailserver::protocols::filter::wire::{FilterSubscribeRequest, FilterSubscribeType};
use pillarbox_mailserver::settings::RateLimit;

use crate::support::{CONTENT_TOPIC, Node, TOPIC, eventually, message, within};

fn ask(kind: FilterSubscribeType, topics: &[&str]) -> FilterSubscribeRequest {
    FilterSubscribeRequest {
        request_id: Some("id".into()),
        filter_subscribe_type: Some(kind.into()),
        pubsub_topic: Some(TOPIC.into()),
        content_topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
    }
}

async fn send(client: &Node, server: PeerId, request: FilterSubscribeRequest) -> u32 {
    let response = within(client.handle.filter_client().request(server, &request))
        .await
        .unwrap();
    response.status_code.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_every_envelope_once() {
    use FilterSubscribeType::{Subscribe, SubscriberPing, Unsubscribe, UnsubscribeAll};
    let client = Node::start_with(|settings| settings.services.relay = false).await;
    let server = Node::start().await;
    client.connect(&server).await;
    let peer = server.handle.swarm().info().peer_id;
    assert_eq!(send(&client, peer, ask(SubscriberPing, &[])).await, 404);
    assert_eq!(send(&client, peer, ask(Subscribe, &[])).await, 400);
    assert_eq!(send(&client, peer, ask(Subscribe, &["/t/1/x/y"; 101])).await, 400);
    assert_eq!(
        send(&client, peer, ask(Subscribe, &[CONTENT_TOPIC, "/t/1/x/y"])).await,
        200
    );
    assert_eq!(send(&client, peer, ask(SubscriberPing, &[])).await, 200);

    let mut pushed = client.handle.filter_client().pushed();
    // More than the hundred streams js-waku would allow: all go over one.
    let mut sent = BTreeSet::new();
    for index in 0..200u32 {
        let envelope = message(&index.to_be_bytes());
        let publish = server.handle.publish(TOPIC.into(), envelope.clone(), Source::Local);
        sent.insert(within(publish).await.unwrap().hash);
        let got = within(pushed.recv()).await.unwrap();
        assert_eq!(
            (got.envelope.payload.clone(), got.source),
            (envelope.payload.unwrap(), Source::FilterPush(peer))
        );
        if index == 0 {
            // Again what was pushed before: kept from the subscriber.
            let again = message_again(&got.envelope);
            within(server.handle.publish(TOPIC.into(), again, Source::Local))
                .await
                .unwrap();
        }
    }
    assert_eq!(sent.len(), 200);

    assert_eq!(send(&client, peer, ask(Unsubscribe, &["/t/1/other/y"])).await, 404);
    assert_eq!(send(&client, peer, ask(Unsubscribe, &[CONTENT_TOPIC])).await, 200);
    within(server.handle.publish(TOPIC.into(), message(b"unwanted"), Source::Local))
        .await
        .unwrap();
    let wanted = pillarbox_mailserver::wire::WakuMessage {
        content_topic: Some("/t/1/x/y".into()),
        ..message(b"last")
    };
    within(server.handle.publish(TOPIC.into(), wanted, Source::Local))
        .await
        .unwrap();
    assert_eq!(within(pushed.recv()).await.unwrap().envelope.payload, b"last");
    assert_eq!(send(&client, peer, ask(UnsubscribeAll, &[])).await, 200);
    assert_eq!(send(&client, peer, ask(UnsubscribeAll, &[])).await, 404);
    assert!(server.handle.filter().unwrap().list().is_empty());
}

fn message_again(envelope: &archive::Envelope) -> pillarbox_mailserver::wire::WakuMessage {
    pillarbox_mailserver::wire::WakuMessage::from_envelope(envelope.clone(), false)
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_answer_503_and_429() {
    use FilterSubscribeType::{Subscribe, SubscriberPing};
    let server = Node::start_with(|settings| {
        settings.limits.filter.max_subscribers = 1;
        settings.limits.filter.max_criteria_per_subscriber = 2;
        settings.rate_limits.filter = Some(RateLimit {
            volume: 5,
            period: Duration::from_secs(3600),
        });
    })
    .await;
    let [first, second] = [Node::start().await, Node::start().await];
    let peer = server.handle.swarm().info().peer_id;
    for client in [&first, &second] {
        client.connect(&server).await;
    }
    assert_eq!(send(&first, peer, ask(Subscribe, &["/a/1/b/c", "/a/1/d/e"])).await, 200);
    assert_eq!(send(&first, peer, ask(Subscribe, &["/a/1/f/g"])).await, 503);
    assert_eq!(send(&second, peer, ask(Subscribe, &["/a/1/b/c"])).await, 503);
    for code in [200, 200, 200, 429] {
        assert_eq!(send(&first, peer, ask(SubscriberPing, &[])).await, code);
    }
    assert_eq!(
        send(&second, peer, ask(SubscriberPing, &[])).await,
        404,
        "one peer's budget is its own"
    );
}

/// A subscriber that never reads its push stream costs its own queue and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_nobody_up() {
    use FilterSubscribeType::Subscribe;
    let server = Node::start().await;
    let [quick, slow] = [Node::start().await, Node::start().await];
    let peer = server.handle.swarm().info().peer_id;
    quick.connect(&server).await;
    slow.connect(&server).await;
    assert_eq!(send(&quick, peer, ask(Subscribe, &[CONTENT_TOPIC])).await, 200);
    // Subscribes past the client, which would read: pushes from a node that was not asked are not taken.
    let mut raw = slow.open(&server, FILTER_SUBSCRIBE).await;
    let body = prost::Message::encode_to_vec(&ask(Subscribe, &[CONTENT_TOPIC]));
    raw.write_all(&[u8::try_from(body.len()).unwrap()]).await.unwrap();
    raw.write_all(&body).await.unwrap();
    raw.close().await.unwrap();
    let mut answer = Vec::new();
    within(raw.read_to_end(&mut answer)).await.unwrap();
    let registry = server.handle.filter().unwrap().clone();
    eventually("two subscribers", || async { registry.list().len() == 2 }).await;
    let mut pushed = quick.handle.filter_client().pushed();
    for index in 0..100u32 {
        let mut payload = vec![0; 100_000];
        payload[..4].copy_from_slice(&index.to_be_bytes());
        within(server.handle.publish(TOPIC.into(), message(&payload), Source::Local))
            .await
            .unwrap();
        within(pushed.recv()).await.unwrap();
    }
}
