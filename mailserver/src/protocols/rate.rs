//! `--rate-limit`: so many requests in each period, for all peers together or for each of them.
//!
//! A period begins with the first request after the last one ended, as nwaku's strict token bucket refills.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use libp2p::PeerId;

use crate::node::settings::RateLimit;

/// Peers remembered by a limiter for each peer; when full, those whose period is over are forgotten, and if none is, a
/// new peer has to wait.
const MAX_PEERS: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    spent: u32,
}

impl Window {
    fn take(&mut self, limit: RateLimit, now: Instant) -> bool {
        if now.duration_since(self.began) >= limit.period {
            *self = Self { began: now, spent: 0 };
        }
        let allowed = self.spent < limit.volume;
        self.spent += u32::from(allowed);
        allowed
    }
}

type Windows = Arc<Mutex<HashMap<PeerId, Window>>>;

/// One budget for all peers. Without a limit everything is allowed.
#[derive(Clone, Debug)]
pub(crate) struct Limiter(Option<(RateLimit, Arc<Mutex<Window>>)>);

impl Limiter {
    pub(crate) fn new(limit: Option<RateLimit>) -> Self {
        let window = || {
            Arc::new(Mutex::new(Window {
                began: Instant::now(),
                spent: 0,
            }))
        };
        Self(limit.map(|limit| (limit, window())))
    }

    pub(crate) fn allows(&self) -> bool {
        self.allows_at(Instant::now())
    }

    fn allows_at(&self, now: Instant) -> bool {
        self.0.as_ref().is_none_or(|(limit, window)| {
            window
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .take(*limit, now)
        })
    }
}

/// A budget for each peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerLimiter(Option<(RateLimit, Windows)>);

impl PeerLimiter {
    pub(crate) fn new(limit: Option<RateLimit>) -> Self {
        Self(limit.map(|limit| (limit, Arc::default())))
    }

    pub(crate) fn allows(&self, peer: PeerId) -> bool {
        self.allows_at(peer, Instant::now())
    }

    fn allows_at(&self, peer: PeerId, now: Instant) -> bool {
        let Some((limit, windows)) = &self.0 else { return true };
        let mut windows = windows.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if windows.len() >= MAX_PEERS && !windows.contains_key(&peer) {
            windows.retain(|_, window| now.duration_since(window.began) < limit.period);
            if windows.len() >= MAX_PEERS {
                return false;
            }
        }
        windows
            .entry(peer)
            .or_insert(Window { began: now, spent: 0 })
            .take(*limit, now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMIT: RateLimit = RateLimit {
        volume: 3,
        period: Duration::from_secs(60),
    };

    #[test]
    fn a_period_has_its_volume_and_no_more() {
        let limiter = Limiter::new(Some(LIMIT));
        let start = Instant::now();
        let allowed = |secs: u64| limiter.allows_at(start + Duration::from_secs(secs));
        assert_eq!([1, 2, 3, 4, 59].map(allowed), [true, true, true, false, false]);
        assert_eq!([61, 62, 63, 64].map(allowed), [true, true, true, false]);
        let unlimited = Limiter::new(None);
        assert!((0..1000).all(|_| unlimited.allows()));
    }

    #[test]
    fn peers_do_not_share_a_budget_and_memory_is_bounded() {
        let limiter = PeerLimiter::new(Some(LIMIT));
        let now = Instant::now();
        let [a, b] = [PeerId::random(), PeerId::random()];
        assert_eq!(
            [a; 4].map(|peer| limiter.allows_at(peer, now)),
            [true, true, true, false]
        );
        assert!(limiter.allows_at(b, now));
        let crowd = (0..2 * MAX_PEERS)
            .filter(|_| limiter.allows_at(PeerId::random(), now))
            .count();
        assert_eq!(crowd, MAX_PEERS - 2);
        assert!(limiter.allows_at(PeerId::random(), now + LIMIT.period));
    }
}
