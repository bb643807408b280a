//! How an envelope lies in the rows of a segment.

use crate::envelope::{Envelope, MessageHash};

/// The columns of a whole envelope, in the order in which they are read here, with its tables named as in [`TABLES`].
pub(crate) const COLUMNS: &str =
    "pubsub.name, topic.name, e.payload, e.version, e.timestamp, e.meta, e.proof, e.hash, e.id";
/// Where [`COLUMNS`] come from.
pub(crate) const TABLES: &str = "envelope e JOIN topic ON topic.id = e.topic JOIN pubsub ON pubsub.id = e.pubsub";
/// The places of the last two.
pub(crate) const HASH: usize = 7;
pub(crate) const ID: usize = 8;

/// The envelope of a row of [`COLUMNS`].
pub(crate) fn envelope_at(row: &rusqlite::Row<'_>) -> rusqlite::Result<Envelope> {
    Ok(Envelope {
        pubsub_topic: row.get(0)?,
        content_topic: row.get(1)?,
        payload: row.get(2)?,
        version: row.get(3)?,
        timestamp: row.get(4)?,
        meta: row.get(5)?,
        rate_limit_proof: row.get(6)?,
    })
}

/// A hash as it lies in a row.
pub(crate) fn hash_at(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<MessageHash> {
    row.get::<_, [u8; 32]>(column).map(MessageHash)
}
