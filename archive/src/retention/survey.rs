//! What is in an archive, counted without its writer: one row of each segment.

use std::path::Path;

use crate::directory::files::size_with_sidecars;
use crate::directory::listing::{Obstacle, list};
use crate::directory::names::SegmentName;
use crate::directory::quarantine::{self, Quarantined};
use crate::error::Error;
use crate::nanos::Nanos;
use crate::segment::connect::open_for_reading;
use crate::segment::probe::Probe;
use crate::segment::summary::{Summary, earlier};

/// What is in the archive, by what its files say of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// All of them, whatever their state.
    pub segments: u64,
    /// Committed ones.
    pub envelopes: u64,
    /// On disk, with write-ahead logs, without the quarantine.
    pub bytes: u64,
    /// The earliest timestamp.
    pub oldest: Option<Nanos>,
    /// The latest one.
    pub newest: Option<Nanos>,
    /// What was put aside, and why.
    pub quarantined: Vec<Quarantined>,
    /// Segments that a newer Pillarbox wrote: kept, removed when their time is over, and otherwise left alone.
    pub newer: Vec<SegmentName>,
    /// Segments that could not be read just now; the writer puts them aside when it finds them damaged.
    pub unreadable: Vec<SegmentName>,
    /// What no writer makes: somebody else put it there.
    pub in_the_way: Vec<Obstacle>,
}

/// Counts without reading envelopes: one row of each segment.
pub fn survey(dir: &Path) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    let listing = match list(dir) {
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

enum Inspected {
    Ours(Summary),
    Newer,
    Foreign,
}

fn inspect(path: &Path) -> Result<Inspected, Error> {
    let conn = open_for_reading(path)?;
    Ok(match Probe::of_open(&conn, path)? {
        Probe::Ours { .. } => Inspected::Ours(Summary::read(&conn, path)?),
        Probe::Newer(_) => Inspected::Newer,
        Probe::Foreign(_) => Inspected::Foreign,
    })
}

/// A segment's own count, when it can be read.
pub(super) fn summary(path: &Path) -> Option<Summary> {
    match inspect(path) {
        Ok(Inspected::Ours(summary)) => Some(summary),
        _ => None,
    }
}
