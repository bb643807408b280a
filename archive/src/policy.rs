//! The `policy` file: all that the daemon tells whoever writes the archive, in one small JSON file in the archive's
//! directory that is replaced atomically. Without the file (a mailserver run alone) the mailserver prunes by itself.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub retention_secs: u64,
    /// Whether the system clock may be believed: then the cut-off is now − retention, and live ingest refuses what is
    /// more than 20 s from now. Untrusted, nothing is pruned and arrivals go to a provisional segment.
    pub clock_trusted: bool,
    /// The last cut-off that was computed with a trusted clock, nanoseconds since the Unix epoch: nothing older is
    /// ever served, even while the clock is not trusted.
    pub cutoff: Option<i64>,
    pub disk: DiskStage,
    pub quota_bytes: Option<u64>,
}

/// The disk ladder's step (with hysteresis, decided by the daemon).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskStage {
    Fine,
    Warn,
    /// The oldest segments are dropped before their time.
    DropOldest,
    /// Nothing more is stored; relay goes on.
    ReadOnly,
}
