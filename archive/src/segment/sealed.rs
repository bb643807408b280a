//! A sealed segment: complete, indexed, without a write-ahead log, opened only when a page gets there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::directory::files::size_with_sidecars;
use crate::envelope::MessageHash;
use crate::error::Error;
use crate::order::{Key, Span};
use crate::query::{Direction, Query};
use crate::segment::bloom::{Bloom, MAX_BYTES};
use crate::segment::file::SegmentFile;
use crate::segment::place::Place;
use crate::segment::rows::hash_at;
use crate::segment::schema::INDEXES;
use crate::segment::summary::Summary;

/// All filters in memory together: enough for five million envelopes. Beyond that a look-up by hash asks the segment's
/// index.
const FILTERS_BYTES: usize = 6 << 20;

pub(crate) struct Sealed {
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) summary: Summary,
    /// On disk.
    pub(crate) bytes: u64,
    filter: OnceLock<Bloom>,
    filters: Arc<FilterBytes>,
}

/// What all filters in memory take.
#[derive(Default)]
pub(crate) struct FilterBytes(AtomicUsize);

impl Sealed {
    pub(crate) fn new(
        file: Arc<SegmentFile>,
        summary: Summary,
        filter: Option<Bloom>,
        filters: &Arc<FilterBytes>,
    ) -> Arc<Sealed> {
        let sealed = Sealed {
            bytes: size_with_sidecars(&file.path),
            file,
            summary,
            filter: OnceLock::new(),
            filters: Arc::clone(filters),
        };
        if let Some(filter) = filter {
            sealed.keep(filter);
        }
        Arc::new(sealed)
    }

