//! The look-ups of a segment that is still being written, in memory: random index pages are what wears a card out, so
//! they are written once, when the segment is sealed.

use std::collections::{BTreeSet, HashMap};

use crate::envelope::{MessageHash, TopicKey};
use crate::nanos::Nanos;
use crate::order::{Key, Span};
use crate::query::{Direction, Query};

/// One row's place in an order: (topic or pubsub topic, timestamp, first eight bytes of the hash, row).
type Ordered = (u32, Nanos, u64, u32);

#[derive(Default)]
pub(crate) struct LiveIndex {
    /// Row n is `rows[n - 1]`.
    rows: Vec<Row>,
    by_hash: HashMap<MessageHash, u32>,
    by_topic: BTreeSet<Ordered>,
    by_pubsub: BTreeSet<Ordered>,
    pubsubs: Vec<String>,
    topics: HashMap<(u32, TopicKey), u32>,
}

struct Row {
    hash: MessageHash,
    timestamp: Nanos,
}

/// A topic's number in its segment, and whether it was met for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) id: u32,
    pub(crate) new: bool,
}

impl LiveIndex {
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn hashes(&self) -> impl ExactSizeIterator<Item = &MessageHash> {
        self.rows.iter().map(|row| &row.hash)
    }

    pub(crate) fn row(&self, hash: &MessageHash) -> Option<u32> {
        self.by_hash.get(hash).copied()
    }

    pub(crate) fn timestamp(&self, row: u32) -> Option<Nanos> {
        self.rows.get(row as usize - 1).map(|row| row.timestamp)
    }

    pub(crate) fn pubsub(&mut self, name: &str) -> Numbered {
        if let Some(at) = self.pubsubs.iter().position(|known| known == name) {
            return Numbered {
                id: at as u32 + 1,
                new: false,
            };
        }
        self.pubsubs.push(name.to_owned());
        Numbered {
            id: self.pubsubs.len() as u32,
            new: true,
        }
    }

    pub(crate) fn topic(&mut self, pubsub: u32, name: TopicKey) -> Numbered {
        let next = self.topics.len() as u32 + 1;
        let id = *self.topics.entry((pubsub, name)).or_insert(next);
        Numbered { id, new: id == next }
    }

    /// Appends a row; returns its number.
    pub(crate) fn push(&mut self, hash: MessageHash, timestamp: Nanos, topic: u32, pubsub: u32) -> u32 {
        self.rows.push(Row { hash, timestamp });
        let row = self.len();
        self.by_hash.insert(hash, row);
        self.by_topic.insert((topic, timestamp, hash.rank(), row));
        self.by_pubsub.insert((pubsub, timestamp, hash.rank(), row));
        row
    }

    /// The first keys in `span` that match the query's topics, in its direction: at least `limit` where there are as
    /// many, each with its row.
    pub(crate) fn keys(&self, query: &Query, span: &Span, limit: usize) -> Vec<(Key, u32)> {
        let mut found = Vec::new();
        let pubsubs = (1..)
            .zip(&self.pubsubs)
            .filter(|(_, name)| query.pubsub_topic.as_ref().is_none_or(|wanted| wanted == *name));
        let wanted: Vec<TopicKey> = query.content_topics.iter().map(|name| TopicKey::of(name)).collect();
        for (pubsub, _) in pubsubs {
            if wanted.is_empty() {
                self.collect(&self.by_pubsub, pubsub, span, limit, &mut found);
            }
            for key in &wanted {
                if let Some(&topic) = self.topics.get(&(pubsub, *key)) {
                    self.collect(&self.by_topic, topic, span, limit, &mut found);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn collect(&self, order: &BTreeSet<Ordered>, group: u32, span: &Span, limit: usize, found: &mut Vec<(Key, u32)>) {
        let (first, last) = span.bounds();
        if first > last {
            return;
        }
        let range = order.range((group, first.0, first.1, 0)..=(group, last.0, last.1, u32::MAX));
        let mut taken = 0;
        let mut previous = None;
        let mut take = |&(_, timestamp, rank, row): &Ordered| {
            // Equal (timestamp, rank) are ordered by the rest of the hash, so such a group is taken whole.
            if taken >= limit && previous != Some((timestamp, rank)) {
                return false;
            }
            previous = Some((timestamp, rank));
            let key = Key {
                timestamp,
                hash: self.rows[row as usize - 1].hash,
            };
            if span.admits(&key) {
                taken += 1;
                found.push((key, row));
            }
            true
        };
        match span.direction {
            Direction::Forward => range.take_while(|&place| take(place)).for_each(drop),
            Direction::Backward => range.rev().take_while(|&place| take(place)).for_each(drop),
        }
    }
}
