//! The inside of a segment: its tables, the marks in its header, and how one is made.
//!
//! Rows are only ever appended, in order of arrival; the payload is last, so that reading the rest of a row touches no
//! overflow page. A segment is made under another name and renamed when it is whole and synced, so that a name that
//! [`SegmentName`] knows always has its tables, whenever the power was cut.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use crate::folder;
use crate::layout::{self, SegmentName};
use crate::{Envelope, Error, MessageHash};

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

/// The rows of a segment are numbered in 32 bits.
const MAX_ENVELOPES: u64 = u32::MAX as u64;
/// A tebibyte: far more than a slice of time holds, and little enough for sums over any number of segments.
const MAX_PAYLOAD_BYTES: u64 = 1 << 40;

/// What a segment says of itself; kept current by every commit, so that nobody need count rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) sealed: bool,
    pub(crate) envelopes: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) oldest: Option<i64>,
    pub(crate) newest: Option<i64>,
}

impl Summary {
    pub(crate) fn add(&mut self, envelope: &Envelope) {
        let at = envelope.timestamp;
        self.envelopes += 1;
        self.payload_bytes += envelope.payload.len() as u64;
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
    }

    pub(crate) fn read(conn: &Connection, path: &Path) -> Result<Summary, Error> {
        Summary::get(conn).map_err(Error::segment("read the summary", path))
    }

    pub(crate) fn get(conn: &Connection) -> rusqlite::Result<Summary> {
        conn.query_row(
            "SELECT sealed, envelopes, payload_bytes, oldest, newest FROM summary",
            [],
            |row| {
                Ok(Summary {
                    sealed: row.get(0)?,
                    envelopes: unsigned(row, 1, MAX_ENVELOPES)?,
                    payload_bytes: unsigned(row, 2, MAX_PAYLOAD_BYTES)?,
                    oldest: row.get(3)?,
                    newest: row.get(4)?,
                })
            },
        )
    }

    pub(crate) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached("UPDATE summary SET sealed = ?, envelopes = ?, payload_bytes = ?, oldest = ?, newest = ?")?
            .execute(params![
                self.sealed,
                self.envelopes.cast_signed(),
                self.payload_bytes.cast_signed(),
                self.oldest,
                self.newest
            ])
            .map(|_| ())
    }
}

/// What a file is, by its first hundred bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Still with a write-ahead log, or (sealed) without.
    Ours { log: bool },
    /// Written by a newer Pillarbox: left alone, and reported.
    Newer(u32),
    /// Not a segment, with the reason.
    Foreign(String),
}

/// For a file that is open nowhere in this process: closing a file drops every POSIX lock that the process holds on it,
/// SQLite's too.
pub(crate) fn probe(path: &Path) -> Result<Probe, Error> {
    use std::io::Read;
    let mut header = Vec::with_capacity(100);
    folder::open_file(path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(Error::file("read", path))?;
    // The places are those of SQLite's file format, section 1.3.
    let word = |at: usize| {
        header
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_be_bytes)
    };
    if !header.starts_with(b"SQLite format 3\0") {
        return Ok(Probe::Foreign("not-sqlite".into()));
    }
    let (Some(version), Some(application)) = (word(60), word(68)) else {
        return Ok(Probe::Foreign("truncated".into()));
    };
    Ok(match Probe::of(application, version) {
        // The "file format write version": 2 is write-ahead logging.
        Probe::Ours { .. } => Probe::Ours {
            log: header.get(18) != Some(&1),
        },
        other => other,
    })
}

impl Probe {
    fn of(application: u32, version: u32) -> Probe {
        match (application, version) {
            (APPLICATION_ID, 1..=VERSION) => Probe::Ours { log: true },
            (APPLICATION_ID, newer) if newer > VERSION => Probe::Newer(newer),
            (0, 8..=10) => Probe::Foreign(format!("nwaku-version-{version}")),
            _ => Probe::Foreign(format!("application-{application:08x}-version-{version}")),
        }
    }

    /// The same of a file that SQLite has open.
    pub(crate) fn of_open(conn: &Connection, path: &Path) -> Result<Probe, Error> {
        let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        let read = || Ok(Probe::of(pragma("application_id")?, pragma("user_version")?));
        read().map_err(Error::segment("read the header", path))
    }
}

/// Makes a segment with its first rows, which are written once and need no log, and opens it for writing.
pub(crate) fn create(
    dir: &Path,
    name: SegmentName,
    page_bytes: u32,
    fill: impl FnOnce(&mut Connection) -> rusqlite::Result<()>,
) -> Result<Connection, Error> {
    let path = name.path(dir);
    let unfinished = layout::sidecar(&path, layout::UNFINISHED);
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
            layout::give_to_owner(dir, &file)?;
            file.sync_all()
        })
        .map_err(Error::file("sync", unfinished))?;
    std::fs::rename(unfinished, path).map_err(Error::file("rename", unfinished))?;
    layout::sync_dir(dir)
}

