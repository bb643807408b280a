//! Every protobuf decoder: the first byte chooses it, the rest is what a peer sent. What decodes must encode to
//! something that decodes to the same.

use pillarbox_mailserver::wire::filter::{FilterSubscribeRequest, FilterSubscribeResponse, MessagePush};
use pillarbox_mailserver::wire::legacy_store::HistoryRpc;
use pillarbox_mailserver::wire::light_push::{LightPushRequest, LightPushResponse, PushRpc};
use pillarbox_mailserver::wire::metadata::WakuMetadata;
use pillarbox_mailserver::wire::peer_exchange::PeerExchangeRpc;
use pillarbox_mailserver::wire::store::{StoreQueryRequest, StoreQueryResponse};
use pillarbox_mailserver::wire::transfer::WakuMessageAndTopic;
use prost::Message;

fn round_trip<T: Message + Default + PartialEq>(bytes: &[u8]) {
    if let Ok(message) = T::decode(bytes) {
        let encoded = message.encode_to_vec();
        assert_eq!(encoded.len(), message.encoded_len());
        assert!(T::decode(encoded.as_slice()).is_ok_and(|again| again == message));
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    match choice % 12 {
        0 => round_trip::<WakuMetadata>(bytes),
        1 => round_trip::<StoreQueryRequest>(bytes),
        2 => round_trip::<StoreQueryResponse>(bytes),
        3 => round_trip::<HistoryRpc>(bytes),
        4 => round_trip::<LightPushRequest>(bytes),
        5 => round_trip::<LightPushResponse>(bytes),
        6 => round_trip::<PushRpc>(bytes),
        7 => round_trip::<FilterSubscribeRequest>(bytes),
        8 => round_trip::<FilterSubscribeResponse>(bytes),
        9 => round_trip::<MessagePush>(bytes),
        10 => round_trip::<PeerExchangeRpc>(bytes),
        _ => round_trip::<WakuMessageAndTopic>(bytes),
    }
}
