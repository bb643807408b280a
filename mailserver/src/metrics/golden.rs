//! The names and labels of all metrics, against a file that a reviewer reads, and against what nwaku's dashboards ask
//! for.

use std::{collections::BTreeSet, fs, path::Path};

use prometheus_client::{encoding::text::encode, registry::Registry};

use super::{
    ByAgent, ByProtocol, ByShard as PeersByShard, ByTopic, MetricsPrefix, Present,
    names::{register_discovery, register_present},
};
use crate::{
    discovery,
    intake::metrics::{Ingress, Judgement},
    labels::{ByShard, Kind, count},
    node::Metrics,
    protocols::metrics::{ByService, Service, Traffic as ServiceTraffic},
    swarm::metrics::{ByDirection, DialOutcome, OpenStreams, Reachability, Traffic},
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
fn touch(metrics: &Metrics, present: &Present, found: &discovery::Counters) {
    for family in [
        &metrics.intake.archive_errors,
        &metrics.intake.node_messages,
        &metrics.swarm.relay_rejected,
        &metrics.swarm.streams_refused,
        &metrics.swarm.disconnected,
        &metrics.store.errors,
        &metrics.light_push.pushes,
        &metrics.light_push.legacy_pushes,
        &metrics.light_push.errors,
        &metrics.light_push.legacy_errors,
        &metrics.filter.requests,
        &metrics.filter.errors,
        &metrics.peer_exchange.errors,
        &found.errors,
        &found.dns_errors,
    ] {
        count(family, "a");
    }
    let service = "a";
    let shard = || ByShard { shard: "a".into() };
    let intake = &metrics.intake;
    drop(intake.archive_inserts.get_or_create(&Ingress { source: "a" }));
    drop(intake.archived_per_shard.get_or_create(&shard()));
    drop(intake.signed_outcome.get_or_create(&Judgement { result: "a" }));
    intake.sizes.observe("a", 1);
    let swarm = &metrics.swarm;
    drop(swarm.relay_bytes.get_or_create(&Traffic {
        topic: "a".into(),
        r#type: "a",
        direction: "a",
    }));
    drop(swarm.dials.get_or_create(&DialOutcome { outcome: "a" }));
    drop(swarm.hole_punches.get_or_create(&DialOutcome { outcome: "a" }));
    let inward = || ByDirection { direction: "in" };
    drop(swarm.network_bytes.get_or_create(&inward()));
    drop(swarm.bandwidth_waits.get_or_create(&inward()));
    drop(swarm.bandwidth_waiting.get_or_create(&inward()));
    for reachability in ["Reachable", "NotReachable"] {
        drop(swarm.reachability.get_or_create(&Reachability { reachability }));
    }
    drop(swarm.open_streams.get_or_create(&OpenStreams {
        direction: "In",
        protocol: "a".into(),
    }));
    let all = &metrics.service;
    drop(all.requests.get_or_create(&Service { service, state: "a" }));
    drop(all.bytes.get_or_create(&ServiceTraffic {
        service,
        direction: "a",
    }));
    drop(all.limit.get_or_create(&ByService { service }));
    drop(all.seconds.get_or_create(&ByService { service }));
    metrics.store.phase("a", std::time::Duration::ZERO);
    drop(metrics.filter.seconds.get_or_create(&Kind { r#type: "a" }));
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
    let (metrics, present, found) = (Metrics::default(), Present::default(), discovery::Counters::default());
    touch(&metrics, &present, &found);
    let (mut prefixed, mut plain) = (Registry::with_prefix(prefix.text()), Registry::default());
    metrics.register(&mut prefixed, &mut plain);
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
