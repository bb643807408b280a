//! Which times are over: what retention goes by, for segments, for the quarantine and for foreign archives alike.

use crate::nanos::Nanos;

/// Which times are over, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// What is older.
    pub cutoff: i64,
    /// While a leap of the clock has not proved to be right.
    pub leap: Option<Leap>,
}

/// By the clock after its leap only what was made after it is over: what is younger than `since`, and older than `cutoff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leap {
    /// When the leap landed, nanoseconds since the Unix epoch.
    pub since: i64,
    /// By the clock after the leap.
    pub cutoff: i64,
}

impl Over {
    /// Everything older than `cutoff`, by a clock that has not leapt.
    pub fn before(cutoff: impl Into<Nanos>) -> Over {
        Over {
            cutoff: cutoff.into().get(),
            leap: None,
        }
    }

    /// Whether all times of this span are; its end is not one of them.
    pub(crate) fn holds(&self, start: Nanos, end: Nanos) -> bool {
        let (start, end) = (start.get(), end.get());
        end <= self.cutoff || self.leap.is_some_and(|leap| leap.since <= start && end <= leap.cutoff)
    }
}
