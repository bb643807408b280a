//! What is counted of envelopes: how they were judged, and what the archive did with them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::received::{Received, Source};
use crate::labels::{ByShard, Kind, Level, register};
use crate::topics::Shard;

/// `result="…"`: `Accept` or `Reject`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Judgement {
    pub result: &'static str,
}

/// `source="…"`: by which way an envelope came to the archive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ingress {
    pub source: &'static str,
}

/// Upper bounds in seconds: from an index hit in memory to a card that stalls.
const SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
/// nwaku's buckets for payloads, in units of 1,000 bytes (`node/node_telemetry.nim`).
const KILOBYTES: [f64; 13] = [
    0.0, 1.0, 3.0, 5.0, 15.0, 50.0, 75.0, 100.0, 125.0, 150.0, 500.0, 700.0, 1000.0,
];

#[derive(Clone, Debug)]
pub struct Metrics {
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
    /// Outcome of protected-shard validation (nwaku `msg_validator_signed_outcome`).
    pub signed_outcome: Family<Judgement, Counter>,
    /// Envelopes received or published, by way: `relay`, `publish` (nwaku `node_messages`).
    pub node_messages: Family<Kind, Counter>,
    /// Payloads in units of 1,000 bytes (nwaku `histogram_message_size`).
    pub message_kilobytes: Histogram,
    /// Payloads by pubsub topic.
    pub sizes: PayloadSizes,
}

impl Metrics {
    pub fn new() -> Self {
        Self {
            archive_errors: Family::default(),
            archived: Counter::default(),
            archive_inserts: Family::default(),
            archived_per_shard: Family::default(),
            archive_duplicates: Counter::default(),
            archive_insert_seconds: Histogram::new(SECONDS),
            archive_query_seconds: Histogram::new(SECONDS),
            signed_outcome: Family::default(),
            node_messages: Family::default(),
            message_kilobytes: Histogram::new(KILOBYTES),
            sizes: PayloadSizes::default(),
        }
    }

    /// An envelope that was not in the archive before and is now.
    pub(super) fn stored(&self, received: &Received) {
        self.archived.inc();
        // nwaku knows these two; everything that is not from another's archive came by relay or beside it.
        let source = match received.source {
            Source::Relay(_) | Source::LightPush(_) | Source::FilterPush(_) | Source::Local => "relay",
            Source::Resume(_) | Source::Sync(_) => "sync",
        };
        self.archive_inserts.get_or_create(&Ingress { source }).inc();
        // As in nwaku, a topic that is no shard counts as shard 0.
        let shard = received.envelope.pubsub_topic.parse::<Shard>();
        let shard = shard.map_or(0, |shard| shard.index).to_string();
        self.archived_per_shard.get_or_create(&ByShard { shard }).inc();
    }

    pub(crate) fn register(&self, waku: &mut Registry, plain: &mut Registry) {
        register! { waku;
            "archive_errors" "Envelopes not stored" = self.archive_errors;
            "archive_inserts" "Envelopes stored, by the way they came" = self.archive_inserts;
            "archive_messages_per_shard" "Envelopes stored since the start" = self.archived_per_shard;
            "archive_insert_duration_seconds" "Time of an insert" = self.archive_insert_seconds;
            "archive_query_duration_seconds" "Time of a query" = self.archive_query_seconds;
            "msg_validator_signed_outcome" "Envelopes on protected shards" = self.signed_outcome;
            "node_messages" "Envelopes received" = self.node_messages;
            "relay_total_msg_bytes_per_shard" "Payloads seen" = self.sizes.total;
            "relay_max_msg_bytes_per_shard" "The largest payload" = self.sizes.largest;
            "relay_avg_msg_bytes_per_shard" "The mean payload" = self.sizes.mean;
            "histogram_message_size" "Payloads in units of 1,000 bytes" = self.message_kilobytes;
        }
        register! { plain.sub_registry_with_prefix("pillarbox");
            "archived_envelopes" "Envelopes stored since the start" = self.archived;
            "duplicate_envelopes" "Envelopes that were stored already" = self.archive_duplicates;
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
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
    /// For one caller at a time: the four figures of a topic belong together.
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
