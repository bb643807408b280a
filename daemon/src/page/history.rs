//! The last 24 hours as the page draws them: envelopes that came in by the hour, and the archive's size by the quarter.
//!
//! Made of nothing but the snapshots that pass by, so it begins when the daemon does, and a time that was not seen is a
//! gap, not a zero. Bounded: 24 hours and 97 sizes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::snapshot::Snapshot;

pub(super) const HOURS: usize = 24;
const HOUR: Duration = Duration::from_secs(3600);
const SAMPLE: Duration = Duration::from_secs(900);
/// One more than fit in 24 hours, so that the line reaches both edges.
const SAMPLES: usize = 97;

pub(super) struct History {
    start: Instant,
    /// Envelopes by hour, the oldest first; the last one is hour `hour`.
    hours: VecDeque<u64>,
    hour: u64,
    /// What had come in by the last snapshot: kept and removed together. `None` until the archive was counted.
    counted: Option<u64>,
    sizes: VecDeque<(Instant, u64)>,
}

impl History {
    pub(super) fn new(now: Instant) -> History {
        History {
            start: now,
            hours: VecDeque::from([0]),
            hour: 0,
            counted: None,
            sizes: VecDeque::new(),
        }
    }

    pub(super) fn see(&mut self, snapshot: &Snapshot, now: Instant) {
        let hour = now.saturating_duration_since(self.start).as_secs() / HOUR.as_secs();
        // A suspended machine leaves hours that nobody counted; more than the ring holds are not worth the loop.
        for _ in 0..(hour - self.hour.min(hour)).min(HOURS as u64) {
            self.hours.push_back(0);
        }
        self.hour = self.hour.max(hour);
        while self.hours.len() > HOURS {
            self.hours.pop_front();
        }
        if let Some(envelopes) = snapshot.archive.envelopes {
            let counted = envelopes.saturating_add(snapshot.archive.pruned_total);
            if let (Some(before), Some(last)) = (self.counted, self.hours.back_mut()) {
                // Less than before: a file was set aside.
                *last += counted.saturating_sub(before);
            }
            self.counted = Some(counted);
        }
        if let Some(bytes) = snapshot.archive.bytes
            && self
                .sizes
                .back()
                .is_none_or(|(at, _)| now.saturating_duration_since(*at) >= SAMPLE)
        {
            self.sizes.push_back((now, bytes));
            while self.sizes.len() > SAMPLES {
                self.sizes.pop_front();
            }
        }
    }

    /// Envelopes by hour, the present one last; `None` for hours before the daemon's start, and for all of them until
    /// the archive was counted once.
    pub(super) fn by_hour(&self) -> [Option<u64>; HOURS] {
        let mut out = [None; HOURS];
        if self.counted.is_some() {
            for (slot, count) in out.iter_mut().rev().zip(self.hours.iter().rev()) {
                *slot = Some(*count);
            }
        }
        out
    }

    /// The archive's size by time before `now`, the oldest first, and at last the present one.
    pub(super) fn sizes(&self, now: Instant, present: Option<u64>) -> Vec<(Duration, u64)> {
        let past = self
            .sizes
            .iter()
            .map(|(at, bytes)| (now.saturating_duration_since(*at), *bytes));
        past.chain(present.map(|bytes| (Duration::ZERO, bytes))).collect()
    }

    pub(super) fn seen_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(envelopes: Option<u64>, pruned_total: u64, bytes: Option<u64>) -> Snapshot {
        let mut snapshot = Snapshot::at_start("dev");
        snapshot.archive.envelopes = envelopes;
        snapshot.archive.pruned_total = pruned_total;
        snapshot.archive.bytes = bytes;
        snapshot
    }

    #[test]
    fn counts_what_came_in_whether_it_was_removed_or_not() {
        let start = Instant::now();
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let mut history = History::new(start);
        history.see(&snapshot(None, 0, None), at(0));
        assert_eq!(history.by_hour(), [None; HOURS], "nothing counted is not zero");
        history.see(&snapshot(Some(500), 0, None), at(1));
        assert_eq!(
            history.by_hour()[23],
            Some(0),
            "what was there at the start did not come in now"
        );
        history.see(&snapshot(Some(510), 0, None), at(2));
        history.see(&snapshot(Some(505), 25, None), at(3));
        assert_eq!(history.by_hour()[23], Some(30));
        history.see(&snapshot(Some(506), 25, None), at(61));
        assert_eq!(history.by_hour()[22..], [Some(30), Some(1)]);
        history.see(&snapshot(Some(100), 25, None), at(62));
        history.see(&snapshot(Some(101), 25, None), at(63));
        assert_eq!(history.by_hour()[23], Some(2), "a file set aside takes nothing away");
        history.see(&snapshot(Some(101), 25, None), at(60 * 100));
        assert_eq!(history.by_hour(), [Some(0); HOURS]);
    }

    #[test]
    fn sizes_are_sampled_and_bounded() {
        let start = Instant::now();
        let mut history = History::new(start);
        for minute in 0..3 * 24 * 60 {
            history.see(
                &snapshot(Some(0), 0, Some(minute)),
                start + Duration::from_secs(60 * minute),
            );
        }
        let sizes = history.sizes(start + Duration::from_secs(60 * 3 * 24 * 60), Some(7));
        assert_eq!(sizes.len(), SAMPLES + 1);
        assert_eq!(sizes.last(), Some(&(Duration::ZERO, 7)));
        assert!(sizes.windows(2).all(|pair| pair[0].0 > pair[1].0));
    }
}
