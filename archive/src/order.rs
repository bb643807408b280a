//! The order of every page, (timestamp, hash), and the part of it that a query asks for.

use crate::envelope::MessageHash;
use crate::nanos::Nanos;
use crate::query::{Direction, Query};

/// An envelope's place in the order of every page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) timestamp: Nanos,
    pub(crate) hash: MessageHash,
}

/// The part of the order that a page may come from, and from which end of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Inclusive, both.
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    pub(crate) direction: Direction,
    /// Exclusive: the cursor of a forward query.
    pub(crate) after: Option<Key>,
    /// Exclusive: the cursor of a backward query.
    pub(crate) before: Option<Key>,
}

impl Span {
    pub(crate) fn of(query: &Query, cutoff: Nanos, cursor: Option<Key>) -> Span {
        let (after, before) = match query.direction {
            Direction::Forward => (cursor, None),
            Direction::Backward => (None, cursor),
        };
        Span {
            start: query.time_start.map_or(Nanos::MIN, Nanos::new).max(cutoff),
            end: query.time_end.map_or(Nanos::MAX, Nanos::new),
            direction: query.direction,
            after,
            before,
        }
    }

    pub(crate) fn admits(&self, key: &Key) -> bool {
        self.start <= key.timestamp
            && key.timestamp <= self.end
            && self.after.is_none_or(|after| *key > after)
            && self.before.is_none_or(|before| *key < before)
    }

    /// The first and the last (timestamp, rank) that can be admitted.
    pub(crate) fn bounds(&self) -> ((Nanos, u64), (Nanos, u64)) {
        let place = |key: Key| (key.timestamp, key.hash.rank());
        let first = (self.start, 0).max(self.after.map_or((Nanos::MIN, 0), place));
        let last = (self.end, u64::MAX).min(self.before.map_or((Nanos::MAX, u64::MAX), place));
        (first, last)
    }

    /// Whether anything between `oldest` and `newest` (inclusive) can be admitted.
    pub(crate) fn touches(&self, oldest: Nanos, newest: Nanos) -> bool {
        let (first, last) = self.bounds();
        first <= last && oldest <= last.0 && first.0 <= newest
    }
}
