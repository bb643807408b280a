//! Cursors given out lately, so that paging survives the removal of the cursor's own envelope.

use std::collections::{HashMap, VecDeque};

use crate::envelope::MessageHash;
use crate::nanos::Nanos;
use crate::order::Key;

/// The cursors given out last: one stays good when its envelope has been removed meanwhile.
#[derive(Default)]
pub(crate) struct Cursors {
    times: HashMap<MessageHash, Nanos>,
    order: VecDeque<MessageHash>,
}

/// How many cursors are remembered.
const CURSORS: usize = 4096;

impl Cursors {
    pub(crate) fn remember(&mut self, key: Key) {
        if self.times.insert(key.hash, key.timestamp).is_none() {
            self.order.push_back(key.hash);
            if self.order.len() > CURSORS
                && let Some(oldest) = self.order.pop_front()
            {
                self.times.remove(&oldest);
            }
        }
    }

    pub(crate) fn recall(&self, hash: &MessageHash) -> Option<Key> {
        self.times.get(hash).map(|&timestamp| Key { timestamp, hash: *hash })
    }
}
