//! nwaku's archive: one SQLite file with one table, read into ours, or held to the retention while nwaku writes it.
//!
//! nwaku sets no busy timeout, so whoever else writes must be brief: deletes go in small batches, each its own
//! transaction, with a pause for the owner in between. The file does not shrink by it; its free pages are used again.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::{Archive, Envelope, Error, Inserted};

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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub stored: u64,
    pub duplicates: u64,
    pub refused: u64,
    /// Rows whose topics are no text.
    pub unreadable: u64,
}

/// Reads nwaku's file into `archive`. What is older than its cut-off is refused there.
pub fn import(archive: &Archive, file: &Path, now: i64) -> Result<Imported, Error> {
    let conn = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version = version(&conn, file)?;
    // Version 8 has no meta.
    let meta = if version >= 9 { "meta" } else { "NULL" };
    let failed = |error| Error::segment("import", file)(error);
    let mut rows = conn
        .prepare(&format!(
            "SELECT pubsubTopic, contentTopic, payload, version, timestamp, {meta} FROM Message ORDER BY timestamp"
        ))
        .map_err(failed)?;
    let mut rows = rows.query([]).map_err(failed)?;
    let mut imported = Imported::default();
    let mut since_tick = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        let Some(envelope) = envelope(row).map_err(failed)? else {
            imported.unreadable += 1;
            continue;
        };
        match archive.insert(&envelope, now)? {
            Inserted::Stored(_) => imported.stored += 1,
            Inserted::Duplicate(_) => imported.duplicates += 1,
            Inserted::Refused(_) => imported.refused += 1,
        }
        since_tick += 1;
        if since_tick >= 4096 {
            since_tick = 0;
            archive.tick(now)?;
        }
    }
    archive.commit()?;
    Ok(imported)
}

fn envelope(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Envelope>> {
    // Written as blobs, and by some tools as text.
    let text = |column| -> rusqlite::Result<Option<String>> {
        let bytes = row.get_ref(column)?.as_bytes_or_null()?.unwrap_or_default().to_vec();
        Ok(String::from_utf8(bytes).ok())
    };
    let (Some(pubsub_topic), Some(content_topic)) = (text(0)?, text(1)?) else {
        return Ok(None);
    };
    let meta: Option<Vec<u8>> = row.get(5)?;
    Ok(Some(Envelope {
        pubsub_topic,
        content_topic,
        payload: row.get::<_, Option<Vec<u8>>>(2)?.unwrap_or_default(),
        version: row.get::<_, Option<u32>>(3)?,
        timestamp: row.get(4)?,
        meta: meta.filter(|meta| !meta.is_empty()),
        rate_limit_proof: None,
    }))
}

/// Deletes what is older than `cutoff` from nwaku's file while nwaku may be writing it; returns how many rows.
pub fn remove_expired(file: &Path, cutoff: i64) -> Result<u64, Error> {
    let conn = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    version(&conn, file)?;
    // A delete that a power cut undoes is done again.
    conn.pragma_update(None, "synchronous", "NORMAL")
        .map_err(Error::segment("open", file))?;
    let mut removed = 0;
    loop {
        let begun = Instant::now();
        let deleted = conn
            .prepare_cached(
                "DELETE FROM Message WHERE messageHash IN
                 (SELECT messageHash FROM Message WHERE timestamp < ? ORDER BY timestamp LIMIT ?)",
            )
            .and_then(|mut delete| delete.execute((cutoff, BATCH.cast_signed() as i64)))
            .map_err(Error::segment("delete expired rows", file))?;
        removed += deleted as u64;
        if deleted < BATCH {
            return Ok(removed);
        }
        std::thread::sleep(PAUSE.max(begun.elapsed() * PAUSE_TIMES));
    }
}

fn open(file: &Path, access: OpenFlags) -> Result<Connection, Error> {
    let conn = Connection::open_with_flags(file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(Error::segment("open", file))?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(Error::segment("open", file))?;
    Ok(conn)
}

fn version(conn: &Connection, file: &Path) -> Result<u32, Error> {
    let version: u32 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(Error::segment("read the header", file))?;
    if VERSIONS.contains(&version) {
        return Ok(version);
    }
    Err(Error::Foreign {
        path: file.to_path_buf(),
        reason: format!("user_version {version} where nwaku's 8 to 10 are known"),
    })
}
