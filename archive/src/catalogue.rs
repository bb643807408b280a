//! What the writer knows of its segments. Always rebuilt from the files; nothing of it is kept anywhere else.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use crate::durability::{self, Durability};
use crate::file::{OpenFiles, SegmentFile};
use crate::layout::{self, Kind, SegmentName};
use crate::live::{LiveIndex, TopicKey};
use crate::policy::Watched;
use crate::schema::Summary;
use crate::sealed::{FilterBytes, Sealed};
use crate::search::Key;
use crate::shares::{Shares, cost};
use crate::stats::Counters;
use crate::unreadable::Unreadable;
use crate::wear::Wear;
use crate::{Envelope, Error, MessageHash};

/// A segment that is being written.
pub(crate) struct Live {
    pub(crate) file: Arc<SegmentFile>,
    /// Held only while rows are committed or the segment is sealed, never together with the catalogue's lock.
    pub(crate) writer: Arc<Mutex<Option<Connection>>>,
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
    pub(crate) last_push: i64,
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

/// Where an envelope is to be had.
#[derive(Clone)]
pub(crate) enum Place {
    Memory(Arc<Envelope>),
    File(Arc<SegmentFile>, u32),
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
            last_push: i64::MIN,
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
            last_push: i64::MIN,
        })
    }

    pub(crate) fn push(&mut self, hash: MessageHash, envelope: Arc<Envelope>, now: i64) {
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
        let row = self.index.push(hash, envelope.timestamp, topic.id, pubsub.id);
        self.summary.add(&envelope);
        self.pending.push_back(Pending {
            row,
            hash,
            topic: topic.id,
            pubsub: pubsub.id,
            envelope,
        });
    }

    fn takes(&self, kind: Kind, timestamp: i64) -> bool {
        let name = &self.file.name;
        name.kind == kind
            && name.covers(timestamp)
            && self.stage == Stage::Taking
            && self.index.len() < crate::seal::MAX_ROWS
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
}

fn broken(file: &SegmentFile, reason: &str) -> Error {
    Error::Foreign {
        path: file.path.clone(),
        reason: reason.into(),
    }
}

/// What is at these places, in their order; every file is asked once, about all of its rows.
pub(crate) fn each_place<T>(
    places: &[&Place],
    mut in_memory: impl FnMut(&Envelope) -> T,
    mut in_file: impl FnMut(&Arc<SegmentFile>, &[u32]) -> Result<Vec<T>, Error>,
) -> Result<Vec<T>, Error> {
    let mut found: Vec<Option<T>> = places.iter().map(|_| None).collect();
    for at in 0..places.len() {
        if found[at].is_some() {
            continue;
        }
        match places[at] {
            Place::Memory(envelope) => found[at] = Some(in_memory(envelope)),
            Place::File(file, _) => {
                let same_file = |(at, place): (usize, &&Place)| match place {
                    Place::File(other, row) if Arc::ptr_eq(file, other) => Some((at, *row)),
                    _ => None,
                };
                let (which, rows): (Vec<usize>, Vec<u32>) =
                    places.iter().enumerate().skip(at).filter_map(same_file).unzip();
                for (at, asked) in which.into_iter().zip(in_file(file, &rows)?) {
                    found[at] = Some(asked);
                }
            }
        }
    }
    Ok(found.into_iter().flatten().collect())
}

pub(crate) struct Catalogue {
    pub(crate) live: Vec<Live>,
    pub(crate) sealed: Vec<Arc<Sealed>>,
    pub(crate) filters: Arc<FilterBytes>,
    /// Written by a newer Pillarbox: left alone.
    pub(crate) newer: Vec<SegmentName>,
    /// Not to be opened just now (`unreadable`).
    pub(crate) unreadable: Unreadable,
    /// How far the provisional segment that is being judged has been.
    pub(crate) judged: Option<(SegmentName, u32)>,
    pub(crate) next_number: u64,
    pub(crate) pending_bytes: usize,
    /// When the oldest row that is not committed arrived: by the caller's clock, and by the monotonic one.
    pub(crate) waiting_since: Option<(i64, std::time::Instant)>,
    pub(crate) durability: Durability,
    /// How long the last commit took.
    pub(crate) last_commit: Duration,
    pub(crate) policy: Watched,
    pub(crate) shares: Shares,
    /// What all segments take of the quota, by the shares' estimate.
    pub(crate) cost_bytes: u64,
    /// When the ladder last removed something.
    pub(crate) dropped_at: Option<i64>,
    pub(crate) wear: Wear,
    pub(crate) cursors: Cursors,
    pub(crate) counters: Counters,
}

