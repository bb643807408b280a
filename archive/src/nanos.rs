//! Times: nanoseconds since the Unix epoch.
//!
//! A span of time is a [`Duration`]; the two are told apart by their types, and seconds from nanoseconds by the names of
//! the functions that turn one into the other. Nothing overflows: what lies beyond the range is its end.

use std::fmt;
use std::time::Duration;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// A time, in nanoseconds since the Unix epoch: negative before it, from the year 1677 to 2262.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(i64);

impl Nanos {
    /// Before every time.
    pub const MIN: Nanos = Nanos(i64::MIN);
    /// 1 January 1970.
    pub const EPOCH: Nanos = Nanos(0);
    /// After every time.
    pub const MAX: Nanos = Nanos(i64::MAX);

    /// So many nanoseconds since the Unix epoch.
    pub const fn new(nanos: i64) -> Nanos {
        Nanos(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The first nanosecond of a second; the nearest time there is for a second beyond the range.
    pub const fn from_secs(secs: i64) -> Nanos {
        Nanos(secs.saturating_mul(SECOND))
    }

    /// The second that it is in: rounded towards the past, also before the epoch.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// What is so much later, or the end of time.
    pub fn later(self, by: Duration) -> Nanos {
        Nanos(self.0.saturating_add_unsigned(nanos_of(by)))
    }

    /// What is so much earlier, or the beginning of time.
    pub fn earlier(self, by: Duration) -> Nanos {
        Nanos(self.0.saturating_sub_unsigned(nanos_of(by)))
    }

    /// How long ago `past` was; `None` when that is still to come.
    pub fn since(self, past: Nanos) -> Option<Duration> {
        (past <= self).then(|| Duration::from_nanos(self.0.abs_diff(past.0)))
    }

    /// The beginning of the slice of so many seconds that it is in; slices are counted from the epoch.
    pub(crate) const fn slice_start(self, slice_secs: i64) -> Nanos {
        Nanos::from_secs(self.secs().div_euclid(slice_secs).saturating_mul(slice_secs))
    }

    /// The next one.
    pub(crate) const fn next(self) -> Nanos {
        Nanos(self.0.saturating_add(1))
    }
}

/// Of a span that is longer than any two times are apart, as much as they are.
fn nanos_of(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl From<i64> for Nanos {
    fn from(nanos: i64) -> Nanos {
        Nanos(nanos)
    }
}

impl From<Nanos> for i64 {
    fn from(time: Nanos) -> i64 {
        time.0
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns", self.0)
    }
}

impl ToSql for Nanos {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for Nanos {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Nanos> {
        i64::column_result(value).map(Nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_time_are_reached_and_not_passed() {
        let year = Duration::from_secs(365 * 86_400);
        for (found, expected) in [
            (Nanos::from_secs(2), Nanos(2_000_000_000)),
            (Nanos::from_secs(i64::MAX), Nanos::MAX),
            (Nanos::from_secs(i64::MIN), Nanos::MIN),
            (Nanos::MAX.later(year), Nanos::MAX),
            (Nanos::MIN.earlier(Duration::MAX), Nanos::MIN),
            (Nanos::MAX.earlier(Duration::MAX), Nanos::MIN),
            (Nanos::MIN.later(Duration::from_nanos(u64::MAX)), Nanos::MAX),
            (Nanos::MAX.next(), Nanos::MAX),
        ] {
            assert_eq!(found, expected);
        }
        for (nanos, secs) in [(0, 0), (999_999_999, 0), (1_000_000_000, 1), (-1, -1)] {
            assert_eq!(Nanos(nanos).secs(), secs, "{nanos}");
        }
        assert_eq!(Nanos::MAX.since(Nanos::MIN), Some(Duration::from_nanos(u64::MAX)));
        assert_eq!(Nanos(1).since(Nanos(2)), None);
        assert_eq!(Nanos(2).since(Nanos(2)), Some(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn what_is_later_by_a_span_was_that_span_ago(at: i64, span: u64) {
            let (at, span) = (Nanos(at), Duration::from_nanos(span));
            let later = at.later(span);
            prop_assert!(later >= at && at.earlier(span) <= at);
            if later < Nanos::MAX {
                prop_assert_eq!(later.since(at), Some(span));
            }
            prop_assert!(Nanos::from_secs(at.secs()) <= at || at.secs() == i64::MIN / SECOND - 1);
        }
    }
}
