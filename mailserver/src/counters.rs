//! What the node counts. Each counter is a shared atomic: the code that sees the event adds, `metrics` registers the
//! same counters under nwaku's names and renders them. Nothing here locks or allocates on the hot path except the first
//! time a label is seen, and every label value comes from a closed set, never from a peer.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::protocols::sync;

/// `type="…"`: an error's or an event's kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    pub r#type: &'static str,
}

/// `service="…",state="…"`: a request to a protocol and what became of it (`served`, `rejected`, `invalid`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Service {
    pub service: &'static str,
    pub state: &'static str,
}

/// `topic="…",type="…",direction="…"` of relay traffic; topics are those this node is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Traffic {
    pub topic: String,
    pub r#type: &'static str,
    pub direction: &'static str,
}

/// `service="…",direction="…"` of request/response traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ServiceTraffic {
    pub service: &'static str,
    pub direction: &'static str,
}

#[derive(Clone, Debug)]
pub struct Counters {
    /// Envelopes not stored, by reason (nwaku `waku_archive_errors`).
    pub archive_errors: Family<Kind, Counter>,
    /// Envelopes handed to the archive and kept.
    pub archived: Counter,
    /// Already kept: the same envelope by another way.
    pub archive_duplicates: Counter,
    /// Seconds an insert took (nwaku `waku_archive_insert_duration_seconds`).
    pub archive_insert_seconds: Histogram,
    /// Seconds a query took (nwaku `waku_archive_query_duration_seconds`).
    pub archive_query_seconds: Histogram,
    /// Relayed envelopes that were refused by the validator, by reason.
    pub relay_rejected: Family<Kind, Counter>,
    /// Outcome of protected-shard validation (nwaku `waku_msg_validator_signed_outcome`).
    pub signed_outcome: Family<Kind, Counter>,
    /// Envelopes received or published, by way: `relay`, `lightpush` (nwaku `waku_node_messages`).
    pub node_messages: Family<Kind, Counter>,
    /// Bytes of relayed messages (nwaku `waku_relay_network_bytes`).
    pub relay_bytes: Family<Traffic, Counter>,
    /// Size of relayed messages in bytes (nwaku `waku_histogram_message_size`).
    pub message_bytes: Histogram,
    /// Requests by protocol and outcome (nwaku `waku_service_requests`).
    pub service_requests: Family<Service, Counter>,
    /// Bytes of requests and answers (nwaku `waku_service_network_bytes`).
    pub service_bytes: Family<ServiceTraffic, Counter>,
    /// Store answers other than 200 (nwaku `waku_store_errors`).
    pub store_errors: Family<Kind, Counter>,
    /// Light push answers other than 200 (nwaku `waku_lightpush_v3_errors`).
    pub light_push_errors: Family<Kind, Counter>,
    /// Filter answers other than 200 (nwaku `waku_filter_errors`).
    pub filter_errors: Family<Kind, Counter>,
    /// Filter subscribers at this moment (nwaku `waku_filter_subscriptions`).
    pub filter_subscriptions: Gauge,
    /// Peer exchange answers other than 200 (nwaku `waku_px_errors`).
    pub peer_exchange_errors: Family<Kind, Counter>,
    /// Inbound streams that were not served: `peer_limit`, `total_limit`, `malformed`, `oversized`, `timeout`, `io`.
    pub streams_refused: Family<Kind, Counter>,
    /// Requests that were read and are not answered yet.
    pub requests_in_service: Gauge,
    /// Peers disconnected by us: `cluster`, `metadata`, `limit`.
    pub disconnected: Family<Kind, Counter>,
    pub sync: sync::counters::Counters,
}

impl Counters {
    pub fn new() -> Self {
        // Upper bounds in seconds: from an index hit in memory to a card that stalls.
        const SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
        // nwaku's buckets for message sizes, bytes.
        const BYTES: [f64; 9] = [
            0.0, 1024.0, 3072.0, 5120.0, 15360.0, 51200.0, 76800.0, 102400.0, 153600.0,
        ];
        Self {
            archive_errors: Family::default(),
            archived: Counter::default(),
            archive_duplicates: Counter::default(),
            archive_insert_seconds: Histogram::new(SECONDS),
            archive_query_seconds: Histogram::new(SECONDS),
            relay_rejected: Family::default(),
            signed_outcome: Family::default(),
            node_messages: Family::default(),
            relay_bytes: Family::default(),
            message_bytes: Histogram::new(BYTES),
            service_requests: Family::default(),
            service_bytes: Family::default(),
            store_errors: Family::default(),
            light_push_errors: Family::default(),
            filter_errors: Family::default(),
            filter_subscriptions: Gauge::default(),
            peer_exchange_errors: Family::default(),
            streams_refused: Family::default(),
            requests_in_service: Gauge::default(),
            disconnected: Family::default(),
            sync: sync::counters::Counters::default(),
        }
    }

    /// Adds one under `type=kind`.
    pub fn count(family: &Family<Kind, Counter>, kind: &'static str) {
        family.get_or_create(&Kind { r#type: kind }).inc();
    }

    pub fn request(&self, service: &'static str, state: &'static str) {
        self.service_requests.get_or_create(&Service { service, state }).inc();
    }

    /// Marks a request as in service until the guard is dropped.
    pub fn in_service(&self) -> InService {
        self.requests_in_service.inc();
        InService(self.requests_in_service.clone())
    }

    pub fn service_traffic(&self, service: &'static str, direction: &'static str, bytes: usize) {
        self.service_bytes
            .get_or_create(&ServiceTraffic { service, direction })
            .inc_by(bytes as u64);
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

/// A request in service.
#[derive(Debug)]
pub struct InService(Gauge);

impl Drop for InService {
    fn drop(&mut self) {
        self.0.dec();
    }
}