/// Opens an existing segment for appending; replays what a crash left in its write-ahead log.
pub(crate) fn open_for_writing(path: &Path) -> Result<Connection, Error> {
    let real = only_files(path)?;
    let opened = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(real, OpenFlags::SQLITE_OPEN_READ_WRITE | OURS)?;
        run_nothing(&conn)?;
        conn.busy_timeout(std::time::Duration::from_secs(2))?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "cache_size", -512)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        conn.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
        Ok(conn)
    };
    opened().map_err(Error::segment("open for writing", path))
}

/// How long a write-ahead log grows before it is copied into the file, in pages.
const WAL_PAGES: u32 = 2000;

/// How every file is opened: links are never followed, not even one that came after [`only_files`] looked.
pub(crate) const OURS: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX.union(OpenFlags::SQLITE_OPEN_NOFOLLOW);

/// The real path of a file for SQLite, which would wait for a pipe for ever: it and what SQLite opens beside it are
/// files, or not there. SQLite with `NOFOLLOW` refuses a link anywhere in a path, so those of the folders are resolved.
pub(crate) fn only_files(path: &Path) -> Result<PathBuf, Error> {
    folder::check_file(path).map_err(Error::file("open", path))?;
    for suffix in layout::SIDECARS {
        let beside = layout::sidecar(path, suffix);
        folder::check_file(&beside).map_err(Error::file("open", &beside))?;
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path.to_owned());
    };
    // Relative, and in the present folder.
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let real = parent.canonicalize().map_err(Error::file("find the folder of", path))?;
    Ok(real.join(name))
}

/// Nothing that a file says of itself is run: a view in a table's place may never end.
pub(crate) fn run_nothing(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    Ok(())
}

pub(crate) fn open_for_reading(path: &Path) -> Result<Connection, Error> {
    let real = only_files(path)?;
    let opened = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(real, OpenFlags::SQLITE_OPEN_READ_ONLY | OURS)?;
        run_nothing(&conn)?;
        conn.busy_timeout(std::time::Duration::from_millis(500))?;
        conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        Ok(conn)
    };
    opened().map_err(Error::segment("open", path))
}

/// Opens a segment that nothing writes any more: no locks are taken and no log is looked for (SQLite's `immutable`).
pub(crate) fn open_complete(path: &Path) -> Result<Connection, Error> {
    let real = only_files(path)?;
    let opened = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OURS;
        let conn = Connection::open_with_flags(format!("file:{}?immutable=1", uri_path(&real)), flags)?;
        run_nothing(&conn)?;
        conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        Ok(conn)
    };
    opened().map_err(Error::segment("open", path))
}

/// Whether a segment that SQLite calls corrupt is: the device reads all of it, and the file's structure has faults, its log
/// left aside. Drops the process's locks on the file, so it is for one that is given up if it is.
pub(crate) fn is_damaged(path: &Path) -> bool {
    let read = |path: &Path| match folder::open_file(path) {
        Ok(mut file) => std::io::copy(&mut file, &mut std::io::sink()).is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    let sound = || -> Result<bool, Error> {
        let conn = open_complete(path)?;
        let checked = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        Ok(checked.map_err(Error::segment("check", path))? == "ok")
    };
    read(path) && read(&layout::sidecar(path, "-wal")) && !sound().unwrap_or(false)
}

/// What a reader of a segment keeps of it in memory.
const READER_CACHE_KIB: i64 = 160;

/// A path as it stands in a URI (RFC 3986).
fn uri_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|&byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

pub(crate) fn remove_if_there(path: &Path) -> Result<bool, Error> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::file("remove", path)(error)),
    }
}

/// SQLite's integers are signed, and a damaged file's may be any.
fn unsigned(row: &rusqlite::Row<'_>, column: usize, most: u64) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    let bounded = u64::try_from(value).ok().filter(|value| *value <= most);
    bounded.ok_or(rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A hash as it lies in a row.
pub(crate) fn hash_at(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<MessageHash> {
    row.get::<_, [u8; 32]>(column).map(MessageHash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_uris() {
        for (path, expected) in [
            ("/var/lib/archive/slice-0.sqlite", "/var/lib/archive/slice-0.sqlite"),
            ("/a b/50%?x=#1", "/a%20b/50%25%3Fx%3D%231"),
            ("/ü", "/%C3%BC"),
        ] {
            assert_eq!(uri_path(Path::new(path)), expected);
        }
    }
}
