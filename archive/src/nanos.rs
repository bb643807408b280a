//! Times: nanoseconds since the Unix epoch.

/// Of a second.
pub(crate) const NANOS: i64 = 1_000_000_000;
