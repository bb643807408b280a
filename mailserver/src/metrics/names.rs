//! What each metric is called: nwaku's names (`*_metrics.nim` and where else it declares them), nim-libp2p's, and ours.
//!
//! A counter's samples end in `_total`, as nim-metrics writes them too. `tests/golden/metrics.txt` has all of
//! them. Here are those of the present and of discovery; each room names its own.

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{ByVersion, Present};
use crate::{discovery, labels::register};

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
