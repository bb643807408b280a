//! `--rate-limit`: so many requests in each period, for all peers together, and of that a share for each of them.
//!
//! A period begins with the first request after the last one ended, as nwaku's strict token bucket refills. Under a
//! limit for all, no peer gets more than three quarters of it (nwaku `rate_limit/request_limiter.nim`): one that asks
//! without end leaves room for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use libp2p::PeerId;

use crate::protocols::metrics::{ByService, Metrics};
use crate::settings::RateLimit;

/// Peers remembered by a limiter for each peer; when full, those whose period is over are forgotten, and if none is, a
/// new peer has to wait.
const MAX_PEERS: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    spent: u32,
}

impl Window {
    fn has_room(&mut self, limit: RateLimit, now: Instant) -> bool {
        if now.duration_since(self.began) >= limit.period {
            *self = Self { began: now, spent: 0 };
        }
        self.spent < limit.volume
    }

    fn take(&mut self, limit: RateLimit, now: Instant) -> bool {
        let allowed = self.has_room(limit, now);
        self.spent += u32::from(allowed);
        allowed
    }
}

type Windows = Arc<Mutex<HashMap<PeerId, Window>>>;

/// One budget for all peers, and a share of it for each. Without a limit everything is allowed.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    all: Option<(RateLimit, Arc<Mutex<Window>>)>,
    each: PeerLimiter,
}

impl Limiter {
    /// Says the limit under `service_requests_limit` too.
    pub(crate) fn new(limit: Option<RateLimit>, service: &'static str, metrics: &Metrics) -> Self {
        if let Some(limit) = limit {
            let a_second = f64::from(limit.volume) / limit.period.as_secs_f64();
            metrics.limit.get_or_create(&ByService { service }).set(a_second);
        }
        Self::of(limit)
    }

    fn of(limit: Option<RateLimit>) -> Self {
        let window = || {
            Arc::new(Mutex::new(Window {
                began: Instant::now(),
                spent: 0,
            }))
        };
        Self {
            all: limit.map(|limit| (limit, window())),
            each: PeerLimiter::new(limit.map(share)),
        }
    }

    pub(crate) fn allows(&self, peer: PeerId) -> bool {
        self.allows_at(peer, Instant::now())
    }

    /// A refused request costs neither budget anything.
    fn allows_at(&self, peer: PeerId, now: Instant) -> bool {
        let Some((limit, window)) = &self.all else { return true };
        let mut window = window.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        window.has_room(*limit, now) && self.each.allows_at(peer, now) && window.take(*limit, now)
    }
}

/// What one peer may have of a limit: three quarters, as in nwaku (`PER_PEER_ALLOWED_PERCENT_OF_VOLUME`), but of each
/// period, since here nothing is saved up for a burst.
fn share(limit: RateLimit) -> RateLimit {
    let volume = u64::from(limit.volume) * 3 / 4;
    RateLimit {
        volume: u32::try_from(volume).unwrap_or(u32::MAX).max(1),
        period: limit.period,
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
        let limiter = Limiter::of(Some(LIMIT));
        let start = Instant::now();
        let allowed = |secs: u64| limiter.allows_at(PeerId::random(), start + Duration::from_secs(secs));
        assert_eq!([1, 2, 3, 4, 59].map(allowed), [true, true, true, false, false]);
        assert_eq!([61, 62, 63, 64].map(allowed), [true, true, true, false]);
        let unlimited = Limiter::of(None);
        let peer = PeerId::random();
        assert!((0..1000).all(|_| unlimited.allows(peer)));
    }

    #[test]
    fn a_greedy_peer_leaves_room_for_others() {
        for (volume, expected) in [(1, 1), (2, 1), (4, 3), (100, 75), (u32::MAX, 3_221_225_471)] {
            assert_eq!(share(RateLimit { volume, ..LIMIT }).volume, expected);
        }
        let limiter = Limiter::of(Some(LIMIT));
        let start = Instant::now();
        let greedy = PeerId::random();
        for minute in 0..3 {
            let now = start + Duration::from_secs(60 * minute);
            let taken = (0..10).filter(|_| limiter.allows_at(greedy, now)).count();
            assert_eq!(taken, 2, "two of three in minute {minute}");
            assert!(limiter.allows_at(PeerId::random(), now), "and one for others");
            assert!(!limiter.allows_at(PeerId::random(), now));
        }
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
