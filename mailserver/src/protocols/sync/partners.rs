//! With whom there is a session now, and with whom there was one lately: from them envelopes are taken.
//!
//! Two nodes that start a session with each other at the same moment would find and send everything twice. So the one
//! that the peer with the smaller id started goes on, and both know which that is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use libp2p::PeerId;

/// nwaku sends what it found one by one, long after the session.
const GRACE: Duration = Duration::from_secs(300);
/// Peers remembered; beyond it nobody new may start a session.
const MAX_PARTNERS: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Starts,
    Answers,
}

#[derive(Debug, Default)]
struct Partner {
    starts: bool,
    answers: bool,
    last: Option<Instant>,
}

impl Partner {
    fn running(&mut self, side: Side) -> &mut bool {
        match side {
            Side::Starts => &mut self.starts,
            Side::Answers => &mut self.answers,
        }
    }

    fn is_current(&self) -> bool {
        self.starts || self.answers || self.last.is_some_and(|last| last.elapsed() < GRACE)
    }
}

#[derive(Debug)]
pub(super) struct Partners {
    own: PeerId,
    known: Arc<Mutex<HashMap<PeerId, Partner>>>,
}

/// A session; dropping it ends it.
#[derive(Debug)]
pub(super) struct Running {
    peer: PeerId,
    side: Side,
    known: Arc<Mutex<HashMap<PeerId, Partner>>>,
}

impl Partners {
    pub(super) fn new(own: PeerId) -> Self {
        Self {
            own,
            known: Arc::default(),
        }
    }

    /// `None` when there is a session with the peer that goes before this one, or too many peers are remembered.
    pub(super) fn begin(&self, peer: PeerId, side: Side) -> Option<Running> {
        let mut known = lock(&self.known);
        known.retain(|_, partner| partner.is_current());
        if known.len() >= MAX_PARTNERS && !known.contains_key(&peer) {
            return None;
        }
        let partner = known.entry(peer).or_default();
        let free = match side {
            Side::Starts => !partner.starts && !partner.answers,
            Side::Answers => !partner.answers && (!partner.starts || peer < self.own),
        };
        free.then(|| {
            *partner.running(side) = true;
            Running {
                peer,
                side,
                known: self.known.clone(),
            }
        })
    }

    /// Whether envelopes may come from this peer.
    pub(super) fn expects(&self, peer: &PeerId) -> bool {
        lock(&self.known).get(peer).is_some_and(Partner::is_current)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(partner) = lock(&self.known).get_mut(&self.peer) {
            *partner.running(self.side) = false;
            partner.last = Some(Instant::now());
        }
    }
}

fn lock(known: &Mutex<HashMap<PeerId, Partner>>) -> MutexGuard<'_, HashMap<PeerId, Partner>> {
    known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_sessions_started_at_once_both_sides_keep_the_same() {
        let mut peers = [PeerId::random(), PeerId::random()];
        peers.sort();
        let [small, large] = peers;
        let (at_small, at_large) = (Partners::new(small), Partners::new(large));
        let _started = at_small.begin(large, Side::Starts).unwrap();
        let _doomed = at_large.begin(small, Side::Starts).unwrap();
        assert!(at_small.begin(large, Side::Answers).is_none());
        let _answered = at_large.begin(small, Side::Answers).unwrap();
    }

    #[test]
    fn one_session_a_peer_and_its_envelopes_for_a_while_after() {
        let partners = Partners::new(PeerId::random());
        let (peer, other) = (PeerId::random(), PeerId::random());
        assert!(!partners.expects(&peer));
        let running = partners.begin(peer, Side::Answers).unwrap();
        assert!(partners.begin(peer, Side::Answers).is_none());
        assert!(partners.begin(peer, Side::Starts).is_none());
        assert!(partners.begin(other, Side::Starts).is_some());
        assert!(partners.expects(&peer));
        drop(running);
        assert!(partners.expects(&peer));
        assert!(partners.begin(peer, Side::Starts).is_some());
        assert!(!partners.expects(&PeerId::random()));
    }

    #[test]
    fn partners_are_bounded() {
        let partners = Partners::new(PeerId::random());
        for _ in 0..MAX_PARTNERS {
            assert!(partners.begin(PeerId::random(), Side::Answers).is_some());
        }
        assert!(partners.begin(PeerId::random(), Side::Answers).is_none());
    }
}
