//! Every protobuf decoder: the first byte chooses it, the rest is what a peer sent. What decodes must encode to
//! something that decodes to the same.

use pillarbox_mailserver::protocols::filter::wire::{FilterSubscribeRequest, FilterSubscribeResponse, MessagePush};
use pillarbox_mailserver::protocols::light_push::wire::{LightPushRequest, LightPushResponse, PushRpc};
use pillarbox_mailserver::protocols::metadata::wire::WakuMetadata;
use pillarbox_mailserver::protocols::peer_exchange::wire::PeerExchangeRpc;
use pillarbox_mailserver::protocols::store::legacy_wire::HistoryRpc;
use pillarbox_mailserver::protocols::store::wire::{StoreQueryRequest, StoreQueryResponse};
use pillarbox_mailserver::protocols::sync::wire::WakuMessageAndTopic;
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
