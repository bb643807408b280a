//! Checking a whole archive, on a live box: every segment's structure by SQLite, and every envelope against its hash.
//! Nothing is changed; what is found damaged is put aside by the writer when it meets it.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::directory::listing::list;
use crate::directory::names::SegmentName;
use crate::directory::quarantine;
use crate::error::Error;
use crate::segment::bloom::{Bloom, MAX_BYTES};
use crate::segment::connect::open_for_reading;
use crate::segment::probe::Probe;
use crate::segment::rows::{COLUMNS, HASH, ID, envelope_at, hash_at};
use crate::segment::summary::Summary;
use crate::tools::progress::{Files, Told};

/// What was found in an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// In order of slice.
    pub segments: Vec<VerifiedSegment>,
    /// What was put aside before.
    pub quarantined: Vec<quarantine::Quarantined>,
}

/// What was found in one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSegment {
    /// Which one.
    pub name: SegmentName,
    /// Read and checked.
    pub envelopes: u64,
    /// The version of the newer Pillarbox that wrote it: nothing is known of what is in it.
    pub newer: Option<u32>,
    /// Empty for a sound segment.
    pub faults: Vec<String>,
}

impl Verified {
    /// Whether no segment has a fault.
    pub fn is_sound(&self) -> bool {
        self.segments.iter().all(|segment| segment.faults.is_empty())
    }
}

/// So many faults of one segment are told.
const MAX_FAULTS: usize = 20;

/// Checks every segment of the archive in `dir`. The error is only of the directory itself: what is wrong with a segment
/// is among its faults.
pub fn verify(dir: &Path, mut told: Told<'_>) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    let segments = list(dir)?.segments;
    let mut progress = Files::new(&mut told, dir, &segments);
    for name in segments {
        let path = name.path(dir);
        let mut segment = VerifiedSegment {
            name,
            envelopes: 0,
            newer: None,
            faults: Vec::new(),
        };
        let checked = check(&path, &mut segment, &mut progress);
        progress.next();
        if let Err(error) = checked {
            // Removed while it was checked: expired.
            if !path.exists() {
                continue;
            }
            segment.faults.push(error.to_string());
        }
        segment.faults.truncate(MAX_FAULTS);
        verified.segments.push(segment);
    }
    verified.quarantined = quarantine::list(dir)?;
    Ok(verified)
}

fn check(path: &Path, segment: &mut VerifiedSegment, progress: &mut Files<'_, '_>) -> Result<(), Error> {
    let mut conn = open_for_reading(path)?;
    match Probe::of_open(&conn, path)? {
        Probe::Ours { .. } => {}
        Probe::Newer(version) => {
            segment.newer = Some(version);
            return Ok(());
        }
        Probe::Foreign(reason) => {
            segment.faults.push(reason);
            return Ok(());
        }
    }
    // One state of the file, whatever is committed meanwhile.
    let snapshot = conn.transaction().map_err(Error::segment("read", path))?;
    let found = structure(&snapshot).map_err(Error::segment("check", path))?;
    segment.faults.extend(found);
    let said = Summary::read(&snapshot, path)?;
    let counted = envelopes(&snapshot, segment, |row| progress.row(row, said.envelopes))
        .map_err(Error::segment("read the envelopes", path))?;
    if (counted.envelopes, counted.payload_bytes) != (said.envelopes, said.payload_bytes) {
        segment.faults.push(format!(
            "{} envelopes of {} bytes where its summary says {} of {}",
            counted.envelopes, counted.payload_bytes, said.envelopes, said.payload_bytes
        ));
    } else if (counted.oldest, counted.newest) != (said.oldest, said.newest) {
        segment
            .faults
            .push("its oldest and newest envelopes are not those of its summary".into());
    }
    Ok(())
}

fn structure(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = conn.prepare(&format!("PRAGMA integrity_check({MAX_FAULTS})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    lines.filter(|line| !matches!(line.as_deref(), Ok("ok"))).collect()
}

/// Checks every row, and counts what the summary ought to say.
fn envelopes(conn: &Connection, segment: &mut VerifiedSegment, mut read: impl FnMut(u64)) -> rusqlite::Result<Summary> {
    let bounded = "SELECT octet_length(bits), iif(octet_length(bits) <= ?, bits, NULL) FROM filter";
    let found: Option<(i64, Option<Vec<u8>>)> = conn
        .query_row(bounded, [MAX_BYTES], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((length, None)) = found {
        segment.faults.push(format!("its filter has {length} bytes"));
    }
    let filter = found.and_then(|(_, bits)| bits).and_then(Bloom::from_bytes);
    let mut counted = Summary::default();
    // Rows whose topics are missing are no envelopes, and are to be found.
    let mut rows = conn.prepare(&format!(
        "SELECT {COLUMNS} FROM envelope e LEFT JOIN topic ON topic.id = e.topic LEFT JOIN pubsub ON pubsub.id = e.pubsub"
    ))?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        segment.envelopes += 1;
        read(segment.envelopes);
        let id: i64 = row.get(ID)?;
        let fault = match envelope_at(row) {
            Ok(envelope) => {
                counted.add(&envelope);
                let hash = hash_at(row, HASH)?;
                if envelope.hash() != hash {
                    Some(format!("row {id} is not what its hash says"))
                } else if !segment.name.covers(envelope.time()) {
                    Some(format!("row {id} is of another slice"))
                } else if filter.as_ref().is_some_and(|filter| !filter.may_have(&hash)) {
                    Some(format!("row {id} is not in the filter"))
                } else {
                    None
                }
            }
            Err(error) => Some(format!("row {id}: {error}")),
        };
        segment
            .faults
            .extend(fault.filter(|_| segment.faults.len() < MAX_FAULTS));
    }
    Ok(counted)
}
