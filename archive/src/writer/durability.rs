//! What an acknowledgement may promise: that the row is on disk within the durability window.
//!
//! A row that is in memory alone is promised to nobody once a commit failed, or takes longer than the window: it is
//! served, and goes with the next commit, but whoever sent it is not told that it is kept. And nothing is taken that the
//! disk has no room for: it would be acknowledged, and lost with the process.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;

use crate::mutex::may_wait;

/// Left free for what a commit writes beside its rows: a new segment's tables, the index of its write-ahead log (32 KiB
/// at a time), and what other programs write between two inserts.
const RESERVE_BYTES: u64 = 512 << 10;
/// What a byte that waits may take of the disk: a row lies in the write-ahead log before it lies in the segment, each
/// with a tenth more (archive/README.md).
const BYTES_A_BYTE: u64 = 3;

/// A disk that takes longer is failing.
const MAX_SLOW: Duration = Duration::from_secs(10);

/// The durability window: a slow disk's is twice its last commit.
pub(crate) fn window(wished: Duration, last_commit: Duration) -> Duration {
    wished.max((2 * last_commit).min(MAX_SLOW))
}

/// Whether the commits keep up.
#[derive(Debug, Default)]
pub(crate) struct Durability {
    /// The oldest row of the commit that runs.
    writing_since: Option<Instant>,
    /// The last commit left rows in memory.
    failing: bool,
    /// On the disk, as of the last commit or tick.
    pub(crate) free: Option<u64>,
}

impl Durability {
    /// A commit begins; `oldest` is when its oldest row arrived.
    pub(crate) fn begin(&mut self, oldest: Option<Instant>) {
        self.writing_since = oldest;
    }

    pub(crate) fn ended(&mut self, complete: bool) {
        self.writing_since = None;
        self.failing = !complete;
    }

    /// Whether the disk has room for `waiting` bytes of rows. One that does not say is believed to: a commit will tell.
    pub(crate) fn has_room(&self, waiting: usize) -> bool {
        let wanted = RESERVE_BYTES + BYTES_A_BYTE * waiting as u64;
        self.free.is_none_or(|free| free >= wanted)
    }

    /// Whether a row that is in memory alone will be on disk within `window` of its arrival, as far as can be told.
    pub(crate) fn holds(&self, window: Duration, now: Instant) -> bool {
        let late = |since: Instant| now.saturating_duration_since(since) > window;
        !self.failing && !self.writing_since.is_some_and(late)
    }
}

/// What is free on the disk below `dir`; `None` where it does not say. May wait for the disk, so an insert never asks.
#[allow(
    clippy::useless_conversion,
    reason = "blocks are counted in 32 bits on 32-bit boards"
)]
pub(crate) fn free_bytes(dir: &Path) -> Option<u64> {
    may_wait();
    let disk = statvfs(dir).ok()?;
    // A file system that counts no blocks does not say how full it is.
    (disk.blocks() > 0).then(|| u64::from(disk.blocks_available()) * u64::from(disk.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(2);

    #[test]
    fn nothing_is_promised_after_a_failure_or_beyond_the_window() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut durability = Durability::default();
        assert!(durability.holds(WINDOW, at(60_000)), "nothing waits");
        durability.begin(Some(start));
        assert!(durability.holds(WINDOW, at(2000)));
        assert!(!durability.holds(WINDOW, at(2001)), "the commit takes too long");
        assert!(
            durability.holds(Duration::from_secs(3), at(2001)),
            "a slow disk's window"
        );
        durability.ended(false);
        assert!(!durability.holds(WINDOW, start), "the commit failed");
        durability.begin(Some(at(3000)));
        assert!(!durability.holds(WINDOW, at(3001)), "the next one has yet to succeed");
        durability.ended(true);
        assert!(durability.holds(WINDOW, at(3002)));
    }

    #[test]
    fn a_disk_has_room_for_little_and_none_for_more_than_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let mut durability = Durability::default();
        assert!(durability.has_room(usize::MAX / 8), "not asked yet");
        durability.free = free_bytes(dir.path());
        assert!(durability.has_room(0) && !durability.has_room(usize::MAX / 8));
        assert_eq!(free_bytes(Path::new("/nowhere")), None);
    }
}
