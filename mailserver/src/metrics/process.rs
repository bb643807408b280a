//! This process in figures, from `/proc/self` (proc(5)).

use std::fs;

/// Clock ticks a second in `/proc`: USER_HZ, 100 on every architecture that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Usage {
    pub(super) resident_bytes: i64,
    pub(super) virtual_bytes: i64,
    pub(super) open_files: i64,
    pub(super) cpu_seconds: f64,
    /// Seconds since the Unix epoch.
    pub(super) start_seconds: f64,
}

impl Usage {
    /// `None` where there is no `/proc`.
    pub(super) fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let boot = fs::read_to_string("/proc/stat").ok()?;
        let open_files = fs::read_dir("/proc/self/fd").ok()?.count();
        let (cpu_ticks, start_ticks) = ticks(&stat)?;
        let boot: f64 = boot
            .lines()
            .find_map(|line| line.strip_prefix("btime "))?
            .trim()
            .parse()
            .ok()?;
        Some(Self {
            resident_bytes: kib(&status, "VmRSS:")? * 1024,
            virtual_bytes: kib(&status, "VmSize:")? * 1024,
            open_files: i64::try_from(open_files).ok()?,
            cpu_seconds: cpu_ticks / TICKS_PER_SECOND,
            start_seconds: boot + start_ticks / TICKS_PER_SECOND,
        })
    }
}

fn kib(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time together, and the start since boot. The name in parentheses may hold anything.
fn ticks(stat: &str) -> Option<(f64, f64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // Fields 14, 15 and 22 of the whole line; two stand before the closing parenthesis.
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok());
    Some((field(14)? + field(15)?, field(22)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_has_figures() {
        let usage = Usage::read().unwrap();
        assert!(
            usage.resident_bytes > 100_000 && usage.virtual_bytes >= usage.resident_bytes,
            "{usage:?}"
        );
        assert!(usage.open_files >= 3 && usage.start_seconds > 1e9, "{usage:?}");
    }

    #[test]
    fn a_name_with_parentheses_is_no_field() {
        let stat = "1 (a) b (c) S 0 1 1 0 -1 4 5 6 7 8 150 50 0 0 20 0 1 0 4242 1 2";
        assert_eq!(ticks(stat), Some((200.0, 4242.0)));
        assert_eq!(ticks("1 (a"), None);
    }
}
