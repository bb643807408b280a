//! What rooms count with: the labels that more than one of them uses, and how a room's metrics get their names.
//!
//! Each room has a struct of its metrics and registers it under nwaku's names. A metric is a shared atomic: the code that
//! sees the event adds, and nobody but `metrics` reads. Nothing locks or allocates on the hot path except the first time a
//! label is seen. Every label value comes from a closed set or from this node's configuration, never from a peer.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

/// `type="…"`: an error's or an event's kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    pub r#type: &'static str,
}

/// `shard="…"`: a pubsub topic, or a shard's number where nwaku has that.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByShard {
    pub shard: String,
}

/// A gauge of seconds or of another fraction.
pub type Level = Gauge<f64, AtomicU64>;
/// Histograms by label.
pub type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// nwaku's buckets for what services do (`common/rate_limit/service_metrics.nim`).
pub(crate) const SERVICE_SECONDS: [f64; 17] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0,
];

/// A histogram of [`SERVICE_SECONDS`].
pub(crate) fn service_seconds() -> Histogram {
    Histogram::new(SERVICE_SECONDS)
}

/// Adds one under `type=kind`.
pub fn count(family: &Family<Kind, Counter>, kind: &'static str) {
    family.get_or_create(&Kind { r#type: kind }).inc();
}

/// Registers clones of metrics, each under its name with its help; a metric's clone is the metric.
macro_rules! register {
    ($registry:expr; $($name:literal $help:literal = $metric:expr;)+) => {
        $($registry.register($name, $help, $metric.clone());)+
    };
}
pub(crate) use register;
