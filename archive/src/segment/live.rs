//! A segment that is being written: its look-ups and the rows that are not committed yet in memory, the rest in its file.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use crate::directory::names::{Kind, SegmentName};
use crate::envelope::{Envelope, MessageHash, TopicKey};
use crate::error::Error;
use crate::mutex::{lock, may_wait};
use crate::nanos::Nanos;
use crate::order::Key;
use crate::segment::file::{OpenFiles, SegmentFile};
use crate::segment::index::LiveIndex;
use crate::segment::place::Place;
use crate::segment::summary::Summary;

/// A live segment with so many rows is sealed and another of the same slice begun: memory stays bounded in a flood.
pub(crate) const MAX_ROWS: u32 = 1 << 16;

/// The connection that writes a segment, while one is open.
pub(crate) type Writer = Arc<Mutex<Option<Connection>>>;

/// A segment that is being written.
pub(crate) struct Live {
    pub(crate) file: Arc<SegmentFile>,
    /// Held only while rows are committed or the segment is sealed, never together with the catalogue's lock.
    pub(crate) writer: Writer,
    pub(crate) index: LiveIndex,
    /// The rows that are not committed yet: the last ones of the index, in their order.
    pub(crate) pending: VecDeque<Pending>,
    pub(crate) names: NewNames,
    /// With the pending rows.
    pub(crate) summary: Summary,
    /// Without them.
    pub(crate) committed: Summary,
    pub(crate) on_disk: bool,
    pub(crate) stage: Stage,
    /// By the caller's clock.
    pub(crate) last_push: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Taking,
    /// Takes no more envelopes.
    Sealing,
}

#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) row: u32,
    pub(crate) hash: MessageHash,
    pub(crate) topic: u32,
    pub(crate) pubsub: u32,
    pub(crate) envelope: Arc<Envelope>,
}

/// Topics that the next commit writes.
#[derive(Clone, Default)]
pub(crate) struct NewNames {
    pub(crate) pubsubs: Vec<(u32, String)>,
    pub(crate) topics: Vec<(u32, u32, String)>,
}

impl Live {
    pub(crate) fn new(dir: &Path, name: SegmentName, open: &Arc<OpenFiles>) -> Live {
        Live {
            file: SegmentFile::new(dir, name, open),
            writer: Arc::default(),
            index: LiveIndex::default(),
            pending: VecDeque::new(),
            names: NewNames::default(),
            summary: Summary::default(),
            committed: Summary::default(),
            on_disk: false,
            stage: Stage::Taking,
            last_push: Nanos::MIN,
        }
    }

    /// A segment that an earlier writer left unsealed, with its look-ups read from the file.
    pub(crate) fn reopen(file: Arc<SegmentFile>, writer: Connection, summary: Summary) -> Result<Live, Error> {
        let mut index = LiveIndex::default();
        for (id, name) in file.pubsubs()? {
            if index.pubsub(&name).id != id {
                return Err(broken(&file, "pubsub topics out of order"));
            }
        }
        let mut in_order = true;
        file.each_topic(|id, pubsub, name| in_order &= index.topic(pubsub, TopicKey::of(name)).id == id)?;
        file.each_row(|row, timestamp, hash, topic, pubsub| {
            in_order &= index.push(hash, timestamp, topic, pubsub) == row;
        })?;
        if !in_order || u64::from(index.len()) != summary.envelopes {
            return Err(broken(&file, "rows out of order"));
        }
        Ok(Live {
            file,
            writer: Arc::new(Mutex::new(Some(writer))),
            index,
            pending: VecDeque::new(),
            names: NewNames::default(),
            summary,
            committed: summary,
            on_disk: true,
            stage: if summary.sealed { Stage::Sealing } else { Stage::Taking },
            last_push: Nanos::MIN,
        })
    }

    pub(crate) fn push(&mut self, hash: MessageHash, envelope: Arc<Envelope>, now: Nanos) {
        self.last_push = now;
        let pubsub = self.index.pubsub(&envelope.pubsub_topic);
        if pubsub.new {
            self.names.pubsubs.push((pubsub.id, envelope.pubsub_topic.clone()));
        }
        let topic = self.index.topic(pubsub.id, TopicKey::of(&envelope.content_topic));
        if topic.new {
            self.names
                .topics
                .push((topic.id, pubsub.id, envelope.content_topic.clone()));
        }
        let row = self.index.push(hash, envelope.time(), topic.id, pubsub.id);
        self.summary.add(&envelope);
        self.pending.push_back(Pending {
            row,
            hash,
            topic: topic.id,
            pubsub: pubsub.id,
            envelope,
        });
    }

    pub(crate) fn takes(&self, kind: Kind, timestamp: Nanos) -> bool {
        let name = &self.file.name;
        name.kind == kind && name.covers(timestamp) && self.stage == Stage::Taking && self.index.len() < MAX_ROWS
    }

    pub(crate) fn place(&self, row: u32) -> Place {
        let pending = self
            .pending
            .front()
            .and_then(|first| row.checked_sub(first.row))
            .and_then(|at| self.pending.get(at as usize));
        match pending {
            Some(pending) => Place::Memory(Arc::clone(&pending.envelope)),
            None => Place::File(Arc::clone(&self.file), row),
        }
    }

    /// Whether the envelope's row is committed; `None` when it is not here.
    pub(crate) fn is_written(&self, hash: &MessageHash) -> Option<bool> {
        let row = self.index.row(hash)?;
        Some(self.pending.front().is_none_or(|first| row < first.row))
    }

    pub(crate) fn find(&self, hash: &MessageHash) -> Option<(Key, Place)> {
        let row = self.index.row(hash)?;
        let timestamp = self.index.timestamp(row)?;
        Some((Key { timestamp, hash: *hash }, self.place(row)))
    }

    /// Closes the file; SQLite then copies the write-ahead log into it and removes the log.
    pub(crate) fn close(&self) -> Result<(), Error> {
        may_wait();
        let _reader = self.file.close();
        match lock(&self.writer).take() {
            Some(conn) => conn
                .close()
                .map_err(|(_, error)| Error::segment("close", &self.file.path)(error)),
            None => Ok(()),
        }
    }
}

fn broken(file: &SegmentFile, reason: &str) -> Error {
    Error::Foreign {
        path: file.path.clone(),
        reason: reason.into(),
    }
}
