//! What the node counts. Each counter is a shared atomic: the code that sees the event adds, `metrics` registers the
//! same counters under nwaku's names and renders them. Nothing here locks or allocates on the hot path except the first
//! time a label is seen, and every label value comes from a closed set or from this node's configuration, never from a
//! peer.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

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

/// `result="…"`: `Accept` or `Reject`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Judgement {
    pub result: &'static str,
}

/// `phase="…"` of answering a store query.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Phase {
    pub phase: &'static str,
}

/// `source="…"`: by which way an envelope came to the archive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ingress {
    pub source: &'static str,
}

/// `outcome="…"` of a dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DialOutcome {
    pub outcome: &'static str,
}

/// `direction="…"` of bytes: `in` or `out`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByDirection {
    pub direction: &'static str,
}

/// `reachability="…"` as nim-libp2p's autonat names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reachability {
    pub reachability: &'static str,
}

/// `direction="…",protocol="…"` of streams.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OpenStreams {
    pub direction: &'static str,
    pub protocol: String,
}

/// `shard="…"`: a pubsub topic, or a shard's number where nwaku has that.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByShard {
    pub shard: String,
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

/// A gauge of seconds or of another fraction.
pub type Level = Gauge<f64, AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Upper bounds in seconds: from an index hit in memory to a card that stalls.
const SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
/// nwaku's buckets for what services do (`common/rate_limit/service_metrics.nim`).
const SERVICE_SECONDS: [f64; 17] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0,
];
/// nwaku's buckets for payloads, in units of 1,000 bytes (`node/node_telemetry.nim`).
const KILOBYTES: [f64; 13] = [
    0.0, 1.0, 3.0, 5.0, 15.0, 50.0, 75.0, 100.0, 125.0, 150.0, 500.0, 700.0, 1000.0,
];

fn service_histogram() -> Histogram {
    Histogram::new(SERVICE_SECONDS)
}

