//! Envelopes out of an archive, on a live box, without the writer: as JSON lines, or as one SQLite file.
//!
//! Segments are read one after the other, each in one state; a damaged segment is skipped and named. An envelope that is
//! just being moved out of a provisional segment may come twice as a line of JSON.

use std::io::Write;
use std::path::Path;

use rusqlite::{Connection, params};
use serde::Serialize;

use crate::directory::files::remove_with_sidecars;
use crate::directory::listing::list;
use crate::directory::names::SegmentName;
use crate::envelope::{Envelope, MessageHash};
use crate::error::Error;
use crate::nanos::Nanos;
use crate::segment::connect::open_for_reading;
use crate::segment::probe::Probe;
use crate::segment::rows::{COLUMNS, HASH, TABLES, envelope_at, hash_at};
use crate::segment::summary::Summary;
use crate::tools::foreign;
use crate::tools::progress::{Files, Told};

/// What came out of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Written to the target.
    pub envelopes: u64,
    /// What could not be read, with the reason.
    pub skipped: Vec<(SegmentName, String)>,
}

/// One line of JSON. Bytes are hexadecimal.
#[derive(Serialize)]
struct Line<'a> {
    hash: String,
    pubsub_topic: &'a str,
    content_topic: &'a str,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit_proof: Option<String>,
    payload: String,
}

/// Writes every envelope not older than `cutoff` as a line of JSON.
pub fn to_json_lines(
    dir: &Path,
    cutoff: impl Into<Nanos>,
    out: &mut dyn Write,
    told: Told<'_>,
) -> Result<Exported, Error> {
    each(dir, cutoff.into(), told, |hash, envelope| {
        let line = Line {
            hash: hash.to_string(),
            pubsub_topic: &envelope.pubsub_topic,
            content_topic: &envelope.content_topic,
            timestamp: envelope.timestamp,
            version: envelope.version,
            meta: envelope.meta.as_ref().map(hex::encode),
            rate_limit_proof: envelope.rate_limit_proof.as_ref().map(hex::encode),
            payload: hex::encode(&envelope.payload),
        };
        serde_json::to_writer(&mut *out, &line)
            .map_err(std::io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(Error::file("write the export of", dir))?;
        Ok(true)
    })
}

/// Writes every envelope not older than `cutoff` into a new SQLite file, in the schema that nwaku reads (`user_version`
/// 10). Rate limit proofs have no place there. A file that could not be finished is removed.
pub fn to_sqlite(dir: &Path, cutoff: impl Into<Nanos>, target: &Path, told: Told<'_>) -> Result<Exported, Error> {
    // Made here, so that it is nobody else's; an empty file is an empty database.
    std::fs::File::create_new(target).map_err(Error::file("create", target))?;
    let written = write_sqlite(dir, cutoff.into(), target, told);
    if written.is_err()
        && let Err(error) = remove_with_sidecars(target)
    {
        tracing::warn!(%error, "an export that was not finished");
    }
    written
}

fn write_sqlite(dir: &Path, cutoff: Nanos, target: &Path, told: Told<'_>) -> Result<Exported, Error> {
    let conn = Connection::open(target).map_err(Error::segment("create", target))?;
    conn.execute_batch(foreign::TABLES)
        .and_then(|()| conn.execute_batch("BEGIN"))
        .map_err(Error::segment("make the tables", target))?;
    let exported = each(dir, cutoff, told, |hash, envelope| {
        conn.prepare_cached("INSERT OR IGNORE INTO Message VALUES (?, ?, ?, ?, ?, ?, ?)")
            .and_then(|mut insert| {
                insert.execute(params![
                    hash.0,
                    envelope.pubsub_topic.as_bytes(),
                    envelope.content_topic.as_bytes(),
                    envelope.payload,
                    envelope.version.unwrap_or(0),
                    envelope.timestamp,
                    envelope.meta.as_deref().unwrap_or_default(),
                ])
            })
            .map(|rows| rows > 0)
            .map_err(Error::segment("write an envelope", target))
    })?;
    conn.execute_batch("COMMIT").map_err(Error::segment("commit", target))?;
    conn.close()
        .map_err(|(_, error)| Error::segment("close", target)(error))?;
    Ok(exported)
}

/// `give` says whether the envelope was new to it.
fn each(
    dir: &Path,
    cutoff: Nanos,
    mut told: Told<'_>,
    mut give: impl FnMut(MessageHash, &Envelope) -> Result<bool, Error>,
) -> Result<Exported, Error> {
    let mut exported = Exported::default();
    let segments = list(dir)?.segments;
    let mut progress = Files::new(&mut told, dir, &segments);
    for name in segments {
        let path = name.path(dir);
        let outcome = each_of(&path, cutoff, |row, rows, hash, envelope| {
            progress.row(row, rows);
            exported.envelopes += u64::from(give(hash, envelope)?);
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(Stopped::Reading(error)) if path.exists() => exported.skipped.push((name, error.to_string())),
            // Expired meanwhile.
            Err(Stopped::Reading(_)) => {}
            Err(Stopped::Writing(error)) => return Err(error),
        }
        progress.next();
    }
    Ok(exported)
}

/// Which side an export stopped at: a segment that cannot be read is skipped, a target that cannot be written is the end.
enum Stopped {
    Reading(Error),
    Writing(Error),
}

fn each_of(
    path: &Path,
    cutoff: Nanos,
    mut give: impl FnMut(u64, u64, MessageHash, &Envelope) -> Result<(), Error>,
) -> Result<(), Stopped> {
    let conn = open_for_reading(path).map_err(Stopped::Reading)?;
    let reading = |error| Stopped::Reading(Error::segment("export", path)(error));
    match Probe::of_open(&conn, path).map_err(Stopped::Reading)? {
        Probe::Ours { .. } => {}
        Probe::Newer(version) => {
            return Err(Stopped::Reading(Error::Foreign {
                path: path.to_path_buf(),
                reason: format!("version {version} is newer than this Pillarbox"),
            }));
        }
        Probe::Foreign(reason) => {
            return Err(Stopped::Reading(Error::Foreign {
                path: path.to_path_buf(),
                reason,
            }));
        }
    }
    let all = Summary::get(&conn).map_err(reading)?.envelopes;
    let mut row_number = 0;
    let mut rows = conn
        .prepare(&format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE e.timestamp >= ? ORDER BY e.id"
        ))
        .map_err(reading)?;
    let mut rows = rows.query([cutoff]).map_err(reading)?;
    while let Some(row) = rows.next().map_err(reading)? {
        let envelope = envelope_at(row).map_err(reading)?;
        let hash = hash_at(row, HASH).map_err(reading)?;
        row_number += 1;
        give(row_number, all, hash, &envelope).map_err(Stopped::Writing)?;
    }
    Ok(())
}
