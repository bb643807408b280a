//! The daemon's side: forgetting by removing whole files, and saying what is there. Nothing here needs the writer to
//! be alive, and nothing waits for it: a removed file's space is free as soon as the writer, which looks every 250 ms,
//! has closed it too.

mod survey;

use std::path::Path;

use crate::directory::files::{remove_if_there, remove_with_sidecars, size};
use crate::directory::listing::list;
use crate::directory::names::Kind;
use crate::directory::quarantine;
use crate::error::Error;
use crate::nanos::Nanos;
use crate::segment::summary::Summary;

pub use crate::directory::expiry::{Leap, Over};
pub use crate::directory::listing::Obstacle;
pub use crate::directory::policy::{read_policy, write_policy};
pub use crate::directory::quarantine::Quarantined;
use survey::summary;
pub use survey::{Survey, survey};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Whole files, without those of the quarantine.
    pub segments: u64,
    /// By the segments' own count.
    pub envelopes: u64,
    /// On disk, with write-ahead logs.
    pub bytes: u64,
}

/// Removes every segment whose whole slice is older than `cutoff`. What cannot be
/// removed keeps nothing else: the rest goes, then the first error is given.
pub fn remove_expired(dir: &Path, cutoff: impl Into<Nanos>) -> Result<Removed, Error> {
    remove(dir, &Over::before(cutoff))
}

/// As [`remove_expired`], also after a leap of the clock.
pub fn remove(dir: &Path, over: &Over) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    let mut outcome = Ok(());
    let listing = match list(dir) {
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
            match remove_if_there(&path) {
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
    let newest = summary.newest.map(|newest| newest.next());
    summary
        .oldest
        .zip(newest)
        .is_some_and(|(oldest, end)| over.holds(oldest, end))
}

/// Removes one segment before its time: the oldest overflow segment, else the oldest; never the one that is newest.
/// `None` when nothing is left to remove.
pub fn drop_oldest(dir: &Path) -> Result<Option<Removed>, Error> {
    let segments = list(dir)?.segments;
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
    Ok(list(dir)?.in_the_way)
}
