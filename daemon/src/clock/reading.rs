//! What two clocks show at one moment: the one that only goes on, and the one that says the time of day.

use std::time::Duration;

/// Larger differences between the wall clock and the monotonic one are leaps; slewing stays far below.
const LEAP: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    pub(super) mono: Duration,
    pub(super) wall_ns: i64,
    pub(super) synchronised: bool,
}

impl Reading {
    pub(super) fn at(mono: Duration, wall_ns: i64) -> Reading {
        Reading {
            mono,
            wall_ns,
            synchronised: true,
        }
    }

    /// What a clock that goes evenly shows then.
    pub(super) fn expected_at(&self, mono: Duration) -> i64 {
        let span_ns = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        self.wall_ns
            .saturating_add(span_ns(mono.saturating_sub(self.mono)))
            .saturating_sub(span_ns(self.mono.saturating_sub(mono)))
    }

    /// Whether the wall clock went on evenly from here to `later`.
    pub(super) fn leads_to(&self, later: &Reading) -> bool {
        let expected_ns = self.expected_at(later.mono);
        u128::from(expected_ns.abs_diff(later.wall_ns)) <= LEAP.as_nanos()
    }
}
