//! Store sync: reconciliation 1.0.0 finds what two stores lack of each other's recent past, transfer 1.0.0 brings it
//! (WAKU-SYNC; nwaku `waku_store_sync`).
//!
//! Whoever starts a session compares what is older than the relay jitter and not older than the range before that; who
//! answers compares a little more, so that two clocks need not agree to the second. What one side lacks is sent at once,
//! while the comparison goes on, on a transfer stream that the sender opens.
//!
//! Invariants: one session a peer and direction, few altogether, each bounded in rounds, bytes and time. Envelopes are
//! taken from peers alone with whom there is a session or was one a few minutes ago, and each is judged like one that
//! resume fetched, besides that its time must be in the range. What peers agree on is trusted no further: ids that are
//! made up cost a look-up, envelopes that are not wanted are counted, and too many of them end their stream.

pub mod counters;
mod ids;
mod partners;
mod reconciliation;
mod transfer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libp2p::PeerId;

pub(crate) use self::ids::Ids;
use self::partners::Partners;
use super::turnstile::Turnstile;
use crate::archivist::Archivist;
use crate::clock;
use crate::counters::Counters;
use crate::intake::gate::Gate;
use crate::node::Handle;
use crate::node::settings::SyncSettings;
use crate::reconcile::{Limits, Session};

/// What one session may cost this side.
const LIMITS: Limits = Limits {
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
pub(crate) struct Server(Arc<Inner>);

struct Inner {
    handle: Handle,
    archivist: Archivist,
    ids: Ids,
    settings: SyncSettings,
    gate: Gate,
    filled: AtomicBool,
    partners: Partners,
    sessions: Turnstile,
    transfers: Turnstile,
}

impl Server {
    pub(crate) fn new(handle: Handle, archivist: Archivist, ids: Ids, settings: SyncSettings, gate: Gate) -> Self {
        let own = handle.info().peer_id;
        Self(Arc::new(Inner {
            handle,
            archivist,
            ids,
            settings,
            gate,
            filled: AtomicBool::new(false),
            partners: Partners::new(own),
            sessions: Turnstile::new(MAX_SESSIONS, 1),
            transfers: Turnstile::new(MAX_TRANSFERS, 1),
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
    fn is_ready(&self) -> bool {
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
    fn opening(&self) -> (Session, i64) {
        let settings = &self.0.settings;
        let floor = self.floor_of(settings.range + settings.jitter);
        let end = before(clock::now_nanos(), settings.jitter);
        (Session::new(floor, LIMITS), end)
    }

    fn counters(&self) -> &Counters {
        self.0.handle.counters()
    }

    fn partner(&self, peer: &PeerId) -> bool {
        self.0.partners.expects(peer)
    }
}

fn before(now: i64, age: Duration) -> i64 {
    now.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}
