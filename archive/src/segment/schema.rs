//! The inside of a segment: its tables, the marks in its header, and how one is made.
//!
//! Rows are only ever appended, in order of arrival; the payload is last, so that reading the rest of a row touches no
//! overflow page. A segment is made under another name and renamed when it is whole and synced, so that a name that
//! [`SegmentName`] knows always has its tables, whenever the power was cut.

use std::path::Path;

use rusqlite::Connection;

use crate::directory::files::{give_to_owner, remove_if_there, sync_dir};
use crate::directory::folder;
use crate::directory::names::{SegmentName, UNFINISHED, sidecar};
use crate::error::Error;
use crate::segment::connect::open_for_writing;

/// `PRAGMA application_id` of every segment: "PBox".
pub(crate) const APPLICATION_ID: u32 = 0x5042_6f78;
/// `PRAGMA user_version`: the schema below. A file with a higher one was written by a newer Pillarbox.
pub(crate) const VERSION: u32 = 1;
/// Rows of 2 KB do not pack into pages of 4 KiB (one fits, and half the page is lost); in small pages the payload fills
/// overflow pages to the last byte.
pub(crate) const PAGE_BYTES: u32 = 1024;

const TABLES: &str = "
CREATE TABLE pubsub(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE topic(id INTEGER PRIMARY KEY, pubsub INTEGER NOT NULL, name TEXT NOT NULL);
CREATE TABLE share(topic INTEGER PRIMARY KEY, envelopes INTEGER NOT NULL, payload_bytes INTEGER NOT NULL);
CREATE TABLE envelope(id INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, hash BLOB NOT NULL,
  topic INTEGER NOT NULL, pubsub INTEGER NOT NULL, version INTEGER, meta BLOB, proof BLOB, payload BLOB NOT NULL,
  rank BLOB GENERATED ALWAYS AS (substr(hash, 1, 8)) VIRTUAL);
CREATE TABLE summary(one INTEGER PRIMARY KEY CHECK (one = 1), sealed INTEGER NOT NULL, envelopes INTEGER NOT NULL,
  payload_bytes INTEGER NOT NULL, oldest INTEGER, newest INTEGER);
CREATE TABLE filter(bits BLOB NOT NULL);
INSERT INTO summary VALUES (1, 0, 0, 0, NULL, NULL);
";

/// What is written when a segment is sealed; each index is built in one pass over rows that lie in order.
pub(crate) const INDEXES: &str = "
CREATE INDEX by_hash ON envelope(rank);
CREATE INDEX by_topic ON envelope(topic, timestamp, rank);
CREATE INDEX by_pubsub ON envelope(pubsub, timestamp, rank);
CREATE INDEX by_name ON topic(name);
INSERT INTO share SELECT topic, count(*), sum(length(payload)) FROM envelope GROUP BY topic;
";

/// Makes a segment with its first rows, which are written once and need no log, and opens it for writing.
pub(crate) fn create(
    dir: &Path,
    name: SegmentName,
    page_bytes: u32,
    fill: impl FnOnce(&mut Connection) -> rusqlite::Result<()>,
) -> Result<Connection, Error> {
    let path = name.path(dir);
    let unfinished = sidecar(&path, UNFINISHED);
    make(dir, &path, &unfinished, page_bytes, fill).inspect_err(|_| {
        // On a full disk it would take the room that is missing.
        if let Err(error) = remove_if_there(&unfinished) {
            tracing::debug!(%error, "a segment that was not finished");
        }
    })?;
    open_for_writing(&path)
}

fn make(
    dir: &Path,
    path: &Path,
    unfinished: &Path,
    page_bytes: u32,
    fill: impl FnOnce(&mut Connection) -> rusqlite::Result<()>,
) -> Result<(), Error> {
    remove_if_there(unfinished)?;
    {
        let mut conn = Connection::open(unfinished).map_err(Error::segment("create", unfinished))?;
        let made = || -> rusqlite::Result<()> {
            conn.pragma_update(None, "page_size", page_bytes)?;
            // Nobody knows this file yet: it is synced once, when it is whole.
            conn.pragma_update(None, "synchronous", "OFF")?;
            conn.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(()))?;
            conn.pragma_update(None, "application_id", APPLICATION_ID)?;
            conn.pragma_update(None, "user_version", VERSION)?;
            conn.execute_batch(&format!("BEGIN IMMEDIATE;{TABLES}COMMIT;"))?;
            fill(&mut conn)?;
            conn.pragma_update(None, "journal_mode", "WAL")
        };
        made().map_err(Error::segment("make the tables", unfinished))?;
        conn.close()
            .map_err(|(_, error)| Error::segment("close", unfinished)(error))?;
    }
    folder::open_file(unfinished)
        .and_then(|file| {
            give_to_owner(dir, &file)?;
            file.sync_all()
        })
        .map_err(Error::file("sync", unfinished))?;
    std::fs::rename(unfinished, path).map_err(Error::file("rename", unfinished))?;
    sync_dir(dir)
}
