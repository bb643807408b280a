//! The daemon's side: forgetting by removing whole files, and saying what is there. Nothing here needs the writer to
//! be alive, and nothing waits for it: a removed file's space is free as soon as the writer, which looks every 250 ms,
//! has closed it too.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::layout::{self, Kind, SIDECARS, SegmentName};
use crate::schema::{Probe, Summary};
use crate::{Error, quarantine, schema};

pub use crate::layout::Obstacle;
pub use crate::policy::{read_policy, write_policy};
pub use crate::quarantine::Quarantined;

/// Which times are over, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// What is older.
    pub cutoff: i64,
    /// While a leap of the clock has not proved to be right.
    pub leap: Option<Leap>,
}

/// By the clock after its leap only what was made after it is over: what is younger than `since`, and older than `cutoff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leap {
    pub since: i64,
    pub cutoff: i64,
}

impl Over {
    pub fn before(cutoff: i64) -> Over {
        Over { cutoff, leap: None }
    }

    /// Whether all times of this span are; its end is not one of them.
    pub(crate) fn holds(&self, start: i64, end: i64) -> bool {
        end <= self.cutoff || self.leap.is_some_and(|leap| leap.since <= start && end <= leap.cutoff)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub segments: u64,
    pub envelopes: u64,
    /// On disk, with write-ahead logs.
    pub bytes: u64,
}

/// What is in the archive, by what its files say of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    pub segments: u64,
    /// Committed ones.
    pub envelopes: u64,
    /// On disk, with write-ahead logs, without the quarantine.
    pub bytes: u64,
    pub oldest: Option<i64>,
    pub newest: Option<i64>,
    pub quarantined: Vec<Quarantined>,
    /// Segments that a newer Pillarbox wrote: kept, removed when their time is over, and otherwise left alone.
    pub newer: Vec<SegmentName>,
    /// Segments that could not be read just now; the writer puts them aside when it finds them damaged.
    pub unreadable: Vec<SegmentName>,
    /// What no writer makes: somebody else put it there.
    pub in_the_way: Vec<Obstacle>,
}

/// Removes every segment whose whole slice is older than `cutoff` (nanoseconds since the Unix epoch). What cannot be
/// removed keeps nothing else: the rest goes, then the first error is given.
pub fn remove_expired(dir: &Path, cutoff: i64) -> Result<Removed, Error> {
    remove(dir, &Over::before(cutoff))
}

