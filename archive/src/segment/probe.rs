//! What a file is: a segment of this version, of a newer one, or something else.

use std::path::Path;

use rusqlite::Connection;

use crate::directory::folder;
use crate::error::Error;
use crate::segment::schema::{APPLICATION_ID, VERSION};

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
