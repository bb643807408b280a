//! Prometheus metrics under nwaku's names, so that nwaku's dashboards draw them.
//!
//! The node counts in [`Counters`] as things happen; gauges of the present (peers, meshes, memory) are set when somebody
//! asks. Label values come from closed sets or from this node's own configuration; what peers say about themselves is
//! counted under their names only as far as [`MAX_AGENTS`].

mod process;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{family::Family, gauge::Gauge},
    registry::{Metric, Registry},
};

use crate::{
    config::MetricsPrefix,
    counters::{Counters, Kind},
    discovery,
    node::{Direction, Handle, PeerInfo, Status},
    topics::Shard,
};

/// Different agents that are counted by name; the others are "other".
const MAX_AGENTS: usize = 16;
/// How long a scrape waits for the node's list of peers.
const TIMEOUT: Duration = Duration::from_secs(2);
const OTHER: &str = "other";

/// One label. Prometheus wants names that Rust lets no field have, or that only differ in it.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $field:ident: $type:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name {
            $field: $type,
        }
    };
}

label!(ByShard, shard: u16);
label!(ByAgent, agent: String);
label!(ByVersion, version: &'static str);
label!(ByTopic, topic: String);
label!(ByReason, reason: String);

/// Connections by who opened them and what the other side offers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByProtocol {
    direction: &'static str,
    protocol: &'static str,
}

/// What is true at the moment of a scrape.
#[derive(Debug, Default)]
struct Present {
    connected: Family<ByProtocol, Gauge>,
    per_shard: Family<ByShard, Gauge>,
    per_agent: Family<ByAgent, Gauge>,
    known: Gauge,
    store: Gauge,
    filter: Gauge,
    light_push: Gauge,
    peer_exchange: Gauge,
    /// As nwaku has it, with `type="stored"`.
    archived: Family<Kind, Gauge>,
    archive_bytes: Gauge,
    archive_segments: Gauge,
    archive_newer: Gauge,
    archive_quarantined: Gauge,
    /// Wear: what the writer handed to the file system, and the payload in it.
    archive_written: Gauge,
    archive_written_last_day: Gauge,
    archive_payload: Gauge,
    archive_write_ratio: Gauge<f64, AtomicU64>,
    archive_overflowed: Gauge,
    archive_dropped_early: Gauge,
    archive_refused: Family<ByReason, Gauge>,
    peers: Gauge,
    pubsub_topics: Gauge,
    mesh: Family<ByTopic, Gauge>,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    open_files: Gauge,
    cpu_seconds: Gauge<f64, AtomicU64>,
    start_seconds: Gauge<f64, AtomicU64>,
}

/// The protocols that connections are counted by.
const PROTOCOLS: [&str; 7] = [
    "/vac/waku/relay/2.0.0",
    "/vac/waku/store-query/3.0.0",
    "/vac/waku/filter-subscribe/2.0.0-beta1",
    "/vac/waku/lightpush/3.0.0",
    "/vac/waku/lightpush/2.0.0-beta1",
    "/vac/waku/peer-exchange/2.0.0-alpha1",
    "/vac/waku/metadata/1.0.0",
];

/// All metrics of one node.
#[derive(Debug)]
pub struct Metrics {
    node: Handle,
    present: Present,
    /// nwaku's own, with its prefix.
    prefixed: Registry,
    /// libp2p's and the process's, and those that nwaku does not have.
    plain: Registry,
    /// One scrape at a time sets the present and writes it out.
    scrape: Mutex<()>,
}

/// Registers clones of metrics; a metric's clone is the metric.
fn add<T: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: &T) {
    registry.register(name, help, metric.clone());
}

impl Metrics {
    pub fn new(node: Handle, discovery: &discovery::Counters, prefix: MetricsPrefix) -> Arc<Self> {
        let present = Present::default();
        let mut prefixed = Registry::with_prefix(prefix.text());
        let mut plain = Registry::default();
        register_counters(&mut prefixed, &mut plain, node.counters());
        register_present(&mut prefixed, &mut plain, &present);
        register_discovery(&mut prefixed, &mut plain, discovery);
        Arc::new(Self {
            node,
            present,
            prefixed,
            plain,
            scrape: Mutex::new(()),
        })
    }

