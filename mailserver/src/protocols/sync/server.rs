//! What both protocols of sync share: the set of ids, the partners, and how much of it is done at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libp2p::PeerId;

use super::ids::Ids;
use super::metrics::Metrics;
use super::partners::Partners;
use super::reconcile::{Limits, Session};
use crate::clock;
use crate::intake::archivist::Archivist;
use crate::intake::gate::Gate;
use crate::protocols::limits::concurrency::Places;
use crate::settings::SyncSettings;
use crate::swarm::Handle;

/// What one session may cost this side.
pub(super) const LIMITS: Limits = Limits {
    answer_bytes: 512 << 10,
    envelopes: 50_000,
    rounds: 32,
};
/// How much more who answers compares: what the other clock may be behind.
const SLACK: Duration = Duration::from_secs(60);
/// Sessions and transfers that peers opened and that are served at once; one of each a peer.
const MAX_SESSIONS: usize = 4;
const MAX_TRANSFERS: usize = 8;

/// Both protocols; cheap to clone.
#[derive(Clone)]
pub(crate) struct Server(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) swarm: Handle,
    pub(super) archivist: Archivist,
    ids: Ids,
    settings: SyncSettings,
    pub(super) gate: Gate,
    pub(super) metrics: Metrics,
    filled: AtomicBool,
    pub(super) partners: Partners,
    pub(super) sessions: Places,
    pub(super) transfers: Places,
}

impl Server {
    pub(crate) fn new(
        swarm: Handle,
        archivist: Archivist,
        ids: Ids,
        settings: SyncSettings,
        gate: Gate,
        metrics: Metrics,
    ) -> Self {
        let own = swarm.info().peer_id;
        Self(Arc::new(Inner {
            swarm,
            archivist,
            ids,
            settings,
            gate,
            metrics,
            filled: AtomicBool::new(false),
            partners: Partners::new(own),
            sessions: Places::new(MAX_SESSIONS, 1),
            transfers: Places::new(MAX_TRANSFERS, 1),
        }))
    }

    pub(crate) fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// The ids of what the archive held at the start are in the set now.
    pub(crate) fn filled(&self) {
        self.0.filled.store(true, Ordering::Relaxed);
    }

    /// Before that, or without a clock, this side would claim to lack what it has.
    pub(super) fn is_ready(&self) -> bool {
        self.0.filled.load(Ordering::Relaxed) && self.0.archivist.clock_trusted()
    }

    /// The oldest time that is compared with a peer that started the session; also the oldest that is kept in the set.
    pub(crate) fn floor(&self) -> i64 {
        let settings = &self.0.settings;
        self.floor_of(settings.range + settings.jitter + SLACK)
    }

    fn floor_of(&self, age: Duration) -> i64 {
        before(clock::now_nanos(), age).max(self.0.archivist.cutoff())
    }

    /// A session that this side starts, and the time up to which it compares.
    pub(super) fn opening(&self) -> (Session, i64) {
        let settings = &self.0.settings;
        let floor = self.floor_of(settings.range + settings.jitter);
        let end = before(clock::now_nanos(), settings.jitter);
        (Session::new(floor, LIMITS), end)
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(super) fn partner(&self, peer: &PeerId) -> bool {
        self.0.partners.expects(peer)
    }
}

fn before(now: i64, age: Duration) -> i64 {
    now.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}
