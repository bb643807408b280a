//! Messages of the protocols.

use pillarbox_mailserver::protocols::filter::wire::{FilterSubscribeRequest, FilterSubscribeResponse, MessagePush};
use pillarbox_mailserver::protocols::light_push::wire::{
    LightPushRequest, LightPushResponse, PushRequest, PushResponse, PushRpc,
};
use pillarbox_mailserver::protocols::metadata::wire::WakuMetadata;
use pillarbox_mailserver::protocols::peer_exchange::wire::{
    PeerExchangeQuery, PeerExchangeResponse, PeerExchangeRpc, PeerRecord,
};
use pillarbox_mailserver::protocols::store::legacy_wire::{
    ContentFilter, HistoryQuery, HistoryResponse, HistoryRpc, Index, PagingInfo,
};
use pillarbox_mailserver::protocols::store::wire::{StoreQueryRequest, StoreQueryResponse, WakuMessageKeyValue};
use pillarbox_mailserver::protocols::sync::wire::WakuMessageAndTopic;
use pillarbox_mailserver::wire::WakuMessage;
use prost::Message;

use super::chosen;

const PUBSUB_TOPIC: &str = "/waku/2/rs/16/32";
const CONTENT_TOPIC: &str = "/waku/2/default-content/proto";
const TIMESTAMP: i64 = 0x1757_89bf_a23f_8400;

type Seeds = Vec<(&'static str, Vec<u8>)>;

/// RFC 14/WAKU2-MESSAGE, "Test vectors".
fn vector() -> WakuMessage {
    WakuMessage {
        payload: Some(hex::decode("010203045445535405060708").unwrap()),
        content_topic: Some(CONTENT_TOPIC.into()),
        timestamp: Some(TIMESTAMP),
        meta: Some(hex::decode("73757065722d736563726574").unwrap()),
        ..WakuMessage::default()
    }
}

pub(super) fn envelopes() -> Seeds {
    let full = WakuMessage {
        version: Some(1),
        meta: Some((0..64).collect()),
        rate_limit_proof: Some(vec![7; 32]),
        ephemeral: Some(true),
        ..vector()
    };
    let long_meta = WakuMessage {
        meta: Some(vec![1; 67]),
        ..vector()
    };
    vec![
        ("vector", vector().encode_to_vec()),
        ("every_field", full.encode_to_vec()),
        ("meta_too_long", long_meta.encode_to_vec()),
        ("empty", WakuMessage::default().encode_to_vec()),
    ]
}

fn query() -> StoreQueryRequest {
    StoreQueryRequest {
        request_id: Some("1".into()),
        include_data: true,
        pubsub_topic: Some(PUBSUB_TOPIC.into()),
        content_topics: vec![CONTENT_TOPIC.into()],
        time_start: Some(TIMESTAMP),
        time_end: Some(TIMESTAMP + 1),
        pagination_cursor: Some(vec![9; 32]),
        pagination_forward: true,
        pagination_limit: Some(100),
        ..StoreQueryRequest::default()
    }
}

fn by_hash() -> StoreQueryRequest {
    StoreQueryRequest {
        request_id: Some("2".into()),
        message_hashes: vec![vec![1; 32], vec![2; 32]],
        ..StoreQueryRequest::default()
    }
}

fn history() -> HistoryRpc {
    let index = Index {
        digest: Some(vec![3; 32]),
        receiver_time: Some(TIMESTAMP),
        sender_time: Some(TIMESTAMP),
        pubsub_topic: Some(PUBSUB_TOPIC.into()),
    };
    let paging = PagingInfo {
        page_size: Some(20),
        cursor: Some(index),
        direction: Some(1),
    };
    HistoryRpc {
        request_id: Some("3".into()),
        query: Some(HistoryQuery {
            pubsub_topic: Some(PUBSUB_TOPIC.into()),
            content_filters: vec![ContentFilter {
                content_topic: Some(CONTENT_TOPIC.into()),
            }],
            paging_info: Some(paging.clone()),
            start_time: Some(1),
            end_time: Some(TIMESTAMP),
        }),
        response: Some(HistoryResponse {
            messages: vec![vector()],
            paging_info: Some(paging),
            error: Some(1),
        }),
    }
}

pub(super) fn queries() -> Seeds {
    vec![
        ("every_filter", query().encode_to_vec()),
        ("by_hash", by_hash().encode_to_vec()),
        ("legacy", history().encode_to_vec()),
    ]
}

/// One of each type that the target `wire` decodes.
pub(super) fn all() -> Seeds {
    let described = || (Some("4".to_owned()), Some(200), Some("OK".to_owned()));
    let (request_id, status_code, status_desc) = described();
    let found = StoreQueryResponse {
        request_id,
        status_code,
        status_desc,
        messages: vec![WakuMessageKeyValue {
            message_hash: Some(vec![4; 32]),
            message: Some(vector()),
            pubsub_topic: Some(PUBSUB_TOPIC.into()),
        }],
        pagination_cursor: Some(vec![4; 32]),
    };
    let push = LightPushRequest {
        request_id: Some("5".into()),
        pubsub_topic: Some(PUBSUB_TOPIC.into()),
        message: Some(vector()),
    };
    let (request_id, status_code, status_desc) = described();
    let pushed = LightPushResponse {
        request_id,
        status_code,
        status_desc,
        relay_peer_count: Some(3),
    };
    let legacy_push = PushRpc {
        request_id: Some("6".into()),
        request: Some(PushRequest {
            pubsub_topic: Some(PUBSUB_TOPIC.into()),
            message: Some(vector()),
        }),
        response: Some(PushResponse {
            is_success: Some(true),
            info: Some("OK".into()),
        }),
    };
    let subscribe = FilterSubscribeRequest {
        request_id: Some("7".into()),
        filter_subscribe_type: Some(1),
        pubsub_topic: Some(PUBSUB_TOPIC.into()),
        content_topics: vec![CONTENT_TOPIC.into()],
    };
    let (request_id, status_code, status_desc) = described();
    let subscribed = FilterSubscribeResponse {
        request_id,
        status_code,
        status_desc,
    };
    let pushed_to_filter = MessagePush {
        waku_message: Some(vector()),
        pubsub_topic: Some(PUBSUB_TOPIC.into()),
    };
    let exchange = PeerExchangeRpc {
        query: Some(PeerExchangeQuery { num_peers: Some(60) }),
        response: Some(PeerExchangeResponse {
            peer_infos: vec![PeerRecord { enr: Some(vec![5; 8]) }],
            status_code: Some(200),
            status_desc: None,
        }),
    };
    let transferred = WakuMessageAndTopic {
        pubsub_topic: Some(PUBSUB_TOPIC.into()),
        message: Some(vector()),
    };
    vec![
        ("metadata", chosen(0, &WakuMetadata::new(16, &[32, 64]))),
        ("store_request", chosen(1, &query())),
        ("store_response", chosen(2, &found)),
        ("legacy_store", chosen(3, &history())),
        ("light_push_request", chosen(4, &push)),
        ("light_push_response", chosen(5, &pushed)),
        ("legacy_light_push", chosen(6, &legacy_push)),
        ("filter_request", chosen(7, &subscribe)),
        ("filter_response", chosen(8, &subscribed)),
        ("filter_push", chosen(9, &pushed_to_filter)),
        ("peer_exchange", chosen(10, &exchange)),
        ("transfer", chosen(11, &transferred)),
    ]
}
