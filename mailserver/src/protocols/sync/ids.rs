//! The set of ids that sessions compare, shared between the archive's thread, which adds to it, and the sessions.

use std::sync::{Arc, Mutex, MutexGuard};

use archive::{Envelope, MessageHash};

use super::ranges::Id;
use super::reconcile::IdSet;

/// About 9 MB; an hour of 27 envelopes a second. Beyond it a shorter past is compared.
const MAX_IDS: usize = 100_000;

#[derive(Clone)]
pub(crate) struct Ids(Arc<Mutex<IdSet>>);

impl Ids {
    pub(crate) fn new(pubsub_topics: Vec<String>) -> Self {
        Self(Arc::new(Mutex::new(IdSet::new(pubsub_topics, MAX_IDS))))
    }

    /// The archive has this envelope.
    pub(crate) fn note(&self, envelope: &Envelope, hash: MessageHash) {
        // No time before 1970 can be written on the wire.
        if let timestamp @ 0.. = envelope.timestamp {
            let id = Id { timestamp, hash };
            self.set().insert(id, &envelope.pubsub_topic, &envelope.content_topic);
        }
    }

    /// A comparison takes a few milliseconds: for a thread that may take them.
    pub(super) fn set(&self) -> MutexGuard<'_, IdSet> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
