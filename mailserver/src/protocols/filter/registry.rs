//! Who is subscribed to what, and each one's queue.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use libp2p::PeerId;

use super::queue::{Entrance, Queue, Queues};
use super::subscriptions::{Criterion, Subscriptions};
use crate::settings::FilterLimits;

/// The subscriptions, shared by those who ask and those who deliver. Its lock is never held across an await.
#[derive(Clone)]
pub struct Registry {
    book: Arc<Mutex<Subscriptions<Entrance>>>,
    pub(super) queues: Queues,
}

impl Registry {
    pub(crate) fn new(limits: FilterLimits) -> Self {
        Self {
            book: Arc::new(Mutex::new(Subscriptions::new(limits))),
            queues: Queues::default(),
        }
    }

    /// Every subscriber and what it asked for.
    pub fn list(&self) -> Vec<(PeerId, Vec<Criterion>)> {
        self.book().list()
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Subscriptions<Entrance>> {
        self.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn find(&self, pubsub: &str, content: &str, now: Instant) -> Vec<Arc<Queue>> {
        self.book()
            .find(pubsub, content, now)
            .map(|(_, Entrance(queue))| queue.clone())
            .collect()
    }

    /// Forgets a subscriber whose queue this is: it has ended. One that came back has another.
    pub(super) fn forget(&self, peer: PeerId, queue: &Arc<Queue>) -> usize {
        let mut book = self.book();
        if book.queue(peer).is_some_and(|Entrance(open)| Arc::ptr_eq(open, queue)) {
            let _ = book.remove(peer);
        }
        book.len()
    }

    pub(super) fn sweep(&self) -> usize {
        let mut book = self.book();
        book.sweep(Instant::now());
        book.len()
    }
}
