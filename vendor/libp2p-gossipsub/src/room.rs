//! Bytes that are held for peers, counted while they are held.
//!
//! Not in the published crate, whose queues are bounded in messages.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What may be held for one peer, and for all peers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// Bytes for one peer. One thing always finds room, however large it is.
    pub per_peer: usize,
    /// Bytes for all peers together. Past it a peer gets no more than [`RoomLimits::share`].
    pub total: usize,
    /// Bytes that a peer may have when there are no more for all.
    pub share: usize,
}

/// The bytes of all peers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Building(Arc<AtomicUsize>);

/// The bytes of one peer. Clones are the same floor: a peer's connections share it.
#[derive(Clone, Debug)]
pub(crate) struct Floor {
    limits: RoomLimits,
    held: Arc<AtomicUsize>,
    building: Building,
}

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: usize,
    floor: Floor,
}

impl Building {
    pub(crate) fn floor(&self, limits: RoomLimits) -> Floor {
        Floor {
            limits,
            held: Arc::default(),
            building: self.clone(),
        }
    }
}

impl Floor {
    /// Room for so many bytes, if they may be held.
    pub(crate) fn take(&self, bytes: usize) -> Option<Room> {
        let held = self.held.load(Ordering::Relaxed);
        if held > 0 && !self.fits(held + bytes) {
            return None;
        }
        Some(self.occupy(bytes))
    }

    /// Whether a peer that has so many bytes in all is within its limits.
    fn fits(&self, bytes: usize) -> bool {
        let all = self.building.0.load(Ordering::Relaxed);
        bytes <= self.limits.share
            || (bytes <= self.limits.per_peer && all <= self.limits.total)
    }

    /// Room that is taken anyway, empty to begin with.
    pub(crate) fn empty(&self) -> Room {
        self.occupy(0)
    }

    fn occupy(&self, bytes: usize) -> Room {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.building.0.fetch_add(bytes, Ordering::Relaxed);
        Room {
            bytes,
            floor: self.clone(),
        }
    }
}

impl Room {
    /// Holds so many bytes from now on.
    pub(crate) fn resize(&mut self, bytes: usize) {
        if bytes != self.bytes {
            *self = self.floor.occupy(bytes);
        }
    }

    /// Whether more may come in than what is held now.
    pub(crate) fn may_grow(&self) -> bool {
        self.bytes == 0 || self.floor.fits(self.bytes)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.floor.held.fetch_sub(self.bytes, Ordering::Relaxed);
        self.floor.building.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RoomLimits = RoomLimits {
        per_peer: 100,
        total: 250,
        share: 10,
    };

    #[test]
    fn a_peer_has_its_limit_and_one_thing_always_fits() {
        let floor = Building::default().floor(LIMITS);
        let large = floor.take(1000).unwrap();
        assert!(floor.take(1).is_none());
        drop(large);
        let _first = floor.take(60).unwrap();
        assert!(floor.take(60).is_none());
        let _second = floor.clone().take(40).unwrap();
        assert!(floor.take(1).is_none());
    }

    #[test]
    fn all_together_have_a_limit_and_nobody_is_locked_out() {
        let building = Building::default();
        let full: Vec<_> = (0..3)
            .map(|_| building.floor(LIMITS).take(100).unwrap())
            .collect();
        let floor = building.floor(LIMITS);
        let _first = floor.take(6).unwrap();
        let _second = floor.take(4).unwrap();
        assert!(floor.take(6).is_none());
        drop(full);
        assert!(floor.take(6).is_some());
    }

    #[test]
    fn what_comes_in_is_counted_as_it_grows() {
        let building = Building::default();
        let mut room = building.floor(LIMITS).empty();
        assert!(room.may_grow());
        room.resize(99);
        assert!(room.may_grow());
        room.resize(101);
        assert!(!room.may_grow());
        room.resize(0);
        assert_eq!(building.0.load(Ordering::Relaxed), 0);
    }
}
