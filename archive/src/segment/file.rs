//! A segment's file as readers see it: opened when first asked, closed again when too many are open, and the same
//! before and after it is sealed. Only how it is opened differs: a sealed segment never changes, so its readers take
//! no locks and look for no logs, which is most of what a small read costs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use rusqlite::Connection;

use crate::directory::names::SegmentName;
use crate::envelope::{Envelope, MessageHash, OVERHEAD_BYTES, weight};
use crate::error::Error;
use crate::mutex::{lock, may_wait};
use crate::nanos::Nanos;
use crate::query::Query;
use crate::segment::connect::{open_complete, open_for_reading};
use crate::segment::rows::{COLUMNS, ID, TABLES, envelope_at, hash_at};

/// How many segments are open for reading at once.
const OPEN_FILES: usize = 48;

pub(crate) struct SegmentFile {
    pub(crate) name: SegmentName,
    pub(crate) path: PathBuf,
    reader: Mutex<Option<Connection>>,
    /// Whether it is sealed, so that nothing will write it any more.
    complete: AtomicBool,
    open: Arc<OpenFiles>,
}

/// The segments that are open for reading, least recently used first.
#[derive(Default)]
pub(crate) struct OpenFiles {
    order: Mutex<Vec<Weak<SegmentFile>>>,
}

impl SegmentFile {
    pub(crate) fn new(dir: &Path, name: SegmentName, open: &Arc<OpenFiles>) -> Arc<SegmentFile> {
        Arc::new(SegmentFile {
            name,
            path: name.path(dir),
            reader: Mutex::new(None),
            complete: AtomicBool::new(false),
            open: Arc::clone(open),
        })
    }

    /// Runs `read` on the open segment.
    pub(crate) fn read<T>(
        self: &Arc<Self>,
        what: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        may_wait();
        self.open.used(self);
        let mut reader = lock(&self.reader);
        let conn = match reader.take() {
            Some(conn) => conn,
            None if self.complete.load(Ordering::Acquire) => open_complete(&self.path)?,
            None => open_for_reading(&self.path)?,
        };
        read(reader.insert(conn)).map_err(Error::segment(what, &self.path))
    }

