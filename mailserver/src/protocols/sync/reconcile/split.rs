//! Cuts a range that differs into parts of about as many ids each.
//!
//! A cut lies at the first id of a time, where it needs no hash, unless the part before it starts in that same time;
//! then at the shortest hash between two ids (`wire::ranges` says why). If many ids share one time there may be no such
//! cut; then one before that time makes it possible in the next round.

use super::{IdSet, Scope};
use crate::protocols::sync::ranges::{Content, Fingerprint, Id, Range};

/// How many parts a range is cut into (nwaku cuts into 8).
const PARTS: usize = 16;
/// A part this small is sent as its ids at once: about as many bytes as a fingerprint and a round less.
const FEW: usize = 4;
/// Most parts that a cut range can become.
pub(super) const MAX_PARTS: usize = PARTS + 2;

/// A part while it is counted.
struct Part {
    start: Id,
    fingerprint: Fingerprint,
    count: usize,
    few: Vec<Id>,
    last: Option<Id>,
}

impl Part {
    fn starting(start: Id) -> Self {
        Self {
            start,
            fingerprint: Fingerprint::default(),
            count: 0,
            few: Vec::new(),
            last: None,
        }
    }

    fn add(&mut self, id: Id) {
        self.fingerprint.add(&id.hash);
        self.count += 1;
        if self.count <= FEW {
            self.few.push(id);
        }
        self.last = Some(id);
    }

    fn ending(self, end: Id) -> Range {
        let content = if self.count <= FEW {
            // Who holds nothing wants no answer, only everything.
            Content::Items {
                resolved: self.few.is_empty(),
                ids: self.few,
            }
        } else {
            Content::Fingerprint(self.fingerprint)
        };
        Range { end, content }
    }
}

/// The parts of the range from `start` to before `end`, in which the set holds `count` ids.
pub(super) fn split(set: &IdSet, start: Id, end: Id, scope: &Scope, count: usize) -> Vec<Range> {
    let size = count.div_ceil(PARTS).max(2 * FEW);
    let mut parts = Vec::new();
    let mut part = Part::starting(start);
    for id in set.range(start, end, scope) {
        if part.count >= size
            && let Some(cut) = part.last.and_then(|last| cut_between(part.start, last, id))
        {
            parts.push(std::mem::replace(&mut part, Part::starting(cut)).ending(cut));
        }
        part.add(id);
    }
    if parts.is_empty()
        && let Some(last) = part.last
        && start < Id::at(last.timestamp)
    {
        // Most of it is of one time that the range does not start in.
        let cut = Id::at(last.timestamp);
        let halves = [(start, cut), (cut, end)].map(|(start, end)| {
            let mut part = Part::starting(start);
            set.range(start, end, scope).for_each(|id| part.add(id));
            part.ending(end)
        });
        return halves.into();
    }
    parts.push(part.ending(end));
    parts
}

/// Where a part that starts at `start` may end after `last` and before or at `next`.
fn cut_between(start: Id, last: Id, next: Id) -> Option<Id> {
    if last.timestamp < next.timestamp {
        return Some(Id::at(next.timestamp));
    }
    if start.timestamp != next.timestamp {
        return None;
    }
    let differing = last.hash.0.iter().zip(&next.hash.0).position(|(a, b)| a != b)?;
    let mut cut = Id::at(next.timestamp);
    cut.hash.0[..=differing].copy_from_slice(&next.hash.0[..=differing]);
    Some(cut)
}
