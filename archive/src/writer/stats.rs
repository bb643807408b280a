//! Counters of the archive, for metrics and for the page.

use std::collections::BTreeMap;
use std::fmt;

use crate::nanos::Nanos;

/// Why an envelope was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Older than the cut-off.
    Expired,
    /// More than 20 s from now into the future.
    Future,
    /// Above its topic's share, and the quota has no room.
    Share,
    /// The policy says that the disk has no room for more.
    ReadOnly,
    /// The disk has no room for it, or what waits to be committed fills its memory already.
    DiskFull,
}

impl Refusal {
    /// Every reason, for metrics that show the absent ones as 0.
    pub const ALL: [Refusal; 5] = [
        Refusal::Expired,
        Refusal::Future,
        Refusal::Share,
        Refusal::ReadOnly,
        Refusal::DiskFull,
    ];
}

impl fmt::Display for Refusal {
    /// The reason as metrics label it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Expired => "expired",
            Refusal::Future => "future",
            Refusal::Share => "share",
            Refusal::ReadOnly => "read_only",
            Refusal::DiskFull => "disk_full",
        })
    }
}

/// Since this writer opened the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Taken in.
    pub stored: u64,
    /// Sent again while kept.
    pub duplicates: u64,
    /// Not taken, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Answered, or answered with an error.
    pub queries: u64,
    /// Transactions, one per segment.
    pub commits: u64,
    /// Transactions that failed.
    pub commit_failures: u64,
    /// Segments that got their indexes.
    pub sealed_segments: u64,
    /// Files that were put aside.
    pub quarantined: u64,
    /// Stored above their topics' shares: kept while there is room.
    pub overflowed: u64,
    /// Removed before their time, for the quota or for a full disk.
    pub dropped_early_segments: u64,
    /// The envelopes in them.
    pub dropped_early_envelopes: u64,
    /// Written to the file system by commits and sealing.
    pub written_bytes: u64,
    /// The payload of what was committed.
    pub committed_payload_bytes: u64,
    /// Segments found removed by the daemon, or removed by this writer.
    pub removed_segments: u64,
}

/// The archive as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Since this writer opened the archive.
    pub counters: Counters,
    /// Known to the writer, whatever their state.
    pub segments: u64,
    /// Of those, with their look-ups in memory.
    pub live_segments: u64,
    /// With those that are not committed yet.
    pub envelopes: u64,
    /// The payloads alone.
    pub payload_bytes: u64,
    /// On disk, write-ahead logs included.
    pub bytes: u64,
    /// The earliest timestamp.
    pub oldest: Option<Nanos>,
    /// The latest one.
    pub newest: Option<Nanos>,
    /// Not committed yet.
    pub pending_envelopes: u64,
    /// About what they take in memory.
    pub pending_bytes: u64,
    /// Written to the file system in the last 24 hours (of this writer's life).
    pub written_bytes_last_day: u64,
    /// Segments that a newer Pillarbox wrote, left alone.
    pub newer_segments: u64,
    /// Segments that cannot be opened just now, tried again and again until their time is over.
    pub unreadable_segments: u64,
}
