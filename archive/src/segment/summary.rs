//! What a segment says of itself, in one row.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::envelope::Envelope;
use crate::error::Error;
use crate::nanos::Nanos;

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
    pub(crate) oldest: Option<Nanos>,
    pub(crate) newest: Option<Nanos>,
}

impl Summary {
    pub(crate) fn add(&mut self, envelope: &Envelope) {
        let at = envelope.time();
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

/// SQLite's integers are signed, and a damaged file's may be any.
fn unsigned(row: &rusqlite::Row<'_>, column: usize, most: u64) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    let bounded = u64::try_from(value).ok().filter(|value| *value <= most);
    bounded.ok_or(rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// The earlier of two times that may both be unknown.
pub(crate) fn earlier(one: Option<Nanos>, other: Option<Nanos>) -> Option<Nanos> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
