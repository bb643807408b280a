//! What store counts, under nwaku's names (`waku_store/protocol_metrics.nim`).

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::labels::{Kind, Level, register};

/// `phase="…"` of answering a query.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Phase {
    pub phase: &'static str,
}

#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Queries that were understood (nwaku `store_queries`).
    pub queries: Counter,
    /// Seconds that the last query took in each phase (nwaku `store_time_seconds`).
    pub seconds: Family<Phase, Level>,
    /// Answers other than 200 (nwaku `store_errors`).
    pub errors: Family<Kind, Counter>,
}

impl Metrics {
    /// Seconds that a query took in one phase.
    pub(crate) fn phase(&self, phase: &'static str, took: Duration) {
        self.seconds.get_or_create(&Phase { phase }).set(took.as_secs_f64());
    }

    pub(crate) fn register(&self, waku: &mut Registry) {
        register! { waku;
            "store_queries" "Store queries" = self.queries;
            "store_time_seconds" "Time of the last store query" = self.seconds;
            "store_errors" "Store queries that failed" = self.errors;
        }
    }
}