    /// `/metrics`, and `/health` as nwaku's metrics server has it.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/metrics", get(scrape))
            .route("/health", get(|| async { "OK" }))
            .with_state(self.clone())
    }

    /// Everything in Prometheus's text format, which is OpenMetrics' as far as used here.
    pub async fn text(&self) -> String {
        let peers = match tokio::time::timeout(TIMEOUT, self.node.peers()).await {
            Ok(Ok(peers)) => Some(peers),
            // A node that is stopping or stuck: what is known without it is still told.
            Ok(Err(_)) | Err(_) => None,
        };
        let status = self.node.status().borrow().clone();
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.present.set_status(&status);
        if let Some(peers) = peers {
            self.present.set_peers(self.node.info().cluster_id, &peers);
        }
        if let Some(stats) = self.node.store().and_then(|store| store.stats()) {
            self.present.set_archive(&stats);
        }
        self.present.set_process();
        let mut text = String::new();
        let written = encode_registry(&mut text, &self.prefixed)
            .and_then(|()| encode_registry(&mut text, &self.plain))
            .and_then(|()| encode_eof(&mut text));
        written.expect("writing to a String cannot fail");
        text
    }
}

async fn scrape(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    let wanted = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = if wanted.contains("application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    (StatusCode::OK, [(header::CONTENT_TYPE, media)], metrics.text().await).into_response()
}

fn register_counters(prefixed: &mut Registry, plain: &mut Registry, counters: &Counters) {
    let waku = prefixed;
    add(waku, "archive_errors", "Envelopes not stored", &counters.archive_errors);
    add(
        waku,
        "archive_insert_duration_seconds",
        "Time of an insert",
        &counters.archive_insert_seconds,
    );
    add(
        waku,
        "archive_query_duration_seconds",
        "Time of a query",
        &counters.archive_query_seconds,
    );
    add(
        waku,
        "msg_validator_signed_outcome",
        "Envelopes on protected shards",
        &counters.signed_outcome,
    );
    add(waku, "node_messages", "Envelopes received", &counters.node_messages);
    add(waku, "relay_network_bytes", "Relay's traffic", &counters.relay_bytes);
    add(
        waku,
        "histogram_message_size",
        "Size of envelopes",
        &counters.message_bytes,
    );
    add(
        waku,
        "service_requests",
        "Requests to services",
        &counters.service_requests,
    );
    add(
        waku,
        "service_network_bytes",
        "Services' traffic",
        &counters.service_bytes,
    );
    add(
        waku,
        "store_errors",
        "Store queries that failed",
        &counters.store_errors,
    );
    add(
        waku,
        "lightpush_v3_errors",
        "Light pushes that failed",
        &counters.light_push_errors,
    );
    add(
        waku,
        "filter_errors",
        "Filter requests that failed",
        &counters.filter_errors,
    );
    add(
        waku,
        "filter_subscriptions",
        "Filter subscribers",
        &counters.filter_subscriptions,
    );
    add(
        waku,
        "px_errors",
        "Peer exchange requests that failed",
        &counters.peer_exchange_errors,
    );
    counters.sync.register(plain);
    let ours = plain.sub_registry_with_prefix("pillarbox");
    add(
        ours,
        "archived_envelopes",
        "Envelopes stored since the start",
        &counters.archived,
    );
    add(
        ours,
        "duplicate_envelopes",
        "Envelopes that were stored already",
        &counters.archive_duplicates,
    );
    add(
        ours,
        "relay_rejected",
        "Relayed envelopes refused",
        &counters.relay_rejected,
    );
    add(
        ours,
        "streams_refused",
        "Inbound streams not served",
        &counters.streams_refused,
    );
    add(
        ours,
        "peers_disconnected",
        "Peers disconnected by this node",
        &counters.disconnected,
    );
}

fn register_present(prefixed: &mut Registry, plain: &mut Registry, present: &Present) {
    let waku = prefixed;
    add(
        waku,
        "connected_peers",
        "Connections by direction and protocol",
        &present.connected,
    );
    add(waku, "archive_messages", "Envelopes in the archive", &present.archived);
    add(
        waku,
        "connected_peers_per_shard",
        "Connected peers by shard",
        &present.per_shard,
    );
    add(
        waku,
        "connected_peers_per_agent",
        "Connected peers by agent",
        &present.per_agent,
    );
    add(waku, "peer_store_size", "Peers known", &present.known);
    add(waku, "store_peers", "Connected peers that offer store", &present.store);
    add(
        waku,
        "filter_peers",
        "Connected peers that offer filter",
        &present.filter,
    );
    add(
        waku,
        "lightpush_peers",
        "Connected peers that offer light push",
        &present.light_push,
    );
    add(
        waku,
        "px_peers",
        "Connected peers that offer peer exchange",
        &present.peer_exchange,
    );
    let version: Family<ByVersion, Gauge> = Family::default();
    version
        .get_or_create(&ByVersion {
            version: concat!("v", env!("CARGO_PKG_VERSION")),
        })
        .set(1);
    add(waku, "version", "Version of this program", &version);
    add(
        plain,
        "pillarbox_archive_bytes",
        "The archive on disk",
        &present.archive_bytes,
    );
    add(
        plain,
        "pillarbox_archive_segments",
        "Segments of the archive",
        &present.archive_segments,
    );
    register_archive(plain.sub_registry_with_prefix("pillarbox_archive"), present);
    add(plain, "libp2p_peers", "Connected peers", &present.peers);
    add(
        plain,
        "libp2p_pubsub_topics",
        "Pubsub topics subscribed to",
        &present.pubsub_topics,
    );
    add(
        plain,
        "libp2p_gossipsub_peers_per_topic_mesh",
        "Peers in the mesh",
        &present.mesh,
    );
    add(
        plain,
        "process_resident_memory_bytes",
        "Resident memory",
        &present.resident_bytes,
    );
    add(
        plain,
        "process_virtual_memory_bytes",
        "Virtual memory",
        &present.virtual_bytes,
    );
    add(plain, "process_open_fds", "Open file descriptors", &present.open_files);
    add(plain, "process_cpu_seconds", "CPU time used", &present.cpu_seconds);
    add(
        plain,
        "process_start_time_seconds",
        "Start of the process",
        &present.start_seconds,
    );
}

/// The archive's own counts, since its writer started where nothing else is said.
fn register_archive(archive: &mut Registry, present: &Present) {
    for (name, help, gauge) in [
        (
            "newer_segments",
            "Segments of a newer version, left alone",
            &present.archive_newer,
        ),
        (
            "quarantined_segments",
            "Damaged files put aside",
            &present.archive_quarantined,
        ),
        ("written_bytes", "Handed to the file system", &present.archive_written),
        (
            "written_bytes_last_day",
            "Handed to the file system in 24 hours",
            &present.archive_written_last_day,
        ),
        (
            "committed_payload_bytes",
            "Payload in what was written",
            &present.archive_payload,
        ),
        (
            "overflowed_envelopes",
            "Stored above their topics' shares",
            &present.archive_overflowed,
        ),
        (
            "dropped_early_envelopes",
            "Removed before their time",
            &present.archive_dropped_early,
        ),
    ] {
        add(archive, name, help, gauge);
    }
    add(
        archive,
        "written_per_payload",
        "Bytes written for a byte of payload",
        &present.archive_write_ratio,
    );
    add(
        archive,
        "refused",
        "Envelopes not stored, by reason",
        &present.archive_refused,
    );
}

fn register_discovery(prefixed: &mut Registry, plain: &mut Registry, counters: &discovery::Counters) {
    let waku = prefixed;
    add(
        waku,
        "discv5_discovered",
        "Node records found by discv5",
        &counters.discovered,
    );
    add(
        waku,
        "discv5_discovered_usable",
        "Of them, those on this network",
        &counters.usable,
    );
    add(waku, "discv5_errors", "Lookups that failed", &counters.errors);
    add(
        waku,
        "dnsdisc_discovered",
        "Node records found in DNS",
        &counters.dns_discovered,
    );
    add(
        waku,
        "dnsdisc_errors",
        "Lists in DNS that were not read whole",
        &counters.dns_errors,
    );
    add(
        plain,
        "routing_table_nodes",
        "Nodes in discv5's table",
        &counters.table_nodes,
    );
}

/// A count as a gauge takes it.
fn amount(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Present {
    fn set_status(&self, status: &Status) {
        self.peers.set(amount(status.connected_peers));
        self.pubsub_topics.set(amount(status.meshes.len()));
        self.mesh.clear();
        for (topic, peers) in &status.meshes {
            self.mesh
                .get_or_create(&ByTopic { topic: topic.clone() })
                .set(amount(*peers));
        }
    }

    fn set_peers(&self, cluster: u16, peers: &[PeerInfo]) {
        self.known.set(amount(peers.len()));
        self.connected.clear();
        self.per_shard.clear();
        self.per_agent.clear();
        let mut agents: HashMap<String, i64> = HashMap::new();
        for peer in peers {
            let direction = match peer.direction {
                None => continue,
                Some(Direction::Inbound) => "In",
                Some(Direction::Outbound) => "Out",
            };
            for protocol in PROTOCOLS.into_iter().filter(|id| offers(peer, id)) {
                self.connected.get_or_create(&ByProtocol { direction, protocol }).inc();
            }
            for topic in &peer.relay_topics {
                if let Ok(shard) = topic.parse::<Shard>()
                    && shard.cluster == cluster
                {
                    self.per_shard.get_or_create(&ByShard { shard: shard.index }).inc();
                }
            }
            let agent = agent_name(peer.agent.as_deref());
            let agent = if agents.contains_key(&agent) || agents.len() < MAX_AGENTS {
                agent
            } else {
                OTHER.to_owned()
            };
            *agents.entry(agent).or_default() += 1;
        }
        for (agent, count) in agents {
            self.per_agent.get_or_create(&ByAgent { agent }).set(count);
        }
        let offering = |id: &str| {
            amount(
                peers
                    .iter()
                    .filter(|peer| peer.direction.is_some() && offers(peer, id))
                    .count(),
            )
        };
        self.store.set(offering(PROTOCOLS[1]));
        self.filter.set(offering(PROTOCOLS[2]));
        self.light_push.set(offering(PROTOCOLS[3]));
        self.peer_exchange.set(offering(PROTOCOLS[5]));
    }

    fn set_archive(&self, stats: &archive::Stats) {
        let amount = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.archived
            .get_or_create(&Kind { r#type: "stored" })
            .set(amount(stats.envelopes));
        self.archive_bytes.set(amount(stats.bytes));
        self.archive_segments.set(amount(stats.segments));
        self.archive_newer.set(amount(stats.newer_segments));
        let counters = &stats.counters;
        self.archive_quarantined.set(amount(counters.quarantined));
        self.archive_written.set(amount(counters.written_bytes));
        self.archive_written_last_day.set(amount(stats.written_bytes_last_day));
        self.archive_payload.set(amount(counters.committed_payload_bytes));
        if counters.committed_payload_bytes > 0 {
            let ratio = counters.written_bytes as f64 / counters.committed_payload_bytes as f64;
            self.archive_write_ratio.set(ratio);
        }
        self.archive_overflowed.set(amount(counters.overflowed));
        self.archive_dropped_early.set(amount(counters.dropped_early_envelopes));
        for (reason, count) in &counters.refused {
            let reason = ByReason {
                reason: reason.to_string(),
            };
            self.archive_refused.get_or_create(&reason).set(amount(*count));
        }
    }

    fn set_process(&self) {
        let Some(usage) = process::Usage::read() else { return };
        self.resident_bytes.set(usage.resident_bytes);
        self.virtual_bytes.set(usage.virtual_bytes);
        self.open_files.set(usage.open_files);
        self.cpu_seconds.set(usage.cpu_seconds);
        self.start_seconds.set(usage.start_seconds);
    }
}

fn offers(peer: &PeerInfo, id: &str) -> bool {
    peer.protocols.iter().any(|protocol| protocol.as_ref() == id)
}

/// What stands before the version, if it is a name at all: a peer can claim whatever it likes.
fn agent_name(agent: Option<&str>) -> String {
    let name = agent.unwrap_or_default().split(['/', ' ']).next().unwrap_or_default();
    let plausible = (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if plausible { name.to_owned() } else { OTHER.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_named_or_other() {
        for (agent, name) in [
            (Some("nwaku/v0.38.1-abc"), "nwaku"),
            (Some("js-waku"), "js-waku"),
            (Some("go-waku v0.9"), "go-waku"),
            (Some(""), "other"),
            (Some("\"} evil 1\n"), "other"),
            (None, "other"),
        ] {
            assert_eq!(agent_name(agent), name);
        }
    }
}
