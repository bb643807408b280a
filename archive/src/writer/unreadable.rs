//! Segments that cannot be read just now: which is tried next, and in which the device has failed once.

use std::collections::VecDeque;
use std::time::Duration;

use crate::directory::names::SegmentName;
use crate::nanos::Nanos;

/// Between two tries, each of one segment.
const AGAIN: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Unreadable {
    /// The next to be tried first.
    names: VecDeque<SegmentName>,
    tried_at: Option<Nanos>,
    /// The device failed to read something in these, once.
    suspects: Vec<SegmentName>,
}

impl Unreadable {
    pub(crate) fn names(&self) -> impl Iterator<Item = &SegmentName> {
        self.names.iter()
    }

    pub(crate) fn push(&mut self, name: SegmentName) {
        self.names.push_back(name);
    }

    pub(crate) fn forget(&mut self, name: SegmentName) {
        self.names.retain(|other| *other != name);
        self.suspects.retain(|other| *other != name);
    }

    /// Which one's turn it is.
    pub(crate) fn next(&mut self, now: Nanos) -> Option<SegmentName> {
        let since = self.tried_at.and_then(|at| now.since(at));
        if self.names.is_empty() || since.is_some_and(|since| since < AGAIN) {
            return None;
        }
        self.tried_at = Some(now);
        let next = self.names.pop_front();
        self.names.extend(next);
        next
    }

    /// The device failed to read something in it; whether that is not the first time.
    pub(crate) fn suspect(&mut self, name: SegmentName) -> bool {
        let again = self.suspects.contains(&name);
        if !again {
            self.suspects.push(name);
        }
        again
    }
}
