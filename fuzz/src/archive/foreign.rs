//! nwaku's file: read in, and held to the retention.

use std::path::Path;

use archive::{foreign, verify};
use rusqlite::types::Value;

use super::values::{lines, value};
use super::{NOW, SECOND, open, scratch, unheard};

/// Any bytes for the file.
pub(crate) fn file(bytes: &[u8]) {
    let place = scratch();
    let file = place.path().join("store.sqlite3");
    std::fs::write(&file, bytes).expect("room for the file");
    read_in(place.path(), &file);
}

/// The first line is nwaku's version of the table (8 to 10), then each six values are a row: pubsub topic, content
/// topic, payload, version, time, meta.
pub(crate) fn rows(bytes: &[u8]) {
    let mut lines = lines(bytes);
    let version = match lines.next() {
        Some(b"8") => 8,
        Some(b"9") => 9,
        _ => 10,
    };
    let values: Vec<Value> = lines.filter_map(value).collect();
    let place = scratch();
    let file = place.path().join("store.sqlite3");
    let written = rows_into(&file, version, &values).expect("a table for any value");
    let counted = read_in(place.path(), &file).expect("any value is a row of an envelope, or of none");
    assert_eq!(counted, written, "rows that were neither read in nor counted");
}

fn rows_into(file: &Path, version: u32, values: &[Value]) -> rusqlite::Result<u64> {
    let conn = rusqlite::Connection::open(file)?;
    let meta = if version >= 9 { ", meta" } else { "" };
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA user_version = {version};
         CREATE TABLE Message(messageHash INTEGER PRIMARY KEY, pubsubTopic, contentTopic, payload, version, timestamp{meta});"
    ))?;
    let columns = if version >= 9 { 6 } else { 5 };
    let places = vec!["?"; columns].join(", ");
    let mut insert = conn.prepare(&format!(
        "INSERT INTO Message(pubsubTopic, contentTopic, payload, version, timestamp{meta}) VALUES ({places})"
    ))?;
    let mut written = 0;
    for row in values.chunks_exact(6) {
        written += insert.execute(rusqlite::params_from_iter(&row[..columns]))? as u64;
    }
    Ok(written)
}

/// How many rows were read in or counted; `None` when the file was refused.
fn read_in(place: &Path, file: &Path) -> Option<u64> {
    let ours = place.join("ours");
    let archive = open(&ours);
    let imported = foreign::import(&archive, file, NOW, &mut unheard).ok();
    let counted = imported.map(|imported| {
        assert_eq!(imported.stored, archive.stats().envelopes);
        imported.stored + imported.duplicates + imported.unreadable + imported.refused.values().sum::<u64>()
    });
    let _ = foreign::remove_expired(file, NOW - 1800 * SECOND);
    // Damage over there costs nothing here.
    archive.close().expect("it closes");
    assert!(verify(&ours, &mut unheard).expect("it is read").is_sound());
    counted
}
