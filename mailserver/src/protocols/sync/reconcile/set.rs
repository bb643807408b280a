//! The ids of what the archive took in lately, in order, each with its topics, bounded in number.
//!
//! Only topics that this node serves are in it. When it is full the oldest ids go, and with them the time before which
//! this side compares nothing: the set never claims to be complete where it is not.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use crate::protocols::sync::ranges::{Fingerprint, Id};

#[derive(Clone, Copy, Debug)]
struct Topics {
    /// Which of the set's pubsub topics.
    pubsub: u16,
    content: u64,
}

#[derive(Debug)]
pub struct IdSet {
    ids: BTreeMap<Id, Topics>,
    pubsub_topics: Vec<String>,
    /// Nothing before it is in the set, or missed in it.
    floor: i64,
    max_ids: usize,
}

/// What of the set is compared: what both sides serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pubsub: HashSet<u16>,
    /// Absent means every content topic.
    content: Option<HashSet<u64>>,
}

impl Scope {
    fn admits(&self, topics: Topics) -> bool {
        self.pubsub.contains(&topics.pubsub)
            && self
                .content
                .as_ref()
                .is_none_or(|content| content.contains(&topics.content))
    }
}

impl IdSet {
    /// An empty set of what is on `pubsub_topics`.
    pub fn new(pubsub_topics: Vec<String>, max_ids: usize) -> Self {
        Self {
            ids: BTreeMap::new(),
            pubsub_topics,
            floor: 0,
            max_ids: max_ids.max(1),
        }
    }

    /// Takes an id in, unless it is of a topic not served, or too old.
    pub fn insert(&mut self, id: Id, pubsub_topic: &str, content_topic: &str) {
        let Some(pubsub) = self.index(pubsub_topic) else { return };
        if id.timestamp < self.floor {
            return;
        }
        let content = short(content_topic);
        self.ids.insert(id, Topics { pubsub, content });
        while self.ids.len() > self.max_ids {
            let Some((oldest, _)) = self.ids.pop_first() else { break };
            self.forget_before(oldest.timestamp.saturating_add(1));
        }
    }

    /// Raises the floor to `timestamp`, if it is not above it.
    pub fn forget_before(&mut self, timestamp: i64) {
        if timestamp > self.floor {
            self.floor = timestamp;
            self.ids = self.ids.split_off(&Id::at(timestamp));
        }
    }

    pub fn floor(&self) -> i64 {
        self.floor
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub fn pubsub_topics(&self) -> &[String] {
        &self.pubsub_topics
    }

    /// What this set and a peer that names these topics have in common; empty lists mean everything. `None` when that
    /// is nothing.
    pub fn scope(&self, pubsub_topics: &[String], content_topics: &[String]) -> Option<Scope> {
        let named: HashSet<&str> = pubsub_topics.iter().map(String::as_str).collect();
        let indices = (0u16..).zip(&self.pubsub_topics);
        let common = indices.filter(|(_, topic)| named.is_empty() || named.contains(topic.as_str()));
        let pubsub: HashSet<u16> = common.map(|(index, _)| index).collect();
        let content = (!content_topics.is_empty()).then(|| content_topics.iter().map(|topic| short(topic)).collect());
        (!pubsub.is_empty()).then_some(Scope { pubsub, content })
    }

    /// The ids from `start` to before `end`, ascending.
    pub(super) fn range<'a>(&'a self, start: Id, end: Id, scope: &'a Scope) -> impl Iterator<Item = Id> + 'a {
        // An empty range is not a panic.
        let range = self.ids.range(start..end.max(start));
        range.filter(|(_, topics)| scope.admits(**topics)).map(|(id, _)| *id)
    }

    /// The fingerprint of a range and how many ids are in it.
    pub(super) fn fingerprint(&self, start: Id, end: Id, scope: &Scope) -> (Fingerprint, usize) {
        let mut fingerprint = Fingerprint::default();
        let mut count = 0;
        for id in self.range(start, end, scope) {
            fingerprint.add(&id.hash);
            count += 1;
        }
        (fingerprint, count)
    }

    fn index(&self, pubsub_topic: &str) -> Option<u16> {
        let index = self.pubsub_topics.iter().position(|topic| topic == pubsub_topic)?;
        u16::try_from(index).ok()
    }
}

/// A content topic in eight bytes: two that meet would only be compared together.
fn short(content_topic: &str) -> u64 {
    let digest = Sha256::digest(content_topic);
    let head = digest.first_chunk().expect("a SHA-256 has 32 bytes");
    u64::from_be_bytes(*head)
}
