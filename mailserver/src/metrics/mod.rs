//! Prometheus metrics under nwaku's names, so that nwaku's dashboards draw them.
//!
//! Each room counts as things happen; gauges of the present (peers, meshes, memory) are set when somebody
//! asks. Label values come from closed sets or from this node's own configuration; what peers say about themselves is
//! counted under their names only as far as [`MAX_AGENTS`].

#[cfg(test)]
mod golden;
mod names;
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
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    config::MetricsPrefix,
    discovery,
    labels::Kind,
    node::Handle,
    swarm::{Direction, PeerInfo, Status},
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
    archive_unreadable: Gauge,
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
    /// Connected peers that speak relay.
    relay_peers: Gauge,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    open_files: Gauge,
    cpu_seconds: Counter<f64, AtomicU64>,
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

impl Metrics {
    pub fn new(node: Handle, discovery: &discovery::Counters, prefix: MetricsPrefix) -> Arc<Self> {
        let present = Present::default();
        let mut prefixed = Registry::with_prefix(prefix.text());
        let mut plain = Registry::default();
        node.metrics().register(&mut prefixed, &mut plain);
        names::register_present(&mut prefixed, &mut plain, &present);
        names::register_discovery(&mut prefixed, &mut plain, discovery);
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
        let peers = match tokio::time::timeout(TIMEOUT, self.node.swarm().peers()).await {
            Ok(Ok(peers)) => Some(peers),
            // A node that is stopping or stuck: what is known without it is still told.
            Ok(Err(_)) | Err(_) => None,
        };
        let status = self.node.swarm().status().borrow().clone();
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.present.set_status(&status);
        if let Some(peers) = peers {
            self.present.set_peers(self.node.swarm().info().cluster_id, &peers);
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
        self.relay_peers.set(offering(PROTOCOLS[0]));
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
        self.archive_unreadable.set(amount(stats.unreadable_segments));
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
        // Time only grows; clock ticks are coarse, so two scrapes may see the same.
        let grown = usage.cpu_seconds - self.cpu_seconds.get();
        self.cpu_seconds.inc_by(grown.max(0.0));
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
