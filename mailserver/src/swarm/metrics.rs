//! What is counted of connections, streams and relay.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::labels::{Kind, Level, register};

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

/// `topic="…",type="…",direction="…"` of relay traffic; topics are those this node is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Traffic {
    pub topic: String,
    pub r#type: &'static str,
    pub direction: &'static str,
}

#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Relayed envelopes that were refused, by reason.
    pub relay_rejected: Family<Kind, Counter>,
    /// What relay was told of messages: accepted, rejected, ignored (nim-libp2p `pubsub_validation_…`).
    pub validation_success: Counter,
    pub validation_failure: Counter,
    pub validation_ignore: Counter,
    /// Topics that relay was subscribed to, and left (nim-libp2p).
    pub subscriptions: Counter,
    pub unsubscriptions: Counter,
    /// Bytes of relayed messages (nwaku `relay_network_bytes`).
    pub relay_bytes: Family<Traffic, Counter>,
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
    /// Inbound streams that found no room: `peer_limit`, `total_limit`, `closing`; and those that ended badly: `malformed`,
    /// `oversized`, `timeout`, `io`, `gave_way` (it stalled, and others needed the memory).
    pub streams_refused: Family<Kind, Counter>,
    /// Connections closed by this node: another `cluster`, no `metadata`, no answer to `ping`, a low `score`, too many
    /// from one address (`colocation`), and what relay found at fault.
    pub disconnected: Family<Kind, Counter>,
}

impl Metrics {
    /// What autonat believes, and how firmly (0 to 1).
    pub(super) fn reachable(&self, known: Option<&'static str>, confidence: f64) {
        for reachability in ["Reachable", "NotReachable"] {
            let level = self.reachability.get_or_create(&Reachability { reachability });
            level.set(if known == Some(reachability) { confidence } else { 0.0 });
        }
    }

    /// An attempt to turn a circuit into a direct connection came to an end.
    pub(super) fn punched(&self, outcome: &'static str) {
        self.hole_punches.get_or_create(&DialOutcome { outcome }).inc();
    }

    pub(super) fn dialled(&self, outcome: &'static str) {
        self.dials.get_or_create(&DialOutcome { outcome }).inc();
    }

    /// Bytes of one message that relay took or gave.
    pub(super) fn relayed(&self, topic: &str, direction: &'static str, bytes: usize) {
        let label = Traffic {
            topic: topic.to_owned(),
            r#type: "net",
            direction,
        };
        self.relay_bytes.get_or_create(&label).inc_by(bytes as u64);
    }

    pub(crate) fn register(&self, waku: &mut Registry, plain: &mut Registry) {
        register! { waku;
            "relay_network_bytes" "Relay's traffic" = self.relay_bytes;
            "peers_dials" "Dials by outcome" = self.dials;
            "streams_peers" "Open streams by protocol" = self.open_streams;
        }
        register! { plain;
            "libp2p_network_bytes" "Traffic on tcp and ws" = self.network_bytes;
            "libp2p_total_dial_attempts" "Dials begun" = self.dial_attempts;
            "libp2p_pubsub_subscriptions" "Topics subscribed to" = self.subscriptions;
            "libp2p_pubsub_unsubscriptions" "Topics left" = self.unsubscriptions;
            "libp2p_pubsub_validation_success" "Relayed messages accepted" = self.validation_success;
            "libp2p_pubsub_validation_failure" "Relayed messages rejected" = self.validation_failure;
            "libp2p_pubsub_validation_ignore" "Relayed messages ignored" = self.validation_ignore;
            "libp2p_autonat_reachability_confidence" "How sure autonat is" = self.reachability;
        }
        register! { plain.sub_registry_with_prefix("pillarbox");
            "relay_rejected" "Relayed envelopes refused" = self.relay_rejected;
            "bandwidth_limit_bytes_per_second" "Allowed each way, 0 is no limit" = self.bandwidth_limit;
            "bandwidth_waits" "Reads and writes that waited for the limit" = self.bandwidth_waits;
            "bandwidth_waiting" "Connections that wait for the limit" = self.bandwidth_waiting;
            "streams_refused" "Inbound streams not served" = self.streams_refused;
            "hole_punches" "Circuits that were to become direct connections" = self.hole_punches;
            "peers_disconnected" "Peers disconnected by this node" = self.disconnected;
        }
    }
}
