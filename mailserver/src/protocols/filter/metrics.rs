//! What filter counts, under nwaku's names (`waku_filter_v2/protocol_metrics.nim`).

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::labels::{self, Histograms, Kind, register};

#[derive(Clone, Debug)]
pub struct Metrics {
    /// Requests (nwaku `filter_requests`), and their seconds (nwaku `filter_request_duration_seconds`).
    pub requests: Family<Kind, Counter>,
    pub seconds: Histograms<Kind>,
    /// Seconds to find an envelope's subscribers and queue it for them (nwaku
    /// `filter_handle_message_duration_seconds`).
    pub message_seconds: Histogram,
    /// Answers other than 200, and envelopes not pushed (nwaku `filter_errors`).
    pub errors: Family<Kind, Counter>,
    /// Subscribers at this moment (nwaku `filter_subscriptions`).
    pub subscriptions: Gauge,
}

impl Metrics {
    pub fn new() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(labels::service_seconds),
            message_seconds: labels::service_seconds(),
            errors: Family::default(),
            subscriptions: Gauge::default(),
        }
    }

    pub(super) fn subscribers(&self, count: usize) {
        self.subscriptions.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn register(&self, waku: &mut Registry) {
        register! { waku;
            "filter_requests" "Filter requests" = self.requests;
            "filter_request_duration_seconds" "Time of a filter request" = self.seconds;
            "filter_handle_message_duration_seconds" "Time to find subscribers" = self.message_seconds;
            "filter_errors" "Filter requests and pushes that failed" = self.errors;
            "filter_subscriptions" "Filter subscribers" = self.subscriptions;
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