/// As [`remove_expired`], also after a leap of the clock.
pub fn remove(dir: &Path, over: &Over) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    let mut outcome = Ok(());
    let listing = match layout::list(dir) {
        Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(removed),
        listing => listing?,
    };
    for name in listing.segments {
        let path = name.path(dir);
        let expired = match name.kind {
            Kind::Provisional => summary(&path).is_some_and(|summary| is_over(&summary, over)),
            Kind::Main | Kind::Overflow => over.holds(name.start(), name.end()),
        };
        if expired {
            let envelopes = summary(&path).map_or(0, |summary| summary.envelopes);
            match remove_with_sidecars(&path) {
                Ok(bytes) => {
                    removed.segments += 1;
                    removed.envelopes += envelopes;
                    removed.bytes += bytes;
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
    }
    // A remover that was interrupted after the segment itself.
    for (segment, path) in listing.orphans {
        // A listing made while the writer made the segment may have the one and not the other.
        if !segment.path(dir).exists() {
            let bytes = size(&path);
            match schema::remove_if_there(&path) {
                Ok(_) => removed.bytes += bytes,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
    }
    let (files, bytes, quarantined) = quarantine::remove_expired(dir, over)?;
    removed.bytes += bytes;
    outcome = outcome.and(quarantined);
    // Not synced: what a power cut brings back is as expired as before, and goes with the next run.
    if removed.segments + files > 0 {
        tracing::info!(
            segments = removed.segments,
            envelopes = removed.envelopes,
            bytes = removed.bytes,
            "removed what expired"
        );
    }
    outcome.map(|()| removed)
}

fn is_over(summary: &Summary, over: &Over) -> bool {
    let newest = summary.newest.map(|newest| newest.saturating_add(1));
    summary
        .oldest
        .zip(newest)
        .is_some_and(|(oldest, end)| over.holds(oldest, end))
}

/// Removes one segment before its time: the oldest overflow segment, else the oldest; never the one that is newest.
/// `None` when nothing is left to remove.
pub fn drop_oldest(dir: &Path) -> Result<Option<Removed>, Error> {
    let segments = layout::list(dir)?.segments;
    let overflow = segments.iter().find(|name| name.kind == Kind::Overflow);
    let newest = segments.last().map(|name| name.start());
    let oldest = segments
        .iter()
        .find(|name| name.kind == Kind::Main && Some(name.start()) != newest);
    let Some(name) = overflow.or(oldest) else {
        return Ok(None);
    };
    let path = name.path(dir);
    let envelopes = summary(&path).map_or(0, |summary| summary.envelopes);
    let bytes = remove_with_sidecars(&path)?;
    tracing::warn!(segment = %name, envelopes, bytes, "removed before its time");
    Ok(Some(Removed {
        segments: 1,
        envelopes,
        bytes,
    }))
}

/// What is in the way in the archive's directory.
pub fn obstacles(dir: &Path) -> Result<Vec<Obstacle>, Error> {
    Ok(layout::list(dir)?.in_the_way)
}

/// Counts without reading envelopes: one row of each segment.
pub fn survey(dir: &Path) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    let listing = match layout::list(dir) {
        Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(survey),
        listing => listing?,
    };
    for name in listing.segments {
        let path = name.path(dir);
        let bytes = size_with_sidecars(&path);
        match inspect(&path) {
            Ok(Inspected::Newer) => survey.newer.push(name),
            Ok(Inspected::Ours(summary)) => {
                survey.envelopes += summary.envelopes;
                survey.oldest = earlier(survey.oldest, summary.oldest);
                survey.newest = survey.newest.max(summary.newest);
            }
            // Removed since it was listed.
            Err(_) if !path.exists() => continue,
            Ok(Inspected::Foreign) | Err(_) => survey.unreadable.push(name),
        }
        survey.segments += 1;
        survey.bytes += bytes;
    }
    survey.quarantined = quarantine::list(dir)?;
    survey.in_the_way = listing.in_the_way;
    Ok(survey)
}

pub(crate) fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

enum Inspected {
    Ours(Summary),
    Newer,
    Foreign,
}

fn inspect(path: &Path) -> Result<Inspected, Error> {
    let conn = schema::open_for_reading(path)?;
    Ok(match Probe::of_open(&conn, path)? {
        Probe::Ours { .. } => Inspected::Ours(Summary::read(&conn, path)?),
        Probe::Newer(_) => Inspected::Newer,
        Probe::Foreign(_) => Inspected::Foreign,
    })
}

/// A segment's own count, when it can be read.
fn summary(path: &Path) -> Option<Summary> {
    match inspect(path) {
        Ok(Inspected::Ours(summary)) => Some(summary),
        _ => None,
    }
}

/// Removes a file and SQLite's beside it; returns the bytes on disk. The segment goes first: what is left by an
/// interruption then is an orphan, which the next removal finds.
pub(crate) fn remove_with_sidecars(path: &Path) -> Result<u64, Error> {
    let bytes = size_with_sidecars(path);
    schema::remove_if_there(path)?;
    for suffix in SIDECARS {
        schema::remove_if_there(&layout::sidecar(path, suffix))?;
    }
    Ok(bytes)
}

pub(crate) fn size_with_sidecars(path: &Path) -> u64 {
    let beside = SIDECARS.iter().map(|suffix| size(&layout::sidecar(path, suffix)));
    size(path) + beside.sum::<u64>()
}

/// Bytes on disk; 0 for what is not there.
fn size(path: &Path) -> u64 {
    // A block of st_blocks is 512 bytes whatever the file system (stat(2)).
    path.symlink_metadata().map_or(0, |meta| meta.blocks() * 512)
}