    fn keep(&self, filter: Bloom) {
        let bytes = filter.bytes().len();
        if self.filters.0.fetch_add(bytes, Ordering::Relaxed) + bytes > FILTERS_BYTES
            || self.filter.set(filter).is_err()
        {
            self.filters.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Reads the filter into memory if it is not there yet, and there is room.
    pub(crate) fn read_filter(&self) -> Result<(), Error> {
        if !self.wants_filter() {
            return Ok(());
        }
        let bits: Option<Vec<u8>> = self.file.read("read the filter", |conn| {
            conn.query_row(
                "SELECT iif(octet_length(bits) <= ?, bits, NULL) FROM filter",
                [MAX_BYTES],
                |row| row.get(0),
            )
        })?;
        if let Some(filter) = bits.and_then(Bloom::from_bytes) {
            self.keep(filter);
        }
        Ok(())
    }

    pub(crate) fn wants_filter(&self) -> bool {
        self.filter.get().is_none() && self.filters.0.load(Ordering::Relaxed) < FILTERS_BYTES
    }

    /// Whether the hash may be here, by the filter alone; without one in memory, any may.
    pub(crate) fn may_have(&self, hash: &MessageHash) -> bool {
        self.filter.get().is_none_or(|filter| filter.may_have(hash))
    }

    /// Those of the hashes that are here.
    pub(crate) fn find(&self, hashes: &[MessageHash]) -> Result<Vec<(Key, Place)>, Error> {
        self.read_filter()?;
        let probable: Vec<&MessageHash> = hashes.iter().filter(|hash| self.may_have(hash)).collect();
        if probable.is_empty() {
            return Ok(Vec::new());
        }
        self.file.read("look up hashes", |conn| {
            let mut look_up = conn
                .prepare_cached("SELECT id, timestamp FROM envelope INDEXED BY by_hash WHERE rank = ? AND hash = ?")?;
            let mut found = Vec::new();
            for hash in probable {
                let row = look_up
                    .query_row(params![&hash.0[..8], &hash.0], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                if let Some((row, timestamp)) = row {
                    let key = Key { timestamp, hash: *hash };
                    found.push((key, Place::File(Arc::clone(&self.file), row)));
                }
            }
            Ok(found)
        })
    }

    pub(crate) fn largest_topics(&self, limit: u32) -> Result<Vec<String>, Error> {
        self.file.read("read the topics' shares", |conn| {
            conn.prepare(
                "SELECT topic.name FROM share JOIN topic ON topic.id = share.topic WHERE share.envelopes > 1
                 ORDER BY share.payload_bytes DESC LIMIT ?",
            )?
            .query_map([limit], |row| row.get(0))?
            .collect()
        })
    }

    /// As `LiveIndex::keys`: the first keys in `span`, in the query's direction, at least `limit` where there are as
    /// many, ascending.
    pub(crate) fn keys(&self, query: &Query, span: &Span, limit: usize) -> Result<Vec<(Key, Place)>, Error> {
        let mut found = self.file.read("look up a page", |conn| {
            let mut found = Vec::new();
            if query.content_topics.is_empty() {
                for pubsub in pubsubs(conn, query)? {
                    collect(conn, "pubsub", pubsub, span, limit, &mut found)?;
                }
            }
            for name in &query.content_topics {
                for topic in topics(conn, query, name)? {
                    collect(conn, "topic", topic, span, limit, &mut found)?;
                }
            }
            Ok(found)
        })?;
        found.sort_unstable();
        found.dedup();
        let places = found
            .into_iter()
            .map(|(key, row)| (key, Place::File(Arc::clone(&self.file), row)));
        Ok(places.collect())
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        if let Some(filter) = self.filter.get() {
            self.filters.0.fetch_sub(filter.bytes().len(), Ordering::Relaxed);
        }
    }
}

/// Gives a segment that takes no more envelopes its indexes and its filter.
pub(crate) fn build(conn: &mut Connection, summary: &Summary, filter: &Bloom) -> rusqlite::Result<()> {
    // The copying of the log that follows syncs it; until then the segment may be found unsealed.
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(INDEXES)?;
    transaction.execute("INSERT INTO filter VALUES (?)", params![filter.bytes()])?;
    summary.write(&transaction)?;
    transaction.commit()
}

/// Copies the write-ahead log into the file and removes it; `false` while another process reads the segment.
pub(crate) fn drop_log(conn: &Connection) -> rusqlite::Result<bool> {
    // Who reads it now is not waited for: the next tick tries again.
    conn.busy_timeout(std::time::Duration::from_millis(20))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    let busy: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        return Ok(false);
    }
    // The change of the header, one sector of one page, needs no journal on disk, and leaves none when it is cut off;
    // nor a sync: without it, the segment is opened as one whose log was not taken away yet.
    conn.pragma_update(None, "synchronous", "OFF")?;
    match conn.pragma_update_and_check(None, "journal_mode", "MEMORY", |row| row.get::<_, String>(0)) {
        Ok(mode) => Ok(mode == "memory"),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(error),
    }
}

fn pubsubs(conn: &Connection, query: &Query) -> rusqlite::Result<Vec<u32>> {
    conn.prepare_cached("SELECT id FROM pubsub WHERE ?1 IS NULL OR name = ?1")?
        .query_map(params![query.pubsub_topic], |row| row.get(0))?
        .collect()
}

fn topics(conn: &Connection, query: &Query, name: &str) -> rusqlite::Result<Vec<u32>> {
    conn.prepare_cached(
        "SELECT topic.id FROM topic INDEXED BY by_name JOIN pubsub ON pubsub.id = topic.pubsub
         WHERE topic.name = ?1 AND (?2 IS NULL OR pubsub.name = ?2)",
    )?
    .query_map(params![name, query.pubsub_topic], |row| row.get(0))?
    .collect()
}

fn collect(
    conn: &Connection,
    column: &str,
    group: u32,
    span: &Span,
    limit: usize,
    found: &mut Vec<(Key, u32)>,
) -> rusqlite::Result<()> {
    let (first, last) = span.bounds();
    let order = match span.direction {
        Direction::Forward => "ASC",
        Direction::Backward => "DESC",
    };
    let mut rows = conn.prepare_cached(&format!(
        "SELECT id, timestamp, hash FROM envelope INDEXED BY by_{column}
         WHERE {column} = ?1 AND (timestamp, rank) >= (?2, ?3) AND (timestamp, rank) <= (?4, ?5)
         ORDER BY timestamp {order}, rank {order}"
    ))?;
    let mut rows = rows.query(params![
        group,
        first.0,
        &first.1.to_be_bytes()[..],
        last.0,
        &last.1.to_be_bytes()[..]
    ])?;
    let mut taken = 0;
    let mut previous = None;
    while let Some(row) = rows.next()? {
        let key = Key {
            timestamp: row.get(1)?,
            hash: hash_at(row, 2)?,
        };
        // Equal (timestamp, rank) are ordered by the rest of the hash, so such a group is taken whole.
        let place = Some((key.timestamp, key.hash.rank()));
        if taken >= limit && previous != place {
            break;
        }
        previous = place;
        if span.admits(&key) {
            taken += 1;
            found.push((key, row.get(0)?));
        }
    }
    Ok(())
}
