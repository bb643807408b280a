//! What sync counts, under the names of nwaku's `waku_store_sync/protocols_metrics.nim`, which have no prefix.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::labels::{Kind, register};

pub const RECEIVED: &str = "receive";
pub const SENT: &str = "sent";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Traffic {
    pub protocol: &'static str,
    pub direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Way {
    pub direction: &'static str,
}

#[derive(Clone, Debug)]
pub struct Metrics {
    /// Payloads read in a session.
    pub rounds: Histogram,
    /// Envelopes of which one side lacked them, in a session.
    pub differences: Histogram,
    pub bytes: Family<Traffic, Counter>,
    /// Envelopes by transfer, each way.
    pub envelopes: Family<Way, Counter>,
    /// Envelopes by transfer that are not kept, by reason, and streams that ended for them.
    pub refused: Family<Kind, Counter>,
    /// Ids in the set.
    pub ids: Gauge,
    /// Sessions by how they ended: `done`, `cut_short`, `failed`, or `refused` before they began.
    pub sessions: Family<Kind, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            rounds: Histogram::new([1.0, 2.0, 3.0, 5.0, 8.0, 13.0]),
            differences: Histogram::new([0.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0]),
            bytes: Family::default(),
            envelopes: Family::default(),
            refused: Family::default(),
            ids: Gauge::default(),
            sessions: Family::default(),
        }
    }
}

impl Metrics {
    pub(super) fn traffic(&self, protocol: &'static str, direction: &'static str, bytes: usize) {
        let label = Traffic { protocol, direction };
        self.bytes.get_or_create(&label).inc_by(bytes as u64);
    }

    pub(super) fn envelope(&self, direction: &'static str) {
        self.envelopes.get_or_create(&Way { direction }).inc();
    }

    pub(crate) fn register(&self, plain: &mut Registry) {
        register! { plain;
            "reconciliation_roundtrips" "Payloads read in a reconciliation" = self.rounds;
            "reconciliation_differences" "Differences found by a reconciliation" = self.differences;
            "total_bytes_exchanged" "Bytes of reconciliation and transfer" = self.bytes;
            "total_transfer_messages_exchanged" "Envelopes by transfer" = self.envelopes;
            "total_transfer_messages_rejected" "Envelopes by transfer that are not kept" = self.refused;
            "total_messages_cached" "Ids in the set that reconciliation compares" = self.ids;
            "pillarbox_sync_sessions" "Reconciliations by how they ended" = self.sessions;
        }
    }
}