#[derive(Clone, Debug)]
pub struct Counters {
    /// Envelopes not stored, by reason (nwaku `archive_errors`).
    pub archive_errors: Family<Kind, Counter>,
    /// Envelopes handed to the archive and kept.
    pub archived: Counter,
    /// The same by the way they came (nwaku `archive_inserts`).
    pub archive_inserts: Family<Ingress, Counter>,
    /// The same by shard, since the start (nwaku `archive_messages_per_shard`, which doesn't go down either).
    pub archived_per_shard: Family<ByShard, Gauge>,
    /// Already kept: the same envelope by another way.
    pub archive_duplicates: Counter,
    /// Seconds an insert took (nwaku `archive_insert_duration_seconds`).
    pub archive_insert_seconds: Histogram,
    /// Seconds a query took (nwaku `archive_query_duration_seconds`).
    pub archive_query_seconds: Histogram,
    /// Relayed envelopes that were refused by the validator, by reason.
    pub relay_rejected: Family<Kind, Counter>,
    /// What relay was told of messages: accepted, rejected, ignored (nim-libp2p `pubsub_validation_…`).
    pub validation_success: Counter,
    pub validation_failure: Counter,
    pub validation_ignore: Counter,
    /// Topics that relay was subscribed to, and left (nim-libp2p).
    pub subscriptions: Counter,
    pub unsubscriptions: Counter,
    /// Outcome of protected-shard validation (nwaku `msg_validator_signed_outcome`).
    pub signed_outcome: Family<Judgement, Counter>,
    /// Envelopes received or published, by way: `relay`, `publish` (nwaku `node_messages`).
    pub node_messages: Family<Kind, Counter>,
    /// Bytes of relayed messages (nwaku `relay_network_bytes`).
    pub relay_bytes: Family<Traffic, Counter>,
    /// Payloads in units of 1,000 bytes (nwaku `histogram_message_size`).
    pub message_kilobytes: Histogram,
    /// Payloads by pubsub topic.
    pub sizes: PayloadSizes,
    /// Requests by protocol and outcome (nwaku `service_requests`).
    pub service_requests: Family<Service, Counter>,
    /// Bytes of requests and answers (nwaku `service_network_bytes`).
    pub service_bytes: Family<ServiceTraffic, Counter>,
    /// Requests a second that `--rate-limit` allows a protocol; absent without a limit (nwaku `service_requests_limit`).
    pub service_limit: Family<ByService, Level>,
    /// Seconds from a request to its answer (nwaku `service_request_handling_duration_seconds`).
    pub service_seconds: Histograms<ByService>,
    /// Store queries that were understood (nwaku `store_queries`).
    pub store_queries: Counter,
    /// Seconds that the last query took in each phase (nwaku `store_time_seconds`).
    pub store_seconds: Family<Phase, Level>,
    /// Store answers other than 200 (nwaku `store_errors`).
    pub store_errors: Family<Kind, Counter>,
    /// Light pushes that were understood, version 3 and legacy (nwaku `lightpush_v3_messages`, `lightpush_messages`).
    pub light_pushes: Family<Kind, Counter>,
    pub legacy_light_pushes: Family<Kind, Counter>,
    /// Light push answers other than 200 (nwaku `lightpush_v3_errors`, `lightpush_errors`).
    pub light_push_errors: Family<Kind, Counter>,
    pub legacy_light_push_errors: Family<Kind, Counter>,
    /// Requests to filter (nwaku `filter_requests`), and their seconds (nwaku `filter_request_duration_seconds`).
    pub filter_requests: Family<Kind, Counter>,
    pub filter_seconds: Histograms<Kind>,
    /// Seconds to find an envelope's subscribers and queue it for them (nwaku
    /// `filter_handle_message_duration_seconds`).
    pub filter_message_seconds: Histogram,
    /// Filter answers other than 200, and envelopes not pushed (nwaku `filter_errors`).
    pub filter_errors: Family<Kind, Counter>,
    /// Filter subscribers at this moment (nwaku `filter_subscriptions`).
    pub filter_subscriptions: Gauge,
    /// Peer exchange answers other than 200 (nwaku `px_errors`).
    pub peer_exchange_errors: Family<Kind, Counter>,
    /// Node records handed out (nwaku `px_peers_sent`).
    pub peer_exchange_sent: Counter,
    /// Dials by outcome: `successful`, `failed` (nwaku `peers_dials`), and all that were begun (nim-libp2p).
    pub dials: Family<DialOutcome, Counter>,
    pub dial_attempts: Counter,
    pub hole_punches: Family<DialOutcome, Counter>,
    /// Bytes on tcp and ws connections, before anything is decrypted (nim-libp2p `network_bytes`).
    pub network_bytes: Family<ByDirection, Counter>,
    /// Bytes a second that `--bandwidth-limit` lets through each way, 0 without it.
    pub bandwidth_limit: Gauge,
    /// Reads and writes that waited for it, and connections that wait at this moment.
    pub bandwidth_waits: Family<ByDirection, Counter>,
    pub bandwidth_waiting: Family<ByDirection, Gauge>,
    /// How sure autonat is, 0 to 1 (nim-libp2p `autonat_reachability_confidence`).
    pub reachability: Family<Reachability, Level>,
    /// Inbound streams in service (nwaku `streams_peers`).
    pub open_streams: Family<OpenStreams, Gauge>,
    /// Inbound streams that were not served: `peer_limit`, `total_limit`, `malformed`, `oversized`, `timeout`, `io`,
    /// `gave_way` (it stalled, and others needed the memory).
    pub streams_refused: Family<Kind, Counter>,
    /// Requests that were read and are not answered yet.
    pub requests_in_service: Gauge,
    /// Peers disconnected by us: `cluster`, `metadata`, `limit`.
    pub disconnected: Family<Kind, Counter>,
    pub sync: sync::counters::Counters,
}

impl Counters {
    pub fn new() -> Self {
        Self {
            archive_errors: Family::default(),
            archived: Counter::default(),
            archive_inserts: Family::default(),
            archived_per_shard: Family::default(),
            archive_duplicates: Counter::default(),
            archive_insert_seconds: Histogram::new(SECONDS),
            archive_query_seconds: Histogram::new(SECONDS),
            relay_rejected: Family::default(),
            validation_success: Counter::default(),
            validation_failure: Counter::default(),
            validation_ignore: Counter::default(),
            subscriptions: Counter::default(),
            unsubscriptions: Counter::default(),
            signed_outcome: Family::default(),
            node_messages: Family::default(),
            relay_bytes: Family::default(),
            message_kilobytes: Histogram::new(KILOBYTES),
            sizes: PayloadSizes::default(),
            service_requests: Family::default(),
            service_bytes: Family::default(),
            service_limit: Family::default(),
            service_seconds: Family::new_with_constructor(service_histogram),
            store_queries: Counter::default(),
            store_seconds: Family::default(),
            store_errors: Family::default(),
            light_pushes: Family::default(),
            legacy_light_pushes: Family::default(),
            light_push_errors: Family::default(),
            legacy_light_push_errors: Family::default(),
            filter_requests: Family::default(),
            filter_seconds: Family::new_with_constructor(service_histogram),
            filter_message_seconds: Histogram::new(SERVICE_SECONDS),
            filter_errors: Family::default(),
            filter_subscriptions: Gauge::default(),
            peer_exchange_errors: Family::default(),
            peer_exchange_sent: Counter::default(),
            dials: Family::default(),
            dial_attempts: Counter::default(),
            hole_punches: Family::default(),
            network_bytes: Family::default(),
            bandwidth_limit: Gauge::default(),
            bandwidth_waits: Family::default(),
            bandwidth_waiting: Family::default(),
            reachability: Family::default(),
            open_streams: Family::default(),
            streams_refused: Family::default(),
            requests_in_service: Gauge::default(),
            disconnected: Family::default(),
            sync: sync::counters::Counters::default(),
        }
    }

