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

use crate::Error;
use crate::folder::{Folder, Oddity};

pub(crate) const NANOS: i64 = 1_000_000_000;
pub(crate) const QUARANTINE: &str = "quarantine";
pub(crate) const LOCK: &str = "writer.lock";
pub(crate) const POLICY: &str = "policy";
/// The policy that is being written.
pub(crate) const POLICY_NEW: &str = "policy.new";
/// A segment that is being made: renamed to its own name when it is whole.
pub(crate) const UNFINISHED: &str = ".unfinished";
const EXTENSION: &str = ".sqlite";
/// A file of a higher number is no segment.
const MAX_NUMBER: u64 = 1_000_000_000_000;
/// The next segment is numbered from the highest below: no writer comes so far, so that whatever files somebody leaves
/// here, there is a next number that is a segment's.
const MAX_COUNTED: u64 = MAX_NUMBER / 2;
/// What SQLite keeps beside a file.
pub(crate) const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

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
    pub length_secs: i64,
    pub number: u64,
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
    pub fn start(&self) -> i64 {
        match self.kind {
            Kind::Provisional => i64::MIN,
            _ => self.start_secs.saturating_mul(NANOS),
        }
    }

    /// The first nanosecond after the slice.
    pub fn end(&self) -> i64 {
        match self.kind {
            Kind::Provisional => i64::MAX,
            _ => self.start_secs.saturating_add(self.length_secs).saturating_mul(NANOS),
        }
    }

    pub fn covers(&self, timestamp: i64) -> bool {
        self.start() <= timestamp && timestamp < self.end()
    }

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

/// A link, a pipe or a folder where a file of the archive's belongs, or anything where its quarantine does: nothing that
/// the archive makes, so somebody put it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Its name in the archive's directory.
    pub name: String,
    pub what: Oddity,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.name, self.what)
    }
}

/// What a directory holds, by name alone.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// In order of slice, then number.
    pub(crate) segments: Vec<SegmentName>,
    /// SQLite's files beside a segment that is not there (any more).
    pub(crate) orphans: Vec<(SegmentName, PathBuf)>,
    /// Left by a writer that died while it made a segment.
    pub(crate) unfinished: Vec<PathBuf>,
    /// Regular files that are none of the archive's.
    pub(crate) strangers: Vec<PathBuf>,
    /// What has one of the archive's names and is of another kind.
    pub(crate) in_the_way: Vec<Obstacle>,
    /// The highest that stands in any of these names, and in those of what is no regular file.
    highest_number: u64,
}

impl Listing {
    /// The number of the next segment, which no name here has.
    pub(crate) fn next_number(&self) -> u64 {
        self.highest_number + 1
    }

    fn count(&mut self, name: SegmentName) {
        if name.number < MAX_COUNTED {
            self.highest_number = self.highest_number.max(name.number);
        }
    }
}

pub(crate) fn list(dir: &Path) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    let mut beside = Vec::new();
    let entries = Folder::open(dir).and_then(|folder| folder.entries());
    for entry in entries.map_err(Error::file("list", dir))? {
        let entry = entry.map_err(Error::file("list", dir))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let taken = segment_of(&name);
        if let Some(taken) = taken {
            listing.count(taken);
        }
        let Ok(kind) = entry.file_type() else { continue };
        // Whatever a directory or a pipe is called, it is no segment.
        if !kind.is_file() || name == QUARANTINE {
            if is_in_the_way(&name, taken, kind) {
                let what = Oddity::of(kind);
                let name = name.into_owned();
                listing.in_the_way.push(Obstacle { name, what });
            }
            continue;
        }
        let base = SIDECARS.iter().find_map(|suffix| name.strip_suffix(suffix));
        if let Some(segment) = SegmentName::parse(&name) {
            listing.segments.push(segment);
        } else if let Some(segment) = base.and_then(SegmentName::parse) {
            beside.push((segment, dir.join(&*name)));
        } else if is_unfinished(base.unwrap_or(&name)) {
            listing.unfinished.push(dir.join(&*name));
        } else if name != LOCK && !name.starts_with(POLICY) && !name.starts_with('.') {
            listing.strangers.push(dir.join(entry.file_name()));
        }
    }
    listing.segments.sort();
    listing.orphans = beside
        .into_iter()
        .filter(|(segment, _)| listing.segments.binary_search(segment).is_err())
        .collect();
    Ok(listing)
}

/// The segment that a file belongs to, whatever SQLite or a writer has added to its name.
pub(crate) fn segment_of(name: &str) -> Option<SegmentName> {
    let marks = SIDECARS.iter().chain([&UNFINISHED]);
    SegmentName::parse(marks.fold(name, |name, mark| name.strip_suffix(mark).unwrap_or(name)))
}

/// `segment` is what the name belongs to.
fn is_in_the_way(name: &str, segment: Option<SegmentName>, kind: std::fs::FileType) -> bool {
    match name {
        QUARANTINE => !kind.is_dir(),
        POLICY | POLICY_NEW | LOCK => !kind.is_file(),
        _ => !kind.is_file() && segment.is_some(),
    }
}

fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(UNFINISHED).and_then(SegmentName::parse).is_some()
}

/// What root makes in the archive of another account (by an import, say) is that account's: its mailserver must be able
/// to write it.
pub(crate) fn give_to_owner(dir: &Path, file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (dir, file_now) = (std::fs::metadata(dir)?, file.metadata()?);
    if (dir.uid(), dir.gid()) == (file_now.uid(), file_now.gid()) || !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    fchown(file, Some(dir.uid()), Some(dir.gid()))
}

/// Makes what was created, renamed or removed in `dir` last.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    std::fs::File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(Error::file("sync the directory", dir))
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
                    parsed.covers(i64::MAX);
                }
            }
        }
    }

    #[test]
    fn the_next_number_is_a_segments() {
        let name = |number: u64| SegmentName::parse(&format!("slice-0-3600-{number:06}-main.sqlite"));
        assert_eq!(name(MAX_NUMBER + 1), None);
        for (numbers, expected) in [
            (&[][..], 1),
            (&[7, 3], 8),
            (&[7, MAX_NUMBER], 8),
            (&[MAX_COUNTED, MAX_COUNTED - 1], MAX_COUNTED),
        ] {
            let mut listing = Listing::default();
            numbers
                .iter()
                .filter_map(|number| name(*number))
                .for_each(|name| listing.count(name));
            assert_eq!(listing.next_number(), expected, "{numbers:?}");
            assert!(name(expected).is_some());
        }
    }

    #[test]
    fn a_name_that_is_taken_by_whatever_is_not_the_next() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("slice-0-3600-000004-main.sqlite-wal-wal"), "").unwrap();
        std::fs::write(
            dir.path().join("slice-0-3600-000005-main.sqlite.unfinished-journal"),
            "",
        )
        .unwrap();
        std::fs::create_dir(dir.path().join("slice-0-3600-000006-main.sqlite.unfinished")).unwrap();
        std::fs::create_dir(dir.path().join("slice-0-3600-000003-main.sqlite")).unwrap();
        assert_eq!(list(dir.path()).unwrap().next_number(), 7);
    }

    #[test]
    fn only_what_a_writer_left_is_unfinished() {
        for (name, expected) in [
            ("slice-1795258800-3600-000042-main.sqlite.unfinished", true),
            ("my.unfinished.notes", false),
            ("thesis.unfinished", false),
        ] {
            assert_eq!(is_unfinished(name), expected, "{name}");
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
