//! What time it is, and whether that may be believed: the daemon's only reader of clocks.
//!
//! Boards have no clock that runs without power, so the time after a start is a guess until it is synchronised. A cut-off
//! computed from a wrong time deletes mail or keeps it for ever; hence nothing is pruned by a clock that is not trusted.
//! Never trusted is a time before the floor, max(build time, last saved trusted time): both are known to be past. An
//! envelope's own time is no floor, for anyone may date one 2100.
//!
//! A clock that leaps while it is trusted (set by hand, a bad time server) is not believed until it leaps back or has
//! run on for [`SETTLE`]. A leap that comes with synchronisation is what synchronisation is for.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::config::ClockSource;
use crate::event::Now;

const NS_PER_SEC: i64 = 1_000_000_000;
/// Larger differences between the wall clock and the monotonic one are leaps; slewing stays far below.
const LEAP: Duration = Duration::from_secs(60);
/// How long a clock that leapt has to run evenly before it is believed again.
const SETTLE: Duration = Duration::from_secs(600);
/// How often the synchronisation state is looked up.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// systemd-timesyncd makes this file when it has synchronised the clock (systemd-timesyncd.service(8)).
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

pub struct Clock {
    start: Duration,
    saved_file: PathBuf,
    synchronised: bool,
    looked_at: Option<Duration>,
    judge: Judge,
}

impl Clock {
    /// `state_dir` holds the last trusted time of the run before.
    pub fn new(source: ClockSource, state_dir: &Path) -> Clock {
        let saved_file = state_dir.join("trusted-time");
        let saved = std::fs::read_to_string(&saved_file)
            .ok()
            .and_then(|text| text.trim().parse::<i64>().ok());
        Clock {
            start: boot_time(),
            saved_file,
            synchronised: false,
            looked_at: None,
            judge: Judge::new(source, floor_ns(saved)),
        }
    }

    pub fn now(&mut self) -> Now {
        let mono = boot_time().saturating_sub(self.start);
        if self.looked_at.is_none_or(|at| mono >= at + LOOK_EVERY) {
            self.synchronised = Path::new(SYNCHRONISED).exists();
            self.looked_at = Some(mono);
        }
        let wall_ns = wall_ns();
        let trusted = self.judge.judge(mono, wall_ns, self.synchronised);
        Now { mono, wall_ns, trusted }
    }

    /// The latest time that is known to be past.
    pub fn floor_ns(&self) -> i64 {
        self.judge.floor_ns
    }

    /// The file and the text that keep a trusted time for the next start.
    pub fn to_save(&self, now: Now) -> Option<(PathBuf, String)> {
        let worth_it = now.trusted && now.wall_ns > self.judge.floor_ns;
        worth_it.then(|| (self.saved_file.clone(), format!("{}\n", now.wall_ns / NS_PER_SEC)))
    }
}

fn floor_ns(saved_secs: Option<i64>) -> i64 {
    let built_secs: i64 = env!("PILLARBOX_BUILD_SECS").parse().unwrap_or(0);
    built_secs.max(saved_secs.unwrap_or(0)).saturating_mul(NS_PER_SEC)
}

/// Runs on while the machine is suspended, and is never set.
fn boot_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has had this clock since 2.6.39");
    Duration::from(time)
}

/// Seconds since the Unix epoch by the system's clock, trusted or not: for people.
pub fn unix_time() -> i64 {
    wall_ns().div_euclid(NS_PER_SEC)
}

/// The present as `20260131T235959Z`, for names of files.
pub fn stamp() -> String {
    stamp_of(unix_time())
}

/// The month as `2026-01`, in UTC.
pub fn month_of(unix_secs: i64) -> String {
    let Civil { year, month, .. } = Civil::of(unix_secs);
    format!("{year:04}-{month:02}")
}