    /// Closes the reader and keeps it closed while the guard lives.
    pub(crate) fn close(&self) -> MutexGuard<'_, Option<Connection>> {
        let mut reader = lock(&self.reader);
        *reader = None;
        reader
    }

    /// From now on nothing writes the segment: whoever opens it next takes no locks. The reader is closed.
    pub(crate) fn completed(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// The envelopes of these rows, in one state of the file; only the first ones when all are heavier than `most`.
    pub(crate) fn envelopes(self: &Arc<Self>, rows: &[u32], most: usize) -> Result<Vec<Envelope>, Error> {
        self.read("read envelopes", |conn| {
            let snapshot = conn.unchecked_transaction()?;
            let mut names = Names::new(conn);
            let mut select = snapshot.prepare_cached(
                "SELECT topic, pubsub, payload, version, timestamp, meta, proof FROM envelope WHERE id = ?",
            )?;
            let mut envelopes = Vec::with_capacity(rows.len());
            let mut total = 0;
            for row in rows {
                let mut found = select.query([row])?;
                let row = found.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                let envelope = Envelope {
                    pubsub_topic: names.get("pubsub", row.get(1)?)?,
                    content_topic: names.get("topic", row.get(0)?)?,
                    payload: row.get(2)?,
                    version: row.get(3)?,
                    timestamp: row.get(4)?,
                    meta: row.get(5)?,
                    rate_limit_proof: row.get(6)?,
                };
                total += weight(&envelope);
                envelopes.push(envelope);
                if total > most {
                    break;
                }
            }
            Ok(envelopes)
        })
    }

    /// What each of these rows' envelopes weighs, as [`weight`] has it, without reading it.
    pub(crate) fn weights(self: &Arc<Self>, rows: &[u32]) -> Result<Vec<usize>, Error> {
        self.read("read the envelopes' sizes", |conn| {
            let mut select = conn.prepare_cached(
                "SELECT length(e.payload) + coalesce(length(e.meta), 0) + coalesce(length(e.proof), 0)
                     + octet_length(topic.name) + octet_length(pubsub.name)
                 FROM envelope e JOIN topic ON topic.id = e.topic JOIN pubsub ON pubsub.id = e.pubsub
                 WHERE e.id = ?1",
            )?;
            let mut weigh = |row: &u32| -> rusqlite::Result<usize> {
                let bytes: i64 = select.query_row([row], |row| row.get(0))?;
                Ok(OVERHEAD_BYTES.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX)))
            };
            rows.iter().map(&mut weigh).collect()
        })
    }

    /// Which of these rows are of the topics that `query` asks for. Reads no more than one topic at a time.
    pub(crate) fn of_topics(self: &Arc<Self>, rows: &[u32], query: &Query) -> Result<Vec<bool>, Error> {
        self.read("compare topics", |conn| {
            let mut select = conn.prepare_cached("SELECT pubsub, topic FROM envelope WHERE id = ?")?;
            let mut name = conn.prepare_cached(
                "SELECT topic.name, pubsub.name FROM topic JOIN pubsub ON pubsub.id = ?2 WHERE topic.id = ?1",
            )?;
            let mut known: HashMap<(u32, u32), bool> = HashMap::new();
            let mut is_wanted = |row: &u32| -> rusqlite::Result<bool> {
                let (pubsub, topic) = select.query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
                if let Some(&wanted) = known.get(&(pubsub, topic)) {
                    return Ok(wanted);
                }
                let wanted = name.query_row([topic, pubsub], |row| {
                    Ok(query.wants(row.get_ref(1)?.as_str()?, row.get_ref(0)?.as_str()?))
                })?;
                known.insert((pubsub, topic), wanted);
                Ok(wanted)
            };
            rows.iter().map(&mut is_wanted).collect()
        })
    }

    /// The next rows with their envelopes, in order of arrival.
    pub(crate) fn envelopes_after(self: &Arc<Self>, row: u32, limit: u32) -> Result<Vec<(u32, Envelope)>, Error> {
        self.read("read envelopes", |conn| {
            let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE e.id > ? ORDER BY e.id LIMIT ?");
            conn.prepare_cached(&sql)?
                .query_map([row, limit], |row| Ok((row.get(ID)?, envelope_at(row)?)))?
                .collect()
        })
    }

    /// Every row's number, time, hash, topic and pubsub topic, in order of arrival, without its payload.
    pub(crate) fn each_row(
        self: &Arc<Self>,
        mut each: impl FnMut(u32, Nanos, MessageHash, u32, u32),
    ) -> Result<(), Error> {
        self.read("read the rows", |conn| {
            let mut rows = conn.prepare("SELECT id, timestamp, hash, topic, pubsub FROM envelope ORDER BY id")?;
            let mut rows = rows.query([])?;
            while let Some(row) = rows.next()? {
                each(row.get(0)?, row.get(1)?, hash_at(row, 2)?, row.get(3)?, row.get(4)?);
            }
            Ok(())
        })
    }

    pub(crate) fn pubsubs(self: &Arc<Self>) -> Result<Vec<(u32, String)>, Error> {
        self.read("read the pubsub topics", |conn| {
            conn.prepare("SELECT id, name FROM pubsub ORDER BY id")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    pub(crate) fn each_topic(self: &Arc<Self>, mut each: impl FnMut(u32, u32, &str)) -> Result<(), Error> {
        self.read("read the topics", |conn| {
            let mut rows = conn.prepare("SELECT id, pubsub, name FROM topic ORDER BY id")?;
            let mut rows = rows.query([])?;
            while let Some(row) = rows.next()? {
                each(row.get(0)?, row.get(1)?, row.get_ref(2)?.as_str()?);
            }
            Ok(())
        })
    }
}

/// The names of topics, each read once: a page has few different ones.
struct Names<'a> {
    conn: &'a Connection,
    known: HashMap<(&'static str, u32), String>,
}

impl Names<'_> {
    fn new(conn: &Connection) -> Names<'_> {
        let known = HashMap::new();
        Names { conn, known }
    }

    fn get(&mut self, table: &'static str, id: u32) -> rusqlite::Result<String> {
        if let Some(name) = self.known.get(&(table, id)) {
            return Ok(name.clone());
        }
        let mut select = self
            .conn
            .prepare_cached(&format!("SELECT name FROM {table} WHERE id = ?"))?;
        let name: String = select.query_row([id], |row| row.get(0))?;
        self.known.insert((table, id), name.clone());
        Ok(name)
    }
}

impl OpenFiles {
    /// Puts `file` last, and closes what was used longest ago when there are too many.
    fn used(&self, file: &Arc<SegmentFile>) {
        let idle = {
            let mut order = lock(&self.order);
            let this = Arc::as_ptr(file);
            order.retain(|other| other.as_ptr() != this && other.strong_count() > 0);
            order.push(Arc::downgrade(file));
            if order.len() > OPEN_FILES {
                order.remove(0).upgrade()
            } else {
                None
            }
        };
        // One that is being read just now is closed at its next turn.
        if let Some(idle) = idle
            && let Ok(mut reader) = idle.reader.try_lock()
        {
            *reader = None;
        }
    }
}
