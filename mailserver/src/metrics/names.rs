//! What each metric is called: nwaku's names (`*_metrics.nim` and where else it declares them), nim-libp2p's, and ours.
//!
//! A counter's samples end in `_total`, as nim-metrics writes them too. `tests/golden/metrics.txt` has all of them.

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{ByVersion, Present};
use crate::{counters::Counters, discovery};

/// Registers clones of metrics, each under its name with its help; a metric's clone is the metric.
macro_rules! register {
    ($registry:expr; $($name:literal $help:literal = $metric:expr;)+) => {
        $($registry.register($name, $help, $metric.clone());)+
    };
}

pub(super) fn register_counters(waku: &mut Registry, plain: &mut Registry, counters: &Counters) {
    register! { waku;
        "archive_errors" "Envelopes not stored" = counters.archive_errors;
        "archive_inserts" "Envelopes stored, by the way they came" = counters.archive_inserts;
        "archive_messages_per_shard" "Envelopes stored since the start" = counters.archived_per_shard;
        "archive_insert_duration_seconds" "Time of an insert" = counters.archive_insert_seconds;
        "archive_query_duration_seconds" "Time of a query" = counters.archive_query_seconds;
        "msg_validator_signed_outcome" "Envelopes on protected shards" = counters.signed_outcome;
        "node_messages" "Envelopes received" = counters.node_messages;
        "relay_network_bytes" "Relay's traffic" = counters.relay_bytes;
        "relay_total_msg_bytes_per_shard" "Payloads seen" = counters.sizes.total;
        "relay_max_msg_bytes_per_shard" "The largest payload" = counters.sizes.largest;
        "relay_avg_msg_bytes_per_shard" "The mean payload" = counters.sizes.mean;
        "histogram_message_size" "Payloads in units of 1,000 bytes" = counters.message_kilobytes;
        "service_requests" "Requests to services" = counters.service_requests;
        "service_requests_limit" "Requests a second that are allowed" = counters.service_limit;
        "service_network_bytes" "Services' traffic" = counters.service_bytes;
        "service_request_handling_duration_seconds" "Time of a request" = counters.service_seconds;
        "store_queries" "Store queries" = counters.store_queries;
        "store_time_seconds" "Time of the last store query" = counters.store_seconds;
        "store_errors" "Store queries that failed" = counters.store_errors;
        "lightpush_v3_messages" "Light pushes" = counters.light_pushes;
        "lightpush_v3_errors" "Light pushes that failed" = counters.light_push_errors;
        "lightpush_messages" "Legacy light pushes" = counters.legacy_light_pushes;
        "lightpush_errors" "Legacy light pushes that failed" = counters.legacy_light_push_errors;
        "filter_requests" "Filter requests" = counters.filter_requests;
        "filter_request_duration_seconds" "Time of a filter request" = counters.filter_seconds;
        "filter_handle_message_duration_seconds" "Time to find subscribers" = counters.filter_message_seconds;
        "filter_errors" "Filter requests and pushes that failed" = counters.filter_errors;
        "filter_subscriptions" "Filter subscribers" = counters.filter_subscriptions;
        "px_errors" "Peer exchange requests that failed" = counters.peer_exchange_errors;
        "px_peers_sent" "Node records handed out" = counters.peer_exchange_sent;
        "peers_dials" "Dials by outcome" = counters.dials;
        "streams_peers" "Open streams by protocol" = counters.open_streams;
    }
    register! { plain;
        "libp2p_network_bytes" "Traffic on tcp and ws" = counters.network_bytes;
        "libp2p_total_dial_attempts" "Dials begun" = counters.dial_attempts;
        "libp2p_pubsub_subscriptions" "Topics subscribed to" = counters.subscriptions;
        "libp2p_pubsub_unsubscriptions" "Topics left" = counters.unsubscriptions;
        "libp2p_pubsub_validation_success" "Relayed messages accepted" = counters.validation_success;
        "libp2p_pubsub_validation_failure" "Relayed messages rejected" = counters.validation_failure;
        "libp2p_pubsub_validation_ignore" "Relayed messages ignored" = counters.validation_ignore;
        "libp2p_autonat_reachability_confidence" "How sure autonat is" = counters.reachability;
    }
    counters.sync.register(plain);
    let ours = plain.sub_registry_with_prefix("pillarbox");
    register! { ours;
        "archived_envelopes" "Envelopes stored since the start" = counters.archived;
        "duplicate_envelopes" "Envelopes that were stored already" = counters.archive_duplicates;
        "relay_rejected" "Relayed envelopes refused" = counters.relay_rejected;
        "bandwidth_limit_bytes_per_second" "Allowed each way, 0 is no limit" = counters.bandwidth_limit;
        "bandwidth_waits" "Reads and writes that waited for the limit" = counters.bandwidth_waits;
        "bandwidth_waiting" "Connections that wait for the limit" = counters.bandwidth_waiting;
        "streams_refused" "Inbound streams not served" = counters.streams_refused;
        "hole_punches" "Circuits that were to become direct connections" = counters.hole_punches;
        "peers_disconnected" "Peers disconnected by this node" = counters.disconnected;
    }
}

