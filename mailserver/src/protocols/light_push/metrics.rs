//! What light push counts, under nwaku's names (`waku_lightpush/protocol_metrics.nim`, `waku_lightpush_legacy/…`).

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::labels::{Kind, register};

#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Light pushes that were understood, version 3 and legacy (nwaku `lightpush_v3_messages`, `lightpush_messages`).
    pub pushes: Family<Kind, Counter>,
    pub legacy_pushes: Family<Kind, Counter>,
    /// Answers other than 200 (nwaku `lightpush_v3_errors`, `lightpush_errors`).
    pub errors: Family<Kind, Counter>,
    pub legacy_errors: Family<Kind, Counter>,
}

impl Metrics {
    pub(crate) fn register(&self, waku: &mut Registry) {
        register! { waku;
            "lightpush_v3_messages" "Light pushes" = self.pushes;
            "lightpush_v3_errors" "Light pushes that failed" = self.errors;
            "lightpush_messages" "Legacy light pushes" = self.legacy_pushes;
            "lightpush_errors" "Legacy light pushes that failed" = self.legacy_errors;
        }
    }
}
