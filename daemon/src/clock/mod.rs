//! What time it is, and whether that may be believed: the daemon's only reader of clocks.
//!
//! Boards have no clock that runs without power, so the time after a start is a guess until it is synchronised. A cut-off
//! computed from a wrong time deletes mail or keeps it for ever; hence nothing is pruned by a clock that is not trusted.
//! Never trusted is a time before the floor, max(build time, last saved trusted time): both are known to be past. An
//! envelope's own time is no floor, for anyone may date one 2100.
//!
//! A clock that leaps while it is trusted (set by hand, a bad time server) is not believed until it leaps back or has
//! run on evenly for ten minutes ([`judge`]). A leap that comes with synchronisation is what synchronisation is for, up to a day. What is
//! ahead of all that is known by more than a day wants two independent servers ([`evidence`]), and where the machine
//! keeps time by other means those; and even then nothing is forgotten for it, and no floor raised, until it has stood
//! for a day ([`leap`]). A floor that turns out to be wrong is lowered by a person ([`Clock::confirm`]) or by a factory
//! reset ([`forget`]).

#![expect(clippy::disallowed_methods, reason = "the room that reads the time of day")]

mod evidence;
mod judge;
mod leap;
mod reading;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use crate::config::Config;
pub use evidence::Asker;
use evidence::Evidence;
use judge::Judge;
pub use leap::Leap;
use leap::Standing;
use reading::Reading;

const NS_PER_SEC: i64 = 1_000_000_000;
/// How often the synchronisation state is looked up.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// systemd-timesyncd makes this file when it has synchronised the clock (systemd-timesyncd.service(8)).
const SYNCHRONISED: &str = "run/systemd/timesync/synchronized";
/// In the state directory: the last trusted time, and a leap that has not stood for long enough to be one.
const SAVED: &str = "trusted-time";
const SAVED_LEAP: &str = "leap";

pub struct Clock {
    start: Duration,
    state_dir: PathBuf,
    /// The file that says that the clock is synchronised.
    sign: PathBuf,
    synchronised: bool,
    looked_at: Option<Duration>,
    judge: Judge,
    /// Whether evidence for a leap is wanted, and what there is.
    wanted: watch::Sender<bool>,
    found: watch::Sender<Evidence>,
    leap_is_saved: bool,
}

/// Two clocks read at one moment: the monotonic one, which all deadlines are in, and the wall clock, which only the
/// cut-off, the page and the lock's end are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Since the daemon's start.
    pub mono: Duration,
    /// Nanoseconds since the Unix epoch.
    pub wall_ns: i64,
    /// Whether `wall_ns` may be believed.
    pub trusted: bool,
}

/// Why the present is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    NotSynchronised,
    /// It is before a time that is known to be past.
    Past {
        known_ns: i64,
    },
    /// It was set while the daemon ran, and has not run evenly for long enough.
    Leapt,
    /// It is more than a day ahead of what is known, and no two servers say so.
    Alone {
        known_ns: i64,
        answers: Option<usize>,
    },
}

/// What the supervisor has to know beside the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    pub doubt: Option<Doubt>,
    pub leap: Option<Leap>,
}

/// What the next start goes on from: a file's new text, or nothing for one that has to go.
pub type Save = (PathBuf, Option<String>);

impl Clock {
    /// The state directory holds the last trusted time of the run before.
    pub fn new(config: &Config) -> Clock {
        let state_dir = config.state_dir.clone();
        let read = |name: &str| std::fs::read_to_string(state_dir.join(name)).ok();
        let saved = read(SAVED).and_then(|text| text.trim().parse::<i64>().ok());
        let leap = read(SAVED_LEAP);
        let mut judge = Judge::new(config.clock, floor_ns(saved));
        judge.standing = leap.as_deref().and_then(Standing::of_text);
        Clock {
            start: boot_time(),
            sign: config.health.root.join(SYNCHRONISED),
            synchronised: false,
            looked_at: None,
            judge,
            wanted: watch::channel(false).0,
            found: watch::channel(Evidence::NotAsked).0,
            leap_is_saved: leap.is_some(),
            state_dir,
        }
    }

    /// Who asks time servers for this clock.
    pub fn asker(&self) -> Asker {
        Asker {
            start: self.start,
            wanted: self.wanted.subscribe(),
            found: self.found.clone(),
        }
    }

