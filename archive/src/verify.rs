//! Checking a whole archive, on a live box: every segment's structure by SQLite, and every envelope against its hash.
//! Nothing is changed; what is found damaged is put aside by the writer when it meets it.

use std::path::Path;

use rusqlite::Connection;

use crate::file::envelope_at;
use crate::layout::{self, SegmentName};
use crate::schema::{self, Probe, Summary, hash_at};
use crate::{Error, quarantine};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub segments: Vec<VerifiedSegment>,
    pub quarantined: Vec<crate::retention::Quarantined>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSegment {
    pub name: SegmentName,
    pub envelopes: u64,
    /// Empty for a sound segment.
    pub faults: Vec<String>,
}

impl Verified {
    pub fn is_sound(&self) -> bool {
        self.segments.iter().all(|segment| segment.faults.is_empty())
    }
}

/// So many faults of one segment are told.
const MAX_FAULTS: usize = 20;

pub fn verify(dir: &Path) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    for name in layout::list(dir)?.segments {
        let path = name.path(dir);
        let mut segment = VerifiedSegment {
            name,
            envelopes: 0,
            faults: Vec::new(),
        };
        if let Err(error) = check(&path, &mut segment) {
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

fn check(path: &Path, segment: &mut VerifiedSegment) -> Result<(), Error> {
    let mut conn = schema::open_for_reading(path)?;
    match Probe::of_open(&conn, path)? {
        Probe::Ours { .. } => {}
        Probe::Newer(_) => return Ok(()),
        Probe::Foreign(reason) => {
            segment.faults.push(reason);
            return Ok(());
        }
    }
    // One state of the file, whatever is committed meanwhile.
    let snapshot = conn.transaction().map_err(Error::segment("read", path))?;
    let found = structure(&snapshot).map_err(Error::segment("check", path))?;
    segment.faults.extend(found);
    let summary = Summary::read(&snapshot, path)?;
    envelopes(&snapshot, segment).map_err(Error::segment("read the envelopes", path))?;
    if summary.envelopes != segment.envelopes {
        let counted = segment.envelopes;
        segment.faults.push(format!(
            "{counted} envelopes where the summary says {}",
            summary.envelopes
        ));
    }
    Ok(())
}

fn structure(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = conn.prepare(&format!("PRAGMA integrity_check({MAX_FAULTS})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    lines.filter(|line| !matches!(line.as_deref(), Ok("ok"))).collect()
}

fn envelopes(conn: &Connection, segment: &mut VerifiedSegment) -> rusqlite::Result<()> {
    let mut rows = conn.prepare(
        "SELECT pubsub.name, topic.name, e.payload, e.version, e.timestamp, e.meta, e.proof, e.hash, e.id
         FROM envelope e LEFT JOIN topic ON topic.id = e.topic LEFT JOIN pubsub ON pubsub.id = e.pubsub",
    )?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        segment.envelopes += 1;
        let id: i64 = row.get(8)?;
        if segment.faults.len() >= MAX_FAULTS {
            continue;
        }
        match envelope_at(row) {
            Ok(envelope) if envelope.hash() != hash_at(row, 7)? => {
                segment.faults.push(format!("row {id} is not what its hash says"));
            }
            Ok(envelope) if !segment.name.covers(envelope.timestamp) => {
                segment.faults.push(format!("row {id} is of another slice"));
            }
            Ok(_) => {}
            Err(error) => segment.faults.push(format!("row {id}: {error}")),
        }
    }
    Ok(())
}
