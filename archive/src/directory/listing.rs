//! What a directory holds, by name alone.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::directory::folder::{Folder, Oddity};
use crate::directory::names::{LOCK, MAX_NUMBER, POLICY, POLICY_NEW, QUARANTINE, SIDECARS, SegmentName, UNFINISHED};
use crate::error::Error;

/// The next segment is numbered from the highest below: no writer comes so far, so that whatever files somebody leaves
/// here, there is a next number that is a segment's.
const MAX_COUNTED: u64 = MAX_NUMBER / 2;

/// A link, a pipe or a folder where a file of the archive's belongs, or anything where its quarantine does: nothing that
/// the archive makes, so somebody put it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Its name in the archive's directory.
    pub name: String,
    /// What it is.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
