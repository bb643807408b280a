//! Opening segments with SQLite: never through a link, never a pipe, and nothing that a file says of itself is run.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::directory::folder;
use crate::directory::names::{SIDECARS, sidecar};
use crate::error::Error;

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
    for suffix in SIDECARS {
        let beside = sidecar(path, suffix);
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
    read(path) && read(&sidecar(path, "-wal")) && !sound().unwrap_or(false)
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