pub(super) fn register_present(waku: &mut Registry, plain: &mut Registry, present: &Present) {
    let version: Family<ByVersion, Gauge> = Family::default();
    let running = ByVersion {
        version: concat!("v", env!("CARGO_PKG_VERSION")),
    };
    version.get_or_create(&running).set(1);
    register! { waku;
        "connected_peers" "Connections by direction and protocol" = present.connected;
        "connected_peers_per_shard" "Connected peers by shard" = present.per_shard;
        "connected_peers_per_agent" "Connected peers by agent" = present.per_agent;
        "peer_store_size" "Peers known" = present.known;
        "store_peers" "Connected peers that offer store" = present.store;
        "filter_peers" "Connected peers that offer filter" = present.filter;
        "lightpush_peers" "Connected peers that offer light push" = present.light_push;
        "px_peers" "Connected peers that offer peer exchange" = present.peer_exchange;
        "archive_messages" "Envelopes in the archive" = present.archived;
        "version" "Version of this program" = version;
    }
    register! { plain;
        "libp2p_peers" "Connected peers" = present.peers;
        "libp2p_pubsub_peers" "Connected peers that speak relay" = present.relay_peers;
        "libp2p_pubsub_topics" "Pubsub topics subscribed to" = present.pubsub_topics;
        "libp2p_gossipsub_peers_per_topic_mesh" "Peers in the mesh" = present.mesh;
        "pillarbox_archive_bytes" "The archive on disk" = present.archive_bytes;
        "pillarbox_archive_segments" "Segments of the archive" = present.archive_segments;
        "pillarbox_archive_newer_segments" "Segments of a newer version, left alone" = present.archive_newer;
        "pillarbox_archive_unreadable_segments" "Segments not to be read just now" = present.archive_unreadable;
        "pillarbox_archive_quarantined_segments" "Damaged files put aside" = present.archive_quarantined;
        "pillarbox_archive_written_bytes" "Handed to the file system" = present.archive_written;
        "pillarbox_archive_written_bytes_last_day" "The same in 24 hours" = present.archive_written_last_day;
        "pillarbox_archive_committed_payload_bytes" "Payload in what was written" = present.archive_payload;
        "pillarbox_archive_overflowed_envelopes" "Stored above their topics' shares" = present.archive_overflowed;
        "pillarbox_archive_dropped_early_envelopes" "Removed before their time" = present.archive_dropped_early;
        "pillarbox_archive_written_per_payload" "Written for a byte of payload" = present.archive_write_ratio;
        "pillarbox_archive_refused" "Envelopes not stored, by reason" = present.archive_refused;
        "process_resident_memory_bytes" "Resident memory" = present.resident_bytes;
        "process_virtual_memory_bytes" "Virtual memory" = present.virtual_bytes;
        "process_open_fds" "Open file descriptors" = present.open_files;
        "process_cpu_seconds" "CPU time used" = present.cpu_seconds;
        "process_start_time_seconds" "Start of the process" = present.start_seconds;
    }
}

pub(super) fn register_discovery(waku: &mut Registry, plain: &mut Registry, counters: &discovery::Counters) {
    register! { waku;
        "discv5_discovered" "Node records found by discv5" = counters.discovered;
        "discv5_discovered_usable" "Of them, those on this network" = counters.usable;
        "discv5_errors" "Lookups that failed" = counters.errors;
        "dnsdisc_discovered" "Node records found in DNS" = counters.dns_discovered;
        "dnsdisc_errors" "Lists in DNS that were not read whole" = counters.dns_errors;
    }
    register! { plain; "routing_table_nodes" "Nodes in discv5's table" = counters.table_nodes; }
}
