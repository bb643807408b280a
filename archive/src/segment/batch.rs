//! The rows that one commit appends to one segment.

use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::segment::file::SegmentFile;
use crate::segment::live::{Live, NewNames, Pending, Writer};
use crate::segment::summary::Summary;

/// What one segment has to commit.
pub(crate) struct Batch {
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) writer: Writer,
    pub(crate) on_disk: bool,
    pub(crate) names: NewNames,
    pub(crate) rows: Vec<Pending>,
    pub(crate) summary: Summary,
}

impl Batch {
    pub(crate) fn of(live: &Live) -> Batch {
        let rows: Vec<Pending> = live.pending.iter().cloned().collect();
        let mut summary = live.committed;
        rows.iter().for_each(|row| summary.add(&row.envelope));
        Batch {
            file: Arc::clone(&live.file),
            writer: Arc::clone(&live.writer),
            on_disk: live.on_disk,
            names: live.names.clone(),
            rows,
            summary,
        }
    }

    pub(crate) fn write(&self, conn: &mut Connection) -> rusqlite::Result<()> {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO pubsub(id, name) VALUES (?, ?)")?;
            for (id, name) in &self.names.pubsubs {
                insert.execute(params![id, name])?;
            }
            let mut insert = transaction.prepare_cached("INSERT INTO topic(id, pubsub, name) VALUES (?, ?, ?)")?;
            for (id, pubsub, name) in &self.names.topics {
                insert.execute(params![id, pubsub, name])?;
            }
            let mut insert = transaction.prepare_cached(
                "INSERT INTO envelope(id, timestamp, hash, topic, pubsub, version, meta, proof, payload)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            for row in &self.rows {
                let envelope = &row.envelope;
                insert.execute(params![
                    row.row,
                    envelope.timestamp,
                    row.hash.0,
                    row.topic,
                    row.pubsub,
                    envelope.version,
                    envelope.meta,
                    envelope.rate_limit_proof,
                    envelope.payload
                ])?;
            }
        }
        self.summary.write(&transaction)?;
        transaction.commit()
    }
}
