//! nwaku's and go-waku's archives on SQLite, rebuilt from their schemas and queries (nwaku: the `Message` table of
//! `user_version` 10, one implicit transaction an insert, write-ahead logging, one unbatched delete for retention;
//! go-waku: its migration 5, pages and retention by the time of storing).

use std::path::Path;

use anyhow::Result;
use archive::{Envelope, MessageHash};
use rusqlite::{Connection, params};

use super::{Layout, Ticker};

/// How a peer's commits are synced. Neither sets `synchronous`; nwaku's bindings leave SQLite's default, FULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Every commit synced, as the peers do.
    Full,
    /// No commit synced: kinder to the peers than what they do.
    Normal,
}

pub(crate) struct Peer {
    conn: Connection,
    insert: &'static str,
    page: &'static str,
    by_hash: &'static str,
    remove: &'static str,
    stored_at: bool,
}

const NWAKU: &str = "
CREATE TABLE Message(messageHash BLOB NOT NULL PRIMARY KEY, pubsubTopic BLOB NOT NULL, contentTopic BLOB NOT NULL,
  payload BLOB, version INTEGER NOT NULL, timestamp INTEGER NOT NULL, meta BLOB) WITHOUT ROWID;
CREATE INDEX i_ts ON Message (timestamp);
PRAGMA user_version = 10;
";

const GO_WAKU: &str = "
CREATE TABLE message(pubsubTopic BLOB NOT NULL, contentTopic BLOB NOT NULL, payload BLOB, version INTEGER NOT NULL,
  timestamp INTEGER NOT NULL, id BLOB, messageHash BLOB, storedAt INTEGER NOT NULL,
  CONSTRAINT messageIndex PRIMARY KEY (messageHash)) WITHOUT ROWID;
CREATE INDEX i_ts ON message (storedAt);
CREATE INDEX i_query ON message (contentTopic, pubsubTopic, storedAt, id);
";

impl Peer {
    pub(crate) fn nwaku(dir: &Path, sync: Sync) -> Result<Peer> {
        Ok(Peer {
            conn: open(&dir.join("store.sqlite3"), NWAKU, sync)?,
            insert: "INSERT INTO Message(messageHash, pubsubTopic, contentTopic, payload, version, timestamp, meta)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            page: "SELECT messageHash, pubsubTopic, contentTopic, payload, version, timestamp, meta FROM Message
                   WHERE contentTopic IN (?1) AND timestamp >= ?2 AND timestamp <= ?3
                   ORDER BY timestamp DESC, messageHash DESC LIMIT 101",
            by_hash: "SELECT messageHash, pubsubTopic, contentTopic, payload, version, timestamp, meta FROM Message
                      WHERE messageHash IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                      ORDER BY timestamp DESC, messageHash DESC LIMIT 101",
            remove: "DELETE FROM Message WHERE timestamp < ?1",
            stored_at: false,
        })
    }

    pub(crate) fn go_waku(dir: &Path, sync: Sync) -> Result<Peer> {
        Ok(Peer {
            conn: open(&dir.join("store.db"), GO_WAKU, sync)?,
            insert:
                "INSERT INTO message(messageHash, pubsubTopic, contentTopic, payload, version, timestamp, id, storedAt)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            page:
                "SELECT id, messageHash, storedAt, timestamp, contentTopic, pubsubTopic, payload, version FROM message
                   WHERE contentTopic IN (?1) AND storedAt >= ?2 AND storedAt <= ?3
                   ORDER BY storedAt DESC, messageHash DESC LIMIT 101",
            by_hash:
                "SELECT id, messageHash, storedAt, timestamp, contentTopic, pubsubTopic, payload, version FROM message
                      WHERE messageHash IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                      ORDER BY storedAt DESC, messageHash DESC LIMIT 101",
            remove: "DELETE FROM message WHERE storedAt < ?1",
            stored_at: true,
        })
    }
}

fn open(path: &Path, tables: &str, sync: Sync) -> Result<Connection> {
    let fresh = !path.exists();
    let conn = Connection::open(path)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match sync {
        Sync::Full => "FULL",
        Sync::Normal => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    if fresh {
        conn.execute_batch(tables)?;
    }
    Ok(conn)
}

impl Layout for Peer {
    fn insert(&mut self, envelope: &Envelope, now: i64) -> Result<()> {
        let hash = envelope.hash();
        let mut insert = self.conn.prepare_cached(self.insert)?;
        let (pubsub, content) = (envelope.pubsub_topic.as_bytes(), envelope.content_topic.as_bytes());
        let version = envelope.version.unwrap_or(0);
        if self.stored_at {
            // `id` is the digest of content topic and payload; any 32 bytes weigh the same.
            let at = envelope.timestamp;
            insert.execute(params![
                hash.0,
                pubsub,
                content,
                envelope.payload,
                version,
                at,
                hash.0,
                now
            ])?;
        } else {
            let meta = envelope.meta.as_deref().unwrap_or_default();
            insert.execute(params![
                hash.0,
                pubsub,
                content,
                envelope.payload,
                version,
                envelope.timestamp,
                meta
            ])?;
        }
        Ok(())
    }

    fn tick(&mut self, _now: i64) -> Result<()> {
        Ok(())
    }

    fn ticker(&self, _now: i64) -> Result<Ticker> {
        Ok(Ticker::none())
    }

    fn page(&mut self, topic: &str, from: i64, to: i64) -> Result<usize> {
        let mut page = self.conn.prepare_cached(self.page)?;
        read(page.query(params![topic.as_bytes(), from, to])?)
    }

    fn by_hash(&mut self, hashes: &[MessageHash], _now: i64) -> Result<usize> {
        let mut page = self.conn.prepare_cached(self.by_hash)?;
        read(page.query(rusqlite::params_from_iter(hashes.iter().map(|hash| &hash.0[..])))?)
    }

    fn remove_before(&mut self, cutoff: i64) -> Result<()> {
        self.conn.execute(self.remove, [cutoff])?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.conn.close().map_err(|(_, error)| error.into())
    }
}

/// Reads every row with its payload, as a page does; one above the limit only tells of more.
fn read(mut rows: rusqlite::Rows<'_>) -> Result<usize> {
    let mut read = 0;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        for column in 0..row.as_ref().column_count() {
            if let Ok(value) = row.get_ref(column)?.as_bytes() {
                bytes += value.len();
            }
        }
        read += 1;
    }
    std::hint::black_box(bytes);
    Ok(read.min(100))
}
