//! What lies in the archive's directory, and what its names mean.
//!
//! ```text
//! policy                                    the daemon's word (see `policy`)
//! writer.lock                               held by the one writer
//! slice-<start>-<length>-<number>-<kind>.sqlite   a segment: start and length of its slice of time in seconds
//! quarantine/<name>.<reason>                what could not be read
//! ```
//!
//! A name alone says when a segment may be removed, so that retention works on a file that nothing can open any more,
//! and on one written by a newer Pillarbox. The number is unique in the directory and never used twice while the
//! writer runs: a removed segment does not come back under its old name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::nanos::Nanos;

pub(crate) const QUARANTINE: &str = "quarantine";
pub(crate) const LOCK: &str = "writer.lock";
pub(crate) const POLICY: &str = "policy";
/// The policy that is being written.
pub(crate) const POLICY_NEW: &str = "policy.new";
/// A segment that is being made: renamed to its own name when it is whole.
pub(crate) const UNFINISHED: &str = ".unfinished";
const EXTENSION: &str = ".sqlite";
/// A file of a higher number is no segment.
pub(crate) const MAX_NUMBER: u64 = 1_000_000_000_000;
/// What SQLite keeps beside a file.
pub(crate) const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Which envelopes a segment takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Kept for the whole retention.
    Main,
    /// Above its topic's share: kept while there is room, removed first.
    Overflow,
    /// Arrived while the clock was not trusted: belongs to no slice, judged when it is.
    Provisional,
}

/// A segment's name, which is all that retention needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// Seconds since the Unix epoch, a multiple of the length.
    pub start_secs: i64,
    /// How long the slice is, in seconds.
    pub length_secs: i64,
    /// Unique in the directory.
    pub number: u64,
    /// Which envelopes it takes.
    pub kind: Kind,
}

impl SegmentName {
    pub(crate) fn provisional(number: u64) -> SegmentName {
        SegmentName {
            start_secs: 0,
            length_secs: 0,
            number,
            kind: Kind::Provisional,
        }
    }

    /// The first nanosecond of the slice. A provisional segment may hold any time.
    pub fn start(&self) -> Nanos {
        match self.kind {
            Kind::Provisional => Nanos::MIN,
            Kind::Main | Kind::Overflow => Nanos::from_secs(self.start_secs),
        }
    }

    /// The first nanosecond after the slice.
    pub fn end(&self) -> Nanos {
        match self.kind {
            Kind::Provisional => Nanos::MAX,
            Kind::Main | Kind::Overflow => Nanos::from_secs(self.start_secs.saturating_add(self.length_secs)),
        }
    }

    /// Whether an envelope of this time belongs here.
    pub fn covers(&self, timestamp: Nanos) -> bool {
        self.start() <= timestamp && timestamp < self.end()
    }

    /// Where it lies in `dir`.
    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    /// Only what [`fmt::Display`] writes is a segment's name: no other spelling of it would be found again by its path.
    pub fn parse(name: &str) -> Option<SegmentName> {
        let parsed = SegmentName::parts(name)?;
        (parsed.to_string() == name).then_some(parsed)
    }

    fn parts(name: &str) -> Option<SegmentName> {
        let mut parts = name.strip_prefix("slice-")?.strip_suffix(EXTENSION)?.split('-');
        let start_secs = number(parts.next()?)?;
        let length_secs = number(parts.next()?)?;
        let unique = u64::try_from(number(parts.next()?)?).ok()?;
        if unique > MAX_NUMBER {
            return None;
        }
        let kind = match parts.next()? {
            "main" => Kind::Main,
            "overflow" => Kind::Overflow,
            "provisional" => Kind::Provisional,
            _ => return None,
        };
        if parts.next().is_some() || (kind != Kind::Provisional && length_secs == 0) {
            return None;
        }
        Some(SegmentName {
            start_secs,
            length_secs,
            number: unique,
            kind,
        })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Main => "main",
            Kind::Overflow => "overflow",
            Kind::Provisional => "provisional",
        };
        write!(
            f,
            "slice-{}-{}-{:06}-{kind}{EXTENSION}",
            self.start_secs, self.length_secs, self.number
        )
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The length of a slice: a twenty-fourth of the retention, at least 1 s and at most 1 h.
pub fn slice_secs(retention: Duration) -> i64 {
    i64::try_from(retention.as_secs() / 24)
        .unwrap_or(i64::MAX)
        .clamp(1, 3600)
}

/// The path of one of SQLite's files beside `path`.
pub(crate) fn sidecar(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("slice-1795258800-3600-000042-main.sqlite", Some((Kind::Main, 42))),
            (
                "slice-1795258800-3600-1234567-overflow.sqlite",
                Some((Kind::Overflow, 1_234_567)),
            ),
            ("slice-0-0-000007-provisional.sqlite", Some((Kind::Provisional, 7))),
            ("slice-1795258800-0-000042-main.sqlite", None),
            ("slice-1795258800-3600-000042-main.sqlite-wal", None),
            ("slice-+795258800-3600-000042-main.sqlite", None),
            ("slice-1795258800-3600-000042-side.sqlite", None),
            ("slice-99999999999999999999-3600-000042-main.sqlite", None),
            // Other spellings of a name: their paths would not be found.
            ("slice-01795258800-3600-000042-main.sqlite", None),
            ("slice-1795258800-3600-42-main.sqlite", None),
            ("slice-0-0-000007-provisional-.sqlite", None),
            ("slice-1795258800-3600-9223372036854775807-main.sqlite", None),
            ("store.sqlite3", None),
        ] {
            let parsed = SegmentName::parse(name);
            assert_eq!(parsed.map(|name| (name.kind, name.number)), expected, "{name}");
            if let Some(parsed) = parsed {
                assert_eq!(parsed.to_string(), name);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_parses_is_found_by_its_path(name: String, digits in "slice-[0-9]{0,22}-[0-9]{0,22}-[0-9]{0,22}-(main|overflow|provisional).sqlite") {
            for name in [&name, &digits] {
                if let Some(parsed) = SegmentName::parse(name) {
                    assert_eq!(parsed.path(Path::new("/a")), Path::new("/a").join(name));
                    assert!(parsed.start() <= parsed.end());
                    parsed.covers(Nanos::MAX);
                }
            }
        }
    }

    #[test]
    fn slices() {
        for (retention_secs, expected) in [(0, 1), (10, 1), (48, 2), (86_400, 3600), (864_000, 3600)] {
            assert_eq!(
                slice_secs(Duration::from_secs(retention_secs)),
                expected,
                "{retention_secs}"
            );
        }
    }
}