/// `2026-01-31 23:59:59 UTC`, for people.
pub fn utc_of(unix_secs: i64) -> String {
    let time = Civil::of(unix_secs);
    let (year, month, day) = (time.year, time.month, time.day);
    let (hour, minute, second) = (time.hour, time.minute, time.second);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

fn stamp_of(unix_secs: i64) -> String {
    let time = Civil::of(unix_secs);
    let (year, month, day) = (time.year, time.month, time.day);
    let (hour, minute, second) = (time.hour, time.minute, time.second);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// A time in UTC, taken apart.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Civil {
    /// Days to a civil date after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (civil_from_days).
    fn of(unix_secs: i64) -> Civil {
        let (days, secs) = (unix_secs.div_euclid(86_400) + 719_468, unix_secs.rem_euclid(86_400));
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        Civil {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: secs / 3600,
            minute: secs / 60 % 60,
            second: secs % 60,
        }
    }
}

fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The decision, without a clock.
struct Judge {
    source: ClockSource,
    floor_ns: i64,
    /// The last reading that was believed.
    anchor: Option<Reading>,
    last: Option<Reading>,
    leapt_at: Option<Duration>,
}

#[derive(Clone, Copy)]
struct Reading {
    mono: Duration,
    wall_ns: i64,
    synchronised: bool,
}

impl Reading {
    /// Whether the wall clock went on evenly from here to `later`.
    fn leads_to(&self, later: &Reading) -> bool {
        let elapsed_ns = i64::try_from(later.mono.saturating_sub(self.mono).as_nanos()).unwrap_or(i64::MAX);
        let expected_ns = self.wall_ns.saturating_add(elapsed_ns);
        u128::from(expected_ns.abs_diff(later.wall_ns)) <= LEAP.as_nanos()
    }
}

impl Judge {
    fn new(source: ClockSource, floor_ns: i64) -> Judge {
        Judge {
            source,
            floor_ns,
            anchor: None,
            last: None,
            leapt_at: None,
        }
    }

    fn judge(&mut self, mono: Duration, wall_ns: i64, synchronised: bool) -> bool {
        let synchronised = synchronised || self.source == ClockSource::Trusted;
        let reading = Reading {
            mono,
            wall_ns,
            synchronised,
        };
        let last = self.last.replace(reading);
        if !synchronised || wall_ns < self.floor_ns {
            return false;
        }
        let newly_synchronised = last.is_some_and(|last| !last.synchronised);
        if newly_synchronised || self.anchor.is_none_or(|anchor| anchor.leads_to(&reading)) {
            self.leapt_at = None;
        } else {
            let even = last.is_none_or(|last| last.leads_to(&reading));
            let since = *self.leapt_at.get_or_insert(mono);
            if !even {
                self.leapt_at = Some(mono);
                return false;
            }
            if mono.saturating_sub(since) < SETTLE {
                return false;
            }
            self.leapt_at = None;
        }
        self.anchor = Some(reading);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEARS_10: i64 = 10 * 365 * 86_400 * NS_PER_SEC;
    const TODAY: i64 = 1_800_000_000 * NS_PER_SEC;

    /// Reads the clock every second: `(seconds, leap applied before them, synchronised, trusted at their end)`.
    fn run(source: ClockSource, floor_ns: i64, script: &[(u64, i64, bool, bool)]) {
        let mut judge = Judge::new(source, floor_ns);
        let (mut mono, mut wall_ns) = (Duration::ZERO, TODAY);
        for (row, (secs, leap_ns, synchronised, wanted)) in script.iter().enumerate() {
            wall_ns += leap_ns;
            let mut trusted = false;
            for _ in 0..*secs {
                trusted = judge.judge(mono, wall_ns, *synchronised);
                mono += Duration::from_secs(1);
                wall_ns += NS_PER_SEC;
            }
            assert_eq!(trusted, *wanted, "row {row} of {script:?}");
        }
    }

    #[test]
    fn trust() {
        use ClockSource::{Synchronised, Trusted};
        run(
            Synchronised,
            0,
            &[(5, 0, false, false), (1, 0, true, true), (5, 0, false, false)],
        );
        // A leap that comes with synchronisation is believed at once.
        run(Synchronised, 0, &[(5, 0, false, false), (1, YEARS_10, true, true)]);
        // One that comes later is not, in either direction, until it is undone or has settled.
        for leap in [YEARS_10, -YEARS_10] {
            run(
                Synchronised,
                0,
                &[(5, 0, true, true), (300, leap, true, false), (1, -leap, true, true)],
            );
            run(
                Synchronised,
                0,
                &[(5, 0, true, true), (300, leap, true, false), (400, 0, true, true)],
            );
            run(
                Trusted,
                0,
                &[(5, 0, false, true), (590, leap, false, false), (20, 0, false, true)],
            );
            run(
                Trusted,
                0,
                &[
                    (5, 0, false, true),
                    (590, leap, false, false),
                    (20, leap / 2, false, false),
                ],
            );
        }
        // Slewing and small corrections are no leaps.
        run(Trusted, 0, &[(5, 0, false, true), (1, 2 * NS_PER_SEC, false, true)]);
        // Before the floor nothing is believed, however synchronised.
        run(
            Trusted,
            TODAY + 100 * NS_PER_SEC,
            &[(99, 0, true, false), (10, 0, true, true)],
        );
        run(
            Synchronised,
            TODAY + 100 * NS_PER_SEC,
            &[(99, 0, true, false), (10, 0, true, true)],
        );
    }

    #[test]
    fn stamps() {
        for (unix_secs, wanted) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_795_262_252, "20261121T115732Z"),
            (4_102_444_799, "20991231T235959Z"),
        ] {
            assert_eq!(stamp_of(unix_secs), wanted);
        }
        assert_eq!(utc_of(1_795_262_252), "2026-11-21 11:57:32 UTC");
    }

    #[test]
    fn months() {
        for (unix_secs, wanted) in [(0, "1970-01"), (951_782_399, "2000-02"), (4_102_444_799, "2099-12")] {
            assert_eq!(month_of(unix_secs), wanted);
        }
    }

    #[test]
    fn only_trusted_times_are_saved() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::new(ClockSource::Trusted, folder.path());
        let built_ns = clock.floor_ns();
        assert!(built_ns > 0);
        let year_ns = YEARS_10 / 10;
        let later = |trusted| Now {
            mono: Duration::ZERO,
            wall_ns: built_ns + year_ns,
            trusted,
        };
        assert_eq!(clock.to_save(later(false)), None);
        assert_eq!(Clock::new(ClockSource::Trusted, folder.path()).floor_ns(), built_ns);
        let (file, text) = clock.to_save(later(true)).unwrap();
        std::fs::write(file, text).unwrap();
        let mut next = Clock::new(ClockSource::Trusted, folder.path());
        assert_eq!(next.floor_ns(), built_ns + year_ns);
        assert!(!next.now().trusted, "the present is before the floor now");
        std::fs::write(folder.path().join("trusted-time"), "nonsense").unwrap();
        assert_eq!(Clock::new(ClockSource::Trusted, folder.path()).floor_ns(), built_ns);
    }
}
