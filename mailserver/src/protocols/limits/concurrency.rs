//! How much work is done at once: so many pieces for all, and fewer for one peer or one address, so that who asks for a lot
//! stands in its own way alone. Whoever finds it full waits a while and is then turned away.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use libp2p::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// `K` is whom a place counts for.
#[derive(Debug)]
pub(crate) struct Places<K = PeerId> {
    total: Arc<Semaphore>,
    each: usize,
    rooms: Mutex<HashMap<K, Weak<Semaphore>>>,
}

/// Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Place {
    _mine: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

impl<K: Copy + Eq + Hash> Places<K> {
    pub(crate) fn new(total: usize, each: usize) -> Self {
        Self {
            total: Arc::new(Semaphore::new(total)),
            each,
            rooms: Mutex::default(),
        }
    }

    /// `None` when there was no room within `patience`.
    pub(crate) async fn enter(&self, whom: K, patience: Duration) -> Option<Place> {
        let room = self.room(whom);
        let both = async {
            let mine = room.acquire_owned().await.ok()?;
            let shared = self.total.clone().acquire_owned().await.ok()?;
            Some(Place {
                _mine: mine,
                _shared: shared,
            })
        };
        tokio::time::timeout(patience, both).await.ok().flatten()
    }

    fn room(&self, whom: K) -> Arc<Semaphore> {
        let mut rooms = self.rooms.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(room) = rooms.get(&whom).and_then(Weak::upgrade) {
            return room;
        }
        rooms.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Semaphore::new(self.each));
        rooms.insert(whom, Arc::downgrade(&room));
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_peer_cannot_take_every_place() {
        let places = Places::new(3, 2);
        let (greedy, other) = (PeerId::random(), PeerId::random());
        let patience = Duration::from_millis(20);
        let first = places.enter(greedy, patience).await.unwrap();
        let _second = places.enter(greedy, patience).await.unwrap();
        assert!(places.enter(greedy, patience).await.is_none());
        let _theirs = places.enter(other, patience).await.unwrap();
        assert!(
            places.enter(other, patience).await.is_none(),
            "all three places are taken"
        );
        drop(first);
        assert!(places.enter(other, patience).await.is_some());
    }
}