    pub fn now(&mut self) -> Now {
        let mono = boot_time().saturating_sub(self.start);
        if self.looked_at.is_none_or(|at| mono >= at + LOOK_EVERY) {
            self.synchronised = self.sign.exists();
            self.looked_at = Some(mono);
        }
        let wall_ns = wall_ns();
        self.judge.evidence = *self.found.borrow();
        let trusted = self.judge.judge(mono, wall_ns, self.synchronised);
        let wants = matches!(self.judge.doubt, Some(Doubt::Alone { .. }));
        self.wanted
            .send_if_modified(|wanted| std::mem::replace(wanted, wants) != wants);
        Now { mono, wall_ns, trusted }
    }

    /// As of the last [`Clock::now`].
    pub fn outlook(&self) -> Outlook {
        Outlook {
            doubt: self.judge.doubt,
            leap: self.judge.leap,
        }
    }

    /// The latest time that is known to be past.
    pub fn floor_ns(&self) -> i64 {
        self.judge.floor_ns
    }

    /// What keeps a trusted time for the next start.
    pub fn to_save(&mut self, now: Now) -> Vec<Save> {
        if !now.trusted {
            return Vec::new();
        }
        let mut saves = Vec::new();
        if let Some(standing) = self.judge.standing {
            self.leap_is_saved = true;
            saves.push((self.state_dir.join(SAVED_LEAP), Some(standing.to_text())));
            return saves;
        }
        if now.wall_ns > self.judge.floor_ns {
            saves.push(self.saved(now.wall_ns));
        }
        // After the time, or a start in between would have to begin with the leap.
        if std::mem::take(&mut self.leap_is_saved) {
            saves.push((self.state_dir.join(SAVED_LEAP), None));
        }
        saves
    }

    /// A person says that the present time is right: a floor above it was wrong, and it is evidence for a leap.
    pub fn confirm(&mut self) -> Vec<Save> {
        let mono = boot_time().saturating_sub(self.start);
        let reading = Reading::at(mono, wall_ns());
        self.judge.confirm(reading, floor_ns(None));
        tracing::warn!(time = utc_of(unix_time()), "a person confirmed the time");
        let floor_ns = self.judge.floor_ns;
        vec![self.saved(floor_ns)]
    }

    fn saved(&self, time_ns: i64) -> Save {
        let text = format!("{}\n", time_ns / NS_PER_SEC);
        (self.state_dir.join(SAVED), Some(text))
    }
}

/// As a box that was never on: what is known of the time is when it was built.
pub fn forget(state_dir: &Path) -> std::io::Result<()> {
    for name in [SAVED, SAVED_LEAP] {
        match std::fs::remove_file(state_dir.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn floor_ns(saved_secs: Option<i64>) -> i64 {
    built_secs().max(saved_secs.unwrap_or(0)).saturating_mul(NS_PER_SEC)
}

fn built_secs() -> i64 {
    env!("PILLARBOX_BUILD_SECS").parse().unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR_NS: i64 = 365 * 86_400 * NS_PER_SEC;

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

    fn clock(folder: &Path) -> Clock {
        let main = "board = \"dev\"\nstate_dir = \".\"\nservices_dir = \"services\"\nclock = \"trusted\"\n";
        std::fs::create_dir_all(folder.join("services")).unwrap();
        std::fs::write(folder.join("main.toml"), main).unwrap();
        Clock::new(&Config::read(&folder.join("main.toml")).unwrap())
    }

    #[test]
    fn only_trusted_times_are_saved() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = clock(folder.path());
        let built_ns = first.floor_ns();
        assert!(built_ns > 0);
        let later = |trusted| Now {
            mono: Duration::ZERO,
            wall_ns: built_ns + YEAR_NS,
            trusted,
        };
        assert_eq!(first.to_save(later(false)), []);
        assert_eq!(clock(folder.path()).floor_ns(), built_ns);
        let [(file, Some(text))] = &first.to_save(later(true))[..] else {
            panic!("one file")
        };
        std::fs::write(file, text).unwrap();
        let mut next = clock(folder.path());
        assert_eq!(next.floor_ns(), built_ns + YEAR_NS);
        assert!(!next.now().trusted, "the present is before the floor now");
        std::fs::write(folder.path().join("trusted-time"), "nonsense").unwrap();
        assert_eq!(clock(folder.path()).floor_ns(), built_ns);
        std::fs::write(folder.path().join("trusted-time"), text).unwrap();
        forget(folder.path()).unwrap();
        assert_eq!(clock(folder.path()).floor_ns(), built_ns);
    }
}
