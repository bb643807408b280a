//! What peer exchange counts, under nwaku's names (`waku_peer_exchange/protocol.nim`).

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::labels::{Kind, register};

#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Answers other than 200 (nwaku `px_errors`).
    pub errors: Family<Kind, Counter>,
    /// Node records handed out (nwaku `px_peers_sent`).
    pub sent: Counter,
}

impl Metrics {
    pub(crate) fn register(&self, waku: &mut Registry) {
        register! { waku;
            "px_errors" "Peer exchange requests that failed" = self.errors;
            "px_peers_sent" "Node records handed out" = self.sent;
        }
    }
}
