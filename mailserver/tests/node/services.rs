//! Store and light push as a client sees them.

use std::collections::BTreeSet;
use std::time::Duration;

use pillarbox_mailserver::intake::received::Source;
use pillarbox_mailserver::protocols::light_push;
use pillarbox_mailserver::protocols::light_push::wire::{LIGHT_PUSH, LIGHT_PUSH_LEGACY};
use pillarbox_mailserver::protocols::light_push::wire::{LightPushRequest, LightPushResponse, PushRequest, PushRpc};
use pillarbox_mailserver::protocols::metadata::wire::METADATA;
use pillarbox_mailserver::protocols::metadata::wire::WakuMetadata;
use pillarbox_mailserver::protocols::peer_exchange;
use pillarbox_mailserver::protocols::store::legacy_wire::LEGACY_STORE;
use pillarbox_mailserver::protocols::store::legacy_wire::{
    ContentFilter, HistoryError, HistoryQuery, HistoryResponse, HistoryRpc, Index, PagingDirection, PagingInfo,
};
use pillarbox_mailserver::protocols::store::wire::STORE;
use pillarbox_mailserver::protocols::store::wire::{StoreQueryRequest, StoreQueryResponse};
use pillarbox_mailserver::settings::{RateLimit, RateLimits};
use pillarbox_mailserver::wire::WakuMessage;

use crate::support::{CONTENT_TOPIC, Node, TOPIC, message, within};

const MAX_ANSWER: usize = 1 << 20;

pub(crate) fn query() -> StoreQueryRequest {
    StoreQueryRequest {
        request_id: Some("id".into()),
        ..Default::default()
    }
}

pub(crate) async fn pair() -> (Node, Node) {
    let server = Node::start().await;
    let client = Node::start_with(|settings| {
        settings.services.relay = false;
        settings.archive = None;
        settings.services.store = false;
    })
    .await;
    client.connect(&server).await;
    (client, server)
}

