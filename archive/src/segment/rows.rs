//! How an envelope lies in the rows of a segment.

use crate::envelope::{Envelope, MessageHash};

/// A row of pubsub topic, content topic, payload, version, timestamp, meta, proof.
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
