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

/// The time at a percentile, in milliseconds.
pub(crate) fn percentile_ms(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// What this thread has computed so far.
fn processor_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    clock.now().map_or(Duration::ZERO, Duration::from)
}

/// One layout's answers to the same questions, asked in several rounds.
#[derive(Default)]
pub(crate) struct Asked {
    /// How long each took when it was asked first.
    pub(crate) first: Vec<Duration>,
    /// Of that, what this thread computed: without the disk, and without whatever else the machine did meanwhile.
    pub(crate) first_computed: Vec<Duration>,
    /// How long each took at best: what is left when the scheduler has had its share of the other rounds.
    pub(crate) best: Vec<Duration>,
}

impl Asked {
    /// Asks the question.
    pub(crate) fn ask<T>(&mut self, question: usize, ask: impl FnOnce() -> T) -> T {
        let (begun, computed) = (Instant::now(), processor_time());
        let answer = ask();
        let (time, computed) = (begun.elapsed(), processor_time().saturating_sub(computed));
        match self.best.get_mut(question) {
            Some(best) => *best = time.min(*best),
            None => {
                self.first.push(time);
                self.first_computed.push(computed);
                self.best.push(time);
            }
        }
        answer
    }

    pub(crate) fn spent(&self) -> Duration {
        self.first.iter().sum()
    }
}

/// The machine's own stalls: a fixed piece of arithmetic, which would always take the same time if nothing else ran.
#[derive(Default)]
pub(crate) struct Control(Vec<Duration>);

/// About half a millisecond.
const CONTROL_TURNS: u64 = 400_000;

impl Control {
    pub(crate) fn spin(&mut self) {
        let begun = Instant::now();
        let mut word = 1u64;
        for turn in 0..CONTROL_TURNS {
            word = std::hint::black_box(word.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ turn);
        }
        self.0.push(begun.elapsed());
    }

    /// By how much one in a hundred takes longer than the fastest.
    pub(crate) fn stall_p99_ms(&self) -> f64 {
        percentile_ms(&self.0, 99) - percentile_ms(&self.0, 0)
    }

    pub(crate) fn stall_longest_ms(&self) -> f64 {
        percentile_ms(&self.0, 100) - percentile_ms(&self.0, 0)
    }
}