async fn ask_store(client: &Node, server: &Node, request: &StoreQueryRequest) -> StoreQueryResponse {
    let peer = server.handle.swarm().info().peer_id;
    within(client.handle.swarm().request(peer, STORE, request, MAX_ANSWER))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn store_pages_in_both_directions_by_time_and_by_hash() {
    let (client, server) = pair().await;
    let base = pillarbox_mailserver::clock::now_nanos();
    for index in 0..50 {
        let message = WakuMessage {
            timestamp: Some(base + index),
            ..message(&index.to_be_bytes())
        };
        within(server.handle.publish(TOPIC.into(), message, Source::Local))
            .await
            .unwrap();
    }
    for forward in [true, false] {
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let request = StoreQueryRequest {
                include_data: true,
                pubsub_topic: Some(TOPIC.into()),
                content_topics: vec![CONTENT_TOPIC.into()],
                pagination_forward: forward,
                pagination_limit: Some(7),
                pagination_cursor: cursor.take(),
                ..query()
            };
            let answer = ask_store(&client, &server, &request).await;
            assert_eq!(answer.status_code, Some(200), "{:?}", answer.status_desc);
            let times: Vec<i64> = answer
                .messages
                .iter()
                .map(|entry| entry.message.as_ref().unwrap().timestamp.unwrap() - base)
                .collect();
            assert!(times.is_sorted(), "a page ascends: {times:?}");
            seen.push(times);
            cursor = answer.pagination_cursor;
            if cursor.is_none() {
                break;
            }
        }
        if !forward {
            seen.reverse();
        }
        assert_eq!(seen.concat(), (0..50).collect::<Vec<i64>>(), "forward: {forward}");
    }

    let window = StoreQueryRequest {
        time_start: Some(base + 10),
        time_end: Some(base + 19),
        ..query()
    };
    let answer = ask_store(&client, &server, &window).await;
    assert_eq!(answer.messages.len(), 10, "both ends are inclusive, as in nwaku");
    assert!(
        answer
            .messages
            .iter()
            .all(|entry| entry.message.is_none() && entry.pubsub_topic.is_none())
    );

    let hashes: BTreeSet<Vec<u8>> = answer
        .messages
        .into_iter()
        .filter_map(|entry| entry.message_hash)
        .collect();
    let by_hash = StoreQueryRequest {
        message_hashes: hashes.iter().cloned().collect(),
        ..query()
    };
    let answer = ask_store(&client, &server, &by_hash).await;
    assert_eq!(
        answer
            .messages
            .into_iter()
            .filter_map(|entry| entry.message_hash)
            .collect::<BTreeSet<_>>(),
        hashes
    );

    // js-waku asks on with the last hash until a page is empty.
    let last = hashes.iter().next().cloned().unwrap();
    let beyond = StoreQueryRequest {
        message_hashes: vec![last.clone()],
        pagination_cursor: Some(last),
        pagination_forward: true,
        ..query()
    };
    let answer = ask_store(&client, &server, &beyond).await;
    assert_eq!((answer.status_code, answer.messages.len()), (Some(200), 0));

    for other in ["/waku/2/rs/16/64", ""] {
        let request = StoreQueryRequest {
            pubsub_topic: Some(other.into()),
            ..query()
        };
        let expected = if other.is_empty() { 20 } else { 0 };
        assert_eq!(ask_store(&client, &server, &request).await.messages.len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_says_what_is_wrong() {
    let (client, server) = pair().await;
    for (name, bad) in [
        (
            "unknown cursor",
            StoreQueryRequest {
                pagination_cursor: Some(vec![9; 32]),
                ..query()
            },
        ),
        (
            "short cursor",
            StoreQueryRequest {
                pagination_cursor: Some(vec![9; 3]),
                ..query()
            },
        ),
        (
            "time backwards",
            StoreQueryRequest {
                time_start: Some(2),
                time_end: Some(1),
                ..query()
            },
        ),
        (
            "absurd topics",
            StoreQueryRequest {
                content_topics: vec!["x".repeat(400); 101],
                ..query()
            },
        ),
    ] {
        let answer = ask_store(&client, &server, &bad).await;
        assert_eq!(answer.status_code, Some(400), "{name}");
        assert_eq!(answer.request_id.as_deref(), Some("id"), "{name}");
        assert!(!answer.status_desc.unwrap().is_empty(), "{name}");
    }
    let answer = ask_store(
        &client,
        &server,
        &StoreQueryRequest {
            request_id: None,
            ..query()
        },
    )
    .await;
    assert_eq!(
        (answer.status_code, answer.request_id.as_deref()),
        (Some(400), Some("N/A"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn light_push_answers_with_nwakus_codes() {
    let (client, server) = pair().await;
    let peer = server.handle.swarm().info().peer_id;
    let push = async |topic: Option<&str>, message: Option<WakuMessage>| -> LightPushResponse {
        let request = LightPushRequest {
            request_id: Some("id".into()),
            pubsub_topic: topic.map(Into::into),
            message,
        };
        within(client.handle.swarm().request(peer, LIGHT_PUSH, &request, MAX_ANSWER))
            .await
            .unwrap()
    };
    let empty_topic = WakuMessage {
        content_topic: Some(String::new()),
        ..message(b"x")
    };
    let long_meta = WakuMessage {
        meta: Some(vec![0; 65]),
        ..message(b"x")
    };
    let ephemeral = WakuMessage {
        ephemeral: Some(true),
        ..message(b"x")
    };
    let old = WakuMessage {
        timestamp: Some(1),
        ..message(b"x")
    };
    for (name, topic, message, code) in [
        ("good", Some(TOPIC), Some(message(b"good")), 200),
        ("same again, later", Some(TOPIC), Some(message(b"good")), 200),
        (
            "no time",
            Some(TOPIC),
            Some(WakuMessage {
                timestamp: None,
                ..message(b"no time")
            }),
            200,
        ),
        ("no message", Some(TOPIC), None, 400),
        ("blank topic", Some(" "), Some(message(b"x")), 400),
        ("large", Some(TOPIC), Some(message(&vec![0; 150 * 1024])), 413),
        ("no content topic", Some(TOPIC), Some(empty_topic), 420),
        ("long meta", Some(TOPIC), Some(long_meta), 420),
        ("static sharding", None, Some(message(b"x")), 420),
        ("other shard", Some("/waku/2/rs/16/64"), Some(message(b"x")), 421),
        ("nobody can take it", Some(TOPIC), Some(ephemeral), 505),
        ("nobody takes it", Some(TOPIC), Some(old), 505),
    ] {
        let answer = push(topic, message).await;
        assert_eq!(answer.status_code, Some(code), "{name}: {:?}", answer.status_desc);
        assert_eq!(answer.request_id.as_deref(), Some("id"), "{name}");
        assert_eq!(answer.relay_peer_count, (code == 200).then_some(0), "{name}");
    }

    let legacy = async |request: Option<PushRequest>| -> (bool, String) {
        let rpc = PushRpc {
            request_id: Some("id".into()),
            request,
            response: None,
        };
        let answer: PushRpc = within(client.handle.swarm().request(peer, LIGHT_PUSH_LEGACY, &rpc, MAX_ANSWER))
            .await
            .unwrap();
        assert_eq!(answer.request_id.as_deref(), Some("id"));
        let response = answer.response.unwrap();
        (response.is_success.unwrap(), response.info.unwrap_or_default())
    };
    let good = PushRequest {
        pubsub_topic: Some(TOPIC.into()),
        message: Some(message(b"legacy")),
    };
    assert!(legacy(Some(good.clone())).await.0);
    let other = PushRequest {
        pubsub_topic: Some("/waku/2/rs/16/64".into()),
        ..good
    };
    assert!(!legacy(Some(other)).await.0);
    assert!(!legacy(None).await.0);
    assert_eq!(server.handle.store().unwrap().stats().unwrap().envelopes, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn light_push_finds_the_shard_under_autosharding() {
    let server = Node::start_with(|settings| {
        settings.shards = (0..8).collect();
        settings.sharding = pillarbox_mailserver::topics::Sharding::Auto { shards_in_network: 8 };
    })
    .await;
    let client = Node::start().await;
    client.connect(&server).await;
    let message = WakuMessage {
        content_topic: Some("/toychat/2/huilong/proto".into()),
        ..message(b"auto")
    };
    let request = LightPushRequest {
        request_id: Some("id".into()),
        pubsub_topic: None,
        message: Some(message),
    };
    let answer: LightPushResponse = within(client.handle.swarm().request(
        server.handle.swarm().info().peer_id,
        LIGHT_PUSH,
        &request,
        MAX_ANSWER,
    ))
    .await
    .unwrap();
    assert_eq!(answer.status_code, Some(200), "{:?}", answer.status_desc);
    let by_topic = StoreQueryRequest {
        include_data: true,
        pubsub_topic: Some("/waku/2/rs/16/3".into()),
        ..query()
    };
    assert_eq!(ask_store(&client, &server, &by_topic).await.messages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_legacy_store_pages_and_knows_one_error() {
    let server = Node::start_with(|settings| settings.services.legacy_store = true).await;
    let client = Node::start().await;
    client.connect(&server).await;
    let base = pillarbox_mailserver::clock::now_nanos();
    for index in 0..25 {
        let message = WakuMessage {
            timestamp: Some(base + index),
            ..message(&index.to_be_bytes())
        };
        within(server.handle.publish(TOPIC.into(), message, Source::Local))
            .await
            .unwrap();
    }
    let ask = async |paging: Option<PagingInfo>| -> HistoryResponse {
        let query = HistoryQuery {
            pubsub_topic: Some(TOPIC.into()),
            content_filters: vec![ContentFilter {
                content_topic: Some(CONTENT_TOPIC.into()),
            }],
            paging_info: paging,
            ..Default::default()
        };
        let rpc = HistoryRpc {
            request_id: Some("id".into()),
            query: Some(query),
            response: None,
        };
        let peer = server.handle.swarm().info().peer_id;
        let answer: HistoryRpc = within(client.handle.swarm().request(peer, LEGACY_STORE, &rpc, MAX_ANSWER))
            .await
            .unwrap();
        assert_eq!(answer.request_id.as_deref(), Some("id"));
        answer.response.unwrap()
    };
    for direction in [PagingDirection::Forward, PagingDirection::Backward] {
        let mut paging = PagingInfo {
            page_size: Some(10),
            cursor: None,
            direction: Some(direction as i32),
        };
        let mut pages = Vec::new();
        loop {
            let answer = ask(Some(paging.clone())).await;
            assert_eq!(answer.error, Some(HistoryError::None as i32));
            pages.push(
                answer
                    .messages
                    .iter()
                    .map(|m| m.timestamp.unwrap() - base)
                    .collect::<Vec<_>>(),
            );
            paging.cursor = answer.paging_info.unwrap().cursor;
            if paging.cursor.is_none() {
                break;
            }
        }
        if direction == PagingDirection::Backward {
            pages.reverse();
        }
        assert_eq!(pages.concat(), (0..25).collect::<Vec<i64>>());
    }
    assert_eq!(ask(None).await.messages.len(), 20);
    let cursor = Some(Index {
        digest: Some(vec![7; 32]),
        ..Default::default()
    });
    let lost = ask(Some(PagingInfo {
        page_size: None,
        cursor,
        direction: None,
    }))
    .await;
    assert_eq!(
        (lost.error, lost.messages.len()),
        (Some(HistoryError::InvalidCursor as i32), 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_rate_answer_429() {
    let limit = Some(RateLimit {
        volume: 1,
        period: Duration::from_secs(3600),
    });
    let server = Node::start_with(|settings| {
        settings.rate_limits = RateLimits {
            store: limit,
            light_push: limit,
            peer_exchange: limit,
            filter: limit,
        };
    })
    .await;
    let client = Node::start().await;
    client.connect(&server).await;
    let peer = server.handle.swarm().info().peer_id;
    let push = LightPushRequest {
        request_id: Some("id".into()),
        pubsub_topic: Some(TOPIC.into()),
        message: Some(message(b"limited")),
    };
    for code in [200, 429, 429] {
        assert_eq!(ask_store(&client, &server, &query()).await.status_code, Some(code));
        assert_eq!(
            within(light_push::client::push(client.handle.swarm(), peer, &push))
                .await
                .unwrap()
                .status_code,
            Some(code)
        );
        assert_eq!(
            within(peer_exchange::client::ask(client.handle.swarm(), peer, 5))
                .await
                .unwrap()
                .status_code,
            Some(code)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peer_exchange_hands_on_records() {
    let (client, server) = pair().await;
    server.handle.records().set(vec![vec![1; 100], vec![2; 100]]);
    let answer = within(peer_exchange::client::ask(
        client.handle.swarm(),
        server.handle.swarm().info().peer_id,
        10,
    ))
    .await
    .unwrap();
    let mut records: Vec<Vec<u8>> = answer.peer_infos.into_iter().filter_map(|info| info.enr).collect();
    records.sort();
    assert_eq!(records, [vec![1; 100], vec![2; 100]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_lists_the_shards_subscribed_to() {
    let (client, server) = pair().await;
    let peer = server.handle.swarm().info().peer_id;
    server
        .handle
        .swarm()
        .subscribe("/waku/2/rs/16/64".into())
        .await
        .unwrap();
    let own = WakuMetadata::new(16, &[]);
    let answer: WakuMetadata = within(client.handle.swarm().request(peer, METADATA, &own, 1024))
        .await
        .unwrap();
    assert_eq!((answer.cluster_id, answer.shard_indices()), (Some(16), vec![32, 64]));
    server.handle.swarm().unsubscribe(TOPIC.into()).await.unwrap();
    let answer: WakuMetadata = within(client.handle.swarm().request(peer, METADATA, &own, 1024))
        .await
        .unwrap();
    assert_eq!(answer.shard_indices(), [64]);
}
