//! What is measured, by the kernel's counts.

use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes that this process handed to the file system, and what it threw away again before it was written.
pub(crate) fn written_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let field = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    };
    field("write_bytes:")
}

/// Resident memory of this process: now, and at its highest.
pub(crate) fn memory_bytes() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib: u64 = line
            .and_then(|value| value.trim_end_matches("kB").trim().parse().ok())
            .unwrap_or(0);
        kib * 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Bytes written to a block device so far: the seventh field of /sys/block/*/stat, in sectors of 512 bytes.
pub(crate) fn device_bytes(device: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/sys/block/{device}/stat")).ok()?;
    let sectors: u64 = text.split_whitespace().nth(6)?.parse().ok()?;
    Some(sectors * 512)
}

/// Bytes on disk below a directory.
pub(crate) fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .filter(|meta| meta.is_file())
        .map(|meta| meta.blocks() * 512)
        .sum()
}

/// Durations, for percentiles.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.0.push(begun.elapsed());
        done
    }

    /// Four hundred, or as many as fit into 20 s, but twenty at least: a peer's page may take seconds.
    pub(crate) fn wants_more(&self) -> bool {
        let spent: Duration = self.0.iter().sum();
        self.0.len() < 20 || (self.0.len() < 400 && spent < Duration::from_secs(20))
    }

    pub(crate) fn ms(&mut self, percent: usize) -> f64 {
        self.0.sort();
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}
