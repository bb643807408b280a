//! How many answers are made and written at once: so many for all, and fewer for one peer, so that a peer that reads
//! slowly stands in its own way alone. Whoever finds it full waits a while and is then turned away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use libp2p::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub(crate) struct Turnstile {
    total: Arc<Semaphore>,
    per_peer: usize,
    peers: Mutex<HashMap<PeerId, Weak<Semaphore>>>,
}

/// Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Passage {
    _mine: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

impl Turnstile {
    pub(crate) fn new(total: usize, per_peer: usize) -> Self {
        Self {
            total: Arc::new(Semaphore::new(total)),
            per_peer,
            peers: Mutex::default(),
        }
    }

    /// `None` when there was no room within `patience`.
    pub(crate) async fn enter(&self, peer: PeerId, patience: Duration) -> Option<Passage> {
        let room = self.room(peer);
        let both = async {
            let mine = room.acquire_owned().await.ok()?;
            let shared = self.total.clone().acquire_owned().await.ok()?;
            Some(Passage {
                _mine: mine,
                _shared: shared,
            })
        };
        tokio::time::timeout(patience, both).await.ok().flatten()
    }

    fn room(&self, peer: PeerId) -> Arc<Semaphore> {
        let mut peers = self.peers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(room) = peers.get(&peer).and_then(Weak::upgrade) {
            return room;
        }
        peers.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Semaphore::new(self.per_peer));
        peers.insert(peer, Arc::downgrade(&room));
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_peer_cannot_take_every_place() {
        let turnstile = Turnstile::new(3, 2);
        let (greedy, other) = (PeerId::random(), PeerId::random());
        let patience = Duration::from_millis(20);
        let first = turnstile.enter(greedy, patience).await.unwrap();
        let _second = turnstile.enter(greedy, patience).await.unwrap();
        assert!(turnstile.enter(greedy, patience).await.is_none());
        let _theirs = turnstile.enter(other, patience).await.unwrap();
        assert!(
            turnstile.enter(other, patience).await.is_none(),
            "all three places are taken"
        );
        drop(first);
        assert!(turnstile.enter(other, patience).await.is_some());
    }
}