    /// Whether answers are being made, or wait for the bandwidth limit.
    pub fn busy(&self) -> bool {
        let waiting = self
            .bandwidth_waiting
            .get_or_create(&ByDirection { direction: "out" })
            .get();
        self.requests_in_service.get() > 0 || waiting > 0
    }

    /// Adds one under `type=kind`.
    pub fn count(family: &Family<Kind, Counter>, kind: &'static str) {
        family.get_or_create(&Kind { r#type: kind }).inc();
    }

    /// A request that was looked at, whatever the answer.
    pub fn served(&self, service: &'static str, took: Duration) {
        self.request(service, "served");
        let seconds = self.service_seconds.get_or_create(&ByService { service });
        seconds.observe(took.as_secs_f64());
    }

    /// A request that was not looked at.
    pub fn rejected(&self, service: &'static str) {
        self.request(service, "rejected");
    }

    fn request(&self, service: &'static str, state: &'static str) {
        self.service_requests.get_or_create(&Service { service, state }).inc();
    }

    /// Seconds that a store query took in one phase.
    pub fn store_phase(&self, phase: &'static str, took: Duration) {
        self.store_seconds
            .get_or_create(&Phase { phase })
            .set(took.as_secs_f64());
    }

    /// What autonat believes, and how firmly (0 to 1).
    pub fn reachable(&self, known: Option<&'static str>, confidence: f64) {
        for reachability in ["Reachable", "NotReachable"] {
            let level = self.reachability.get_or_create(&Reachability { reachability });
            level.set(if known == Some(reachability) { confidence } else { 0.0 });
        }
    }

    /// An attempt to turn a circuit into a direct connection came to an end.
    pub fn punched(&self, outcome: &'static str) {
        self.hole_punches.get_or_create(&DialOutcome { outcome }).inc();
    }

    pub fn dialled(&self, outcome: &'static str) {
        self.dials.get_or_create(&DialOutcome { outcome }).inc();
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

/// Sum, largest and mean of payloads by pubsub topic (nwaku `relay_{total,max,avg}_msg_bytes_per_shard`).
#[derive(Clone, Debug, Default)]
pub struct PayloadSizes {
    pub total: Family<ByShard, Level>,
    pub largest: Family<ByShard, Level>,
    pub mean: Family<ByShard, Level>,
    seen: Family<ByShard, Counter>,
}

impl PayloadSizes {
    /// Only the node's task calls this: the four figures of a topic belong together.
    pub fn observe(&self, topic: &str, bytes: usize) {
        let shard = ByShard {
            shard: topic.to_owned(),
        };
        let bytes = bytes as f64;
        let count = self.seen.get_or_create(&shard).inc() + 1;
        let total = self.total.get_or_create(&shard).inc_by(bytes) + bytes;
        self.mean.get_or_create(&shard).set(total / count as f64);
        let largest = self.largest.get_or_create(&shard);
        if bytes > largest.get() {
            largest.set(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_sizes_by_topic() {
        let sizes = PayloadSizes::default();
        for bytes in [100, 300, 200] {
            sizes.observe("/waku/2/rs/16/32", bytes);
        }
        sizes.observe("/waku/2/rs/16/64", 7);
        let figures = |topic: &str| {
            let shard = ByShard { shard: topic.into() };
            [&sizes.total, &sizes.largest, &sizes.mean].map(|family| family.get_or_create(&shard).get())
        };
        assert_eq!(figures("/waku/2/rs/16/32"), [600.0, 300.0, 200.0]);
        assert_eq!(figures("/waku/2/rs/16/64"), [7.0, 7.0, 7.0]);
    }
}