impl Catalogue {
    /// The segment that takes envelopes of `timestamp`, made in memory if there is none.
    pub(crate) fn live_for(
        &mut self,
        dir: &Path,
        open: &Arc<OpenFiles>,
        kind: Kind,
        timestamp: i64,
        slice_secs: i64,
    ) -> &mut Live {
        let found = self.live.iter().position(|live| live.takes(kind, timestamp));
        let at = found.unwrap_or_else(|| {
            let name = match kind {
                Kind::Provisional => SegmentName::provisional(self.next_number),
                _ => SegmentName {
                    start_secs: timestamp.div_euclid(layout::NANOS * slice_secs) * slice_secs,
                    length_secs: slice_secs,
                    number: self.next_number,
                    kind,
                },
            };
            self.next_number += 1;
            self.live.push(Live::new(dir, name, open));
            self.live.len() - 1
        });
        &mut self.live[at]
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = SegmentName> {
        let live = self.live.iter().map(|live| live.file.name);
        let sealed = self.sealed.iter().map(|sealed| sealed.file.name);
        live.chain(sealed)
            .chain(self.newer.iter().copied())
            .chain(self.unreadable.names().copied())
    }

    /// Whether what is in memory alone may be promised.
    pub(crate) fn is_durable(&self, wished: Duration, now: std::time::Instant) -> bool {
        let window = durability::window(wished, self.last_commit);
        // A commit may have to wait: for the sealing of a segment, or for a disk that hangs in it. A busy machine begins
        // one somewhat late by itself.
        let late = |since: std::time::Instant| now.saturating_duration_since(since) > 2 * window;
        self.durability.holds(window, now) && !self.waiting_since.is_some_and(|(_, at)| late(at))
    }

    /// Forgets a segment whose file is gone.
    pub(crate) fn forget(&mut self, name: SegmentName) -> Forgotten {
        let mut forgotten = Forgotten::default();
        self.newer.retain(|newer| *newer != name);
        self.unreadable.forget(name);
        if let Some(at) = self.sealed.iter().position(|sealed| sealed.file.name == name) {
            let sealed = self.sealed.swap_remove(at);
            self.uncount(&sealed.summary);
            forgotten.sealed = Some(sealed);
        }
        if let Some(at) = self.live.iter().position(|live| live.file.name == name) {
            let live = self.live.swap_remove(at);
            let lost: usize = live.pending.iter().map(|row| weight(&row.envelope)).sum();
            self.pending_bytes = self.pending_bytes.saturating_sub(lost);
            self.uncount(&live.summary);
            forgotten.live = Some(live);
        }
        forgotten
    }

    fn uncount(&mut self, summary: &Summary) {
        let bytes = cost(summary.payload_bytes, summary.envelopes);
        self.cost_bytes = self.cost_bytes.saturating_sub(bytes);
    }

    /// Takes a segment into the catalogue that has envelopes already.
    pub(crate) fn count(&mut self, summary: &Summary) {
        self.cost_bytes += cost(summary.payload_bytes, summary.envelopes);
    }
}

/// What left the catalogue, to be dropped when its lock is free: that may close the last hold on a removed file, which
/// has the file system free its blocks, or free the look-ups of tens of thousands of rows.
#[must_use]
#[derive(Default)]
pub(crate) struct Forgotten {
    pub(crate) live: Option<Live>,
    pub(crate) sealed: Option<Arc<Sealed>>,
}

/// What an envelope takes in memory beside its bytes, roughly.
pub(crate) const OVERHEAD_BYTES: usize = 256;

/// Roughly what an envelope takes in memory.
pub(crate) fn weight(envelope: &Envelope) -> usize {
    let optional = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    OVERHEAD_BYTES
        + envelope.payload.len()
        + envelope.content_topic.len()
        + envelope.pubsub_topic.len()
        + optional(&envelope.meta)
        + optional(&envelope.rate_limit_proof)
}

/// The cursors given out last: one stays good when its envelope has been removed meanwhile.
#[derive(Default)]
pub(crate) struct Cursors {
    times: HashMap<MessageHash, i64>,
    order: VecDeque<MessageHash>,
}

/// How many cursors are remembered.
const CURSORS: usize = 4096;

impl Cursors {
    pub(crate) fn remember(&mut self, key: Key) {
        if self.times.insert(key.hash, key.timestamp).is_none() {
            self.order.push_back(key.hash);
            if self.order.len() > CURSORS
                && let Some(oldest) = self.order.pop_front()
            {
                self.times.remove(&oldest);
            }
        }
    }

    pub(crate) fn recall(&self, hash: &MessageHash) -> Option<Key> {
        self.times.get(hash).map(|&timestamp| Key { timestamp, hash: *hash })
    }
}
