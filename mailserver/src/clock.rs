//! The only place that reads the wall clock.

#![expect(clippy::disallowed_methods, reason = "the room that reads the time of day")]

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch, as envelopes are stamped. A clock set before 1970 reads as 0.
pub fn now_nanos() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
