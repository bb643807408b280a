//! Transfer 1.0.0: one envelope and the pubsub topic it goes by (WAKU-SYNC, "Transfer Protocol", with the field numbers
//! of nwaku `waku_store_sync/common.nim`; the specification has them the other way round).

use libp2p::StreamProtocol;
use prost::Message;

use crate::wire::WakuMessage;

pub const RECONCILIATION: StreamProtocol = StreamProtocol::new("/vac/waku/reconciliation/1.0.0");
pub const TRANSFER: StreamProtocol = StreamProtocol::new("/vac/waku/transfer/1.0.0");

/// nwaku refuses one without either field.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WakuMessageAndTopic {
    #[prost(string, optional, tag = "1")]
    pub pubsub_topic: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub message: Option<WakuMessage>,
}
