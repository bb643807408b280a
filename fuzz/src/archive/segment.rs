//! A segment's file, opened by the tools and the writer.

use std::path::Path;

use rusqlite::Connection;

use super::values::{lines, value, words};
use super::{HOUR_SECS, goes_on, scratch};

pub(crate) const SEALED: &[u8] = include_bytes!("../../seeds/archive/segment/sealed");
pub(crate) const LIVE: &[u8] = include_bytes!("../../seeds/archive/segment/live");

/// Any bytes for the file.
pub(crate) fn file(bytes: &[u8]) {
    let place = scratch();
    let path = place.path().join(format!("slice-{HOUR_SECS}-3600-000001-main.sqlite"));
    std::fs::write(path, bytes).expect("room for the file");
    goes_on(place.path());
}

/// Any values in a good segment's tables. The first line says which: `live` or `sealed`, and `provisional` for one of that
/// kind. Each other line is a column, a row, and a value for it (`envelope.hash 2 blob abc`), or `drop TABLE`.
pub(crate) fn rows(bytes: &[u8]) {
    let mut lines = lines(bytes);
    let (which, kind) = words(lines.next().unwrap_or_default());
    let name = match kind {
        b"provisional" => "slice-0-0-000001-provisional.sqlite".into(),
        _ => format!("slice-{HOUR_SECS}-3600-000001-main.sqlite"),
    };
    let place = scratch();
    let path = place.path().join(name);
    std::fs::write(&path, if which == b"live" { LIVE } else { SEALED }).expect("room for the file");
    change(&path, lines).expect("a good segment");
    goes_on(place.path());
}

/// What SQLite takes of it.
fn change<'a>(path: &Path, lines: impl Iterator<Item = &'a [u8]>) -> rusqlite::Result<()> {
    let conn = Connection::open(path)?;
    conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = ON; BEGIN IMMEDIATE;")?;
    for line in lines {
        let (place, rest) = words(line);
        let (row, rest) = words(rest);
        if place == b"drop" {
            let _ = conn.execute_batch(&format!("DROP TABLE {}", word(row)));
        }
        let mut parts = place.splitn(2, |byte| *byte == b'.');
        if let (Some(table), Some(column), Some(value)) = (parts.next(), parts.next(), value(rest)) {
            let (table, column) = (word(table), word(column));
            let row: i64 = String::from_utf8_lossy(row).parse().unwrap_or(1);
            let _ = conn.execute(
                &format!("UPDATE {table} SET {column} = ? WHERE rowid = ?"),
                (value, row),
            );
        }
    }
    conn.execute_batch("COMMIT")?;
    conn.close().map_err(|(_, error)| error)
}

/// Letters alone: the input names tables and columns and says nothing else in SQL.
fn word(bytes: &[u8]) -> String {
    let letters = bytes.iter().filter(|byte| byte.is_ascii_lowercase() || **byte == b'_');
    letters.map(|byte| char::from(*byte)).collect()
}
