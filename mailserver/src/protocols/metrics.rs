//! What is counted of every request/response protocol alike (nwaku `common/rate_limit/service_metrics.nim`).

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::labels::{self, Histograms, Level, register};

/// `service="…",state="…"`: a request to a protocol and what became of it: `rejected` when it was not looked at for want
/// of room or by a rate limit, or else `served`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Service {
    pub service: &'static str,
    pub state: &'static str,
}

/// `service="…"`: the id of a protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByService {
    pub service: &'static str,
}

/// `service="…",direction="…"` of request/response traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Traffic {
    pub service: &'static str,
    pub direction: &'static str,
}

#[derive(Clone, Debug)]
pub struct Metrics {
    /// Requests by protocol and outcome (nwaku `service_requests`).
    pub requests: Family<Service, Counter>,
    /// Bytes of requests and answers (nwaku `service_network_bytes`).
    pub bytes: Family<Traffic, Counter>,
    /// Requests a second that `--rate-limit` allows a protocol; absent without a limit (nwaku `service_requests_limit`).
    pub limit: Family<ByService, Level>,
    /// Seconds from a request to its answer (nwaku `service_request_handling_duration_seconds`).
    pub seconds: Histograms<ByService>,
}

impl Metrics {
    pub fn new() -> Self {
        Self {
            requests: Family::default(),
            bytes: Family::default(),
            limit: Family::default(),
            seconds: Family::new_with_constructor(labels::service_seconds),
        }
    }

    /// A request that was looked at, whatever the answer.
    pub(super) fn served(&self, service: &'static str, took: Duration) {
        self.request(service, "served");
        let seconds = self.seconds.get_or_create(&ByService { service });
        seconds.observe(took.as_secs_f64());
    }

    /// A request that was not looked at.
    pub(super) fn rejected(&self, service: &'static str) {
        self.request(service, "rejected");
    }

    fn request(&self, service: &'static str, state: &'static str) {
        self.requests.get_or_create(&Service { service, state }).inc();
    }

    pub(super) fn traffic(&self, service: &'static str, direction: &'static str, bytes: usize) {
        self.bytes
            .get_or_create(&Traffic { service, direction })
            .inc_by(bytes as u64);
    }

    pub(crate) fn register(&self, waku: &mut Registry) {
        register! { waku;
            "service_requests" "Requests to services" = self.requests;
            "service_requests_limit" "Requests a second that are allowed" = self.limit;
            "service_network_bytes" "Services' traffic" = self.bytes;
            "service_request_handling_duration_seconds" "Time of a request" = self.seconds;
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
