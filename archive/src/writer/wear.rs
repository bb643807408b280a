//! What the archive writes: the bytes that its own threads hand to the file system while they commit, seal and remove,
//! by the kernel's count. The file system's own journal comes on top, and is not seen here.

use crate::nanos::Nanos;

/// Bytes that this thread has written so far (`write_bytes` of proc(5)); `None` where the kernel does not count them.
pub(crate) fn written_by_this_thread() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split(": ").nth(1)?.trim().parse().ok()
    };
    // Pages that were thrown away before they reached the disk do not wear it out.
    Some(field("write_bytes")?.saturating_sub(field("cancelled_write_bytes")?))
}

/// Bytes written, in all and in each of the last 24 hours.
#[derive(Debug, Default)]
pub(crate) struct Wear {
    hours: std::collections::VecDeque<Hour>,
    pub(crate) written_bytes: u64,
}

#[derive(Debug)]
struct Hour {
    number: i64,
    written_bytes: u64,
}

impl Wear {
    pub(crate) fn add(&mut self, now: Nanos, written_bytes: u64) {
        self.written_bytes += written_bytes;

        let number = now.secs().div_euclid(3600);
        match self.hours.back_mut() {
            Some(hour) if hour.number == number => hour.written_bytes += written_bytes,
            _ => self.hours.push_back(Hour { number, written_bytes }),
        }
        if self.hours.len() > 24 {
            self.hours.pop_front();
        }
    }

    pub(crate) fn last_day(&self) -> u64 {
        self.hours.iter().map(|hour| hour.written_bytes).sum()
    }
}
