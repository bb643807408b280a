//! The names and labels of all metrics, against a file that a reviewer reads, and against what nwaku's dashboards ask
//! for.

use std::{collections::BTreeSet, fs, path::Path};

use prometheus_client::{encoding::text::encode, registry::Registry};

use super::{
    ByAgent, ByProtocol, ByShard as PeersByShard, ByTopic, MetricsPrefix, Present,
    names::{register_counters, register_discovery, register_present},
};
use crate::{
    counters::{
        ByDirection, ByService, ByShard, Counters, DialOutcome, Ingress, Judgement, Kind, OpenStreams, Service,
        ServiceTraffic, Traffic,
    },
    discovery,
};

/// What nwaku's `metrics/waku-single-node-dashboard.json` and nwaku-compose's `nwaku-monitoring.json` draw, after the
/// prefix where they have one. Left out: RLN, Nim's garbage collector, Postgres, the bridge, `node_errors`,
/// `peers_errors` and `libp2p_open_streams`, of which there is nothing here, and names that nwaku itself no longer has.
const DASHBOARDS: [&str; 39] = [
    "~archive_errors_total{type=",
    "~archive_insert_duration_seconds_bucket{le=",
    "~archive_messages{type=",
    "~archive_query_duration_seconds_bucket{le=",
    "~connected_peers{direction=\"In\",protocol=",
    "~filter_errors_total{type=",
    "~filter_handle_message_duration_seconds_bucket{le=",
    "~filter_peers",
    "~filter_request_duration_seconds_bucket{le=",
    "~filter_requests_total{type=",
    "~filter_subscriptions",
    "~histogram_message_size_bucket{le=",
    "~histogram_message_size_count",
    "~histogram_message_size_sum",
    "~lightpush_errors_total{type=",
    "~lightpush_peers",
    "~node_messages_total{type=",
    "~peer_store_size",
    "~store_errors_total{type=",
    "~store_peers",
    "~store_queries_total",
    "~streams_peers{direction=\"In\",protocol=",
    "~version{version=",
    "libp2p_autonat_reachability_confidence{reachability=\"Reachable\"",
    "libp2p_network_bytes_total{direction=\"in\"",
    "libp2p_peers",
    "libp2p_pubsub_peers",
    "libp2p_pubsub_subscriptions_total",
    "libp2p_pubsub_topics",
    "libp2p_pubsub_unsubscriptions_total",
    "libp2p_pubsub_validation_failure_total",
    "libp2p_pubsub_validation_ignore_total",
    "libp2p_pubsub_validation_success_total",
    "libp2p_total_dial_attempts_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "routing_table_nodes",
];

/// Something under every name that has labels.
fn touch(counters: &Counters, present: &Present, found: &discovery::Counters) {
    for family in [
        &counters.archive_errors,
        &counters.relay_rejected,
        &counters.node_messages,
        &counters.store_errors,
        &counters.light_pushes,
        &counters.legacy_light_pushes,
        &counters.light_push_errors,
        &counters.legacy_light_push_errors,
        &counters.filter_requests,
        &counters.filter_errors,
        &counters.peer_exchange_errors,
        &counters.streams_refused,
        &counters.disconnected,
        &found.errors,
        &found.dns_errors,
    ] {
        Counters::count(family, "a");
    }
    let service = "a";
    let shard = || ByShard { shard: "a".into() };
    drop(counters.archive_inserts.get_or_create(&Ingress { source: "a" }));
    drop(counters.archived_per_shard.get_or_create(&shard()));
    drop(counters.signed_outcome.get_or_create(&Judgement { result: "a" }));
    drop(counters.relay_bytes.get_or_create(&Traffic {
        topic: "a".into(),
        r#type: "a",
        direction: "a",
    }));
    counters.sizes.observe("a", 1);
    drop(
        counters
            .service_requests
            .get_or_create(&Service { service, state: "a" }),
    );
    drop(counters.service_bytes.get_or_create(&ServiceTraffic {
        service,
        direction: "a",
    }));
    drop(counters.service_limit.get_or_create(&ByService { service }));
    drop(counters.service_seconds.get_or_create(&ByService { service }));
    counters.store_phase("a", std::time::Duration::ZERO);
    drop(counters.filter_seconds.get_or_create(&Kind { r#type: "a" }));
    drop(counters.dials.get_or_create(&DialOutcome { outcome: "a" }));
    counters.punched("a");
    drop(counters.network_bytes.get_or_create(&ByDirection { direction: "in" }));
    drop(counters.bandwidth_waits.get_or_create(&ByDirection { direction: "in" }));
    drop(
        counters
            .bandwidth_waiting
            .get_or_create(&ByDirection { direction: "in" }),
    );
    counters.reachable(None, 0.0);
    drop(counters.open_streams.get_or_create(&OpenStreams {
        direction: "In",
        protocol: "a".into(),
    }));
    drop(present.connected.get_or_create(&ByProtocol {
        direction: "In",
        protocol: "a",
    }));
    drop(present.per_shard.get_or_create(&PeersByShard { shard: 1 }));
    drop(present.per_agent.get_or_create(&ByAgent { agent: "a".into() }));
    drop(present.archived.get_or_create(&Kind { r#type: "stored" }));
    drop(present.mesh.get_or_create(&ByTopic { topic: "a".into() }));
}

/// Every sample's name and labels, of a histogram its first bucket alone.
fn samples(prefix: MetricsPrefix) -> BTreeSet<String> {
    let (counters, present, found) = (Counters::new(), Present::default(), discovery::Counters::default());
    touch(&counters, &present, &found);
    let (mut prefixed, mut plain) = (Registry::with_prefix(prefix.text()), Registry::default());
    register_counters(&mut prefixed, &mut plain, &counters);
    register_present(&mut prefixed, &mut plain, &present);
    register_discovery(&mut prefixed, &mut plain, &found);
    let mut text = String::new();
    for registry in [&prefixed, &plain] {
        encode(&mut text, registry).unwrap();
    }
    let mut bucketed = "";
    let mut samples = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let sample = line.rsplit_once(' ').unwrap().0;
        let name = sample.split('{').next().unwrap();
        if !name.ends_with("_bucket") || name != bucketed {
            samples.insert(sample.to_owned());
        }
        bucketed = name;
    }
    samples
}

#[test]
fn names_and_labels() {
    let found: String = samples(MetricsPrefix::Waku)
        .iter()
        .map(|sample| format!("{sample}\n"))
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &found).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found, golden,
        "dashboards break when names change; if that is meant, run with UPDATE_GOLDEN=1"
    );
}

#[test]
fn nwakus_dashboards_draw() {
    for (prefix, text) in [
        (MetricsPrefix::Waku, "waku_"),
        (MetricsPrefix::LogosDelivery, "logos_delivery_"),
    ] {
        let samples = samples(prefix);
        for wanted in DASHBOARDS {
            let wanted = wanted.replace('~', text);
            assert!(
                samples.iter().any(|sample| sample.starts_with(&wanted)),
                "{wanted} is in no sample: {samples:#?}"
            );
        }
    }
}
