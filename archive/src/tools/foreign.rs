//! nwaku's archive: one SQLite file with one table, read into ours, or held to the retention while nwaku writes it.
//!
//! nwaku's migrations leave the table called `message`, its code calls it `Message`: names in SQLite have no case. It
//! leaves its newest rows in the `-wal` file when it stops; SQLite reads them where that lies beside the file.
//!
//! nwaku sets no busy timeout, so whoever else writes must be brief: deletes go in small batches, each its own
//! transaction, with a pause for the owner in between. The file does not shrink by it; its free pages are used again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use crate::directory::expiry::Over;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::nanos::Nanos;
use crate::segment::connect::{OURS, only_files, run_nothing};
use crate::tools::progress::{Progress, ROWS_A_WORD, Told};
use crate::writer::archive::Archive;
use crate::writer::insert::Inserted;
use crate::writer::stats::Refusal;

/// The schema of nwaku's `user_version` 10 (migrations/message_store).
pub(crate) const TABLES: &str = "
PRAGMA user_version = 10;
CREATE TABLE Message(messageHash BLOB NOT NULL PRIMARY KEY, pubsubTopic BLOB NOT NULL, contentTopic BLOB NOT NULL,
  payload BLOB, version INTEGER NOT NULL, timestamp INTEGER NOT NULL, meta BLOB) WITHOUT ROWID;
CREATE INDEX i_ts ON Message (timestamp);
";
/// nwaku's schemas with a message hash as the key.
const VERSIONS: std::ops::RangeInclusive<u32> = 8..=10;
/// Rows of one delete.
const BATCH: usize = 128;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two deletes, at least, and so many times what the delete took: most of the time is the owner's.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_TIMES: u32 = 4;

/// The largest envelope that is read in: the largest that any of nwaku's presets relays (`status.prod`).
const MAX_ENVELOPE_BYTES: i64 = 1 << 20;

/// What came into an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// New ones.
    pub stored: u64,
    /// Kept before.
    pub duplicates: u64,
    /// Not taken, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Rows that are no envelope: a topic that is no text, a time that is no number, more than 1 MiB.
    pub unreadable: u64,
}

/// Reads nwaku's file into `archive`. What is older than its cut-off is refused there. What was read in before an error
/// is kept.
pub fn import(archive: &Archive, file: &Path, now: impl Into<Nanos>, mut told: Told<'_>) -> Result<Imported, Error> {
    let conn = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version = version(&conn, file)?;
    let outcome = rows(archive, &conn, version, file, now.into(), &mut told);
    archive.commit()?;
    outcome
}

fn rows(
    archive: &Archive,
    conn: &Connection,
    version: u32,
    file: &Path,
    now: Nanos,
    told: &mut Told<'_>,
) -> Result<Imported, Error> {
    let failed = |error| Error::segment("import", file)(error);
    let bound = |order: &str| -> rusqlite::Result<Option<i64>> {
        let sql = format!("SELECT timestamp FROM Message ORDER BY timestamp {order} LIMIT 1");
        let first = conn.query_row(&sql, [], |row| Ok(row.get_ref(0)?.as_i64().ok()));
        Ok(first.optional()?.flatten())
    };
    let oldest = bound("ASC").map_err(failed)?.unwrap_or(0);
    let newest = bound("DESC").map_err(failed)?.unwrap_or(0);
    let span = newest.saturating_sub(oldest).max(1) as f64;
    let mut select = conn.prepare(&select(version)).map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    let mut imported = Imported::default();
    let mut read = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        read += 1;
        let Some(envelope) = envelope(row).map_err(failed)? else {
            imported.unreadable += 1;
            continue;
        };
        match archive.insert(&envelope, now)? {
            // Whether what waits comes to the disk, closing the archive tells.
            Inserted::Stored(_) | Inserted::Unwritten(_) => imported.stored += 1,
            Inserted::Duplicate(_) => imported.duplicates += 1,
            Inserted::Refused(Refusal::DiskFull) => {
                let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                return Err(Error::file("store more envelopes in", archive.dir())(full));
            }
            Inserted::Refused(why) => *imported.refused.entry(why).or_default() += 1,
        }
        if read % ROWS_A_WORD == 0 {
            archive.tick(now)?;
            told(Progress {
                envelopes: read,
                done: (envelope.timestamp.saturating_sub(oldest) as f64 / span).clamp(0.0, 1.0),
            });
        }
    }
    Ok(imported)
}

/// Never reads a value that is larger than an envelope may be; the last column is how large all are together.
fn select(version: u32) -> String {
    // Version 8 has no meta.
    let meta = if version >= 9 { "meta" } else { "NULL" };
    let columns = ["pubsubTopic", "contentTopic", "payload", meta];
    let bounded = columns.map(|name| format!("iif(octet_length({name}) > {MAX_ENVELOPE_BYTES}, NULL, {name})"));
    let sizes = columns.map(|name| format!("coalesce(octet_length({name}), 0)"));
    format!(
        "SELECT {}, version, timestamp, {} FROM Message ORDER BY timestamp",
        bounded.join(", "),
        sizes.join(" + ")
    )
}

/// `None` for what is no envelope. The file may be anybody's: SQLite lets any value stand in any column.
fn envelope(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Envelope>> {
    // Written as blobs, and by some tools as text.
    let bytes = |column| -> rusqlite::Result<Option<Vec<u8>>> {
        Ok(match row.get_ref(column)? {
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Some(bytes.to_vec()),
            ValueRef::Null => Some(Vec::new()),
            ValueRef::Integer(_) | ValueRef::Real(_) => None,
        })
    };
    let text = |column| -> rusqlite::Result<Option<String>> {
        Ok(bytes(column)?.and_then(|bytes| String::from_utf8(bytes).ok()))
    };
    let number = |column| -> rusqlite::Result<Option<i64>> { Ok(row.get_ref(column)?.as_i64().ok()) };
    let (Some(pubsub_topic), Some(content_topic), Some(payload), Some(meta), Some(timestamp), Some(size)) =
        (text(0)?, text(1)?, bytes(2)?, bytes(3)?, number(5)?, number(6)?)
    else {
        return Ok(None);
    };
    let version = match row.get_ref(4)? {
        ValueRef::Null => None,
        other => match other.as_i64().ok().and_then(|version| u32::try_from(version).ok()) {
            Some(version) => Some(version),
            None => return Ok(None),
        },
    };
    if size > MAX_ENVELOPE_BYTES || pubsub_topic.is_empty() || content_topic.is_empty() {
        return Ok(None);
    }
    Ok(Some(Envelope {
        pubsub_topic,
        content_topic,
        payload,
        version,
        timestamp,
        meta: Some(meta).filter(|meta| !meta.is_empty()),
        rate_limit_proof: None,
    }))
}

/// Deletes what is older than `cutoff` from nwaku's file while nwaku may be writing it; returns how many rows.
pub fn remove_expired(file: &Path, cutoff: impl Into<Nanos>) -> Result<u64, Error> {
    remove(file, &Over::before(cutoff))
}

/// As [`remove_expired`], also after a leap of the clock.
pub fn remove(file: &Path, over: &Over) -> Result<u64, Error> {
    let conn = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    version(&conn, file)?;
    // A delete that a power cut undoes is done again.
    conn.pragma_update(None, "synchronous", "NORMAL")
        .map_err(Error::segment("open", file))?;
    let mut removed = delete(&conn, file, i64::MIN, over.cutoff)?;
    if let Some(leap) = over.leap {
        removed += delete(&conn, file, leap.since, leap.cutoff)?;
    }
    Ok(removed)
}

/// What is dated from `since` on and before `until`.
fn delete(conn: &Connection, file: &Path, since: i64, until: i64) -> Result<u64, Error> {
    let mut removed = 0;
    loop {
        let begun = Instant::now();
        let deleted = conn
            .prepare_cached(
                "DELETE FROM Message WHERE messageHash IN
                 (SELECT messageHash FROM Message WHERE timestamp >= ? AND timestamp < ? ORDER BY timestamp LIMIT ?)",
            )
            .and_then(|mut delete| delete.execute((since, until, BATCH.cast_signed() as i64)))
            .map_err(Error::segment("delete expired rows", file))?;
        removed += deleted as u64;
        if deleted < BATCH {
            return Ok(removed);
        }
        std::thread::sleep(PAUSE.max(begun.elapsed() * PAUSE_TIMES));
    }
}

fn open(file: &Path, access: OpenFlags) -> Result<Connection, Error> {
    let real = only_files(file)?;
    let opened = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(real, access | OURS)?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        run_nothing(&conn)?;
        Ok(conn)
    };
    opened().map_err(Error::segment("open", file))
}

/// The version of a file that is nwaku's.
fn version(conn: &Connection, file: &Path) -> Result<u32, Error> {
    let failed = |error| Error::segment("read the header", file)(error);
    let foreign = |reason: String| Error::Foreign {
        path: file.to_path_buf(),
        reason,
    };
    let version: u32 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| match log_beside(file) {
            Some(log) if cannot_write_beside(&error) => foreign(format!(
                "its newest rows are in {}, which SQLite reads only where it can write beside it: copy both into a folder that can be written",
                log.display()
            )),
            _ => failed(error),
        })?;
    if !VERSIONS.contains(&version) {
        return Err(foreign(format!(
            "it has user_version {version}, where nwaku's 8 to 10 are known{}",
            if version < 8 {
                "; an older nwaku's file is brought up to date by starting nwaku on it once"
            } else {
                ""
            }
        )));
    }
    let table: Option<String> = conn
        .query_row(
            "SELECT type FROM sqlite_schema WHERE name = 'Message' COLLATE NOCASE AND type IN ('table', 'view')",
            [],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed)?;
    match table.as_deref() {
        Some("table") => Ok(version),
        _ => Err(foreign("it has no table of messages".into())),
    }
}

/// The file of what nwaku has written and not yet put into `file`; absent when it holds nothing.
fn log_beside(file: &Path) -> Option<PathBuf> {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    log.metadata().is_ok_and(|found| found.len() > 0).then_some(log)
}

/// Whether SQLite could not make the file by which it reads the log.
fn cannot_write_beside(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}
